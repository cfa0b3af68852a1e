"""What `SerialBus` promises to loops, on servos whose every reply can be spoilt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.buses.diagnosis import likely_cause
from lerobot_motors.buses.recent import PROBE, SILENT_OFTEN
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.calibration import Motor, MotorCalibration
from motors.memory_servos import Line, MemoryServos, Spoil, status

POSITION, VELOCITY = 56, 58
NAMES = ("pan", "lift", "elbow", "grip")
#: Long enough for a thread of the same process, short enough to wait for [ms].
SLACK = 25.0
Make = Callable[..., tuple[SerialBus, Line]]


@pytest.fixture
def make() -> Iterator[Make]:
    """A bus of four servos at 100, 200, 300 and 400 ticks, and the line they are on."""
    with ExitStack() as stack:

        def build(spoil: Spoil | None = None, model: str = "sts3215", **options: float) -> tuple[SerialBus, Line]:
            servos = MemoryServos(range(1, 5))
            for number, memory in servos.memory.items():
                memory[POSITION : POSITION + 2] = (100 * number).to_bytes(2, "big" if model == "scs0009" else "little")
            line = Line(servos, spoil)
            stack.callback(line.close)
            motors = {name: Motor(id=number, model=model) for number, name in enumerate(NAMES, start=1)}
            bus = bus_for(line.path, motors, **{"slack_ms": SLACK, **options})
            bus.connect(handshake=False)
            stack.callback(bus.disconnect, disable_torque=False)
            return bus, line

        yield build


def positions(bus: SerialBus, **options: int) -> list[float]:
    return [reading.value for reading in bus.latest("Present_Position", normalize=False, **options).values()]


def test_the_latest_values_are_fresh_and_stamped(make: Make) -> None:
    bus, line = make()
    before = time.monotonic_ns()
    readings = bus.latest("Present_Position", ["grip", "pan"], normalize=False)
    assert {name: (reading.value, reading.missed) for name, reading in readings.items()} == {
        "grip": (400, 0),
        "pan": (100, 0),
    }
    assert all(before <= reading.stamp <= time.monotonic_ns() for reading in readings.values())
    assert len(line.asked) == 1
    bus.calibration = {name: MotorCalibration(id=1, range_min=0, range_max=4095) for name in NAMES}
    assert bus.latest("Present_Position")["pan"].value == pytest.approx((100 - 2047.5) * 360 / 4095)


def test_a_missing_reply_is_the_miss_of_its_servo_only(make: Make) -> None:
    bus, line = make(lambda number, _, replies: replies[:1] + replies[2:] if number > 1 else replies)
    first = bus.latest("Present_Position", normalize=False)
    for memory in line.servos.memory.values():
        memory[POSITION + 1] += 2
    for turn in (1, 2):
        now = bus.latest("Present_Position", normalize=False)
        assert now["lift"] == (200, first["lift"].stamp, turn)
        assert {name: now[name].value for name in ("pan", "elbow", "grip")} == {"pan": 612, "elbow": 812, "grip": 912}
        assert all(now[name].stamp > first[name].stamp and not now[name].missed for name in ("pan", "elbow", "grip"))
    assert bus.health.servos[2].lost == bus.health.lost == 2


def test_a_damaged_reply_is_the_miss_of_its_servo_only(make: Make) -> None:
    def damage(number: int, _: bytes, replies: list[bytes]) -> list[bytes | float]:
        spoilt = bytearray(replies[1])
        spoilt[3 if number % 2 else 5] ^= 0x40  # its length, or its data
        return [replies[0], bytes(spoilt), *replies[2:]] if number > 1 else [*replies]

    bus, _ = make(damage)
    positions(bus)
    start = time.monotonic()
    for turn in (1, 2):
        now = bus.latest("Present_Position", normalize=False)
        assert [reading.missed for reading in now.values()] == [0, turn, 0, 0]
    assert time.monotonic() - start < SLACK / 1e3
    assert bus.health.servos[2].corrupt == bus.health.corrupt == 2
    assert "servo 2: 2 corrupt" in bus.health.line()


def test_only_those_that_are_missing_are_asked_again(make: Make) -> None:
    bus, line = make(lambda number, _, replies: replies[:2] + replies[3:] if number == 2 else replies)
    positions(bus)
    assert [reading.missed for reading in bus.latest("Present_Position", normalize=False, num_retry=2).values()] == [
        0
    ] * 4
    assert [packet[7:-1] for packet in line.asked] == [bytes([1, 2, 3, 4]), bytes([1, 2, 3, 4]), bytes([3])]


@pytest.mark.parametrize("late", [0.5, 1.1, 2.5], ids=["in the pause", "in the next question", "two questions on"])
def test_a_late_reply_answers_no_other_question(make: Make, late: float) -> None:
    """The second question's reply comes after its deadline, when another register is asked for, of the same size."""
    held: list[tuple[float, bytes]] = []

    def delay(number: int, _: bytes, replies: list[bytes]) -> list[bytes | float]:
        if number == 2:
            held.append((time.monotonic() + (1 + late) * SLACK / 1e3, replies[0]))
            return []
        if held and held[0][0] > time.monotonic() and number > 2:
            return [max(0.0, held[0][0] - time.monotonic()), held.pop()[1], *replies]
        return [*([held.pop()[1]] if held else []), *replies]

    bus, line = make(delay)
    line.servos.memory[1][VELOCITY] = 7
    assert bus.latest("Present_Velocity", ["pan"])["pan"].value == 7
    assert bus.latest("Present_Velocity", ["pan"])["pan"].missed == 1
    for _ in range(4):
        reading = bus.latest("Present_Position", ["pan"], normalize=False)
        assert reading["pan"].value == 100
        line.servos.memory[1][VELOCITY] += 1
        now = bus.latest("Present_Velocity", ["pan"])["pan"]
        assert now.missed or now.value == line.servos.memory[1][VELOCITY]


def test_a_value_given_up_is_not_taken_for_a_new_one_of_the_same_register(make: Make) -> None:
    """The old reply comes in place of a new one, which is lost: it must be seen as a miss."""
    old = status(1, (100).to_bytes(2, "little"))
    bus, line = make(lambda number, _, replies: [] if number == 2 else [old] if number == 3 else [*replies])
    first = bus.latest("Present_Position", ["pan"], normalize=False)["pan"]
    line.servos.memory[1][POSITION] = 101
    for missed in (1, 2):
        assert bus.latest("Present_Position", ["pan"], normalize=False)["pan"] == (100, first.stamp, missed)
    assert bus.latest("Present_Position", ["pan"], normalize=False)["pan"][::2] == (101, 0)
    assert bus.health.late == bus.health.servos[1].late == 1


def test_replies_that_a_standing_machine_held_back_answer_no_later_question(make: Make) -> None:
    """Nobody answers for longer than there are sizes to ask for; then all replies come, each behind a later question."""
    held = 0.4

    def stand_still(number: int, _: bytes, replies: list[bytes]) -> list[bytes | float]:
        position = (number % 32768).to_bytes(2, "little")
        sent: list[bytes | float] = [status(reply[2], position + reply[7:-1]) for reply in replies]
        return [held, *sent] if number == 2 else sent

    bus, _ = make(stand_still, slack_ms=1.0, patience_s=60.0)
    bus.latest("Present_Position", normalize=False)
    fresh, until = 0, time.monotonic() + 3 * held
    while time.monotonic() < until or fresh < 3:
        assert time.monotonic() < until + 10, "the servos are not asked again"
        before = bus.health.transactions
        for value, _, missed in bus.latest("Present_Position", normalize=False).values():
            assert missed or before < value <= bus.health.transactions, "an older question was answered"
            fresh += not missed
    assert bus.health.late > 0


@pytest.mark.parametrize("noise", [b"\xff\xff", b"\xff", b"\x00\xff\xff\x63\x00", status(9, b"\1\2"), status(1, b"\1")])
def test_what_is_no_reply_to_the_question_is_dropped(make: Make, noise: bytes) -> None:
    bus, _ = make(lambda _, __, replies: [noise, *replies])
    assert positions(bus) == [100, 200, 300, 400]
    assert bus.read("Present_Position", "elbow", normalize=False) == 300


def test_the_echo_of_an_adapter_is_no_reply(make: Make) -> None:
    bus, _ = make(lambda _, question, replies: [question, *replies])
    assert bus.read("Present_Position", "pan", normalize=False) == 100  # the echo has its id and its size
    bus.write("Goal_Position", "pan", 7, normalize=False)
    assert positions(bus) == [100, 200, 300, 400]
    assert sorted(bus.scan()) == [1, 2, 3, 4]
    assert bus.health.errors == 0


def test_a_reply_in_parts_is_put_together(make: Make) -> None:
    bus, _ = make(lambda _, __, replies: [part for r in replies for part in (r[:3], 0.002, r[3:])])
    assert positions(bus) == [100, 200, 300, 400]


def test_a_servo_that_never_answered_is_an_error_at_once(make: Make) -> None:
    bus, line = make()
    del line.servos.memory[3]
    with pytest.raises(DeviceTimeout, match=r"'elbow' \(id 3\)") as raised:
        bus.latest("Present_Position", normalize=False)
    assert "only 'elbow'" in raised.value.hint


def test_connecting_waits_longer_than_a_loop_does(make: Make) -> None:
    """A machine that is loading programs holds up both pings of the first servo for longer than the usual slack."""
    bus, line = make(lambda number, _, replies: [0.06, *replies] if number < 3 else list(replies), slack_ms=1.0)
    bus.disconnect(disable_torque=False)
    for memory in line.servos.memory.values():
        memory[3:5] = (777).to_bytes(2, "little")
    bus.connect()
    assert not bus.health.lost
    assert bus.health.transactions < 3 * 6, "nobody was asked twice"


def test_patience_ends_and_begins_anew(make: Make) -> None:
    bus, line = make(patience_s=0.15, slack_ms=10.0)
    positions(bus)
    gone = {number: line.servos.memory.pop(number) for number in (3, 4)}
    start = time.monotonic()

    def go_on() -> None:
        while time.monotonic() < start + 5:
            assert positions(bus)[:2] == [100, 200]

    with pytest.raises(DeviceTimeout, match=r"'elbow' \(id 3\) for 0\.\d s, 'grip' \(id 4\) for") as raised:
        go_on()
    assert time.monotonic() - start > 0.15
    assert "after 'lift' (id 2) are silent" in raised.value.hint
    with pytest.raises(DeviceTimeout):
        positions(bus)
    line.servos.memory.update(gone)
    time.sleep(PROBE)
    assert positions(bus) == [100, 200, 300, 400]


def test_a_silent_servo_does_not_slow_the_others_down(make: Make) -> None:
    bus, line = make(patience_s=60.0)
    positions(bus)
    del line.servos.memory[2]
    for _ in range(SILENT_OFTEN):
        positions(bus)
    line.asked.clear()
    start = time.monotonic()
    for _ in range(20):
        positions(bus)
    asked = [2 in packet[7:-1] for packet in line.asked]
    assert sum(asked) <= (time.monotonic() - start) / PROBE + 1
    assert bus.latest("Present_Position", normalize=False)["lift"].missed == SILENT_OFTEN + 21


def test_neighbouring_registers_come_in_one_transaction(make: Make) -> None:
    bus, line = make()
    for number, memory in line.servos.memory.items():
        memory[56:67] = bytes([number, 1, 5, 0x80, 3, 4, 74, 40 + number, 0, 0, 1])
    found = bus.watch(normalize=False)
    assert len(line.asked) == 1
    values = {register: reading.value for register, reading in found["lift"].items()}
    assert values == {
        "Present_Position": 258,
        "Present_Velocity": -5,
        "Present_Load": -3,
        "Present_Voltage": 74,
        "Present_Temperature": 42,
        "Status": 0,
        "Moving": 1,
    }
    assert (bus.health.servos[2].voltage, bus.health.servos[2].temperature) == (7.4, 42)
    assert "\n" not in bus.health.line()
    line.servos.memory[2][65] = 4
    bus.watch(normalize=False)
    assert bus.health.line().endswith("servo 2: overheating, 7.4 V, 42 °C")


def test_scs_servos_are_asked_one_after_the_other_and_count_from_the_big_end(make: Make) -> None:
    bus, line = make(model="scs0009")
    assert positions(bus) == [100, 200, 300, 400]
    assert bus.sync_read("Present_Position", ["grip"], normalize=False) == {"grip": 400}
    assert {packet[4] for packet in line.asked} == {2}
    bus.sync_write("Goal_Position", {"pan": 0x0102}, normalize=False)
    bus.write("Goal_Velocity", "pan", 0x0304)
    assert line.servos.memory[1][42:44] == b"\1\2"
    assert line.servos.memory[1][46:48] == b"\3\4"
    line.servos.memory[4][3:5] = (1284).to_bytes(2, "big")
    assert bus.ping("grip") == 1284
    assert bus.resolution("grip") == 1024
    del line.servos.memory[2]
    assert [reading.missed for reading in bus.latest("Present_Position", normalize=False).values()] == [0, 1, 0, 0]


def test_scs_servos_have_no_homing_offset(make: Make) -> None:
    bus, line = make(model="scs0009")
    wanted = {name: MotorCalibration(id=n, range_min=20, range_max=1000) for n, name in enumerate(NAMES, start=1)}
    assert bus.set_half_turn_homings() == dict.fromkeys(NAMES, 0)
    bus.write_calibration(wanted)
    assert bus.is_calibrated
    assert line.servos.memory[3][31:33] == b"\0\0"


def test_a_scan_of_scs_servos_asks_every_id(make: Make) -> None:
    bus, line = make(model="scs0009", slack_ms=1.0)
    assert set(bus.scan()) <= {1, 2, 3, 4}
    assert {packet[2] for packet in line.asked} == set(range(254))


def test_servos_that_cannot_share_a_bus_are_refused() -> None:
    def build(*models: str) -> SerialBus:
        return bus_for("x", {model: Motor(id=number, model=model) for number, model in enumerate(models)})

    assert build("sts3215", "sts3250").family.name == "feetech"
    with pytest.raises(ConfigError, match="speaks one protocol, asked for 0 and 1"):
        build("sts3215", "scs0009")
    with pytest.raises(ConfigError, match="no motor model 'sts3216'; did you mean 'sts3215'"):
        build("sts3216")
    with pytest.raises(ConfigError, match="no family"):
        build()


def test_a_register_at_two_places_is_not_read_at_once(make: Make) -> None:
    bus, _ = make()
    bus.motors["grip"] = Motor(id=4, model="scs0009")
    with pytest.raises(DeviceError, match=r"'Lock' of pan, lift, elbow, grip is not at one address"):
        bus.sync_read("Lock")
    with pytest.raises(DeviceError, match="no register 'Homing_Offset' in 'scs0009'"):
        bus.sync_read("Homing_Offset")


def test_the_deadline_knows_the_pause_of_a_servo(make: Make) -> None:
    bus, line = make()
    line.servos.memory[1][7] = 100
    bus.read("Return_Delay_Time", "pan")
    bus.write("Return_Delay_Time", "lift", 0)
    wire = bus._wire
    assert wire is not None
    assert wire.seconds(bus.codec, [1], 2, 8) == pytest.approx(160e-6 + 200e-6)
    assert wire.seconds(bus.codec, [2], 2, 8) == pytest.approx(160e-6)
    assert wire.seconds(bus.codec, [3], 2, 8) == pytest.approx(160e-6 + 508e-6)


@pytest.mark.parametrize(
    "cycles", [10_000, pytest.param(1_000_000, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])]
)
def test_among_faults_no_old_value_is_taken_for_a_new_one(make: Make, cycles: int) -> None:
    """1 % of the replies damaged, 0.5 % lost, some late, one servo dead. A position is the number of the question it answers."""
    chance, held = random.Random(1), []

    def spoil(number: int, packet: bytes, replies: list[bytes]) -> list[bytes | float]:
        sent: list[bytes | float] = [*held]
        held.clear()
        for reply in replies:
            data = (number % 32768).to_bytes(2, "little") + reply[7:-1]
            reply, luck = status(reply[2], data), chance.random()
            if luck < 0.005:
                held.extend([reply] if luck < 0.002 else [])  # comes with the replies to the next question, before them
            elif luck < 0.015:
                place = chance.randrange(len(reply))
                sent.append(reply[:place] + bytes([reply[place] ^ chance.randrange(1, 256)]) + reply[place + 1 :])
            else:
                sent.append(reply)
        return sent

    bus, line = make(patience_s=1e9)
    positions(bus)
    line.asked.clear()
    asked_before, line.spoil = bus.health.transactions, spoil
    del line.servos.memory[2]
    alive, fresh = ("pan", "elbow", "grip"), 0
    for _ in range(cycles):
        first = bus.health.transactions - asked_before
        readings = bus.latest("Present_Position", normalize=False, num_retry=2)
        last = bus.health.transactions - asked_before
        for name in alive:
            value, _, missed = readings[name]
            if not missed:
                fresh += 1
                assert 0 < (value - first) % 32768 <= last - first, f"'{name}' answered an older question"
    assert bus.health.late > 0
    assert bus.health.corrupt > cycles / 100
    assert fresh > 0.97 * 3 * cycles  # a busy machine loses some more


@pytest.mark.parametrize(
    ("silent", "damaged", "says"),
    [
        ({1, 2, 3, 4}, set(), "power supply"),
        ({3, 4}, set(), "after 'b' (id 2)"),
        ({2}, set(), "only 'b' (id 2)"),
        ({4}, set(), "only 'd' (id 4)"),
        ({1, 3}, set(), "several"),
        ({2}, {2}, "two servos with one id"),
    ],
)
def test_the_likely_cause(silent: set[int], damaged: set[int], says: str) -> None:
    assert says in likely_cause(dict(enumerate("abcd", start=1)), silent, damaged)
