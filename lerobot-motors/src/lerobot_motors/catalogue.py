"""The serial arms and hands: a row of data each. *Pure*: opens nothing.

A row says which servos there are, what is written into them, and what users see of them; `Arm`, `Follower` and `Leader` do
the rest. Sources: the makers' assembly guides and bills of material; registers as in the servos' memory tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from lerobot_core.features import Feature
from lerobot_motors.calibration import Calibration, Motor, MotorCalibration
from lerobot_motors.units import UNITS

POS = ".pos"

#: Feetech: Operating_Mode.
POSITION, VELOCITY = 0, 1
#: Dynamixel: Operating_Mode; over several turns, and with a bounded current, which lets a gripper grip.
EXTENDED_POSITION, CURRENT_POSITION = 4, 5
#: Feetech: bit of Phase that makes an sts3215 count angles over several turns.
PHASE_MULTI_TURN = 0x10
#: Feetech: fastest change of speed the servos offer.
ACCELERATION = 254

#: What a register is set to: one value for every servo, or a value for some by name.
Setting = int | Mapping[str, int]


@attrs.frozen(kw_only=True)
class Source:
    """Where a value of a leader's action comes from.

    Attributes:
        motor: the servo read.
        factor: what its value is multiplied with.
        unit: unit of the product.
    """

    motor: str
    factor: float
    unit: str = "deg"


@attrs.frozen(kw_only=True)
class ArmRow:
    """A kind of arm.

    Attributes:
        name: class of device, as datasets and calibration folders have it.
        motors: the servos by name, those users see in percent of their range.
        joints: servos that users see and send; empty: all of them.
        full_turn: servos that turn all the way round, whose range is not recorded.
        inverted: servos whose percentages count from the upper end of their range.
        settings: register → what it is set to at every start, in this order, with the torque off.
        options: register → option of the config whose value the joints are given.
        cleared: register → bits that are switched off in it.
        calibration: places of the joints where they follow from how it is built; None: a person shows them once.
        handshake: whether every servo is asked for its model and firmware first.
        apart: servos that are read in a transaction of their own.
        trigger: servo a leader holds with its torque on at the option `gripper_open_pos`, so that it springs back.
        sources: action joint → where it comes from, in a leader that gives other than its own joints.
    """

    name: str
    motors: Mapping[str, Motor]
    joints: Sequence[str] = ()
    full_turn: Sequence[str] = ()
    inverted: Sequence[str] = ()
    settings: Mapping[str, Setting] = attrs.Factory(dict)
    options: Mapping[str, str] = attrs.Factory(dict)
    cleared: Mapping[str, int] = attrs.Factory(dict)
    calibration: Calibration | None = None
    handshake: bool = True
    apart: Sequence[str] = ()
    trigger: str = ""
    sources: Mapping[str, Source] = attrs.Factory(dict)

    def configured(self, config: Any) -> ArmRow:
        """The row with what a config says of it: degrees in place of percent, and the registers it has options for."""
        chosen = {
            register: dict.fromkeys(self.seen(), int(getattr(config, option)))
            for register, option in self.options.items()
        }
        row = self.in_units(getattr(config, "use_degrees", False))
        return attrs.evolve(row, settings={**self.settings, **chosen})

    def in_units(self, use_degrees: bool) -> ArmRow:
        """The row with its joints in degrees, or as it is."""
        return attrs.evolve(self, motors=in_degrees(self.motors)) if use_degrees else self

    def seen(self) -> tuple[str, ...]:
        """The servos that users see, in order."""
        return tuple(self.joints or self.motors)

    def features(self) -> dict[str, Feature]:
        """A position per joint in its unit: a leader in percent must not drive a follower in degrees."""
        units = {joint: source.unit for joint, source in self.sources.items()} or {
            joint: UNITS[self.motors[joint].norm_mode] for joint in self.seen()
        }
        return {f"{joint}{POS}": Feature(dtype="float32", shape=(), unit=unit) for joint, unit in units.items()}

    def written(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Every register with its value by servo."""
        for register, setting in self.settings.items():
            yield register, dict(setting) if isinstance(setting, Mapping) else dict.fromkeys(self.motors, setting)


def in_degrees(motors: Mapping[str, Motor]) -> dict[str, Motor]:
    """The same servos with joints in degrees; what is open or closed stays in percent."""
    return {
        name: attrs.evolve(motor, norm_mode="degrees") if motor.norm_mode == "range_m100_100" else motor
        for name, motor in motors.items()
    }


def chain(*servos: tuple[str, str], first: int = 1) -> dict[str, Motor]:
    """Servos (name, model) with ids that count up from `first`; a gripper is in percent open."""
    return {
        name: Motor(id=number, model=model, norm_mode="range_0_100" if name == "gripper" else "range_m100_100")
        for number, (name, model) in enumerate(servos, start=first)
    }


SIX = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def _six(body: str, *models: str, first: int = 1) -> dict[str, Motor]:
    """The usual five joints and a gripper: the models of the first of them, `body` for the others."""
    return chain(*zip(SIX, [*models, *[body] * (len(SIX) - len(models))], strict=True), first=first)


# --- Feetech: SO-100 and SO-101, LeKiwi, OpenArm Mini, HopeJR ---------------------------------------------------------

_SO = _six("sts3215")
_STILL: dict[str, Setting] = {"Return_Delay_Time": 0, "Operating_Mode": POSITION}
_DRIVEN: dict[str, Setting] = {
    "Return_Delay_Time": 0,
    "Maximum_Acceleration": ACCELERATION,
    "Acceleration": ACCELERATION,
    "Operating_Mode": POSITION,
}
#: Keeps a gripper from burning out on what it holds: half of the torque, 250 × 6.5 mA, a quarter once overloaded.
_GRIPPER: dict[str, Setting] = {
    "Max_Torque_Limit": {"gripper": 500},
    "Protection_Current": {"gripper": 250},
    "Overload_Torque": {"gripper": 25},
}
_GAINS = {
    "P_Coefficient": "position_p_coefficient",
    "I_Coefficient": "position_i_coefficient",
    "D_Coefficient": "position_d_coefficient",
}

SO_FOLLOWER = ArmRow(
    name="so_follower",
    motors=_SO,
    full_turn=("wrist_roll",),
    settings=_DRIVEN | _GRIPPER,
    options=_GAINS,
    cleared={"Phase": PHASE_MULTI_TURN},
)
SO_LEADER = ArmRow(name="so_leader", motors=_SO, full_turn=("wrist_roll",), settings=_STILL)

#: The wheels of a LeKiwi, in the order of their ids.
WHEELS = ("base_left_wheel", "base_back_wheel", "base_right_wheel")
_LEKIWI_ARM = {f"arm_{name}": motor for name, motor in _SO.items()}
LEKIWI = ArmRow(
    name="lekiwi",
    motors=_LEKIWI_ARM | chain(*((wheel, "sts3215") for wheel in WHEELS), first=7),
    joints=tuple(_LEKIWI_ARM),
    full_turn=("arm_wrist_roll", *WHEELS),
    settings=_DRIVEN | {"Operating_Mode": dict.fromkeys(_LEKIWI_ARM, POSITION) | dict.fromkeys(WHEELS, VELOCITY)},
    options=_GAINS,
    cleared={"Phase": PHASE_MULTI_TURN},
)


def _openarm_mini(turned: str) -> ArmRow:
    """Its wrist has joints 6 and 7 the other way round, and `turned` servos count against the big arm's joints."""
    taken = {f"joint_{number}": f"joint_{number}" for number in range(1, 8)} | {
        "joint_6": "joint_7",
        "joint_7": "joint_6",
    }
    sources = {
        joint: Source(motor=motor, factor=-1.0 if motor[-1] in turned else 1.0) for joint, motor in taken.items()
    }
    return ArmRow(
        name="openarm_mini",
        motors=chain(*((f"joint_{number}", "sts3215") for number in range(1, 8)), ("gripper", "sts3215")),
        settings=_STILL,
        sources={**sources, "gripper": Source(motor="gripper", factor=-0.65)},  # 0 to 100 % → 0 to -65°
    )


OPENARM_MINI = {"left": _openarm_mini("134567"), "right": _openarm_mini("123457")}

HOPE_JR_ARM = ArmRow(
    name="hope_jr_arm",
    motors=chain(
        ("shoulder_pitch", "sm8512bl"),
        *((joint, "sts3250") for joint in ("shoulder_yaw", "shoulder_roll", "elbow_flex")),
        *((joint, "sts3250") for joint in ("wrist_roll", "wrist_yaw", "wrist_pitch")),
    ),
    settings=_DRIVEN | {"Acceleration": 30},
    handshake=False,  # the shoulder is of another series, with a firmware of its own
    apart=("shoulder_pitch",),
)

_HAND = (
    *("thumb_cmc", "thumb_mcp", "thumb_pip", "thumb_dip"),
    *("index_radial_flexor", "index_ulnar_flexor", "index_pip_dip"),
    *("middle_radial_flexor", "middle_ulnar_flexor", "middle_pip_dip"),
    *("ring_radial_flexor", "ring_ulnar_flexor", "ring_pip_dip"),
    *("pinky_radial_flexor", "pinky_ulnar_flexor", "pinky_pip_dip"),
)


def _hope_jr_hand(*inverted: str) -> ArmRow:
    return ArmRow(
        name="hope_jr_hand",
        motors={
            joint: Motor(id=number, model="scs0009", norm_mode="range_0_100")
            for number, joint in enumerate(_HAND, start=1)
        },
        inverted=inverted,
        settings={"Return_Delay_Time": 0, "Acceleration": ACCELERATION},
    )


HOPE_JR_HAND = {
    "left": _hope_jr_hand(
        *("thumb_cmc", "thumb_mcp", "thumb_dip", "index_radial_flexor", "index_pip_dip"),
        *("middle_radial_flexor", "middle_pip_dip", "ring_radial_flexor", "ring_pip_dip", "pinky_radial_flexor"),
    ),
    "right": _hope_jr_hand(
        *("thumb_mcp", "thumb_dip", "index_ulnar_flexor", "middle_ulnar_flexor"),
        *("ring_ulnar_flexor", "ring_pip_dip", "pinky_ulnar_flexor", "pinky_pip_dip"),
    ),
}

# --- Dynamixel: Koch, OMX, ALOHA 2 ------------------------------------------------------------------------------------


def _modes(motors: Mapping[str, Motor]) -> dict[str, Setting]:
    """Joints over several turns, since their zero may lie anywhere; the gripper with a bounded current."""
    modes = {name: CURRENT_POSITION if name == "gripper" else EXTENDED_POSITION for name in motors}
    return {"Return_Delay_Time": 0, "Operating_Mode": modes}


#: A stiffer elbow: it carries the longest lever.
_ELBOW: dict[str, Setting] = {
    "Position_P_Gain": {"elbow_flex": 1500},
    "Position_I_Gain": {"elbow_flex": 0},
    "Position_D_Gain": {"elbow_flex": 600},
}
_KOCH_FOLLOWER = _six("xl330-m288", "xl430-w250", "xl430-w250")
_KOCH_LEADER = _six("xl330-m077")
KOCH_FOLLOWER = ArmRow(
    name="koch_follower",
    motors=_KOCH_FOLLOWER,
    full_turn=("shoulder_pan", "wrist_roll"),
    settings=_modes(_KOCH_FOLLOWER) | _ELBOW,
)
KOCH_LEADER = ArmRow(
    name="koch_leader",
    motors=_KOCH_LEADER,
    full_turn=("shoulder_pan", "wrist_roll"),
    inverted=("elbow_flex",),
    settings=_modes(_KOCH_LEADER),
    trigger="gripper",
)


def _whole_turns(motors: Mapping[str, Motor], **gripper: int) -> Calibration:
    """Joints whose horns can only be mounted one way: nothing to show."""
    whole = {"range_min": 0, "range_max": 4095}
    return {
        name: MotorCalibration(id=motor.id, **whole, **(gripper if name == "gripper" else {}))
        for name, motor in motors.items()
    }


_OMX_FOLLOWER = _six("xl330-m288", "xl430-w250", "xl430-w250", "xl430-w250", first=11)
_OMX_LEADER = _six("xl330-m288", *["xl330-m288"] * 5, "xl330-m077")
OMX_FOLLOWER = ArmRow(
    name="omx_follower",
    motors=_OMX_FOLLOWER,
    settings=_modes(_OMX_FOLLOWER) | _ELBOW,
    calibration=_whole_turns(_OMX_FOLLOWER),
)
OMX_LEADER = ArmRow(
    name="omx_leader",
    motors=_OMX_LEADER,
    inverted=("gripper",),
    settings={**_modes(_OMX_LEADER), "Current_Limit": {"gripper": 100}, "Goal_Current": {"gripper": 100}},
    calibration=_whole_turns(_OMX_LEADER, drive_mode=1, homing_offset=100),
    trigger="gripper",
)

#: ALOHA 2: two servos move the shoulder and two the elbow; the second does what the first is told, the other way round.
_ALOHA = (
    "waist",
    "shoulder",
    "shoulder_shadow",
    "elbow",
    "elbow_shadow",
    "forearm_roll",
    "wrist_angle",
    "wrist_rotate",
)
_SHADOWS = {"shoulder_shadow": 2, "elbow_shadow": 4}


def _aloha(name: str, body: str, wrist: str, gripper: str, driven: bool) -> ArmRow:
    models = [*((joint, body) for joint in _ALOHA[:-1]), ("wrist_rotate", wrist), ("gripper", gripper)]
    motors = chain(*models)
    modes = _modes(motors) if driven else {"Return_Delay_Time": 0, "Operating_Mode": EXTENDED_POSITION}
    return ArmRow(
        name=name,
        motors=motors,
        joints=tuple(joint for joint in motors if joint not in _SHADOWS),
        full_turn=("waist", "forearm_roll", "wrist_rotate"),
        inverted=tuple(_SHADOWS),
        settings=modes | {"Secondary_ID": _SHADOWS},
    )


VIPERX_FOLLOWER = _aloha("viperx_follower", "xm540-w270", "xm430-w350", "xm430-w350", driven=True)
WIDOWX_LEADER = _aloha("widowx_leader", "xm430-w350", "xl430-w250", "xc430-w150", driven=False)
