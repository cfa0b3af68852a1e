from __future__ import annotations

import logging
import os
import signal
import time
import tty
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from lerobot_core.errors import BadReply, DeviceError, DeviceTimeout, NotConnected
from lerobot_core.roles import MotorBus
from lerobot_motors import emulators
from lerobot_motors.buses.family import Codec, Status
from lerobot_motors.buses.feetech import tables
from lerobot_motors.buses.feetech.bus import FeetechBus
from lerobot_motors.buses.feetech.config import FeetechConfig
from lerobot_motors.buses.port import Port
from lerobot_motors.buses.wire import Gathered, Wire
from lerobot_motors.calibration import Motor
from lerobot_motors.emulators import memory

Make = Callable[..., FeetechBus]


def test_tables_do_not_overlap_where_they_must_not() -> None:
    taken: dict[int, str] = {}
    for name, register in tables.REGISTERS.items():
        for address in range(register.address, register.address + register.size):
            assert address not in taken or {name, taken[address]} == {"Moving_Velocity", "Moving_Velocity_Threshold"}
            taken[address] = name
    assert tables.REGISTERS["Present_Position"] == (56, 2, 15)
    assert tables.REGISTERS["Homing_Offset"] == (31, 2, 11)
    assert tables.MODELS["sts3215"][:4] == (4096, 777, tables.REGISTERS, 0)
    assert set(tables.SCAN_BAUDS) >= set(tables.BAUD_CODES)


def test_registers_are_read_and_written_by_name(make_bus: Make) -> None:
    bus = make_bus(connect=False)
    assert isinstance(bus, MotorBus)
    bus.connect()
    assert bus.ping("gripper") == bus.ping(6) == 777
    assert bus.ping(9) is None
    assert bus.scan() == dict.fromkeys(range(1, 7), 777)
    bus.write("Goal_Velocity", "elbow_flex", -321)
    assert bus.read("Goal_Velocity", "elbow_flex") == -321
    bus.sync_write("Acceleration", {"wrist_flex": 7, "gripper": 9})
    assert bus.sync_read("Acceleration", ["gripper", "wrist_flex"]) == {"gripper": 9, "wrist_flex": 7}
    assert bus.health.errors == 2  # the two questions to servo 9
    bus.disconnect()
    bus.disconnect()
    with pytest.raises(NotConnected, match="not connected"):
        bus.read("Lock", "gripper")


def test_positions_are_in_user_units(make_bus: Make) -> None:
    bus = make_bus()
    with pytest.raises(DeviceError, match="needs a calibration"):
        bus.read("Present_Position", "gripper")
    assert bus.read("Present_Position", "gripper", normalize=False) == 2560
    bus.calibration = bus.read_calibration()
    assert bus.read("Present_Position", "gripper") == 50
    bus.sync_write("Goal_Position", {"gripper": 100, "shoulder_pan": 45})
    assert bus.sync_read("Goal_Position", ["shoulder_pan", "gripper"], normalize=False) == {
        "shoulder_pan": 2047 + 511,
        "gripper": 3185,
    }


def test_every_missing_and_wrong_servo_is_in_one_error(make_bus: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = make_bus("emulated://so101?dead=3,5", connect=False)
    bus.motors["gripper"] = Motor(id=6, model="sts3250")
    with pytest.raises(DeviceError) as raised:
        bus.connect()
    for part in ("'elbow_flex' (id 3)", "'wrist_roll' (id 5)", "'gripper' (id 6) is model 777", "2825"):
        assert part in str(raised.value)
    assert not bus.is_connected


def test_servos_of_different_firmware_are_refused(make_bus: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Wire.read

    def newer(wire: Wire, codec: Codec, servo: int, address: int, size: int) -> Status:
        status = read(wire, codec, servo, address, size)
        return status._replace(data=b"\x0b") if (servo, address) == (2, 1) else status

    monkeypatch.setattr(Wire, "read", newer)
    with pytest.raises(DeviceError, match=r"3\.11: shoulder_lift"):
        make_bus(connect=False).connect()


def test_lost_replies_are_named_counted_and_asked_for_again(make_bus: Make) -> None:
    bus = make_bus("emulated://so101?drop=4", slack_ms=40)
    with pytest.raises(DeviceTimeout, match=r"'wrist_flex' \(id 4\) on 'emulated.*reading 'Lock'"):
        bus.sync_read("Lock", num_retry=0)
    assert bus.health.lost == 1
    for _ in range(10):
        assert set(bus.sync_read("Lock")) == set(bus.motors)
    assert bus.health.lost > 10
    silent = make_bus("emulated://so101?name=silent&dead=6", slack_ms=5)
    with pytest.raises(DeviceTimeout, match=r"'gripper' \(id 6\).*in 2 attempts"):
        silent.read("Lock", "gripper", num_retry=1)
    assert silent.health.line() == "2 bus errors (2 lost, 0 corrupt) in 2 transactions\n  servo 6: 2 lost"


def test_damaged_replies_are_never_believed(make_bus: Make) -> None:
    bus = make_bus("emulated://so101?corrupt=5")
    failures = []
    for _ in range(20):
        try:
            assert bus.read("Model_Number", "shoulder_pan", num_retry=0) == 777
        except BadReply as error:
            failures.append(str(error))
    assert len(failures) == bus.health.corrupt == 4
    assert "'shoulder_pan' (id 1)" in failures[0]
    assert set(bus.sync_read("Model_Number").values()) == {777}


def test_a_late_reply_does_not_answer_the_next_question(make_bus: Make) -> None:
    bus = make_bus("emulated://so101?late=3", slack_ms=5)
    wanted = {"Model_Number": 777, "Max_Torque_Limit": 1000, "Present_Position": 2047}
    late = 0
    for turn in range(60):
        register = list(wanted)[turn % 3]
        try:
            assert bus.read(register, "shoulder_pan", normalize=False, num_retry=0) == wanted[register]
        except DeviceTimeout:
            late += 1
            time.sleep(0.02)  # it comes now
    assert late >= 10  # on a busy machine some are asked for so late that they are in time


def test_waiting_for_nobody_is_short_and_sleeps(make_bus: Make) -> None:
    bus = make_bus("emulated://so101?dead=2", slack_ms=5)
    waits = []
    busy = time.process_time()
    for _ in range(10):
        start = time.monotonic()
        bus.ping("shoulder_lift")  # asks twice
        waits.append((time.monotonic() - start) / 2)
    assert 0.005 < min(waits) < 0.015
    assert time.process_time() - busy < 0.5 * 20 * 0.005


def test_the_eeprom_opens_with_the_torque_off(make_bus: Make) -> None:
    bus = make_bus()
    bus.disable_torque()
    stored = bus.read_calibration()
    moved = {name: attrs.evolve(motor, range_min=motor.range_min + 3) for name, motor in stored.items()}
    bus.write_calibration(moved)
    assert bus.is_calibrated
    assert bus.read_calibration() == moved
    bus.enable_torque()
    assert bus.sync_read("Torque_Enable") == dict.fromkeys(bus.motors, 1)
    for write in (lambda: bus.write_calibration(stored), bus.set_half_turn_homings):
        with pytest.raises(BadReply, match=r"EEPROM of shoulder_pan, .* is closed: 'Lock' is on"):
            write()
    assert bus.read_calibration() == moved


def test_a_calibration_outlives_the_power_and_what_is_written_to_a_locked_servo_does_not(make_bus: Make) -> None:
    bus, state = make_bus(), emulators.state("so101")
    bus.disable_torque()
    stored = bus.read_calibration()
    moved = {name: attrs.evolve(motor, range_min=motor.range_min + 3) for name, motor in stored.items()}
    bus.write_calibration(moved)
    state.inject("restart")
    assert bus.sync_read("Lock") == dict.fromkeys(bus.motors, 1), "the power was off"
    assert bus.read_calibration() == moved
    bus.write("Min_Position_Limit", "gripper", 7)
    assert bus.read("Min_Position_Limit", "gripper") == 7
    state.inject("restart")
    assert bus.read_calibration() == moved


def test_homing_makes_the_present_pose_half_a_turn(make_bus: Make) -> None:
    bus = make_bus("emulated://so101?seed=4")
    bus.disable_torque()
    offsets = bus.set_half_turn_homings()
    assert bus.sync_read("Present_Position", normalize=False) == dict.fromkeys(bus.motors, 2047)
    assert bus.sync_read("Homing_Offset") == offsets
    assert not bus.is_calibrated


def test_faults_are_named(make_bus: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    bus = make_bus()
    monkeypatch.setattr(Wire, "read", lambda *_: Status(6, 32, b"\1"))
    with pytest.raises(BadReply, match=r"'gripper' \(id 6\).*overload"):
        bus.read("Lock", "gripper")
    monkeypatch.setattr(
        Wire, "sync_read", lambda _, __, servos, *___: Gathered({n: Status(n, 4, b"\1") for n in servos}, set())
    )
    with caplog.at_level(logging.WARNING):
        bus.sync_read("Lock", ["gripper"])
        bus.sync_read("Lock", ["gripper"])
    assert [record.message.count("overheating") for record in caplog.records] == [1]


def test_an_unplugged_port_is_not_connected(make_bus: Make) -> None:
    bus = make_bus()
    os.kill(memory.Memory(memory.location("so101")).word("pid"), signal.SIGKILL)
    with pytest.raises(NotConnected, match="is gone"):
        bus.read("Lock", "gripper", num_retry=50)
    with pytest.raises(DeviceError):
        bus.disconnect()
    assert not bus.is_connected


def test_a_port_that_does_not_exist_says_which_do(tmp_path: Path) -> None:
    missing = str(tmp_path / "ttyACM7")
    bus = FeetechBus(FeetechConfig(port=missing, motors={"a": Motor(id=1, model="sts3215")}))
    with pytest.raises(NotConnected, match=r"ttyACM7.*no such port \(found: ") as raised:
        bus.connect()
    assert "lr find-port" in raised.value.hint


def test_what_a_register_cannot_hold_is_refused(make_bus: Make) -> None:
    bus = make_bus()
    with pytest.raises(DeviceError, match="cannot be 300"):
        bus.write("Acceleration", "gripper", 300)
    with pytest.raises(DeviceError, match="cannot be -1"):
        bus.write("Acceleration", "gripper", -1)
    with pytest.raises(DeviceError, match="did you mean 'Goal_Position'"):
        bus.read("Goal_Positon", "gripper")


def test_options_that_cannot_be_right() -> None:
    motors = {"a": Motor(id=1, model="sts3215"), "b": Motor(id=1, model="sts3215")}
    with pytest.raises(ValueError, match="an id of its own"):
        FeetechConfig(port="x", motors=motors)
    with pytest.raises(ValueError, match="1000000, 500000"):
        FeetechConfig(port="x", motors={}, baudrate=2_000_000)


def test_a_reply_that_came_while_the_machine_stood_still_is_read() -> None:
    host, servo = os.openpty()
    tty.setraw(servo)
    port = Port(os.ttyname(servo), 1_000_000)
    try:
        assert port.receive(time.monotonic()) == b"", "nothing came"
        os.write(host, b"\xff")
        time.sleep(0.05)
        assert port.receive(time.monotonic() - 1.0) == b"\xff", "the byte is here, only late looked at"
    finally:
        port.close()
        os.close(host)
        os.close(servo)
