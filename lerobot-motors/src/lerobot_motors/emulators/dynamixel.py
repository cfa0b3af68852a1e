"""Dynamixel X servos (protocol 2). *Pure.* Source: ROBOTIS e-Manual, control tables of XL330, XL430, XM430 and XM540."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from lerobot_motors.buses.dynamixel.tables import BAUD_CODES, MODELS
from lerobot_motors.emulators.motion import Reach, Spin
from lerobot_motors.emulators.servo import Joint, Motion, Servo

RAM = 64
READ_ONLY = {*range(7), 69, 70, *range(120, 147)}
CURRENT, VELOCITY, POSITION, EXTENDED, CURRENT_POSITION, PWM = 0, 1, 3, 4, 5, 16
REVERSE = 1
#: What Goal_Velocity and Profile_Velocity count [ticks/s] (0.229 rpm), and Profile_Acceleration [ticks/s²] (214.577 rev/min²).
VELOCITY_UNIT, ACCELERATION_UNIT = 0.229 / 60 * 4096, 214.577 / 3600 * 4096
#: Fastest acceleration, also without a profile [ticks/s²].
ACCELERATION = 25_000.0
#: Bits of Hardware_Error_Status, and of Shutdown.
VOLTAGE, HEAT, OVERLOAD = 1, 4, 32
#: What the error byte of a status packet says: numbers, and a bit for Hardware_Error_Status ≠ 0.
RESULT, INSTRUCTION, RANGE, LENGTH, LIMIT, ACCESS, ALERT = 1, 2, 4, 5, 6, 7, 0x80
MAX_OFFSET, MAX_TURNS = 1_044_479, 1_048_575

FACTORY = {
    "Firmware_Version": 48,
    "ID": 1,
    "Baud_Rate": 3,
    "Return_Delay_Time": 250,
    "Operating_Mode": POSITION,
    "Secondary_ID": 255,
    "Protocol_Type": 2,
    "Moving_Threshold": 10,
    "Temperature_Limit": 72,
    "Max_Voltage_Limit": 160,
    "Min_Voltage_Limit": 65,
    "PWM_Limit": 885,
    "Acceleration_Limit": 32767,
    "Max_Position_Limit": 4095,
    "Shutdown": 52,
    "Status_Return_Level": 2,
    "Velocity_I_Gain": 1920,
    "Velocity_P_Gain": 100,
    "Position_P_Gain": 800,
    "Goal_PWM": 885,
    "Present_Input_Voltage": 120,
    "Present_Temperature": 30,
}
SMALL = {"Max_Voltage_Limit": 70, "Min_Voltage_Limit": 35, "Present_Input_Voltage": 50}
#: What models are made with beyond that.
MADE = {
    "xl330-m077": {**SMALL, "Velocity_Limit": 1620, "Current_Limit": 1750, "Position_P_Gain": 400},
    "xl330-m288": {**SMALL, "Velocity_Limit": 445, "Current_Limit": 1750, "Position_P_Gain": 400},
    "xl430-w250": {"Velocity_Limit": 265, "Position_P_Gain": 640, "Position_D_Gain": 4000},
    "xc430-w150": {"Velocity_Limit": 460},
    "xm430-w350": {"Velocity_Limit": 200, "Current_Limit": 1193},
    "xm540-w270": {"Velocity_Limit": 128, "Current_Limit": 2047},
}
#: Registers with few or limited values, and whether a servo takes one.
ALLOWED: Mapping[str, Callable[[DynamixelServo, int], bool]] = {
    "ID": lambda servo, value: value <= 252,
    "Baud_Rate": lambda servo, value: value <= 7,
    "Operating_Mode": lambda servo, value: value in servo.modes,
    "Homing_Offset": lambda servo, value: abs(value) <= MAX_OFFSET,
    "Max_Position_Limit": lambda servo, value: value <= 4095,
    "Min_Position_Limit": lambda servo, value: value <= 4095,
    "Torque_Enable": lambda servo, value: value <= 1,
    "Status_Return_Level": lambda servo, value: value <= 2,
    "Goal_PWM": lambda servo, value: abs(value) <= servo.get("PWM_Limit"),
    "Goal_Current": lambda servo, value: abs(value) <= servo.get("Current_Limit"),
    "Goal_Velocity": lambda servo, value: abs(value) <= servo.get("Velocity_Limit"),
    "Goal_Position": lambda servo, value: servo.reaches(value),
}


class DynamixelServo(Servo):
    """A servo at an id; see `Servo`. The EEPROM is written while the torque is off."""

    bauds: ClassVar = {code: baud for baud, code in BAUD_CODES.items()}
    supply, troubles = "Present_Input_Voltage", "Hardware_Error_Status"

    def __init__(self, joint: Joint, position: float) -> None:
        model = MODELS[joint.model]
        self.modes = (VELOCITY, POSITION, EXTENDED, PWM)
        if "Goal_Current" in model.registers:
            self.modes += (CURRENT, CURRENT_POSITION)
        factory = {**FACTORY, **MADE[joint.model], "Present_Temperature": 30 + joint.id}
        if "Goal_Current" in model.registers:
            factory["Goal_Current"] = factory["Current_Limit"]
        self._speed = factory["Velocity_Limit"] * VELOCITY_UNIT
        super().__init__(joint, model, "little", factory, position)

    def calibration(self) -> dict[str, int]:
        row = self.joint
        made = {"ID": row.id, "Homing_Offset": row.homing_offset}
        made |= {"Min_Position_Limit": row.range_min, "Max_Position_Limit": row.range_max}
        if row.mode is not None:
            made["Operating_Mode"] = row.mode
        if row.follows is not None:
            made |= {"Secondary_ID": row.follows, "Drive_Mode": REVERSE}
        return made

    def frame(self) -> tuple[int, int]:
        return -1 if self.get("Drive_Mode") & REVERSE else 1, self.get("Homing_Offset")

    def within_turn(self, position: float) -> float:
        offset = self.get("Homing_Offset")
        return (position - offset) % self.model.resolution + offset

    @property
    def status(self) -> int:
        return ALERT if self.alarms else 0

    @property
    def stiffness(self) -> float:
        return float("inf") if self.get("Position_I_Gain") else max(1, self.get("Position_P_Gain")) / 800

    def hears(self, number: int) -> bool:
        """Whether a write to an id is for it, which answers to its own only."""
        return number == self.id or (number == self.get("Secondary_ID") and number <= 252)

    def reaches(self, goal: int) -> bool:
        """Whether a goal is one in its operating mode."""
        if self.get("Operating_Mode") == POSITION:
            return self.get("Min_Position_Limit") <= goal <= self.get("Max_Position_Limit")
        return abs(goal) <= MAX_TURNS

    def write(self, address: int, data: bytes) -> int:
        end = address + len(data)
        if end > len(self.memory):
            return RANGE
        if any(place in READ_ONLY for place in range(address, end)) or (address < RAM and self.torque):
            return ACCESS
        before = bytes(self.memory)
        self.memory[address:end] = data
        for name, (start, size, _) in self.registers.items():
            if address < start + size and start < end:
                if start < address or end < start + size:
                    error = LENGTH  # half a register
                elif name in ALLOWED and not ALLOWED[name](self, self.get(name)):
                    error = LIMIT
                elif name == "Torque_Enable" and self.torque and self.get("Hardware_Error_Status"):
                    error = RESULT  # shut down until it is rebooted
                else:
                    continue
                self.memory[:] = before
                return error
        if self.torque and not before[RAM]:  # it holds where it is
            self.put("Goal_Position", round(self.position))
        self.resting = False
        return 0

    def report(self, fault: int, on: bool) -> None:
        """What Shutdown names lets go, and is said until a reboot."""
        before, stays = self.get("Hardware_Error_Status"), self.get("Shutdown") & fault
        if on:
            self.show(Hardware_Error_Status=before | fault)
            if stays:
                self.put("Torque_Enable", 0)
        elif not stays:
            self.show(Hardware_Error_Status=before & ~fault)

    def restart(self) -> None:
        self.power_up(RAM)

    def wanted(self) -> Motion | None:
        direction, _ = self._shown
        mode = self.get("Operating_Mode")
        profile = self.get("Profile_Acceleration") * ACCELERATION_UNIT
        acceleration = min(profile or ACCELERATION, ACCELERATION)
        if mode == VELOCITY:
            return Spin(direction * self.get("Goal_Velocity") * VELOCITY_UNIT, acceleration)
        if mode == PWM:
            return Spin(direction * self.get("Goal_PWM") / 885 * self._speed, acceleration)
        if mode == CURRENT:
            part = self.get("Goal_Current") / max(1, self.get("Current_Limit"))
            return Spin(direction * part * self._speed, acceleration)
        speed = min(self.get("Profile_Velocity") * VELOCITY_UNIT or self._speed, self._speed)
        return Reach(self.encoder(self.get("Goal_Position")), speed, acceleration)

    def measure(self, load: float) -> None:
        direction, _ = self._shown
        velocity = round(direction * self._velocity / VELOCITY_UNIT)
        moving = abs(velocity) > self.get("Moving_Threshold")
        position = (round(self.position) + (1 << 31)) % (1 << 32) - (1 << 31)
        self.show(Present_Position=position, Present_Velocity=velocity, Moving=int(moving))
        self.show(Velocity_Trajectory=velocity, Position_Trajectory=position, Present_PWM=round(load * 0.885))
        if "Present_Current" in self.registers:
            limit = self.get("Goal_Current") if self.get("Operating_Mode") == CURRENT_POSITION else 1000
            self.show(Present_Current=round(max(-abs(limit), min(abs(limit), load))))
        else:
            self.show(Present_Load=round(load))
