"""Packets of Dynamixel protocol 2.0: the manual's examples, the vendor's SDK, and bytes that are damaged on the way."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lerobot_motors.buses.dynamixel import tables
from lerobot_motors.buses.dynamixel.codec import STATUS, FastProtocol2, Protocol2, crc16, packet, stuff, unstuff
from lerobot_motors.buses.family import Status

CODEC = Protocol2()
FAST = FastProtocol2()
IDS = st.integers(0, 252)
#: bytes that look like headers and stuffing more often than chance would have it
BYTES = st.lists(st.sampled_from(b"\xff\xff\xff\xfd\xfd\x00\x55\x01\x80"), max_size=12).map(bytes) | st.binary(
    max_size=8
)
CONTENT = st.tuples(st.integers(0, 1023), BYTES.filter(bool))
STATUSES = st.builds(Status, IDS, st.integers(0, 255), BYTES)


def status(of: Status) -> bytes:
    return packet(of.id, bytes([STATUS, of.error]) + of.data)


def fast_status(statuses: list[Status]) -> bytes:
    """One packet for all: after each servo's data a CRC of everything before it, nothing stuffed."""
    length = 1 + sum(4 + len(each.data) for each in statuses)
    sent = b"\xff\xff\xfd\x00\xfe" + length.to_bytes(2, "little") + bytes([STATUS])
    for each in statuses:
        sent += bytes([each.error, each.id]) + each.data
        sent += crc16(sent).to_bytes(2, "little")
    return sent


def split(*pieces: bytes) -> list[Status | None]:
    """What comes out when the bytes come in these pieces."""
    received, found = bytearray(), []
    for piece in pieces:
        received += piece
        found += CODEC.split(received)
    return found


EXAMPLES = {
    "ping": (CODEC.ping(1), "FF FF FD 00 01 03 00 01 19 4E"),
    "read": (CODEC.read(1, 132, 4), "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"),
    "write": (CODEC.write(1, 116, (512).to_bytes(4, "little")), "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89"),
    "reboot": (CODEC.reboot(1), "FF FF FD 00 01 03 00 08 2F 4E"),
    "sync read": (CODEC.sync_read([1, 2], 132, 4), "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
    "sync write": (
        CODEC.sync_write(116, {1: (150).to_bytes(4, "little"), 2: (170).to_bytes(4, "little")}),
        "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_manuals_instruction_packets(example: str) -> None:
    made, manual = EXAMPLES[example]
    assert made == bytes.fromhex(manual)


def test_the_manuals_status_packets() -> None:
    ping = bytes.fromhex("FF FF FD 00 01 07 00 55 00 06 04 26 65 5D")
    read = bytes.fromhex("FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0")
    assert split(ping + read) == [Status(1, 0, b"\x06\x04\x26"), Status(1, 0, b"\xa6\x00\x00\x00")]


# --- the vendor's SDK says the same ------------------------------------------------------------------------------------


class Recorded:
    """A port of the SDK that keeps what is sent and gives the bytes it was made with."""

    def __init__(self, given: bytes = b"") -> None:
        self.sent, self.given, self.is_using = b"", given, False

    def writePort(self, data: list[int]) -> int:
        self.sent += bytes(data)
        return len(data)

    def readPort(self, length: int) -> list[int]:
        taken, self.given = self.given[:length], self.given[length:]
        return list(taken)

    def isPacketTimeout(self) -> bool:
        return not self.given

    def clearPort(self) -> None: ...
    def setPacketTimeout(self, length: int) -> None: ...
    def setPacketTimeoutMillis(self, milliseconds: float) -> None: ...


@pytest.fixture(scope="module")
def sdk() -> SimpleNamespace:
    module = pytest.importorskip("dynamixel_sdk")
    return SimpleNamespace(handler=module.Protocol2PacketHandler(), module=module)


def plain(*parts: bytes) -> bool:
    """Whether nothing needs stuffing: 4.1.0 of the SDK forgets it when it sends, which a servo takes for a header."""
    return all(stuff(part) == part for part in parts)


@given(servo=IDS, content=CONTENT, size=st.integers(1, 300))
def test_single_instructions_are_the_sdks(sdk: Any, servo: int, content: tuple[int, bytes], size: int) -> None:
    (address, data), port = content, Recorded()
    assume(plain(address.to_bytes(2, "little") + data))
    sdk.handler.readTx(port, servo, address, size)
    port.is_using = False
    sdk.handler.writeTxOnly(port, servo, address, len(data), list(data))
    port.is_using = False
    sdk.handler.ping(port, servo)
    port.is_using = False
    sdk.handler.reboot(port, servo)
    ours = CODEC.read(servo, address, size) + CODEC.write(servo, address, data)
    assert port.sent == ours + CODEC.ping(servo) + CODEC.reboot(servo)


@given(servos=st.lists(IDS, min_size=1, max_size=7, unique=True), size=st.integers(1, 4), data=st.data())
def test_group_instructions_are_the_sdks(sdk: Any, servos: list[int], size: int, data: Any) -> None:
    port, address = Recorded(), data.draw(st.integers(0, 1023))
    contents = {servo: data.draw(st.binary(min_size=size, max_size=size)) for servo in servos}
    assume(plain(*contents.values()))
    sdk.handler.syncReadTx(port, address, size, servos, len(servos), False)
    port.is_using = False
    sdk.handler.syncReadTx(port, address, size, servos, len(servos), True)
    port.is_using = False
    blocks = [byte for servo, content in contents.items() for byte in (servo, *content)]
    sdk.handler.syncWriteTxOnly(port, address, size, blocks, len(blocks))
    ours = CODEC.sync_read(servos, address, size) + FAST.sync_read(servos, address, size)
    assert port.sent == ours + CODEC.sync_write(address, contents)


@given(body=BYTES.filter(lambda body: len(body) > 2))
def test_the_sdk_stuffs_as_we_do(sdk: Any, body: bytes) -> None:
    whole = [*b"\xff\xff\xfd\x00\x01", len(body) + 2, 0, *body, 0, 0]
    assert bytes(sdk.handler.addStuffing(whole)[7:-2]) == stuff(body)


@given(sent=STATUSES.filter(lambda sent: sent.data and sent.error < 0x80 and plain(sent.data)))
def test_the_sdk_reads_a_status_as_we_do(sdk: Any, sent: Status) -> None:
    data, result, error = sdk.handler.readRx(Recorded(status(sent)), sent.id, len(sent.data))
    assert result == sdk.module.COMM_SUCCESS
    assert [Status(sent.id, error, bytes(data[: len(sent.data)]))] == split(status(sent)) == [sent]


@given(data=st.binary(max_size=64))
def test_the_crc_is_the_sdks(sdk: Any, data: bytes) -> None:
    assert crc16(data) == sdk.handler.updateCRC(0, list(data), len(data))


# --- what comes off a wire --------------------------------------------------------------------------------------------


@given(body=BYTES)
def test_stuffing_hides_headers_and_is_undone(body: bytes) -> None:
    assert b"\xff\xff\xfd\x00" not in stuff(body)
    assert unstuff(stuff(body)) == body


@given(sent=st.lists(STATUSES, max_size=5), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_packets_are_found_however_they_are_cut(sent: list[Status], cuts: list[int]) -> None:
    wire = b"".join(map(status, sent))
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    assert split(*(wire[start:end] for start, end in itertools.pairwise(edges))) == sent


@given(sent=st.lists(STATUSES, min_size=1, max_size=4), garbage=st.lists(BYTES, min_size=5, max_size=5))
def test_garbage_before_and_between_costs_no_packet(sent: list[Status], garbage: list[bytes]) -> None:
    wire = garbage[0] + b"".join(status(each) + noise for each, noise in zip(sent, garbage[1:], strict=False))
    assert [each for each in split(wire, status(sent[0])) if each] == [*sent, sent[0]]


@given(sent=st.lists(STATUSES, min_size=2, max_size=4), data=st.data())
def test_a_flipped_byte_costs_its_packet_and_no_other(sent: list[Status], data: Any) -> None:
    wires = [status(each) for each in sent]
    hit = data.draw(st.integers(0, len(sent) - 2))  # what follows shows where the next begins
    place, flip = data.draw(st.integers(0, len(wires[hit]) - 1)), data.draw(st.integers(1, 255))
    damaged = bytearray(wires[hit])
    damaged[place] ^= flip
    wires[hit] = bytes(damaged)
    assert [each for each in split(*wires) if each] == sent[:hit] + sent[hit + 1 :]


@given(sent=STATUSES, data=st.data())
def test_half_a_packet_waits_and_is_given_up_when_the_next_begins(sent: Status, data: Any) -> None:
    whole = status(sent)
    cut = data.draw(st.integers(7, len(whole) - 1))
    received = bytearray(whole[:cut])
    assert list(CODEC.split(received)) == []
    assert received == whole[:cut]
    received += whole
    assert [each for each in CODEC.split(received) if each] == [sent]


def test_what_cannot_be_a_packet_is_not_waited_for() -> None:
    endless = bytearray(b"\xff\xff\xfd\x00\x01\xff\xff\x55\x00")
    assert list(CODEC.split(endless)) == [None]
    assert split(packet(1, bytes([STATUS]))) == [None], "a status has an error byte"


@given(sent=STATUSES, servos=st.lists(IDS, min_size=1, max_size=6))
def test_the_echo_of_an_instruction_is_no_answer(sent: Status, servos: list[int]) -> None:
    assert split(CODEC.sync_read(servos, 132, 4) + CODEC.ping(1) + status(sent)) == [sent]


# --- the fast reply ---------------------------------------------------------------------------------------------------

FAST_REPLIES = st.integers(1, 6).flatmap(
    lambda size: st.lists(
        st.builds(Status, IDS, st.integers(0, 255), st.binary(min_size=size, max_size=size)), min_size=1, max_size=9
    )
)


@given(sent=FAST_REPLIES)
def test_a_fast_reply_is_one_status_per_servo(sent: list[Status]) -> None:
    assert split(fast_status(sent) + status(sent[0])) == [*sent, sent[0]]


@given(sent=FAST_REPLIES, data=st.data())
def test_a_damaged_fast_reply_gives_nothing(sent: list[Status], data: Any) -> None:
    damaged = bytearray(fast_status(sent))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    follower = Status(7, 0, b"\x01\x02")
    assert [each for each in split(bytes(damaged) + status(follower)) if each] == [follower]


def test_a_fast_reply_without_its_last_servo_waits() -> None:
    sent = [Status(number, 0, bytes(4)) for number in (1, 2, 3)]
    assert split(fast_status(sent)[: -len(bytes(4)) - 4]) == []


def test_the_fast_instruction_is_the_manuals() -> None:
    assert FAST.sync_read([1, 2], 132, 4)[:14] == bytes.fromhex("FF FF FD 00 FE 09 00 8A 84 00 04 00 01 02")


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registers", [tables.REGISTERS, tables.LOAD_REGISTERS], ids=["current", "load"])
def test_registers_do_not_overlap(registers: dict[str, Any]) -> None:
    places = sorted((place.address, place.address + place.size) for place in registers.values())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    assert places[-1][1] <= 147


def test_every_model_has_a_number_of_its_own() -> None:
    numbers = [model.number for model in tables.MODELS.values() if model.number is not None]
    assert len(numbers) == len(set(numbers)) == len(tables.MODELS) - 1
