"""Facts about Dynamixel X servos, protocol 2.0. Data only. Source: ROBOTIS e-Manual, control table of each model."""

from __future__ import annotations

from lerobot_motors.buses.dynamixel.codec import Protocol2
from lerobot_motors.buses.family import TWOS_COMPLEMENT, Family, Model, Quantity, Register

_COMMON = {
    # EEPROM, written only while Torque_Enable is 0
    "Model_Number": Register(0, 2),
    "Model_Information": Register(2, 4),
    "Firmware_Version": Register(6, 1),
    "ID": Register(7, 1),
    "Baud_Rate": Register(8, 1),
    "Return_Delay_Time": Register(9, 1),
    "Drive_Mode": Register(10, 1),
    "Operating_Mode": Register(11, 1),
    "Secondary_ID": Register(12, 1),
    "Protocol_Type": Register(13, 1),
    "Homing_Offset": Register(20, 4, TWOS_COMPLEMENT),
    "Moving_Threshold": Register(24, 4),
    "Temperature_Limit": Register(31, 1),
    "Max_Voltage_Limit": Register(32, 2),
    "Min_Voltage_Limit": Register(34, 2),
    "PWM_Limit": Register(36, 2),
    "Acceleration_Limit": Register(40, 4),
    "Velocity_Limit": Register(44, 4),
    "Max_Position_Limit": Register(48, 4),
    "Min_Position_Limit": Register(52, 4),
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
    "Bus_Watchdog": Register(98, 1),
    "Goal_PWM": Register(100, 2, TWOS_COMPLEMENT),
    "Goal_Velocity": Register(104, 4, TWOS_COMPLEMENT),
    "Profile_Acceleration": Register(108, 4),
    "Profile_Velocity": Register(112, 4),
    "Goal_Position": Register(116, 4, TWOS_COMPLEMENT),
    # RAM, read only
    "Realtime_Tick": Register(120, 2),
    "Moving": Register(122, 1),
    "Moving_Status": Register(123, 1),
    "Present_PWM": Register(124, 2, TWOS_COMPLEMENT),
    "Present_Velocity": Register(128, 4, TWOS_COMPLEMENT),
    "Present_Position": Register(132, 4, TWOS_COMPLEMENT),
    "Velocity_Trajectory": Register(136, 4, TWOS_COMPLEMENT),
    "Position_Trajectory": Register(140, 4, TWOS_COMPLEMENT),
    "Present_Input_Voltage": Register(144, 2),
    "Present_Temperature": Register(146, 1),
}
#: Servos that measure their current and can be told one.
REGISTERS = {
    **_COMMON,
    "Current_Limit": Register(38, 2),
    "Goal_Current": Register(102, 2, TWOS_COMPLEMENT),
    "Present_Current": Register(126, 2, TWOS_COMPLEMENT),
}
#: Servos that only estimate their load, in the place of the current.
LOAD_REGISTERS = {**_COMMON, "Present_Load": Register(126, 2, TWOS_COMPLEMENT)}

_TURN, _SPEED = Quantity(360 / 4096, "deg"), Quantity(0.229 * 6, "deg/s")
_VOLTAGE, _TEMPERATURE, _PWM = Quantity(0.1, "V"), Quantity(1.0, "°C"), Quantity(0.113, "%")
QUANTITIES = {
    "Return_Delay_Time": Quantity(2.0, "µs"),
    "Homing_Offset": _TURN,
    "Moving_Threshold": _SPEED,
    "Temperature_Limit": _TEMPERATURE,
    "Max_Voltage_Limit": _VOLTAGE,
    "Min_Voltage_Limit": _VOLTAGE,
    "PWM_Limit": _PWM,
    "Acceleration_Limit": Quantity(21.4577, "deg/s²"),
    "Velocity_Limit": _SPEED,
    "Max_Position_Limit": _TURN,
    "Min_Position_Limit": _TURN,
    "Bus_Watchdog": Quantity(20.0, "ms"),
    "Goal_PWM": _PWM,
    "Goal_Velocity": _SPEED,
    "Goal_Position": _TURN,
    "Realtime_Tick": Quantity(1.0, "ms"),
    "Present_PWM": _PWM,
    "Present_Velocity": _SPEED,
    "Present_Position": _TURN,
    "Velocity_Trajectory": _SPEED,
    "Position_Trajectory": _TURN,
    "Present_Input_Voltage": _VOLTAGE,
    "Present_Temperature": _TEMPERATURE,
}


def _measuring(milliamperes: float) -> dict[str, Quantity]:
    """What registers count in where a count of current is so much."""
    currents = ("Current_Limit", "Goal_Current", "Present_Current")
    return {**QUANTITIES, **dict.fromkeys(currents, Quantity(milliamperes, "mA"))}


#: Registers, what they count in, number by model.
_MODELS = (
    (
        REGISTERS,
        _measuring(1.0),
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
        REGISTERS,
        _measuring(2.69),
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
    (
        REGISTERS,
        QUANTITIES,
        {"xh430-v210": 1050, "xh430-v350": 1040, "xh540-v150": 1150, "xh540-v270": 1140, "x_series": None},
    ),
    (
        LOAD_REGISTERS,
        {**QUANTITIES, "Present_Load": Quantity(0.1, "%")},
        {"xl430-w250": 1060, "xc430-w150": 1070, "xc430-w240": 1080, "2xl430-w250": 1090, "2xc430-w250": 1160},
    ),
)

MODELS = {
    name: Model(4096, number, registers, 2, quantities)
    for registers, quantities, numbers in _MODELS
    for name, number in numbers.items()
}

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
