"""Feetech servos: STS and SMS (protocol 0) and SCS (protocol 1). *Pure.*

Source: Feetech's memory tables of the STS3215 and the SCS0009.
"""

from __future__ import annotations

from typing import ClassVar

from lerobot_motors.buses.feetech.tables import BAUD_CODES, MODELS, RAM
from lerobot_motors.emulators.motion import Reach, Spin
from lerobot_motors.emulators.servo import Joint, Motion, Servo

#: Fastest a servo goes [turns/s]: an arm of STS3215 under load crosses 90° in about 0.6 s.
SPEED = 2200 / 4096
#: Fastest it turns a wheel [turns/s].
WHEEL_SPEED = 3400 / 4096
#: What Acceleration counts in, and its largest value; 0 asks for that one too (STS3215 memory table) [ticks/s²].
ACCELERATION_UNIT, ACCELERATION_MAX = 100.0, 254
#: Addresses nothing can be written to: the servo's identity and what it measures.
READ_ONLY = {*range(5), *range(56, 71)}
POSITION, VELOCITY, PWM, STEP = 0, 1, 2, 3
#: Content of Torque_Enable that makes the present position the middle of the turn.
SET_MIDDLE = 128
VOLTAGE, HEAT, OVERLOAD = 1, 4, 32

FACTORY = {
    "Firmware_Major_Version": 3,
    "Firmware_Minor_Version": 10,
    "Return_Delay_Time": 250,
    "Response_Status_Level": 1,
    "Max_Temperature_Limit": 70,
    "Max_Voltage_Limit": 80,
    "Min_Voltage_Limit": 40,
    "Max_Torque_Limit": 1000,
    "P_Coefficient": 32,
    "D_Coefficient": 32,
    "Lock": 1,
    "Present_Voltage": 74,
    "Present_Temperature": 30,
}
STS_FACTORY = {**FACTORY, "Max_Position_Limit": 4095, "Phase": 12, "Torque_Limit": 1000}
SCS_FACTORY = {**FACTORY, "Max_Position_Limit": 1023}


class FeetechServo(Servo):
    """A servo at an id; see `Servo`. What is written to the EEPROM counts at once; while Lock is 1 it is gone with the power."""

    bauds: ClassVar = {code: baud for baud, code in BAUD_CODES.items()}

    def __init__(self, joint: Joint, position: float) -> None:
        model = MODELS[joint.model]
        self._sts = model.protocol == 0
        self._steps = 0.0
        self._unsaved: dict[int, int] = {}  # address → what the EEPROM holds where that is not what counts
        self._speed = SPEED * model.resolution
        self._acceleration = ACCELERATION_MAX * ACCELERATION_UNIT * model.resolution / 4096
        factory = {**(STS_FACTORY if self._sts else SCS_FACTORY), "Present_Temperature": 30 + joint.id}
        super().__init__(joint, model, "little" if self._sts else "big", factory, position)

    def calibration(self) -> dict[str, int]:
        row = self.joint
        made = {"ID": row.id, "Min_Position_Limit": row.range_min, "Max_Position_Limit": row.range_max}
        if self._sts:
            made |= {"Homing_Offset": row.homing_offset, "Operating_Mode": row.mode or POSITION}
        return made

    def frame(self) -> tuple[int, int]:
        return 1, -self.get("Homing_Offset") if self._sts else 0

    @property
    def status(self) -> int:
        return self.alarms

    @property
    def stiffness(self) -> float:
        return float("inf") if self.get("I_Coefficient") else max(1, self.get("P_Coefficient")) / 32

    def write(self, address: int, data: bytes) -> int:
        locked = self.get("Lock") == 1
        for place, value in enumerate(data, start=address):
            if place >= len(self.memory) or place in READ_ONLY:
                continue
            if place < RAM and locked:
                self._unsaved.setdefault(place, self.memory[place])
            else:
                self._unsaved.pop(place, None)
            self.memory[place] = value
            self.resting = False
        touched = range(address, address + len(data))
        if self.registers["Torque_Enable"].address in touched:
            self._switch()
        if self.registers["Goal_Position"].address in touched and self._mode == STEP:
            self._steps += self.get("Goal_Position")
        return 0

    def report(self, fault: int, on: bool) -> None:
        """Overload and heat let go, until the torque is switched on again."""
        self.show(Status=self.get("Status") | fault if on else self.get("Status") & ~fault)
        if on and fault != VOLTAGE:
            self.put("Torque_Enable", 0)

    def restart(self) -> None:
        for place, value in self._unsaved.items():
            self.memory[place] = value
        self._unsaved.clear()
        self.power_up(RAM)

    def forget(self) -> None:
        super().forget()
        self._unsaved.clear()

    @property
    def _mode(self) -> int:
        return self.get("Operating_Mode") if self._sts else POSITION

    def _switch(self) -> None:
        if self.get("Torque_Enable") == SET_MIDDLE and self._sts:
            offset = round(self._encoder) % self.model.resolution - (self.model.resolution // 2 - 1)
            self.put("Homing_Offset", max(-2047, min(2047, offset)))
            self.put("Torque_Enable", 0)
        if self.torque:
            self.report(OVERLOAD, False)
            self._steps = self.position

    def wanted(self) -> Motion | None:
        speed = self.get("Goal_Velocity")
        acceleration = min(self.get("Acceleration") or ACCELERATION_MAX, ACCELERATION_MAX) / ACCELERATION_MAX
        acceleration *= self._acceleration
        if self._mode == VELOCITY:
            most = WHEEL_SPEED * self.model.resolution
            return Spin(max(-most, min(most, speed)), acceleration)
        if self._mode == PWM:  # Goal_Time is the duty cycle there [‰], its sign bit 10
            duty = self.get("Goal_Time")
            return Spin((duty & 1023) / 1000 * self._speed * (-1 if duty & 1024 else 1), acceleration)
        speed = min(abs(speed) or self._speed, self._speed)
        if self._mode == STEP:
            return Reach(self.encoder(self._steps), speed, acceleration)
        low, high = self.get("Min_Position_Limit"), self.get("Max_Position_Limit")
        goal = min(max(self.get("Goal_Position"), low), high) if low < high else self.get("Goal_Position")
        return Reach(self.encoder(goal), speed, acceleration)

    def measure(self, load: float) -> None:
        velocity = round(self._velocity)
        shown = round(load)
        self.show(Present_Position=round(self.position) % self.model.resolution, Moving=int(velocity != 0))
        if self._sts:
            self.show(Present_Velocity=velocity, Present_Load=shown, Present_Current=abs(shown) // 6)
        else:  # bit 15, and bit 10 for loads, though the table of these servos calls the values unsigned
            self.show(
                Present_Velocity=abs(velocity) | (velocity < 0) << 15, Present_Load=abs(shown) | (shown < 0) << 10
            )
