"""The emulator as a process: what the vendor's own SDK sees, who it belongs to, what it shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scservo_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS, GroupSyncRead, GroupSyncWrite, PacketHandler, PortHandler

from lerobot_core.errors import ConfigError, NotConnected
from lerobot_motors import emulators
from lerobot_motors.emulators import memory, profiles
from lerobot_motors.emulators.chain import Chain
from lerobot_motors.emulators.profiles import CHAINS
from lerobot_motors.emulators.timetable import Timetable
from lerobot_motors.emulators.wires import checksum, crc16

pytestmark = pytest.mark.usefixtures("emulator_folder")


@pytest.fixture
def port() -> Iterator[PortHandler]:
    """The SDK's own port, unmended, on an emulated chain."""
    emulator = emulators.open_port("emulated://so101")
    handler = PortHandler(emulator.path)
    handler.openPort()
    yield handler
    handler.closePort()
    emulator.close()


def wait_until(happened: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.005)
    return happened()


#: What the SDKs call no answer in time: Feetech's and Dynamixel's.
TIMEOUTS = {COMM_RX_TIMEOUT, -3001}


def in_time(port: PortHandler, ask: Callable[[], tuple[int, ...]], attempts: int = 5) -> tuple[int, ...]:
    """What the SDK gets. It waits 34 ms by the wall clock, which a busy machine may take to run the emulator at all."""
    for _ in range(attempts):
        port.ser.reset_input_buffer()
        answer = ask()
        if TIMEOUTS.isdisjoint(answer):
            break
        time.sleep(0.1)
    return answer


def test_the_vendors_sdk_talks_to_it(port: PortHandler) -> None:
    packets = PacketHandler(0)
    assert in_time(port, lambda: packets.ping(port, 3)) == (777, COMM_SUCCESS, 0)
    assert in_time(port, lambda: packets.read2ByteTxRx(port, 6, 56)) == (2560, COMM_SUCCESS, 0)
    assert in_time(port, lambda: packets.write1ByteTxRx(port, 2, 40, 1)) == (COMM_SUCCESS, 0)
    assert in_time(port, lambda: packets.read1ByteTxRx(port, 2, 40))[0] == 1
    writing = GroupSyncWrite(port, packets, 42, 2)
    reading = GroupSyncRead(port, packets, 42, 2)
    for servo in range(1, 7):
        writing.addParam(servo, [servo, 8])
        reading.addParam(servo)
    assert writing.txPacket() == COMM_SUCCESS
    assert in_time(port, lambda: (reading.txRxPacket(),)) == (COMM_SUCCESS,)
    assert [reading.getData(servo, 42, 2) for servo in range(1, 7)] == [2048 + servo for servo in range(1, 7)]


def test_a_host_at_another_speed_hears_nothing(port: PortHandler) -> None:
    port.setBaudRate(115200)
    assert PacketHandler(0).read2ByteTxRx(port, 1, 3)[1] != COMM_SUCCESS
    port.setBaudRate(1_000_000)
    assert in_time(port, lambda: PacketHandler(0).read2ByteTxRx(port, 1, 3))[1] == COMM_SUCCESS


def dynamixel_sdk() -> Any:
    return pytest.importorskip("dynamixel_sdk", reason="the vendor's SDK is only the oracle")


@pytest.fixture
def koch() -> Iterator[Any]:
    """The port of Dynamixel's SDK on an emulated chain."""
    sdk = dynamixel_sdk()
    emulator = emulators.open_port("emulated://koch")
    handler = sdk.PortHandler(emulator.path)
    handler.openPort()
    handler.setBaudRate(1_000_000)
    yield handler
    handler.closePort()
    emulator.close()


def test_dynamixels_sdk_talks_to_it(koch: Any) -> None:
    sdk = dynamixel_sdk()
    packets = sdk.PacketHandler(2.0)
    assert in_time(koch, lambda: packets.ping(koch, 1)) == (1060, 0, 0)
    assert in_time(koch, lambda: packets.ping(koch, 3)) == (1200, 0, 0)
    assert in_time(koch, lambda: packets.write1ByteTxRx(koch, 3, 64, 1)) == (0, 0)
    assert in_time(koch, lambda: packets.write1ByteTxRx(koch, 3, 11, 3)) == (0, 7), "torque is on"
    assert in_time(koch, lambda: packets.read4ByteTxRx(koch, 6, 132)) == (2475, 0, 0)
    assert in_time(koch, lambda: packets.regWriteTxRx(koch, 2, 65, 1, [1])) == (0, 0)
    assert in_time(koch, lambda: packets.read1ByteTxRx(koch, 2, 65))[0] == 0
    packets.action(koch, 0xFE)
    assert in_time(koch, lambda: packets.read1ByteTxRx(koch, 2, 65))[0] == 1
    assert in_time(koch, lambda: packets.factoryReset(koch, 2, 0xFF))[1] == 1, "refused"
    assert in_time(koch, lambda: packets.reboot(koch, 2)) == (0, 0)
    assert in_time(koch, lambda: packets.read1ByteTxRx(koch, 2, 65))[0] == 0


@pytest.mark.parametrize("fast", [False, True])
def test_dynamixels_sdk_reads_and_writes_groups(koch: Any, fast: bool) -> None:
    sdk = dynamixel_sdk()
    packets = sdk.PacketHandler(2.0)
    writing = sdk.GroupSyncWrite(koch, packets, 108, 4)
    reading = sdk.GroupSyncRead(koch, packets, 108, 4)
    for servo in range(1, 7):
        writing.addParam(servo, [servo, 2, 0, 0])
        reading.addParam(servo)
    assert writing.txPacket() == 0
    ask = reading.fastSyncRead if fast else reading.txRxPacket
    assert in_time(koch, lambda: (ask(),)) == (0,)
    assert [reading.getData(servo, 108, 4) for servo in range(1, 7)] == [0x200 + servo for servo in range(1, 7)]


def test_dynamixels_sdk_reads_and_writes_in_bulk(koch: Any) -> None:
    sdk = dynamixel_sdk()
    packets = sdk.PacketHandler(2.0)
    writing = sdk.GroupBulkWrite(koch, packets)
    writing.addParam(1, 65, 1, [1])
    writing.addParam(4, 108, 4, [9, 0, 0, 0])
    assert writing.txPacket() == 0
    reading = sdk.GroupBulkRead(koch, packets)
    reading.addParam(1, 65, 1)
    reading.addParam(4, 108, 4)
    assert in_time(koch, lambda: (reading.txRxPacket(),)) == (0,)
    assert (reading.getData(1, 65, 1), reading.getData(4, 108, 4)) == (1, 9)


def test_the_vendors_sdk_talks_to_scs_servos() -> None:
    emulator = emulators.open_port("emulated://hope_jr_hand")
    port = PortHandler(emulator.path)
    port.openPort()
    try:
        packets = PacketHandler(1)
        assert in_time(port, lambda: packets.ping(port, 16)) == (1284, COMM_SUCCESS, 0)
        assert in_time(port, lambda: packets.write2ByteTxRx(port, 5, 42, 600)) == (COMM_SUCCESS, 0)
        assert in_time(port, lambda: packets.read2ByteTxRx(port, 5, 42)) == (600, COMM_SUCCESS, 0)
    finally:
        PacketHandler(0)  # the SDK keeps the byte order of the last one for all
        port.closePort()
        emulator.close()


MEASURING = """
import os
from lerobot_motors.emulators import handover
before, cores = os.listdir("/proc/self/fd"), os.sched_getaffinity(0)
assert 0.0 <= handover.measure() <= handover.LONGEST
assert (os.listdir("/proc/self/fd"), os.sched_getaffinity(0)) == (before, cores)
"""


def test_what_a_pty_takes_is_measured_and_leaves_nothing_behind() -> None:
    subprocess.run([sys.executable, "-c", MEASURING], check=True)


def test_every_chain_starts(emulator_folder: Path) -> None:
    for chain, joints in CHAINS.items():
        emulator = emulators.open_port(f"emulated://{chain}?gravity=1")
        state = emulators.state(chain)
        assert wait_until(lambda state=state: state.stamp > 0)
        assert len(state.positions) == len(joints)
        emulator.close()


def test_faults_can_be_ordered_while_it_runs(port: PortHandler) -> None:
    state, packets = emulators.state(), PacketHandler(0)
    state.inject("dead:id=3")
    assert packets.ping(port, 3)[1] == COMM_RX_TIMEOUT
    assert in_time(port, lambda: packets.ping(port, 4))[1] == COMM_SUCCESS
    state.inject("overload:id=4")
    assert wait_until(lambda: state.status.tolist() == [0, 0, 0, 32, 0, 0])
    with pytest.raises(ConfigError, match="'dead'"):
        state.inject("ded:id=3")


def test_unplugged_its_port_is_an_error_and_comes_back(port: PortHandler) -> None:
    state = emulators.state()
    state.inject("unplug:for=0.3")
    assert wait_until(lambda: state.device == "")
    with pytest.raises(OSError, match="Input/output error"):
        os.write(port.ser.fileno(), b"\xff\xff\x01\x02\x01\xfb")
    with pytest.raises(NotConnected, match="unplugged"):
        emulators.open_port("emulated://so101")
    assert wait_until(lambda: state.device != "")
    again = emulators.open_port("emulated://so101")
    handler = PortHandler(again.path)
    handler.openPort()
    assert in_time(handler, lambda: PacketHandler(0).ping(handler, 3)) == (777, COMM_SUCCESS, 0)
    handler.closePort()
    again.close()


def due(requests: list[tuple[float, bytes]], chain: str, pace: float = 1.0, early: float = 0.0) -> list[float]:
    """When the replies to requests have to leave that are heard at those times [µs]."""
    made, times = Chain(profiles.servos(chain, 0)), Timetable(pace, early / 1e6)
    for servo in made.servos:
        servo.put("Return_Delay_Time", 0 if servo.id != 2 else 100)  # 200 µs
    found = []
    for now, packet in requests:
        times.request(len(packet), now / 1e6, 1_000_000)
        found += [times.reply(reply, 1_000_000) * 1e6 for reply in made.handle(packet, 1_000_000)]
    return found


def feetech(number: int, instruction: int, *data: int) -> bytes:
    body = bytes([number, len(data) + 2, instruction, *data])
    return b"\xff\xff" + body + bytes([checksum(body)])


def test_every_byte_takes_its_ten_bits_and_a_servo_its_delay() -> None:
    """By computed time: what a machine makes of it is in tests/benchmarks/emulator.py."""
    positions, goals = feetech(0xFE, 0x82, 56, 2, 1, 2, 3), feetech(0xFE, 0x83, 42, 2, 1, 0, 8)
    assert (len(positions), len(goals)) == (11, 11)
    heard = 1000.0
    assert due([(heard, positions)], "so101") == pytest.approx([heard + 190, heard + 470, heard + 550])
    assert due([(heard, positions)], "so101", pace=0.5) == pytest.approx([heard + 95, heard + 235, heard + 275])
    assert due([(heard, positions)], "so101", pace=0.0) == pytest.approx([heard] * 3)
    assert due([(heard, positions)], "so101", early=60.0)[-1] == pytest.approx(heard - 60 + 550)
    assert due([(heard, goals), (heard, positions)], "so101")[-1] == pytest.approx(heard + 110 + 550), "one by one"
    assert due([(heard, positions), (2000.0, positions)], "so101")[-1] == pytest.approx(2550.0), "idle in between"
    request = b"\xff\xff\xfd\x00\x01\x07\x00\x02\x84\x00\x04\x00"
    request += crc16(request).to_bytes(2, "little")
    assert due([(heard, request)], "koch") == pytest.approx([heard + (14 + 15) * 10])


def test_unpaced_it_answers_at_once() -> None:
    """Half a second of return delays on the wire; without it a few milliseconds, or some more on a busy machine."""
    emulator = emulators.open_port("emulated://so101?pace=0")
    port = PortHandler(emulator.path)
    port.openPort()
    start = time.perf_counter()
    request = b"\xff\xff\xfe\x0a\x82\x38\x02\x01\x02\x03\x04\x05\x06"
    request += bytes([~sum(request[2:]) & 0xFF])
    for _ in range(100):
        port.ser.write(request)
        received = 0
        while received < 48:
            received += len(port.readPort(48))
    assert time.perf_counter() - start < 100 * (6 * 500e-6 + 620e-6) * 0.8
    port.closePort()
    emulator.close()


def test_its_state_is_current_though_nobody_asks(port: PortHandler) -> None:
    state = emulators.state()
    packets = PacketHandler(0)
    packets.write1ByteTxRx(port, 1, 40, 1)
    packets.write2ByteTxRx(port, 1, 42, 2500)
    seen = []
    assert wait_until(lambda: seen.append(state.positions[0]) or state.positions[0] == 2500)
    assert len({round(value) for value in seen}) > 20
    assert state.goals[0] == 2500
    assert state.torque.tolist() == [True] + [False] * 5
    ages = []
    for _ in range(50):
        time.sleep(0.002)
        ages.append((time.monotonic_ns() - state.stamp) / 1e6)
    assert np.median(ages) <= 5.0


def test_a_hand_moves_what_is_free(port: PortHandler) -> None:
    state = emulators.state()
    PacketHandler(0).write1ByteTxRx(port, 2, 40, 1)
    before = state.positions
    state.hand[:] = 1200
    assert wait_until(lambda: state.positions[0] == 1200)
    assert state.positions[1] == before[1]
    state.hand[:] = np.nan
    time.sleep(0.02)
    assert state.positions[0] == 1200


def test_sine_moves_every_joint_and_seeds_differ() -> None:
    opened = [emulators.open_port(f"emulated://so101-leader?motion=sine&name=s{seed}&seed={seed}") for seed in (1, 2)]
    first, second = emulators.state("s1"), emulators.state("s2")
    start = first.positions
    assert wait_until(lambda: bool((np.abs(first.positions - start) > 20).all()))
    assert not np.allclose(first.positions, second.positions, atol=20)
    for emulator in opened:
        emulator.close()
    assert not first.running


CHILD = """
import sys, time
from lerobot_motors import emulators
emulator = emulators.open_port("emulated://so101?name=shared")
emulators.state("shared").scene[3] += 1
print(emulator.path, flush=True)
if sys.argv[1] == "stay":
    time.sleep(60)
"""


def child(mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD, mode], stdout=subprocess.PIPE, text=True)


def test_processes_share_an_emulator_by_name() -> None:
    mine = emulators.open_port("emulated://so101?name=shared")
    with child("leave") as other:
        assert other.communicate()[0].strip() == mine.path
    state = emulators.state("shared")
    assert state.scene[3] == 1
    assert state.running
    again = emulators.open_port("emulated://so101?name=shared")
    mine.close()
    assert state.running
    again.close()
    again.close()
    assert not state.running
    assert not memory.location("shared").exists()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_ends_with_the_process_that_started_it_even_if_killed() -> None:
    with child("stay") as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        state = emulators.state("shared")
        shared = memory.Memory(memory.location("shared"))
        pid = shared.word("pid")
        shared.close()
        owner.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not state.running)
    assert wait_until(lambda: not alive(pid))


def test_it_starts_fast_and_without_anything_heavy() -> None:
    code = "import sys, lerobot_motors.emulators.process; print(sorted({'numpy', 'attrs', 'rich', 'torch'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("emulated://so10", "did you mean 'so101'"),
        ("emulated://so101?sed=3", "did you mean 'seed'"),
        ("emulated://so101?seed=x", "numbers only"),
        ("emulated://so101?motion=walk", "none or sine"),
        ("emulated://so101?name=../up", "letters"),
    ],
)
def test_addresses_that_say_nothing_known_are_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        emulators.open_port(url)


def test_the_state_of_none_is_refused() -> None:
    with pytest.raises(NotConnected, match="'ghost'"):
        emulators.state("ghost")
