"""Every kind of fault, at the level of bytes: what a fault spoils, and that it spoils nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lerobot_core.errors import ConfigError
from lerobot_motors.emulators import address, faults, profiles
from lerobot_motors.emulators.chain import Chain, Reply
from lerobot_motors.emulators.dynamixel import ALERT
from lerobot_motors.emulators.faults import KINDS, Faults
from lerobot_motors.emulators.wires import checksum, crc16

BAUD = 1_000_000


def chain(text: str, name: str = "so101", seed: int = 0) -> Chain:
    made = Chain(profiles.servos(name, 0), Faults(faults.parse(text), seed))
    made.update(0.0)
    return made


def read(number: int, name: str = "so101", place: tuple[int, int] = (56, 2)) -> bytes:
    """A request for a position."""
    if name == "koch":
        body = b"\xff\xff\xfd\x00" + bytes([number, 7, 0, 2, 132, 0, 4, 0])
        return body + crc16(body).to_bytes(2, "little")
    body = bytes([number, 4, 2, *place])
    return b"\xff\xff" + body + bytes([checksum(body)])


def replies(made: Chain, number: int = 3, name: str = "so101", now: float | None = None) -> list[Reply]:
    if now is not None:
        made.update(now)
    return made.handle(read(number, name), BAUD)


def good(number: int = 3, name: str = "so101") -> bytes:
    (reply,) = replies(chain("", name), number, name)
    return reply.packet


def right(packet: bytes, name: str) -> bool:
    if name == "koch":
        return crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little")
    return checksum(packet[2:-1]) == packet[-1]


def one_bit(packet: bytes, whole: bytes) -> bool:
    return sum((a ^ b).bit_count() for a, b in zip(packet, whole, strict=True)) == 1


#: kind → what its reply is, given the replies, the good packet, and whether a packet's checksum is right
SPOILT: dict[str, Callable[[list[Reply], bytes, Callable[[bytes], bool]], bool]] = {
    "drop": lambda got, whole, right: got == [],
    "corrupt": lambda got, whole, right: one_bit(got[0].packet, whole) and not right(got[0].packet),
    "checksum": lambda got, whole, right: got[0].packet[:-1] == whole[:-1] and not right(got[0].packet),
    "wrong_id": lambda got, whole, right: got[0].packet != whole and right(got[0].packet),
    "truncate": lambda got, whole, right: got[0].packet == whole[:-2],
    "split": lambda got, whole, right: (
        got[0].packet + got[1].packet == whole and len(got) == 2 and got[1].delay == pytest.approx(0.003)
    ),
    "late": lambda got, whole, right: got[0].packet == whole and got[0].late == pytest.approx(0.02),
    "duplicate": lambda got, whole, right: [one.packet for one in got] == [whole, whole],
    "before": lambda got, whole, right: got[0].packet[3:] == whole,
    "after": lambda got, whole, right: got[0].packet[:-3] == whole and len(got[0].packet) == len(whole) + 3,
}


def test_every_kind_of_reply_fault_is_told_apart() -> None:
    assert set(SPOILT) == {name for name, kind in KINDS.items() if kind.hits == "reply"}
    assert len(KINDS) >= 20


@pytest.mark.parametrize("name", ["so101", "koch"])
@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_reply(kind: str, name: str) -> None:
    made = chain(f"{kind}:id=3", name)
    for _ in range(20):
        assert SPOILT[kind](replies(made, 3, name), good(3, name), lambda packet: right(packet, name))
        assert [reply.packet for reply in replies(made, 2, name)] == [good(2, name)]


def test_every_nth_reply_and_a_rate() -> None:
    third = chain("drop:every=3")
    assert [len(replies(third)) for _ in range(6)] == [1, 1, 0, 1, 1, 0]
    sometimes = chain("drop:rate=0.2")
    assert 150 < sum(not replies(sometimes) for _ in range(1000)) < 250


def test_the_same_seed_spoils_the_same_bytes() -> None:
    text = "corrupt:rate=0.3,before:rate=0.1,drop:rate=0.1"
    runs = [[tuple(replies(made)) for _ in range(200)] for made in (chain(text, seed=s) for s in (5, 5, 6))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_fault_begins_and_ends_by_time_or_by_cycle() -> None:
    timed = chain("deaf:id=3:at=2:for=1")
    assert [len(replies(timed, now=now)) for now in (0.0, 1.9, 2.0, 2.9, 3.0, 9.0)] == [1, 1, 0, 0, 1, 1]
    counted = chain("drop:cycle=2")
    assert [len(replies(counted, now=now / 10)) for now in range(4)] == [1, 1, 0, 0]


@pytest.mark.parametrize("name", ["so101", "koch"])
def test_a_dead_servo_holds_nothing_and_comes_back_without_torque(name: str) -> None:
    made = chain("dead:id=3:at=1:for=1", name)
    servo = made.servos[2]
    servo.write(servo.registers["Torque_Enable"].address, b"\x01")
    assert [len(replies(made, 3, name, now)) for now in (0.5, 1.0, 1.5, 2.0)] == [1, 0, 0, 1]
    assert not servo.torque


def test_a_slow_servo_takes_the_line() -> None:
    usual, slow = replies(chain(""))[0].delay, replies(chain("slow:id=3:value=4"))[0].delay
    assert slow - usual == pytest.approx(0.004)


@pytest.mark.parametrize("name", ["so101", "koch"])
def test_two_servos_with_one_id_spoil_what_differs_only(name: str) -> None:
    made = chain("collision:id=3:value=37", name)
    (reply,) = replies(made, 3, name)
    assert len(reply.packet) == len(good(3, name))
    assert reply.packet == bytes(a & b for a, b in zip(reply.packet, good(3, name), strict=True))
    assert not right(reply.packet, name)
    if name == "so101":
        (model,) = made.handle(read(3, place=(3, 2)), BAUD)
        assert model.packet[5:7] == (777).to_bytes(2, "little")
        assert right(model.packet, name)


@pytest.mark.parametrize("name", ["so101", "koch"])
def test_a_frozen_position_and_a_jump(name: str) -> None:
    made = chain("frozen:id=3:at=1:for=1,jump:id=2:at=1:value=150", name)
    before = [made.servos[index].get("Present_Position") for index in (1, 2)]
    made.update(1.0, [None, None, 1500.0])
    made.update(1.9, [None, None, 1500.0])
    after = [made.servos[index].get("Present_Position") for index in (1, 2)]
    assert after == [before[0] + 150, before[1]]
    made.update(2.1, [None, None, 1500.0])
    made.update(2.2, [None, None, 1501.0])
    assert made.servos[2].get("Present_Position") == pytest.approx(1500, abs=2)


@pytest.mark.parametrize(
    ("kind", "bit", "register", "value"),
    [("overload", 32, None, 0), ("hot", 4, "Present_Temperature", 85), ("low_voltage", 1, "Present_Voltage", 34)],
)
def test_a_feetech_servo_says_what_is_wrong_with_it(kind: str, bit: int, register: str | None, value: int) -> None:
    made = chain(f"{kind}:id=3:at=1:for=1")
    servo = made.servos[2]
    servo.write(40, b"\x01")
    assert replies(made, now=0.5)[0].packet[4] == 0
    assert replies(made, now=1.0)[0].packet[4] == bit
    assert register is None or servo.get(register) == value
    assert servo.torque == (kind == "low_voltage")
    assert replies(made, now=2.0)[0].packet[4] == 0


@pytest.mark.parametrize(("kind", "bit"), [("overload", 32), ("hot", 4), ("low_voltage", 1)])
def test_a_dynamixel_servo_raises_its_alert_until_it_is_rebooted(kind: str, bit: int) -> None:
    made = chain(f"{kind}:id=3:at=1:for=1", "koch")
    servo = made.servos[2]
    servo.write(64, b"\x01")
    assert replies(made, 3, "koch", 1.0)[0].packet[8] == ALERT
    assert servo.get("Hardware_Error_Status") == bit
    stays = kind != "low_voltage"
    assert servo.torque != stays
    assert replies(made, 3, "koch", 2.0)[0].packet[8] == (ALERT if stays else 0)
    assert servo.write(64, b"\x01") == (1 if stays else 0)
    servo.restart()
    assert servo.write(64, b"\x01") == 0


@pytest.mark.parametrize("name", ["so101", "koch"])
def test_resets(name: str) -> None:
    made = chain("restart:id=1:at=1,forget:id=2:at=1,baud:id=3:at=1:for=1:value=57600", name)
    one, two, three = made.servos[:3]
    for servo in (one, two):
        servo.write(servo.registers["Torque_Enable"].address, b"\x01")
    offsets = [servo.get("Homing_Offset") for servo in (one, two)]
    assert 0 not in offsets
    assert [len(replies(made, 3, name, now)) for now in (0.5, 1.0, 2.0)] == [1, 0, 1]
    assert (one.torque, two.torque) == (False, True)
    assert [servo.get("Homing_Offset") for servo in (one, two)] == [offsets[0], 0]
    assert (two.id, three.get("Baud_Rate")) == (2, made.servos[0].get("Baud_Rate"))


def test_an_echo_comes_first_and_a_stuck_line_gives_nothing_more() -> None:
    made = chain("echo,stuck:at=1:for=1")
    assert [reply.packet for reply in replies(made)] == [read(3), good()]
    assert replies(made)[0].echo
    assert [reply.packet for reply in replies(made, now=1.0)] == [read(3)]
    assert len(replies(made, now=2.0)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drp", "did you mean 'drop'"),
        ("drop:evry=3", "did you mean 'every'"),
        ("drop:rate=often", "'rate' is a number"),
        ("jump:for=1", "'jump' has no 'for'"),
        ("echo:id=3", "'echo' has no 'id'"),
        ("late:at=-1", "not below 0"),
        ("dead:id=9", "no servo 9"),
        ("baud:value=1234", "no 1234 baud"),
    ],
)
def test_what_no_fault_is_called_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        address.parse(f"emulated://so101?faults={text}")


def test_the_page_has_every_kind_and_every_chain() -> None:
    page = (Path(__file__).parents[2] / "docs" / "emulators.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for kind, known in KINDS.items():
        (row,) = [row for row in rows if f"`{kind}`" in row.split("|")[1] and "every=N" not in row]
        assert kind in ("before", "after") or known.means in row
        assert not known.value or f"{known.value:g}" in row
    assert all(f"`{chain}`" in page for chain in profiles.CHAINS)


def test_a_script_and_the_short_options_say_the_same(tmp_path) -> None:
    script = tmp_path / "bad-day"
    script.write_text("# a bad day\ndead:id=3:at=2.5  # elbow\n\nlate:every=5, drop:rate=0.1\n")
    made = address.parse(f"emulated://so101?script={script}&dead=2,4&drop=7")
    assert faults.parse(made.faults) == faults.parse(
        "drop:every=7,dead:id=2,dead:id=4,dead:id=3:at=2.5,late:every=5,drop:rate=0.1"
    )
    with pytest.raises(ConfigError, match="cannot be read"):
        address.parse("emulated://so101?script=/none")
