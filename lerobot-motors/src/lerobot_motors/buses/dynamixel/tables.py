"""Facts about Dynamixel X servos, protocol 2.0. Data only. Source: ROBOTIS e-Manual, control table of each model."""

from __future__ import annotations

from lerobot_motors.buses.dynamixel.codec import Protocol2
from lerobot_motors.buses.family import TWOS_COMPLEMENT, Family, Model, Register

#: What registers count in: 4096 ticks a turn, 0.229 rev/min, 214.577 rev/min².
_TURN, _SPEED, _ACCELERATION = (360 / 4096, "deg"), (0.229 * 6, "deg/s"), (214.577 / 10, "deg/s²")
_PWM, _VOLT, _CELSIUS = (0.113, "%"), (0.1, "V"), (1.0, "°C")
_DELAY, _MILLISECOND, _WATCHDOG = (2.0, "µs"), (1.0, "ms"), (20.0, "ms")

_COMMON = {
    # EEPROM, written only while Torque_Enable is 0
    "Model_Number": Register(0, 2),
    "Model_Information": Register(2, 4),
    "Firmware_Version": Register(6, 1),
    "ID": Register(7, 1),
    "Baud_Rate": Register(8, 1),
    "Return_Delay_Time": Register(9, 1, None, *_DELAY),
    "Drive_Mode": Register(10, 1),
    "Operating_Mode": Register(11, 1),
    "Secondary_ID": Register(12, 1),
    "Protocol_Type": Register(13, 1),
    "Homing_Offset": Register(20, 4, TWOS_COMPLEMENT, *_TURN),
    "Moving_Threshold": Register(24, 4, None, *_SPEED),
    "Temperature_Limit": Register(31, 1, None, *_CELSIUS),
    "Max_Voltage_Limit": Register(32, 2, None, *_VOLT),
    "Min_Voltage_Limit": Register(34, 2, None, *_VOLT),
    "PWM_Limit": Register(36, 2, None, *_PWM),
    "Acceleration_Limit": Register(40, 4, None, *_ACCELERATION),
    "Velocity_Limit": Register(44, 4, None, *_SPEED),
    "Max_Position_Limit": Register(48, 4, None, *_TURN),
    "Min_Position_Limit": Register(52, 4, None, *_TURN),
    "Shutdown": Register(63, 1),
    # RAM
    "Torque_Enable": Register(64, 1),
    "LED": Register(65, 1),
    "Status_Return_Level": Register(68, 1),
    "Registered_Instruction": Register(69, 1),
    "Hardware_Error_Status": Register(70, 1),
    "Velocity_I_Gain": Register(76, 2),
    "Velocity_P_Gain": Register(78, 2),
    "Position_D_Gain": Register(80, 2),
    "Position_I_Gain": Register(82, 2),
    "Position_P_Gain": Register(84, 2),
    "Feedforward_2nd_Gain": Register(88, 2),
    "Feedforward_1st_Gain": Register(90, 2),
    "Bus_Watchdog": Register(98, 1, None, *_WATCHDOG),
    "Goal_PWM": Register(100, 2, TWOS_COMPLEMENT, *_PWM),
    "Goal_Velocity": Register(104, 4, TWOS_COMPLEMENT, *_SPEED),
    "Profile_Acceleration": Register(108, 4),
    "Profile_Velocity": Register(112, 4),
    "Goal_Position": Register(116, 4, TWOS_COMPLEMENT, *_TURN),
    # RAM, read only
    "Realtime_Tick": Register(120, 2, None, *_MILLISECOND),
    "Moving": Register(122, 1),
    "Moving_Status": Register(123, 1),
    "Present_PWM": Register(124, 2, TWOS_COMPLEMENT, *_PWM),
    "Present_Velocity": Register(128, 4, TWOS_COMPLEMENT, *_SPEED),
    "Present_Position": Register(132, 4, TWOS_COMPLEMENT, *_TURN),
    "Velocity_Trajectory": Register(136, 4, TWOS_COMPLEMENT, *_SPEED),
    "Position_Trajectory": Register(140, 4, TWOS_COMPLEMENT, *_TURN),
    "Present_Input_Voltage": Register(144, 2, None, *_VOLT),
    "Present_Temperature": Register(146, 1, None, *_CELSIUS),
}


def _measuring(*counts: float | str) -> dict[str, Register]:
    """The table of servos that measure their current, in counts of so many mA, and can be told one."""
    return {
        **_COMMON,
        "Current_Limit": Register(38, 2, None, *counts),
        "Goal_Current": Register(102, 2, TWOS_COMPLEMENT, *counts),
        "Present_Current": Register(126, 2, TWOS_COMPLEMENT, *counts),
    }


REGISTERS = _measuring()
#: Servos that only estimate their load, in the place of the current.
LOAD_REGISTERS = {**_COMMON, "Present_Load": Register(126, 2, TWOS_COMPLEMENT, 0.1, "%")}

#: Registers → number by model.
_MODELS = (
    (
        _measuring(1.0, "mA"),
        {
            "xl330-m077": 1190,
            "xl330-m288": 1200,
            "xc330-t181": 1210,
            "xc330-t288": 1220,
            "xc330-m181": 1230,
            "xc330-m288": 1240,
        },
    ),
    (
        _measuring(2.69, "mA"),
        {
            "xm430-w210": 1030,
            "xm430-w350": 1020,
            "xm540-w150": 1130,
            "xm540-w270": 1120,
            "xh430-w210": 1010,
            "xh430-w350": 1000,
            "xh540-w150": 1110,
            "xh540-w270": 1100,
            "xw540-t140": 1180,
            "xw540-t260": 1170,
        },
    ),
    (REGISTERS, {"xh430-v210": 1050, "xh430-v350": 1040, "xh540-v150": 1150, "xh540-v270": 1140, "x_series": None}),
    (
        LOAD_REGISTERS,
        {"xl430-w250": 1060, "xc430-w150": 1070, "xc430-w240": 1080, "2xl430-w250": 1090, "2xc430-w250": 1160},
    ),
)

MODELS = {name: Model(4096, number, registers, 2) for registers, numbers in _MODELS for name, number in numbers.items()}

#: Content of Baud_Rate by baud rate.
BAUD_CODES = {9_600: 0, 57_600: 1, 115_200: 2, 1_000_000: 3, 2_000_000: 4, 3_000_000: 5, 4_000_000: 6}
#: Rates a scan tries, the likeliest first: 57600 is how they come from the factory.
SCAN_BAUDS = (1_000_000, 57_600, 2_000_000, 4_000_000, 3_000_000, 115_200, 9_600)
#: Bits of Hardware_Error_Status.
FAULTS = {1: "input voltage", 4: "overheating", 8: "motor encoder", 16: "electrical shock", 32: "overload"}
#: The bit of a status packet's error that says that Hardware_Error_Status is not 0.
ALERT = 0x80
#: What the other bits of it say of the instruction.
REFUSALS = {
    1: "it could not process the instruction",
    2: "unknown instruction",
    3: "it received a damaged packet",
    4: "the value is out of range",
    5: "the length of the value is wrong",
    6: "the value is beyond its limit",
    7: "the register cannot be written: it is read only, or in the EEPROM, which needs the torque off",
}
#: First firmware that knows the fast sync read.
FAST_FIRMWARE = 46

CURRENT, VELOCITY, POSITION, EXTENDED_POSITION, CURRENT_POSITION, PWM = 0, 1, 3, 4, 5, 16
#: Bit of Drive_Mode that turns the direction round.
REVERSE = 1

FAMILY = Family(
    name="dynamixel",
    models=MODELS,
    codecs={2: Protocol2()},
    baud_codes=BAUD_CODES,
    scan_bauds=SCAN_BAUDS,
    positions=("Goal_Position", "Present_Position"),
    torque=("Torque_Enable",),
    offset_sign=1,
    keeps_drive_mode=True,
    faults=FAULTS,
    watched=("Moving", "Present_Temperature"),
    return_delay_unit=2e-6,
    ram=REGISTERS["Torque_Enable"].address,
)
