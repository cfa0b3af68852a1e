"""The Dynamixel bus on servos that answer as the manual has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from lerobot_core.errors import BadReply, ConfigError, DeviceError, DeviceTimeout
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.buses.dynamixel.bus import DynamixelBus
from lerobot_motors.buses.dynamixel.codec import FAST_SYNC_READ, SYNC_READ
from lerobot_motors.buses.dynamixel.config import DynamixelConfig
from lerobot_motors.calibration import Motor, MotorCalibration
from motors.dynamixel_chain import FakeChain, FakeServo, chain

Make = Callable[..., tuple[DynamixelBus, FakeChain]]


@pytest.fixture
def make() -> Iterator[Make]:
    """A bus, connected, with motors one, two, three … on servos 1, 2, 3 …"""
    with ExitStack() as stack:

        def made(*servos: FakeServo, connect: bool = True, **options: object) -> tuple[DynamixelBus, FakeChain]:
            wire = stack.enter_context(chain(*(servos or [FakeServo(1), FakeServo(2), FakeServo(3)])))
            names = ("one", "two", "three")[: len(wire.servos)]
            motors = {name: Motor(id=number, model="xl330-m288") for number, name in enumerate(names, start=1)}
            bus = DynamixelBus(DynamixelConfig(port=wire.path, motors=motors, slack_ms=60, **options))
            stack.callback(bus.disconnect, disable_torque=False)
            if connect:
                bus.connect()
            return bus, wire

        yield made


def test_registers_are_read_and_written_with_their_signs(make: Make) -> None:
    bus, _ = make()
    for register, value in {
        "Homing_Offset": -1044,
        "Goal_Current": -300,
        "Goal_Velocity": -1,
        "Profile_Velocity": 70000,
    }.items():
        bus.write(register, "two", value, normalize=False)
        assert bus.read(register, "two", normalize=False) == value
    assert bus.sync_read("Present_Position", normalize=False) == {"one": 2001, "two": 2002, "three": 2003}
    bus.sync_write("Goal_Position", {"one": -5, "three": 4000}, normalize=False)
    assert bus.sync_read("Goal_Position", normalize=False) == {"one": -5, "two": 0, "three": 4000}


@pytest.mark.parametrize(("firmware", "instruction"), [(46, FAST_SYNC_READ), (45, SYNC_READ)])
def test_the_fast_sync_read_is_used_where_every_servo_has_it(make: Make, firmware: int, instruction: int) -> None:
    bus, wire = make(FakeServo(1), FakeServo(2, firmware=firmware))
    wire.heard.clear()
    assert bus.sync_read("Present_Position", normalize=False) == {"one": 2001, "two": 2002}
    assert wire.heard == [instruction]
    assert bus.reads_fast == (instruction == FAST_SYNC_READ)


def test_the_fast_sync_read_can_be_switched_off(make: Make) -> None:
    assert not make(fast_sync_read=False)[0].reads_fast


def test_a_servo_missing_in_the_fast_reply_costs_only_itself(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bus, wire = make()
    wire.servos[1].silent = True
    for _ in range(3):
        with pytest.raises(DeviceTimeout, match=r"'two' \(id 2\)") as failure:
            bus.sync_read("Present_Position", normalize=False)
        assert "'one'" not in str(failure.value)
        assert bus.sync_read("Present_Position", ["one", "three"], normalize=False) == {"one": 2001, "three": 2003}
    wire.servos[1].silent = False
    assert bus.sync_read("Present_Position", normalize=False)["two"] == 2002


def test_fast_reads_that_go_on_failing_are_given_up(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bus, wire = make()
    wire.servos[2].spoilt = True
    for _ in range(5):
        with pytest.raises(DeviceTimeout):
            bus.sync_read("Present_Position", normalize=False)
    assert not bus.reads_fast
    assert "plain ones from now on" in caplog.text
    wire.servos[2].spoilt = False
    wire.heard.clear()
    assert bus.sync_read("Present_Position", normalize=False)["three"] == 2003
    assert wire.heard == [SYNC_READ]


def test_what_a_servo_refuses_is_said_in_words(make: Make) -> None:
    bus, _ = make()
    bus.enable_torque(["one"])
    with pytest.raises(BadReply, match=r"'one' \(id 1\).*EEPROM.*torque off"):
        bus.write("Operating_Mode", "one", 4)
    with pytest.raises(DeviceError, match="'Goal_Current' of 'one' cannot be 40000"):
        bus.write("Goal_Current", "one", 40_000)


def test_an_alert_is_explained_and_values_stay_readable(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bus, wire = make()
    wire.servos[1].put("Hardware_Error_Status", 0x24)
    assert bus.read("Present_Position", "two", normalize=False) == 2002
    assert bus.faults["two"] == 0x24
    assert "'two' (id 2) reports overheating, overload" in caplog.text
    before = len(wire.heard)
    bus.read("Present_Temperature", "two")
    assert len(wire.heard) == before + 1, "it is looked up once"
    with pytest.raises(BadReply, match=r"'two' \(id 2\).*has shut down: overheating, overload"):
        bus.enable_torque()
    wire.servos[1].put("Hardware_Error_Status", 0)
    bus.sync_read("Present_Position", normalize=False)
    assert not bus.faults["two"]


def test_a_servo_that_has_shut_down_is_rebooted_on_connecting(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bus, wire = make(connect=False)
    wire.servos[0].put("Hardware_Error_Status", 0x20)
    bus.connect()
    assert "'one' had shut down (overload): it is rebooted" in caplog.text
    assert wire.servos[0].get("Hardware_Error_Status") == 0
    bus.enable_torque()
    assert [servo.get("Torque_Enable") for servo in wire.servos] == [1, 1, 1]


def test_a_fault_that_survives_the_reboot_is_an_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, wire = make(connect=False)
    monkeypatch.setattr(FakeServo, "put", lambda self, name, value: None)
    address = 70
    wire.servos[2].memory[address] = 1
    with pytest.raises(DeviceError, match=r"'three'.*still reports input voltage after its reboot"):
        bus.connect()
    assert not bus.is_connected


def test_servos_that_answer_only_reads_are_made_to_answer(make: Make) -> None:
    bus, wire = make(connect=False)
    wire.servos[0].put("Status_Return_Level", 1)
    bus.connect()
    assert wire.servos[0].get("Status_Return_Level") == 2


def test_half_a_turn_and_direction_are_kept_in_the_servo(make: Make) -> None:
    bus, wire = make()
    assert bus.set_half_turn_homings() == {"one": 46, "two": 45, "three": 44}, "present = actual + offset"
    calibration = {
        name: MotorCalibration(id=number, drive_mode=number % 2, homing_offset=-number, range_min=100, range_max=3000)
        for number, name in enumerate(bus.motors, start=1)
    }
    wire.servos[0].put("Drive_Mode", 4)
    bus.write_calibration(calibration)
    assert [servo.get("Drive_Mode") for servo in wire.servos] == [5, 0, 1], "its other bits stay"
    assert bus.is_calibrated
    assert bus.read_calibration() == calibration
    wire.servos[0].put("Drive_Mode", 0)
    assert not bus.is_calibrated


def test_positions_are_not_turned_round_a_second_time(make: Make) -> None:
    bus, wire = make(FakeServo(1))
    bus.calibration = {"one": MotorCalibration(id=1, drive_mode=1, range_min=0, range_max=4000)}
    bus.motors = {"one": Motor(id=1, model="xl330-m288", norm_mode="range_0_100")}
    wire.servos[0].put("Present_Position", 1000)
    assert bus.read("Present_Position", "one") == 25.0


def test_a_load_servo_has_no_current(make: Make) -> None:
    bus = bus_for("nowhere", {"lift": Motor(id=2, model="xl430-w250")})
    assert isinstance(bus, DynamixelBus)
    with pytest.raises(DeviceError, match="no register 'Present_Current' in 'xl430-w250'"):
        bus.read("Present_Current", "lift")


def test_makers_do_not_share_a_wire() -> None:
    with pytest.raises(ConfigError, match="dynamixel and feetech"):
        bus_for("nowhere", {"lift": Motor(id=2, model="xl430-w250"), "pan": Motor(id=1, model="sts3215")})


def test_a_wrong_model_and_a_missing_servo_are_named(make: Make) -> None:
    bus, wire = make(FakeServo(1, model="xl430-w250"), FakeServo(2), FakeServo(3), connect=False)
    wire.servos[2].silent = True
    with pytest.raises(
        DeviceError, match=r"'one' \(id 1\) is model 1060, 'xl330-m288' is 1200, 'three' \(id 3\) does not answer"
    ):
        bus.connect()
    assert not bus.is_connected


def test_a_baud_rate_it_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="baudrate is one of 9600"):
        DynamixelConfig(port="nowhere", motors={}, baudrate=500_000)


def test_loops_see_the_age_of_a_silent_servo_and_the_others_fresh(make: Make) -> None:
    bus, wire = make()
    first = bus.latest("Present_Position", normalize=False)
    wire.servos[0].silent = True
    wire.servos[1].put("Present_Position", 77)
    for _ in range(5):
        later = bus.latest("Present_Position", normalize=False)
    assert (later["one"].value, later["one"].stamp) == (2001, first["one"].stamp)
    assert later["one"].missed == 5
    assert (later["two"].value, later["two"].missed) == (77, 0)
    assert bus.reads_fast, "the others are still read with one packet"


def test_watching_tells_how_the_servos_are(make: Make) -> None:
    bus, wire = make()
    wire.servos[2].put("Present_Current", -120)
    bus.calibration = {name: MotorCalibration(id=m.id, range_min=0, range_max=4095) for name, m in bus.motors.items()}
    values = bus.watch()["three"]
    assert {"Present_Current", "Present_Position", "Present_Velocity", "Moving"} <= set(values)
    assert values["Present_Current"].value == -120
    assert (bus.health.servos[3].voltage, bus.health.servos[3].temperature) == (12.1, 33)
