"""What lerobot-motors offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

_SUITES = "lerobot_motors.conformance"


_ROBOTS, _TELEOPERATORS = "lerobot_motors.robots", "lerobot_motors.teleoperators"
_ZMQ = ("zmq=lerobot-motors[lekiwi]", "cv2=lerobot-motors[lekiwi]")


def _follower(name: str, config: str, build: str, summary: str, **options: object) -> Component:
    """A serial arm on its emulator."""
    return Component(
        name,
        f"{_ROBOTS}.configs:{config}",
        f"{_ROBOTS}.arms:{build}",
        summary,
        example=options,
        suite=f"{_SUITES}:{'SoFollowerSuite' if build == 'SoFollower' else 'FollowerSuite'}",
    )


def _leader(name: str, config: str, build: str, summary: str, **options: object) -> Component:
    """A serial arm on its emulator, whose own motion stands in for a hand."""
    return Component(
        name,
        f"{_TELEOPERATORS}.configs:{config}",
        f"{_TELEOPERATORS}.arms:{build}",
        summary,
        example=options,
        suite=f"{_SUITES}:{'SprungLeaderSuite' if build in ('KochLeader', 'OmxLeader') else 'LeaderSuite'}",
    )


def _on_the_desk() -> list[Component]:
    """Keyboards and gamepads, whose scripts stand in for hands."""
    known = (
        ("keyboard", "keyboard", "KeyboardTeleoperator", "Keys as they are held", "up*5 -*5"),
        ("keyboard_ee", "keyboard", "KeyboardEe", "Keys that move a gripper", "up*5 left+o*5"),
        ("keyboard_rover", "keyboard", "KeyboardRover", "Keys that drive a rover", "w*5 w+a*5"),
        ("gamepad", "gamepad", "Gamepad", "A gamepad that moves a gripper", "left_y=-1*5 y*5"),
    )
    return [
        Component(
            name,
            f"{_TELEOPERATORS}.desk_configs:{build.removesuffix('Teleoperator')}Config",
            f"{_TELEOPERATORS}.{module}:{build}",
            summary,
            example={"script": script},
            suite=f"{_SUITES}_desk:{'DeskSuite' if name == 'keyboard' else 'DeltaSuite'}",
        )
        for name, module, build, summary, script in known
    ]


@hookimpl
def lr_robots() -> list[Component]:
    so101, left, right = ({"port": f"emulated://so101{name}"} for name in ("", "?name=left", "?name=right"))
    so, joined = "SoFollowerConfig", "JointedConfig"
    return [
        _follower("so101_follower", so, "SoFollower", "SO-101 arm, driven", **so101),
        _follower("so100_follower", so, "SoFollower", "SO-100 arm, driven", **so101),
        _follower("koch_follower", joined, "KochFollower", "Koch v1.1 arm, driven", port="emulated://koch"),
        _follower("omx_follower", joined, "OmxFollower", "OpenMANIPULATOR-X arm, driven", port="emulated://omx"),
        _follower(
            "viperx_follower", joined, "ViperxFollower", "ViperX arm of ALOHA 2, driven", port="emulated://viperx"
        ),
        _follower("hope_jr_arm", "FollowerConfig", "HopeJrArm", "HopeJR arm, driven", port="emulated://hope_jr_arm"),
        _follower(
            "hope_jr_hand",
            "HopeJrHandConfig",
            "HopeJrHand",
            "HopeJR hand, driven",
            port="emulated://hope_jr_hand",
            side="right",
        ),
        Component(
            "bi_so_follower",
            f"{_ROBOTS}.configs:BiSoFollowerConfig",
            f"{_ROBOTS}.bimanual:bi_so_follower",
            "Two SO-100 or SO-101 arms, driven",
            example={"left_arm_config": left, "right_arm_config": right},
            suite=f"{_SUITES}:BimanualSuite",
        ),
        Component(
            "bimanual",
            f"{_ROBOTS}.configs:BimanualConfig",
            f"{_ROBOTS}.bimanual:bimanual",
            "Any two robots as one",
            example={"left": {"type": "so101_follower", **left}, "right": {"type": "so101_follower", **right}},
            suite=f"{_SUITES}:BimanualSuite",
        ),
        Component(
            "lekiwi",
            f"{_ROBOTS}.configs:LekiwiConfig",
            f"{_ROBOTS}.lekiwi:LeKiwi",
            "LeKiwi: an SO arm on three wheels",
            example={"port": "emulated://lekiwi", "cameras": {}},
            suite=f"{_SUITES}:LekiwiSuite",
        ),
        Component(
            "lekiwi_client",
            f"{_ROBOTS}.configs:LekiwiClientConfig",
            f"{_ROBOTS}.lekiwi_client:LekiwiClient",
            "A LeKiwi at the other end of a network, where `lr lekiwi-host` runs",
            needs=_ZMQ,
            suite=f"{_SUITES}:LekiwiClientSuite",
        ),
    ]


@hookimpl
def lr_teleoperators() -> list[Component]:
    so101 = {"port": "emulated://so101-leader?motion=sine"}
    koch, omx, widowx = ({"port": f"emulated://{arm}?motion=sine"} for arm in ("koch-leader", "omx-leader", "widowx"))
    mini = {"port": "emulated://openarm_mini?motion=sine", "side": "right"}
    return [
        Component(
            "scripted_leader",
            "lerobot_motors.demo.leader:ScriptedLeaderConfig",
            "lerobot_motors.demo.leader:ScriptedLeader",
            "Does the demo's reaching task by itself; no hardware",
            example={"name": "so101"},
            suite=f"{_SUITES}:ScriptedLeaderSuite",
        ),
        Component(
            "scripted_picker",
            "lerobot_motors.envs.picker:ScriptedPickerConfig",
            "lerobot_motors.envs.picker:ScriptedPicker",
            "Brings the simulated cube to its zone by itself; no hardware",
            needs=("mujoco=lerobot-motors[sim]",),
            example={"name": "so101"},
            suite=f"{_SUITES}:ScriptedPickerSuite",
        ),
        _leader("so101_leader", "SoLeaderConfig", "SoLeader", "SO-101 arm, held by a person", **so101),
        _leader("so100_leader", "SoLeaderConfig", "SoLeader", "SO-100 arm, held by a person", **so101),
        _leader("koch_leader", "KochLeaderConfig", "KochLeader", "Koch v1.1 arm, held by a person", **koch),
        _leader("omx_leader", "OmxLeaderConfig", "OmxLeader", "OpenMANIPULATOR-X arm, held by a person", **omx),
        _leader("widowx_leader", "LeaderConfig", "WidowxLeader", "WidowX arm of ALOHA 2, held by a person", **widowx),
        _leader("openarm_mini", "OpenarmMiniConfig", "OpenarmMini", "OpenArm Mini, held by a person", **mini),
        Component(
            "lekiwi_leader",
            f"{_TELEOPERATORS}.configs:LekiwiLeaderConfig",
            f"{_TELEOPERATORS}.lekiwi:LekiwiLeader",
            "A leader arm and whatever drives the base of a LeKiwi",
            example={"arm": {"type": "so101_leader", **so101}},
            suite=f"{_SUITES}:LekiwiLeaderSuite",
        ),
        *_both_hands(),
        *_on_the_desk(),
    ]


def _both_hands() -> list[Component]:
    """Two teleoperators as one."""
    so101s = [{"port": f"emulated://so101-leader?motion=sine&name={side}-leader"} for side in ("left", "right")]
    minis = [
        {"port": f"emulated://openarm_mini?motion=sine&name={side}-mini", "side": side} for side in ("left", "right")
    ]
    arms = ("left_arm_config", "right_arm_config")
    rows: list[tuple[str, str, str, str, dict[str, object]]] = [
        (
            "bi_so_leader",
            "BiSoLeaderConfig",
            "bi_so_leader",
            "Two SO-100 or SO-101 arms, held by a person",
            dict(zip(arms, so101s, strict=True)),
        ),
        (
            "bi_openarm_mini",
            "BiOpenarmMiniConfig",
            "bi_openarm_mini",
            "Two OpenArm Mini, held by a person",
            dict(zip(arms, minis, strict=True)),
        ),
        (
            "bimanual",
            "BimanualLeaderConfig",
            "bimanual",
            "Any two teleoperators as one",
            {side: {"type": "so101_leader", **arm} for side, arm in zip(("left", "right"), so101s, strict=True)},
        ),
    ]
    return [
        Component(
            name,
            f"{_TELEOPERATORS}.configs:{config}",
            f"{_TELEOPERATORS}.bimanual:{build}",
            summary,
            example=example,
            suite=f"{_SUITES}:LeaderSuite",
        )
        for name, config, build, summary, example in rows
    ]


@hookimpl
def lr_motor_buses() -> list[Component]:
    feetech, dynamixel = "lerobot_motors.buses.feetech", "lerobot_motors.buses.dynamixel"
    return [
        Component(
            "feetech",
            f"{feetech}.config:FeetechConfig",
            f"{feetech}.bus:FeetechBus",
            "Feetech STS and SMS servos",
            example={"port": "emulated://so101", "motors": {"shoulder_pan": {"id": 1, "model": "sts3215"}}},
            suite=f"{_SUITES}:FeetechSuite",
        ),
        Component(
            "dynamixel",
            f"{dynamixel}.config:DynamixelConfig",
            f"{dynamixel}.bus:DynamixelBus",
            "Dynamixel X servos",
            example={"port": "emulated://koch", "motors": {"shoulder_pan": {"id": 1, "model": "xl430-w250"}}},
            suite=f"{dynamixel}.conformance:DynamixelSuite",
        ),
    ]


@hookimpl
def lr_cameras() -> list[Component]:
    configs, cameras = "lerobot_motors.cameras.configs", "lerobot_motors.cameras"
    return [
        Component(
            "opencv",
            f"{configs}:OpencvConfig",
            f"{cameras}.opencv:OpencvCamera",
            "USB cameras, video files and streams through OpenCV",
            needs=("cv2=lerobot-motors[opencv]",),
            suite=f"{_SUITES}_cameras:OpencvSuite",
        ),
        Component(
            "pattern",
            f"{configs}:PatternConfig",
            f"{cameras}.pattern:pattern",
            "Pictures that show their own number; no hardware",
            example={"fps": 60.0, "width": 64, "height": 48},
            suite=f"{_SUITES}_cameras:PatternSuite",
        ),
        Component(
            "emulated",
            f"{configs}:EmulatedConfig",
            f"{cameras}.emulated:EmulatedCamera",
            "Pictures of an emulated arm and the demo's goal; no hardware",
            example={"name": "so101"},
            suite=f"{_SUITES}_cameras:EmulatedCameraSuite",
        ),
        Component(
            "simulated",
            f"{configs}:SimulatedConfig",
            f"{cameras}.simulated:SimulatedCamera",
            "Pictures of a simulated world around an emulated arm; no hardware",
            needs=("mujoco=lerobot-motors[sim]",),
            example={"name": "so101", "width": 64, "height": 48},
            suite=f"{_SUITES}_cameras:SimulatedSuite",
        ),
        Component(
            "intelrealsense",
            f"{configs}:RealsenseConfig",
            f"{cameras}.realsense:RealsenseCamera",
            "Intel RealSense cameras: colour and depth",
            needs=("pyrealsense2=lerobot-motors[realsense]",),
            suite=f"{_SUITES}_cameras:RealsenseSuite",
        ),
        Component(
            "zmq",
            f"{configs}:ZmqConfig",
            f"{cameras}.zmq:ZmqCamera",
            "Cameras of another machine, as `lr camera-server` gives them",
            needs=("zmq=lerobot-motors[zmq]", "cv2=lerobot-motors[zmq]"),
            suite=f"{_SUITES}_cameras:ZmqSuite",
        ),
    ]


@hookimpl
def lr_processor_steps() -> list[Component]:
    configs, deltas, poses = (f"lerobot_motors.processors.{name}" for name in ("configs", "deltas", "poses"))
    steps = (
        ("map_delta_action_to_robot_action", "DeltaConfig", f"{deltas}:DeltaToMovement", "Deltas as a movement"),
        ("ee_reference_and_delta", "ReferenceConfig", f"{deltas}:ReferenceAndDelta", "A movement as a gripper pose"),
        (
            "ee_bounds_and_safety",
            "SafetyConfig",
            f"{deltas}:BoundsAndSafety",
            "Keeps the gripper in a box, refuses jumps",
        ),
        ("gripper_velocity_to_joint", "GripperConfig", f"{deltas}:GripperVelocity", "A gripper's speed as its opening"),
        ("inverse_kinematics_ee_to_joints", "KinematicsConfig", f"{poses}:InverseKinematics", "Joints for a pose"),
        (
            "forward_kinematics_joints_to_ee",
            "KinematicsConfig",
            f"{poses}:ForwardKinematics",
            "Adds the pose to joints",
        ),
    )
    return [
        Component(name, f"{configs}:{config}", build, summary, suite=f"{_SUITES}_desk:StepSuite")
        for name, config, build, summary in steps
    ]


@hookimpl
def lr_commands() -> list[Command]:
    commands = "lerobot_motors.commands"
    return [
        Command("teleoperate", f"{commands}.teleoperate:teleoperate", "Drive a robot with a teleoperator"),
        Command("record", f"{commands}.record:record", "Record episodes of teleoperation as a dataset"),
        Command("replay", f"{commands}.replay:replay", "Send the actions of a recorded episode to a robot"),
        Command("lekiwi-host", f"{commands}.lekiwi_host:lekiwi_host", "Let another computer drive a LeKiwi"),
        Command("demo", f"{commands}.demo:demo", "Watch the whole loop work on an emulated arm, in one command"),
        Command("calibrate", f"{commands}.calibrate:calibrate", "Calibrate a robot or a teleoperator"),
        Command("emulate", f"{commands}.emulate:emulate", "Emulate the servos of an arm on a port for any program"),
        Command("scan", f"{commands}.scan:scan", "Tell which servos are on a port, at any baud rate and id"),
        Command("setup-motors", f"{commands}.setup_motors:setup_motors", "Give the servos of a new arm their ids"),
        Command("motor get", f"{commands}.motor:get", "Show registers of servos"),
        Command("motor set", f"{commands}.motor:set_", "Write a register of servos"),
        Command("motor watch", f"{commands}.motor:watch", "Watch registers of servos as they change"),
        Command(
            "find-joint-limits",
            f"{commands}.find_joint_limits:find_joint_limits",
            "Show how far each joint goes while you move it",
        ),
        Command("find-port", f"{commands}.find_port:find_port", "Tell which serial port an arm is on"),
        Command("find-cameras", f"{commands}.find_cameras:find_cameras", "List the cameras and save a picture of each"),
        Command("camera-server", f"{commands}.camera_server:camera_server", "Give cameras to another machine"),
    ]


@hookimpl
def lr_info() -> list[str]:
    return ["lerobot_motors.devices:found"]
