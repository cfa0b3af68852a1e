"""The packets are those of the vendor's SDK, byte for byte, and what comes back is believed only when it is whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scservo_sdk import GroupSyncRead, GroupSyncWrite, PacketHandler

from lerobot_motors.buses.family import Status
from lerobot_motors.buses.feetech import tables
from lerobot_motors.buses.feetech.codec import CODECS
from lerobot_motors.buses.values import decode, encode, limits
from motors.memory_servos import status

IDS = st.integers(0, 252)
ADDRESSES = st.integers(0, 120)
DATA = st.binary(min_size=1, max_size=8)
STATUSES = st.builds(Status, st.integers(0, 253), st.integers(0, 127), st.binary(max_size=12))


class Recorder:
    """A port of the SDK on which nobody answers."""

    is_using = False
    sent = b""

    def clearPort(self) -> None: ...

    def writePort(self, packet: list[int]) -> int:
        self.sent = bytes(packet)
        return len(packet)

    def setPacketTimeout(self, length: int) -> None: ...

    def readPort(self, length: int) -> bytes:
        return b""

    def isPacketTimeout(self) -> bool:
        return True


@pytest.fixture(params=[0, 1])
def protocol(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param
    PacketHandler(0)  # the byte order is a global of the SDK


@given(servo=IDS, address=ADDRESSES, size=st.integers(1, 20), data=DATA)
def test_packets_to_one_servo_are_those_of_the_sdk(servo: int, address: int, size: int, data: bytes) -> None:
    codec, port, sdk = CODECS[0], Recorder(), PacketHandler(0)
    sdk.ping(port, servo)
    assert codec.ping(servo) == port.sent
    port.is_using = False
    sdk.readTxRx(port, servo, address, size)
    assert codec.read(servo, address, size) == port.sent
    port.is_using = False
    sdk.writeTxRx(port, servo, address, len(data), list(data))
    assert codec.write(servo, address, data) == port.sent


@given(servos=st.lists(IDS, min_size=1, max_size=20, unique=True), address=ADDRESSES, data=DATA)
def test_packets_to_several_servos_are_those_of_the_sdk(servos: list[int], address: int, data: bytes) -> None:
    codec, port, sdk = CODECS[0], Recorder(), PacketHandler(0)
    reader, writer = GroupSyncRead(port, sdk, address, len(data)), GroupSyncWrite(port, sdk, address, len(data))
    contents = {servo: bytes([servo, *data[1:]]) for servo in servos}
    for servo, content in contents.items():
        reader.addParam(servo)
        writer.addParam(servo, list(content))
    reader.txPacket()
    assert codec.sync_read(servos, address, len(data)) == port.sent
    port.is_using = False
    writer.txPacket()
    assert codec.sync_write(address, contents) == port.sent


def test_the_byte_order_is_that_of_the_sdk(protocol: int) -> None:
    codec, port, sdk = CODECS[protocol], Recorder(), PacketHandler(protocol)
    place = tables.SCS_REGISTERS["Goal_Position"]
    for value in (0, 1, 0x1234, 0xFFFF):
        sdk.write2ByteTxRx(port, 7, place.address, value)
        port.is_using = False
        assert codec.write(7, place.address, encode(value, place, codec.order)) == port.sent


@given(st.lists(STATUSES, max_size=6), st.lists(st.integers(0, 100), max_size=6))
def test_whole_replies_are_found_however_they_are_cut(statuses: list[Status], cuts: list[int]) -> None:
    wire = b"".join(status(one.id, one.data, one.error) for one in statuses)
    received, found = bytearray(), []
    ends = [*sorted({min(cut, len(wire)) for cut in cuts}), len(wire)]
    for start, end in zip([0, *ends], ends, strict=False):
        received += wire[start:end]
        found += list(CODECS[0].split(received))
    assert found == statuses
    assert not received


@given(STATUSES, st.data())
def test_a_flipped_byte_is_never_believed_and_the_next_reply_is_found(damaged: Status, data: st.DataObject) -> None:
    wire = bytearray(status(damaged.id, damaged.data, damaged.error))
    place = data.draw(st.integers(0, len(wire) - 1))
    wire[place] ^= data.draw(st.integers(1, 255))
    following = Status(7, 0, b"\x34\x12\x56")
    received = bytearray(bytes(wire) + status(7, following.data) * 2)
    found = list(CODECS[0].split(received))
    assert found.count(following) == 2
    assert all(one in (None, following) or len(one.data) != len(damaged.data) for one in found)


@given(st.binary(max_size=20).filter(lambda noise: b"\xff\xff" not in noise and not noise.endswith(b"\xff")))
def test_noise_in_front_of_a_reply_is_dropped(noise: bytes) -> None:
    assert list(CODECS[0].split(bytearray(noise + status(3, b"\1\2")))) == [Status(3, 0, b"\1\2")]


@pytest.mark.parametrize("table", [tables.REGISTERS, tables.SCS_REGISTERS], ids=["STS", "SCS"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_numbers_come_back_from_their_bytes(table: dict, order: str) -> None:
    for place in table.values():
        lowest, highest = limits(place)
        for value in {lowest, lowest + 1, 0, 1, highest - 1, highest}:
            data = encode(value, place, order)
            assert len(data) == place.size
            assert decode(data + b"\xaa", place, order) == value
