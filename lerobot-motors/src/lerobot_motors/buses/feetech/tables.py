"""Facts about Feetech servos: STS and SMS (protocol 0), SCS (protocol 1). Data only.

Source: Feetech's memory tables of the SMS/STS series (STS3215) and of the SCS series.
"""

from __future__ import annotations

from lerobot_motors.buses.family import Model, Quantity, Register

REGISTERS = {
    # EEPROM, read only
    "Firmware_Major_Version": Register(0, 1),
    "Firmware_Minor_Version": Register(1, 1),
    "Model_Number": Register(3, 2),
    # EEPROM, written only while Lock is 0
    "ID": Register(5, 1),
    "Baud_Rate": Register(6, 1),
    "Return_Delay_Time": Register(7, 1),
    "Response_Status_Level": Register(8, 1),
    "Min_Position_Limit": Register(9, 2),
    "Max_Position_Limit": Register(11, 2),
    "Max_Temperature_Limit": Register(13, 1),
    "Max_Voltage_Limit": Register(14, 1),
    "Min_Voltage_Limit": Register(15, 1),
    "Max_Torque_Limit": Register(16, 2),
    "Phase": Register(18, 1),
    "Unloading_Condition": Register(19, 1),
    "LED_Alarm_Condition": Register(20, 1),
    "P_Coefficient": Register(21, 1),
    "D_Coefficient": Register(22, 1),
    "I_Coefficient": Register(23, 1),
    "Minimum_Startup_Force": Register(24, 2),
    "CW_Dead_Zone": Register(26, 1),
    "CCW_Dead_Zone": Register(27, 1),
    "Protection_Current": Register(28, 2),
    "Angular_Resolution": Register(30, 1),
    "Homing_Offset": Register(31, 2, 11),
    "Operating_Mode": Register(33, 1),
    "Protective_Torque": Register(34, 1),
    "Protection_Time": Register(35, 1),
    "Overload_Torque": Register(36, 1),
    "Velocity_closed_loop_P_proportional_coefficient": Register(37, 1),
    "Over_Current_Protection_Time": Register(38, 1),
    "Velocity_closed_loop_I_integral_coefficient": Register(39, 1),
    # RAM
    "Torque_Enable": Register(40, 1),
    "Acceleration": Register(41, 1),
    "Goal_Position": Register(42, 2, 15),
    "Goal_Time": Register(44, 2),
    "Goal_Velocity": Register(46, 2, 15),
    "Torque_Limit": Register(48, 2),
    "Lock": Register(55, 1),
    # RAM, read only
    "Present_Position": Register(56, 2, 15),
    "Present_Velocity": Register(58, 2, 15),
    "Present_Load": Register(60, 2, 10),
    "Present_Voltage": Register(62, 1),
    "Present_Temperature": Register(63, 1),
    "Status": Register(65, 1),
    "Moving": Register(66, 1),
    "Present_Current": Register(69, 2),
    "Goal_Position_2": Register(71, 2),
    # factory
    "Moving_Velocity": Register(80, 1),
    "Moving_Velocity_Threshold": Register(80, 1),
    "DTs": Register(81, 1),
    "Velocity_Unit_factor": Register(82, 1),
    "Hts": Register(83, 1),
    "Maximum_Velocity_Limit": Register(84, 1),
    "Maximum_Acceleration": Register(85, 1),
    "Acceleration_Multiplier ": Register(86, 1),  # the ecosystem's key ends in a space
}

#: The SCS series has no homing offset, no operating mode and no signed values; the ecosystem's keys carry the factors.
SCS_REGISTERS = {
    **{name: place for name, place in REGISTERS.items() if place.address < 28},
    "Protective_Torque": Register(37, 1),
    "Protection_Time": Register(38, 1),
    "Torque_Enable": Register(40, 1),
    "Acceleration": Register(41, 1),
    "Goal_Position": Register(42, 2),
    "Running_Time": Register(44, 2),
    "Goal_Velocity": Register(46, 2),
    "Lock": Register(48, 1),
    "Present_Position": Register(56, 2),
    "Present_Velocity": Register(58, 2),
    "Present_Load": Register(60, 2),
    "Present_Voltage": Register(62, 1),
    "Present_Temperature": Register(63, 1),
    "Sync_Write_Flag": Register(64, 1),
    "Status": Register(65, 1),
    "Moving": Register(66, 1),
    "PWM_Maximum_Step": Register(78, 1),
    "Moving_Velocity_Threshold*50": Register(79, 1),
    "DTs": Register(80, 1),
    "Minimum_Velocity_Limit*50": Register(81, 1),
    "Maximum_Velocity_Limit*50": Register(82, 1),
    "Acceleration_2": Register(83, 1),
}

_MEASURES = {
    "Return_Delay_Time": Quantity(2.0, "µs"),
    "Max_Temperature_Limit": Quantity(1.0, "°C"),
    "Max_Voltage_Limit": Quantity(0.1, "V"),
    "Min_Voltage_Limit": Quantity(0.1, "V"),
    "Max_Torque_Limit": Quantity(0.1, "%"),
    "Present_Load": Quantity(0.1, "%"),
    "Present_Voltage": Quantity(0.1, "V"),
    "Present_Temperature": Quantity(1.0, "°C"),
}
#: 4096 ticks a turn; ticks per second; 100 ticks per second².
_TURN, _SPEED, _ACCELERATION = (
    Quantity(360 / 4096, "deg"),
    Quantity(360 / 4096, "deg/s"),
    Quantity(36_000 / 4096, "deg/s²"),
)
QUANTITIES = {
    **_MEASURES,
    "Min_Position_Limit": _TURN,
    "Max_Position_Limit": _TURN,
    "Homing_Offset": _TURN,
    "CW_Dead_Zone": _TURN,
    "CCW_Dead_Zone": _TURN,
    "Goal_Position": _TURN,
    "Present_Position": _TURN,
    "Goal_Velocity": _SPEED,
    "Present_Velocity": _SPEED,
    "Acceleration": _ACCELERATION,
    "Maximum_Acceleration": _ACCELERATION,
    "Minimum_Startup_Force": Quantity(0.1, "%"),
    "Protective_Torque": Quantity(1.0, "%"),
    "Overload_Torque": Quantity(1.0, "%"),
    "Torque_Limit": Quantity(0.1, "%"),
    "Protection_Time": Quantity(10.0, "ms"),
    "Over_Current_Protection_Time": Quantity(10.0, "ms"),
    "Protection_Current": Quantity(6.5, "mA"),
    "Present_Current": Quantity(6.5, "mA"),
}

MODELS = {
    "sts3215": Model(4096, 777, REGISTERS, 0, QUANTITIES),
    "sts3250": Model(4096, 2825, REGISTERS, 0, QUANTITIES),
    "sm8512bl": Model(4096, 11272, REGISTERS, 0, QUANTITIES),
    "sts_series": Model(4096, None, REGISTERS, 0, QUANTITIES),
    "sms_series": Model(4096, None, REGISTERS, 0, QUANTITIES),
    "scs0009": Model(1024, 1284, SCS_REGISTERS, 1, _MEASURES),
    "scs_series": Model(1024, None, SCS_REGISTERS, 1, _MEASURES),
}

#: First address after the EEPROM.
RAM = 40
#: Registers whose values are converted to user units.
POSITIONS = ("Goal_Position", "Present_Position")
#: Content of Baud_Rate by baud rate.
BAUD_CODES = {
    1_000_000: 0,
    500_000: 1,
    250_000: 2,
    128_000: 3,
    115_200: 4,
    57_600: 5,
    38_400: 6,
    19_200: 7,
}
#: Rates a scan tries, the likeliest first.
SCAN_BAUDS = (1_000_000, 500_000, 115_200, 57_600, 250_000, 128_000, 38_400, 19_200, 14_400, 9_600, 4_800)
#: What Return_Delay_Time counts in [s].
RETURN_DELAY_UNIT = 2e-6
#: Operating_Mode in which Goal_Position is a position.
POSITION_MODE = 0
#: Bit of Phase that makes an sts3215 count angles over several turns.
PHASE_MULTI_TURN = 0x10
#: Registers next to each other that say how a servo is, the first and the last.
WATCHED = ("Present_Position", "Moving")
#: Faults a servo reports with every reply, by bit.
FAULTS = {1: "voltage", 2: "angle sensor", 4: "overheating", 8: "overcurrent", 32: "overload"}
