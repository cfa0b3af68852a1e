"""The emulated servo by itself: time is given, nothing is sent."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_motors.buses.feetech.tables import RAM, REGISTERS
from lerobot_motors.emulators import profiles
from lerobot_motors.emulators.chain import Chain
from lerobot_motors.emulators.dynamixel import ACCESS, LENGTH, LIMIT, RANGE, VELOCITY_UNIT, DynamixelServo
from lerobot_motors.emulators.feetech import SPEED, FeetechServo
from lerobot_motors.emulators.motion import Ramp, Trapezoid
from lerobot_motors.emulators.servo import Joint
from lerobot_motors.emulators.wires import DynamixelWire, FeetechWire, checksum, crc16

HOME = Joint("joint", 1, "sts3215", homing_offset=-413, range_min=910, range_max=3184)
PLACES = st.floats(-4000, 4000)


def servo(position: float = 2047, **registers: int) -> FeetechServo:
    made = FeetechServo(HOME, position)
    for name, value in registers.items():
        made.put(name, value)
    return made


def dynamixel(position: float = 2047, model: str = "xm430-w350", **registers: int) -> DynamixelServo:
    made = DynamixelServo(Joint("joint", 1, model, range_min=910, range_max=3184), position)
    for name, value in registers.items():
        made.put(name, value)
    return made


def after(seconds: float, moving: FeetechServo | DynamixelServo, hand: float | None = None) -> float:
    """Where a servo is some time later, updated every 4 ms as the emulator does."""
    start = getattr(moving, "clock", 0.0)
    for step in range(int(seconds * 250) + 1):
        moving.update(start + step / 250, hand)
    moving.clock = start + seconds  # type: ignore[union-attr]
    return moving.position


def content(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little", signed=True)


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
    assert moving.get("Present_Velocity") == SPEED * 4096
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
def test_what_is_written_counts_at_once_and_measurements_are_read_only(address: int, value: int) -> None:
    written = servo()
    before = bytes(written.memory)
    written.write(address, bytes([value]))
    unchanged = address < 5 or 56 <= address <= 70
    assert bytes(written.memory) == (before if unchanged else before[:address] + bytes([value]) + before[address + 1 :])


@given(address=st.integers(5, RAM - 1), value=st.integers(0, 255), other=st.integers(0, 255))
def test_a_locked_eeprom_is_as_it_was_after_a_power_failure(address: int, value: int, other: int) -> None:
    written = servo()
    before = bytes(written.memory[:RAM])
    for content in (other, value):
        written.write(address, bytes([content]))
    written.restart()
    assert written.memory[:RAM] == before
    written.write(address, bytes([other]))
    written.write(REGISTERS["Lock"].address, b"\0")
    written.write(address, bytes([value]))
    written.restart()
    assert written.memory[:RAM] == before[:address] + bytes([value]) + before[address + 1 :]
    assert written.get("Lock") == 1


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
        found += list(FeetechWire(0).split(buffer))
    assert found == [wanted, wanted]


@given(velocity=st.floats(-2000, 2000), target=st.floats(-2000, 2000), acceleration=st.floats(500, 25_000))
def test_a_ramp_ends_at_its_velocity_within_its_acceleration(
    velocity: float, target: float, acceleration: float
) -> None:
    ramp = Ramp(1.0, 0.0, velocity, target, acceleration)
    speeds = [ramp.at(1.0 + step / 100)[1] for step in range(1000)]
    assert speeds[0] == velocity
    assert speeds[-1] == target
    assert all(abs(b - a) <= acceleration / 100 * 1.001 + 1e-6 for a, b in itertools.pairwise(speeds))
    assert ramp.at(20.0)[0] - ramp.at(19.0)[0] == pytest.approx(target, abs=1e-6)


@pytest.mark.parametrize("raw", [3000, -1200])
def test_a_wheel_turns_at_its_speed_and_stops(raw: int) -> None:
    wheel = FeetechServo(Joint("wheel", 7, "sts3215", mode=1), 0.0)
    wheel.put("Torque_Enable", 1)
    wheel.put("Goal_Velocity", raw)
    assert after(4.0, wheel) == pytest.approx(4 * raw, rel=0.05)
    assert wheel.get("Present_Velocity") == raw
    assert wheel.get("Present_Position") == round(wheel.position) % 4096
    wheel.put("Goal_Velocity", 0)
    after(1.0, wheel)
    assert wheel.get("Present_Velocity") == 0
    assert wheel.get("Moving") == 0


def test_step_mode_adds_and_pwm_mode_turns() -> None:
    stepping = servo(2047, Operating_Mode=3)
    stepping.write(40, b"\x01")
    for _ in range(2):
        stepping.write(REGISTERS["Goal_Position"].address, content(100, 2))
    assert after(2.0, stepping) == 2247
    turning = servo(2047, Operating_Mode=2, Torque_Enable=1, Goal_Time=1024 + 200)
    assert 2047 - 460 < after(1.0, turning) < 2047 - 400


def test_torque_128_makes_here_the_middle() -> None:
    there = servo(1000)
    there.write(40, b"\x80")
    after(0.01, there)
    assert there.get("Present_Position") == 2047
    assert not there.torque


def test_gravity_lets_a_joint_sag_and_its_load_show_it() -> None:
    joint = profiles.SO101[1]
    soft, stiff, free = (FeetechServo(joint, 2047) for _ in range(3))
    for one in (soft, stiff, free):
        one.gravity = 1.0
    soft.put("P_Coefficient", 16)
    stiff.put("I_Coefficient", 8)
    for one in (soft, stiff):
        one.put("Torque_Enable", 1)
    assert after(2.0, soft) == pytest.approx(2047 - 0.35 * 60 * 2, abs=2)
    assert after(2.0, stiff) == 2047
    assert stiff.get("Present_Load") == 350
    assert after(5.0, free) < joint.range_min
    assert servo().get("Present_Load") == 0


def test_power_up_keeps_the_eeprom_only() -> None:
    once = servo(2047, Torque_Enable=1, P_Coefficient=16, Goal_Velocity=300)
    once.restart()
    assert (once.get("P_Coefficient"), once.get("Goal_Velocity"), once.torque) == (16, 0, False)
    assert once.get("Homing_Offset") == HOME.homing_offset
    once.forget()
    assert (once.get("P_Coefficient"), once.get("Homing_Offset"), once.get("Max_Position_Limit")) == (32, 0, 4095)
    assert once.id == 1


@given(
    chain=st.sampled_from(["so101", "hope_jr_hand", "koch", "viperx"]),
    said=st.lists(
        st.tuples(st.sampled_from([0xFE, 1, 2, 3]), st.integers(0, 255), st.binary(max_size=24)), max_size=12
    ),
)
def test_no_instruction_is_its_end(chain: str, said: list[tuple[int, int, bytes]]) -> None:
    made = Chain(profiles.servos(chain, 0, gravity=1.0))
    for step, (number, instruction, data) in enumerate(said):
        if isinstance(made.wire, DynamixelWire):
            body = (
                b"\xff\xff\xfd\x00"
                + bytes([number])
                + (len(data) + 3).to_bytes(2, "little")
                + bytes([instruction])
                + data
            )
            made.handle(body + crc16(body).to_bytes(2, "little"), 1_000_000)
        else:
            made.handle(packet(number, instruction, *data), 1_000_000)
        for moment in range(5):
            made.update(step + moment / 10)


@given(
    chain=st.sampled_from(["so101", "hope_jr_hand", "viperx"]),
    writes=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 146), st.binary(min_size=1, max_size=8)), max_size=8),
)
def test_no_write_is_its_end(chain: str, writes: list[tuple[int, int, bytes]]) -> None:
    made = Chain(profiles.servos(chain, 0, gravity=1.0))
    for step, (index, address, data) in enumerate(writes):
        servo = made.servos[index % len(made.servos)]
        servo.put("Lock" if "Lock" in servo.registers else "LED", 0)
        servo.write(address, data)
        for moment in range(5):
            made.update(step + moment / 10)
        servo.restart()


def test_what_does_not_fit_a_reply_gets_none() -> None:
    chain = Chain([servo()])
    assert [len(chain.handle(packet(1, 2, 0, size), 1_000_000)) for size in (253, 254, 255)] == [1, 0, 0]
    assert chain.handle(packet(0xFE, 0x82, 0, 255, 1), 1_000_000) == []


# --- SCS ---------------------------------------------------------------------------------------------------------------


def test_scs_registers_are_big_endian_and_unsigned() -> None:
    finger = profiles.servos("hope_jr_hand", 0)[0]
    assert finger.read(3, 2) == b"\x05\x04"
    finger.write(40, b"\x01")
    finger.write(42, (700).to_bytes(2, "big"))
    after(2.0, finger)
    assert finger.read(56, 2) == (700).to_bytes(2, "big")


def test_scs_servos_know_no_sync_read_and_answer_a_broadcast_all_at_once() -> None:
    hand = Chain(profiles.servos("hope_jr_hand", 0))
    assert hand.handle(packet(0xFE, 0x82, 56, 2, 1, 2), 1_000_000) == []
    (reply,) = hand.handle(packet(0xFE, 1), 1_000_000)
    assert reply.packet[2] == 0, "the ids 1 to 16 on top of each other"
    alone = Chain(hand.servos[2:3])
    assert [reply.packet for reply in alone.handle(packet(0xFE, 1), 1_000_000)] == [packet(3, 0)]


# --- Dynamixel ---------------------------------------------------------------------------------------------------------


def test_what_looks_like_a_header_is_stuffed_both_ways() -> None:
    """By bytes: version 4.1.0 of the vendor's SDK forgets it in what it sends and stumbles over it in what it receives."""
    chain = Chain([DynamixelServo(Joint("joint", 3, "xl330-m288"), 2047)])
    write = b"\xff\xff\xfd\x00\x03\x0a\x00\x03\x6c\x00" + b"\xff\xff\xfd\xfd\xfd"
    read = b"\xff\xff\xfd\x00\x03\x07\x00\x02\x6c\x00\x04\x00"
    for body in (write, read):
        (reply,) = chain.handle(body + crc16(body).to_bytes(2, "little"), 1_000_000)
    assert chain.servos[0].get("Profile_Acceleration") == 0xFDFDFFFF
    assert reply.packet == bytes.fromhex("ff ff fd 00 03 09 00 55 00 ff ff fd fd fd fe 5e")


def test_writes_are_refused_as_the_e_manual_says() -> None:
    one = dynamixel()
    cases = {
        ACCESS: (132, content(0, 4)),
        LIMIT: (116, content(3500, 4)),
        LENGTH: (116, content(0, 2)),
        RANGE: (200, b"\0"),
    }
    for error, (address, data) in cases.items():
        before = bytes(one.memory)
        assert one.write(address, data) == error
        assert bytes(one.memory) == before
    assert one.write(11, b"\x04") == 0
    assert one.write(64, b"\x01") == 0
    assert one.write(11, b"\x03") == ACCESS, "the EEPROM takes the torque off"
    assert one.write(116, content(90_000, 4)) == 0, "extended position"
    assert dynamixel(model="xl430-w250").write(11, b"\x05") == LIMIT, "no current sensor"


def test_switched_on_it_holds_where_it_is() -> None:
    one = dynamixel(2047, Goal_Position=1000)
    one.write(64, b"\x01")
    assert after(1.0, one) == 2047


@pytest.mark.parametrize("offset", [0, 700, -5000])
def test_present_is_actual_plus_offset(offset: int) -> None:
    one = dynamixel(1000)
    one.write(20, content(offset, 4))
    after(0.01, one)
    assert one.get("Present_Position") == 1000 + offset


def test_reverse_turns_the_direction_round() -> None:
    one = dynamixel(1000, Operating_Mode=4)
    one.write(10, b"\x01")
    after(0.01, one)
    assert one.get("Present_Position") == 4096 - 1000
    after(2.0, one, hand=3500)
    one.write(10, b"\x00")
    after(0.01, one)
    assert one.get("Present_Position") == 4096 - 3500


def test_velocity_current_and_pwm_modes_end_at_the_stops() -> None:
    one = dynamixel(2047, Operating_Mode=1)
    one.write(64, b"\x01")
    one.write(104, content(50, 4))
    assert after(0.5, one) == pytest.approx(2047 + 0.5 * 50 * VELOCITY_UNIT, rel=0.02)
    assert one.get("Present_Velocity") == 50
    assert after(3.0, one) == pytest.approx(3184, abs=40)
    assert one.get("Present_Velocity") == 0
    for mode, register, value in ((0, 102, -600), (16, 100, -500)):
        pushed = dynamixel(2047, Operating_Mode=mode)
        pushed.write(64, b"\x01")
        pushed.write(register, content(value, 2))
        assert after(3.0, pushed) == pytest.approx(910, abs=40)


def test_the_profile_limits_the_speed() -> None:
    slow = dynamixel(1000, Profile_Velocity=20)
    slow.write(64, b"\x01")
    slow.write(116, content(3000, 4))
    assert after(1.0, slow) == pytest.approx(1000 + 20 * VELOCITY_UNIT, rel=0.05)


def test_a_shadow_servo_shares_the_axle() -> None:
    chain = Chain(profiles.servos("viperx", 0))
    chain.update(0.0)
    shoulder, shadow = chain.servos[1:3]
    shoulder.write(64, b"\x01")
    shoulder.write(116, content(2300, 4))
    for step in range(500):
        chain.update(step / 250)
    assert shoulder.get("Present_Position") == shadow.get("Present_Position") == 2300
