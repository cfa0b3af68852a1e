"""What robots and teleoperators have in common: a connection, a calibration, values under names."""

from __future__ import annotations

import builtins
import math
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import features
from lerobot_core.errors import LeRobotError, NotConnected
from lerobot_core.testing.suite import Suite, median_seconds, needs, new_threads, open_files

STAMPS = "stamps"
_NUMBERS = (int, float, np.integer, np.floating)


def check_values(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Values have exactly the features' keys, shapes and dtypes, and scalars are finite numbers."""
    assert set(values) - {STAMPS} == set(wanted), "keys differ from the features"
    for key, shorthand in wanted.items():
        feature, value = features.of(shorthand), values[key]
        if feature.shape == ():
            assert isinstance(value, _NUMBERS), f"'{key}' is {type(value).__name__}, not a number"
            assert not isinstance(value, bool), f"'{key}' is a boolean"
            assert math.isfinite(value), f"'{key}' is {value}"
        else:
            assert isinstance(value, np.ndarray), f"'{key}' is {type(value).__name__}, not an array"
            assert (value.shape, str(value.dtype)) == (feature.shape, feature.dtype), f"'{key}' differs from {feature}"


def check_stamps(values: Mapping[str, Any], earlier: Mapping[str, Any], before: int, after: int) -> None:
    """Stamps name values that are there, were taken on the monotonic clock, not in the future, and do not go back."""
    stamps = values.get(STAMPS, {})
    assert set(stamps) <= set(values), "a stamp without a value"
    for key, stamp in stamps.items():
        assert before - 2_000_000_000 <= stamp <= after, f"stamp of '{key}' is not a recent time of time.monotonic_ns()"
        assert stamp >= earlier.get(STAMPS, {}).get(key, 0), f"stamp of '{key}' went back"


def check_names(names: Mapping[str, Any]) -> None:
    """Scalars are named joint.quantity, and every name can be a column."""
    for name, shorthand in names.items():
        assert re.fullmatch(r"[\w.-]+", name), f"'{name}' cannot name a column"
        if features.of(shorthand).shape == ():
            joint, _, quantity = name.rpartition(".")
            assert joint, f"'{name}' does not say what it is of '{quantity}', as in '{quantity}.pos'"


def fail(*args: Any, **kwargs: Any) -> None:
    """Stands for a device whose cable was pulled."""
    raise OSError("unplugged")


def break_reads(part: Any, patch: pytest.MonkeyPatch) -> None:
    """Let every way of reading a bus or camera fail."""
    for name in ("read", "sync_read", "latest", "read_block", "watch", "async_read", "read_latest"):
        if hasattr(part, name):
            patch.setattr(part, name, fail)


class DeviceSuite(Suite):
    """Checks of robots and teleoperators; `device` is whichever the suite tests.

    Attributes:
        fps: rate of the loop it must keep up with [Hz].
    """

    fps: ClassVar[float] = 30.0

    def read(self, device: Any) -> Mapping[str, Any]:
        """What the device gives when asked."""
        raise TypeError("a suite says how its device is read")

    def devices(self, device: Any) -> Sequence[Any]:
        """The buses and cameras inside, each with `connect`, `disconnect` and `is_connected`; empty: there is only one."""
        return ()

    @pytest.fixture
    def connected(self, device: Any) -> Any:
        """The device, connected; disconnected after the check."""
        device.connect(calibrate=False)
        yield device
        device.disconnect()

    def test_its_name_can_name_a_folder(self, device: Any) -> None:
        """Calibration folders and datasets carry `name`. Fix: a word without spaces and slashes."""
        assert isinstance(device.name, str)
        assert device.name
        assert not set(device.name) & set(" /\\:")

    def test_it_can_be_asked_before_it_is_connected(self, device: Any) -> None:
        """`lr` shows a device that is still in its box. Fix: answer these from the config, without the hardware."""
        assert device.is_connected is False
        assert not hasattr(device, "calibrate") or isinstance(device.is_calibrated, bool)

    def test_names_say_what_is_measured(self, device: Any) -> None:
        """The guard holds `.pos` and sends everything else to zero. Fix: name scalars as `elbow.pos` or `base.vel`."""
        check_names({**getattr(device, "observation_features", {}), **device.action_features})

    def test_the_first_read_needs_a_connection(self, device: Any) -> None:
        """Reading before `connect` must say so instead of giving old or made-up values. Fix: raise NotConnected."""
        assert not device.is_connected
        with pytest.raises(NotConnected) as refused:
            self.read(device)
        assert str(refused.value), "the error says nothing"

    def test_it_connects_and_reads_again_after_a_break(self, device: Any) -> None:
        """Sessions end and begin again in one process. Fix: make everything that `connect` opens anew each time."""
        for _ in range(2):
            device.connect(calibrate=False)
            assert device.is_connected
            assert not hasattr(device, "calibrate") or isinstance(device.is_calibrated, bool)
            self.read(device)
            device.disconnect()
            assert not device.is_connected
            with pytest.raises(NotConnected):
                self.read(device)

    def test_disconnect_can_be_called_at_any_time(self, device: Any) -> None:
        """Clean-up runs after failures too, also before anything was opened. Fix: return when nothing is open."""
        device.disconnect()
        device.connect(calibrate=False)
        device.disconnect()
        device.disconnect()
        assert not device.is_connected

    def test_a_second_connect_leaves_it_usable(self, connected: Any) -> None:
        """Two callers may both connect; opening a port twice would break the first. Fix: refuse, or do nothing."""
        try:
            connected.connect(calibrate=False)
        except LeRobotError:
            assert connected.is_connected
        self.read(connected)

    def test_connecting_without_calibration_asks_nobody(self, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A recording started from a script would wait for ever. Fix: calibrate in `connect` only when `calibrate` is set."""
        with monkeypatch.context() as patch:
            patch.setattr(
                device, "calibrate", lambda: pytest.fail("connect(calibrate=False) calibrates"), raising=False
            )
            patch.setattr(builtins, "input", lambda *_: pytest.fail("connect(calibrate=False) asks a person"))
            device.connect(calibrate=False)
        device.disconnect()

    def test_it_can_be_configured_again(self, connected: Any) -> None:
        """Settings are written again after a servo lost its power. Fix: let `configure` run at any time."""
        needs(hasattr(connected, "configure"), "configure()")
        connected.configure()
        self.read(connected)

    def test_a_failed_connect_leaves_nothing_open(self, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A port left open is busy at the next try, and its motors stay on. Fix: close what is open before raising."""
        parts = list(self.devices(device))
        needs(parts, "devices()")
        for broken in (parts[0], parts[-1]):
            with monkeypatch.context() as patch:
                patch.setattr(broken, "connect", fail)
                with pytest.raises((LeRobotError, OSError)):
                    device.connect(calibrate=False)
            left = [part for part in self.devices(device) if part.is_connected]
            assert not left, f"still connected: {left}"
            assert not device.is_connected
        device.connect(calibrate=False)
        self.read(device)
        device.disconnect()

    def test_reading_keeps_up_with_the_loop(self, connected: Any) -> None:
        """A slow read makes every recording slower than its fps. Fix: ask all motors at once, read cameras in threads."""
        seconds = median_seconds(lambda: self.read(connected))
        assert seconds < 1.5 / self.fps, f"a read takes {seconds * 1e3:.0f} ms, the loop has {1e3 / self.fps:.0f} ms"

    def test_it_can_be_read_in_another_thread(self, connected: Any) -> None:
        """Loops run in threads of their own. Fix: keep no handle that only the thread of `connect` may use."""
        found: list[Any] = []

        def read() -> None:
            try:
                found.append(self.read(connected))
            except Exception as error:  # raised below, in the thread of the check
                found.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert isinstance(found[0], Mapping), found[0]

    def test_no_thread_outlives_disconnect(self, device: Any) -> None:
        """A thread left behind goes on talking to the hardware. Fix: stop and join it in `disconnect`."""
        before = set(threading.enumerate())
        device.connect(calibrate=False)
        self.read(device)
        device.disconnect()
        assert not new_threads(before, 0.5)

    def test_no_file_outlives_disconnect(self, device: Any) -> None:
        """A port that stays open cannot be opened by the next program. Fix: close every handle in `disconnect`."""
        counts = []
        for _ in range(3):
            device.connect(calibrate=False)
            self.read(device)
            device.disconnect()
            counts.append(open_files())
        needs(counts[0] is not None, "a system that counts open files")
        deadline = time.monotonic() + 1.0  # libraries close sockets on threads of their own
        while open_files() > counts[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        more = open_files() - counts[0]
        assert more <= 0, f"{more} more files are open after two more sessions"


def moved_on(device_read: Any, seconds: float = 1.0) -> list[str]:
    """Keys whose stamps do not go on within a time."""
    first = dict(device_read().get(STAMPS, {}))
    deadline, late = time.monotonic() + seconds, list(first)
    while late and time.monotonic() < deadline:
        time.sleep(0.005)
        now = device_read().get(STAMPS, {})
        late = [key for key in late if now.get(key, 0) <= first[key]]
    return late
