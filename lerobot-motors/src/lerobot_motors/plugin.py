"""What lerobot-motors offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

_SUITES = "lerobot_motors.conformance"


@hookimpl
def lr_robots() -> list[Component]:
    config, build = "lerobot_motors.robots.configs:SoFollowerConfig", "lerobot_motors.robots.so_follower:SoFollower"
    known = {"example": {"port": "emulated://so101"}, "suite": f"{_SUITES}:SoFollowerSuite"}
    return [
        Component("so101_follower", config, build, "SO-101 arm, driven", **known),
        Component("so100_follower", config, build, "SO-100 arm, driven", **known),
    ]


@hookimpl
def lr_teleoperators() -> list[Component]:
    folder = "lerobot_motors.teleoperators"
    config, build = f"{folder}.configs:SoLeaderConfig", f"{folder}.so_leader:SoLeader"
    known = {"example": {"port": "emulated://so101-leader?motion=sine"}, "suite": f"{_SUITES}:SoLeaderSuite"}
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
        Component("so101_leader", config, build, "SO-101 arm, held by a person", **known),
        Component("so100_leader", config, build, "SO-100 arm, held by a person", **known),
    ]


@hookimpl
def lr_motor_buses() -> list[Component]:
    feetech = "lerobot_motors.buses.feetech"
    return [
        Component(
            "feetech",
            f"{feetech}.config:FeetechConfig",
            f"{feetech}.bus:FeetechBus",
            "Feetech STS and SMS servos",
            example={"port": "emulated://so101", "motors": {"shoulder_pan": {"id": 1, "model": "sts3215"}}},
            suite=f"{_SUITES}:FeetechSuite",
        )
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
def lr_commands() -> list[Command]:
    commands = "lerobot_motors.commands"
    return [
        Command("teleoperate", f"{commands}.teleoperate:teleoperate", "Drive a robot with a teleoperator"),
        Command("record", f"{commands}.record:record", "Record episodes of teleoperation as a dataset"),
        Command("replay", f"{commands}.replay:replay", "Send the actions of a recorded episode to a robot"),
        Command("demo", f"{commands}.demo:demo", "Watch the whole loop work on an emulated arm, in one command"),
        Command("calibrate", f"{commands}.calibrate:calibrate", "Calibrate a robot or a teleoperator"),
        Command("find-port", f"{commands}.find_port:find_port", "Tell which serial port an arm is on"),
        Command("find-cameras", f"{commands}.find_cameras:find_cameras", "List the cameras and save a picture of each"),
        Command("camera-server", f"{commands}.camera_server:camera_server", "Give cameras to another machine"),
    ]


@hookimpl
def lr_info() -> list[str]:
    return ["lerobot_motors.devices:found"]
