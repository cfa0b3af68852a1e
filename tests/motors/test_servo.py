"""The emulated servo by itself: time is given, nothing is sent."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_motors.buses.feetech.tables import RAM, REGISTERS
from lerobot_motors.emulators.chain import Chain, Faults, checksum, split
from lerobot_motors.emulators.motion import Trapezoid
from lerobot_motors.emulators.servo import SPEED, Home, Servo

HOME = Home(homing_offset=-413, range_min=910, range_max=3184)
PLACES = st.floats(-4000, 4000)


def servo(position: float = 2047, **registers: int) -> Servo:
    made = Servo(1, HOME, position)
    for name, value in registers.items():
        made.put(name, value)
    return made


def packet(number: int, instruction: int, *data: int) -> bytes:
    body = bytes([number, len(data) + 2, instruction, *data])
    return b"\xff\xff" + body + bytes([checksum(body)])


@given(position=PLACES, velocity=st.floats(-2000, 2000), goal=PLACES, acceleration=st.floats(500, 25_000))
def test_motion_ends_at_rest_at_the_goal_within_its_limits(
    position: float, velocity: float, goal: float, acceleration: float
) -> None:
    motion = Trapezoid(5.0, position, velocity, goal, 2200.0, acceleration)
    places = [motion.at(5.0 + step / 100) for step in range(3000)]
    assert places[0] == (position, velocity)
    assert places[-1] == (goal, 0.0)
    for (before, _), (after, speed) in itertools.pairwise(places):
        assert abs(speed) <= 2200 + 1e-6
        assert abs(after - before) <= 22 + 1e-6


def test_a_servo_crosses_a_quarter_turn_in_about_six_tenths_of_a_second() -> None:
    moving = servo(1500, Torque_Enable=1, Goal_Position=1500 + 1024)
    moving.update(0.0, None)
    moving.update(0.3, None)
    assert 1900 < moving.position < 2200
    assert moving.get("Present_Velocity") == SPEED
    assert moving.get("Moving") == 1
    moving.update(0.6, None)
    assert moving.get("Present_Position") == 2524
    assert moving.get("Moving") == 0


def test_speed_and_acceleration_registers_are_honoured() -> None:
    slow = servo(2047, Torque_Enable=1, Goal_Position=3000, Goal_Velocity=100)
    slow.update(0.0, None)
    slow.update(5.0, None)
    assert slow.position == pytest.approx(2047 + 500, abs=5)
    soft = servo(2047, Torque_Enable=1, Goal_Position=3000, Acceleration=2)
    soft.update(0.0, None)
    soft.update(1.0, None)
    assert soft.position == pytest.approx(2047 + 100, abs=1)


def test_goals_are_kept_within_the_servos_limits() -> None:
    moving = servo(2047, Torque_Enable=1, Goal_Position=4095)
    moving.update(0.0, None)
    moving.update(9.0, None)
    assert moving.position == HOME.range_max


def test_without_torque_only_a_hand_moves_it() -> None:
    free = servo(2047, Goal_Position=3000)
    for now in (0.0, 1.0):
        free.update(now, None)
    assert free.position == 2047
    for now in (1.0, 2.0):
        free.update(now, 1000.0)
    assert free.position == 1000
    free.put("Torque_Enable", 1)
    for now in (2.0, 9.0):
        free.update(now, 1500.0)
    assert free.position == 3000


def test_the_homing_offset_shifts_what_is_read() -> None:
    moved = servo(2047)
    moved.put("Homing_Offset", 0)
    moved.update(0.0, None)
    assert moved.get("Present_Position") == 2047 + HOME.homing_offset


@given(address=st.integers(0, 86), value=st.integers(0, 255))
def test_the_eeprom_is_locked_and_measurements_are_read_only(address: int, value: int) -> None:
    locked = servo()
    before = bytes(locked.memory)
    locked.write(address, bytes([value]))
    unchanged = address < RAM or 56 <= address <= 70
    assert bytes(locked.memory) == (before if unchanged else before[:address] + bytes([value]) + before[address + 1 :])
    if 5 <= address < RAM:
        locked.put("Lock", 0)
        locked.write(address, bytes([value]))
        assert locked.memory[address] == value


def test_a_prepared_write_waits_for_its_action() -> None:
    chain = Chain([servo()])
    goal = REGISTERS["Goal_Position"].address
    assert len(chain.handle(packet(1, 4, goal, 10, 0), 1_000_000)) == 1
    assert chain.servos[0].get("Goal_Position") == 2047
    chain.handle(packet(0xFE, 5), 1_000_000)
    assert chain.servos[0].get("Goal_Position") == 10


@given(noise=st.binary(max_size=8), cut=st.integers(0, 20))
def test_packets_are_found_in_noise_and_in_pieces(noise: bytes, cut: int) -> None:
    wanted = packet(1, 2, 56, 2)
    stream = noise.replace(b"\xff", b"\0") + wanted + wanted
    buffer, found = bytearray(), []
    for piece in (stream[:cut], stream[cut:]):
        buffer += piece
        found += list(split(buffer))
    assert found == [wanted, wanted]


def test_faults_spoil_every_nth_reply() -> None:
    read = packet(1, 2, 3, 2)
    dropping = Chain([servo()], Faults(drop=3))
    assert [len(dropping.handle(read, 1_000_000)) for _ in range(6)] == [1, 1, 0, 1, 1, 0]
    damaging = Chain([servo()], Faults(corrupt=2))
    replies = [damaging.handle(read, 1_000_000)[0].packet for _ in range(2)]
    assert [checksum(reply[2:-1]) == reply[-1] for reply in replies] == [True, False]
    assert Chain([servo()], Faults(dead=(1,))).handle(read, 1_000_000) == []
    assert Chain([servo()]).handle(read, 115_200) == []
