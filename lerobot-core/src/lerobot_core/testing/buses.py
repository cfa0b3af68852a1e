"""What a motor bus must do: values come back as they went, and one bad servo is one error."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from lerobot_core.errors import DeviceError, LeRobotError, NotConnected
from lerobot_core.roles import MotorBus
from lerobot_core.testing.suite import Suite, median_seconds, needs, new_threads, open_files


class MotorBusSuite(Suite):
    """Subclass it and give the fixture `bus`: a new one for each check, not connected.

    Attributes:
        roundtrips: register → raw values that must come back, with the smallest and largest, negative ones included.
        too_large: register → raw values that do not fit it and must be refused.
        shared: register every servo has, for reads of all.
        calibrated: register that is part of a calibration and of `roundtrips`; empty when there is none.
        torque_register: register that is 1 while a servo is powered; empty when there is none.
        fps: rate of the loop it must keep up with [Hz].
        silent_seconds: longest a read of a servo that does not answer may take [s].
        packets: what to do with the connected bus → exactly the bytes it sends for that, from the datasheet.
        faults: names of faults that `spoil` can bring about.
    """

    role: ClassVar[type] = MotorBus
    roundtrips: ClassVar[Mapping[str, Sequence[int]]] = {}
    too_large: ClassVar[Mapping[str, Sequence[int]]] = {}
    shared: ClassVar[str] = "Present_Position"
    calibrated: ClassVar[str] = ""
    torque_register: ClassVar[str] = ""
    fps: ClassVar[float] = 30.0
    silent_seconds: ClassVar[float] = 1.0
    packets: ClassVar[Sequence[tuple[Callable[[Any], Any], bytes]]] = ()
    faults: ClassVar[Sequence[str]] = ()

    @pytest.fixture
    def bus(self) -> Any:
        return self.part()

    @pytest.fixture
    def connected(self, bus: Any) -> Any:
        """The bus, connected; disconnected after the check."""
        bus.connect()
        yield bus
        bus.disconnect()

    def silence(self, bus: Any, motor: str) -> bool:
        """Make a servo stop answering, as when its cable is pulled; False: cannot be done here."""
        return False

    def spoil(self, bus: Any, fault: str) -> None:
        """Spoil the next reply as one of `faults` says."""
        raise TypeError("a suite with faults says how they come about")

    def sent(self, bus: Any) -> bytes:
        """The bytes sent since the last call."""
        raise TypeError("a suite with packets says how they are seen")

    def test_it_has_the_role(self, bus: Any) -> None:
        """Robots use every method of the role. Fix: add the one that isinstance(bus, MotorBus) misses."""
        assert isinstance(bus, MotorBus)
        assert bus.motors

    def test_using_it_needs_a_connection(self, bus: Any) -> None:
        """A read that returns something without a wire hides a broken robot. Fix: raise NotConnected."""
        motor = next(iter(bus.motors))
        assert not bus.is_connected
        for use in (
            lambda: bus.read(self.shared, motor),
            lambda: bus.sync_read(self.shared),
            lambda: bus.write("Goal_Position", motor, 0),
            lambda: bus.sync_write("Goal_Position", {motor: 0}),
            lambda: bus.ping(motor),
            lambda: bus.enable_torque(),
        ):
            with pytest.raises(NotConnected):
                use()

    def test_every_servo_answers_a_ping_and_no_other(self, connected: Any) -> None:
        """Set-up asks who is there. Fix: the model number for a servo that answers, None for one that does not."""
        for motor in connected.motors:
            assert connected.ping(motor) > 0
        started = time.monotonic()
        assert connected.ping(200) is None
        assert time.monotonic() - started < self.silent_seconds

    def test_values_come_back_as_they_went(self, connected: Any) -> None:
        """Signs and byte order differ by register. Fix: encode by the register's own table entry."""
        needs(self.roundtrips, "roundtrips")
        motor = next(iter(connected.motors))
        for register, values in self.roundtrips.items():
            for value in values:
                connected.write(register, motor, value, normalize=False)
                assert connected.read(register, motor, normalize=False) == value, f"{register} of {value}"

    def test_values_of_all_servos_come_back_each_to_its_own(self, connected: Any) -> None:
        """A sync packet addresses all; a slip moves the wrong joint. Fix: pair ids and values by name, not by order."""
        needs(self.roundtrips, "roundtrips")
        register, choices = next(iter(self.roundtrips.items()))
        names = list(connected.motors)
        values = {name: choices[index % len(choices)] for index, name in enumerate(reversed(names))}
        connected.sync_write(register, values, normalize=False)
        assert connected.sync_read(register, normalize=False) == values
        for name, value in values.items():
            assert connected.read(register, name, normalize=False) == value
        some = names[-2:]
        assert list(connected.sync_read(register, some, normalize=False)) == some

    def test_names_and_ids_are_one(self, connected: Any) -> None:
        """Set-up knows ids, robots know names. Fix: look a name up in `motors` before asking the wire."""
        for name, motor in connected.motors.items():
            assert connected.ping(name) == connected.ping(getattr(motor, "id", motor))

    def test_raw_values_are_whole_numbers(self, connected: Any) -> None:
        """Registers hold integers; a calibration of halves drifts. Fix: no scaling with normalize=False."""
        for value in connected.sync_read(self.shared, normalize=False).values():
            assert float(value).is_integer()

    def test_sync_read_gives_every_servo_once_in_order(self, connected: Any) -> None:
        """State vectors are made of it. Fix: one entry per motor, in the order of `motors`."""
        assert list(connected.sync_read(self.shared, normalize=False)) == list(connected.motors)

    @pytest.mark.parametrize("how", ["write", "sync_write"])
    def test_a_write_changes_nothing_else(self, connected: Any, how: str) -> None:
        """A wrong width writes into the next register; a broadcast moves every joint. Fix: width and id from the table."""
        needs(self.roundtrips, "roundtrips")
        first = next(iter(connected.motors))

        def everything() -> dict[tuple[str, str], float]:
            return {
                (register, name): connected.read(register, name, normalize=False)
                for register in self.roundtrips
                for name in connected.motors
            }

        for register, values in self.roundtrips.items():  # nothing is zero, so that a zero written beside it shows
            connected.sync_write(register, dict.fromkeys(connected.motors, max(values, key=abs)), normalize=False)
        for register, values in self.roundtrips.items():
            for value in values:
                before = everything()
                if how == "write":
                    connected.write(register, first, value, normalize=False)
                else:
                    connected.sync_write(register, {first: value}, normalize=False)
                assert everything() == before | {(register, first): value}, f"writing {register} of '{first}'"

    @pytest.mark.parametrize("how", ["write", "sync_write"])
    def test_what_does_not_fit_is_refused(self, connected: Any, how: str) -> None:
        """70000 in two bytes is 4464: a swing to another place. Fix: compare with the register's width before sending."""
        needs(self.too_large, "too_large")
        self.check_refused(connected, how, self.too_large)

    @pytest.mark.parametrize("how", ["write", "sync_write"])
    def test_no_number_is_refused(self, connected: Any, how: str) -> None:
        """A broken policy sends NaN. Fix: raise a LeRobotError before anything is written."""
        needs(self.roundtrips, "roundtrips")
        self.check_refused(connected, how, {next(iter(self.roundtrips)): (math.nan, math.inf)})

    def check_refused(self, bus: Any, how: str, wrong: Mapping[str, Sequence[float]]) -> None:
        """These values raise a LeRobotError, and not one servo is written."""
        first, *others = bus.motors

        def put(register: str, value: float, right: Mapping[str, float]) -> None:
            if how == "write":
                bus.write(register, first, value, normalize=False)
            else:
                bus.sync_write(register, {**right, first: value}, normalize=False)

        for register, values in wrong.items():
            before = bus.sync_read(register, normalize=False)
            for value in values:
                with pytest.raises(LeRobotError):
                    put(register, value, {name: before[name] + 1 for name in others})
                assert bus.sync_read(register, normalize=False) == before, f"{register} was written"

    @pytest.mark.parametrize("what", ["motor", "register"])
    def test_an_unknown_name_is_refused(self, connected: Any, what: str) -> None:
        """A misspelt name must not end in a KeyError from deep inside. Fix: a LeRobotError that lists the names."""
        motor = "no such motor" if what == "motor" else next(iter(connected.motors))
        register = "No_Such_Register" if what == "register" else self.shared
        for use in (lambda: connected.read(register, motor), lambda: connected.write(register, motor, 0)):
            with pytest.raises(LeRobotError, match=r"(?i)no.such"):
                use()

    def test_torque_goes_on_and_off(self, connected: Any) -> None:
        """Releasing one servo must not release the others. Fix: address exactly the motors asked for."""
        needs(self.torque_register, "torque_register")
        connected.enable_torque()
        assert set(connected.sync_read(self.torque_register, normalize=False).values()) == {1}
        one = next(iter(connected.motors))
        connected.disable_torque([one])
        assert {name for name, on in connected.sync_read(self.torque_register, normalize=False).items() if not on} == {
            one
        }

    def test_torque_goes_on_for_those_asked(self, connected: Any) -> None:
        """A person's hand may be at the other joints. Fix: address exactly the motors asked for."""
        needs(self.torque_register, "torque_register")
        connected.disable_torque()
        one = list(connected.motors)[-1]
        connected.enable_torque([one])
        on = {name for name, on in connected.sync_read(self.torque_register, normalize=False).items() if on}
        connected.disable_torque()
        assert on == {one}

    def test_disconnect_releases_the_servos(self, bus: Any) -> None:
        """A bus that is closed can no longer switch a hot motor off. Fix: torque off first, unless told otherwise."""
        needs(self.torque_register, "torque_register")
        for disable, after in ((True, {0}), (False, {1})):
            bus.connect()
            bus.enable_torque()
            bus.disconnect(disable_torque=disable)
            bus.connect()
            found = set(bus.sync_read(self.torque_register, normalize=False).values())
            bus.disconnect()
            assert found == after, f"disconnect(disable_torque={disable})"

    def test_a_calibration_comes_back(self, connected: Any) -> None:
        """It lives in the servos; a robot is moved between computers. Fix: write every field that is read."""
        calibration = connected.read_calibration()
        assert set(calibration) == set(connected.motors)
        connected.write_calibration(calibration)
        assert connected.read_calibration() == calibration

    def test_a_calibration_is_written(self, connected: Any) -> None:
        """A servo that was replaced gets the old one's. Fix: write every field to its register, then read it back."""
        needs(self.calibrated, "calibrated")
        calibration = connected.read_calibration()
        before = connected.sync_read(self.calibrated, normalize=False)
        one = list(connected.motors)[-1]
        other = next(value for value in self.roundtrips[self.calibrated] if value != before[one])
        connected.write(self.calibrated, one, other, normalize=False)
        assert connected.read_calibration() != calibration, f"'{self.calibrated}' is not in what was read"
        connected.write_calibration(calibration)
        assert connected.sync_read(self.calibrated, normalize=False) == before

    def test_a_missing_servo_is_its_own_error_in_time(self, connected: Any) -> None:
        """One pulled cable must not freeze the arm or blame another joint. Fix: a deadline, and the servo's name."""
        *others, missing = connected.motors
        needs(self.silence(connected, missing), "silence()")
        started = time.monotonic()
        with pytest.raises(DeviceError, match=missing):
            connected.sync_read(self.shared, normalize=False)
        with pytest.raises(DeviceError, match=missing):
            connected.read(self.shared, missing, normalize=False)
        assert time.monotonic() - started < 2 * self.silent_seconds
        assert set(connected.sync_read(self.shared, others, normalize=False)) == set(others)
        connected.disconnect(disable_torque=False)

    def test_connecting_misses_a_servo(self, bus: Any) -> None:
        """An arm with a loose cable moves five of six joints. Fix: ping every motor in `connect`, and close on failure."""
        bus.connect()
        bus.disable_torque()  # servos take a new id only without it
        missing = list(bus.motors)[-1]
        silenced = self.silence(bus, missing)
        bus.disconnect(disable_torque=False)
        needs(silenced, "silence()")
        with pytest.raises(DeviceError, match=missing):
            bus.connect()
        assert not bus.is_connected, "the port is still open"
        bus.connect(handshake=False)
        assert bus.is_connected
        bus.disconnect(disable_torque=False)

    def test_a_missing_servo_does_not_keep_the_others_powered(self, bus: Any) -> None:
        """One dead servo must not leave five hot ones. Fix: try every motor, then close the port, then name the dead one."""
        needs(self.torque_register, "torque_register")
        bus.connect()
        bus.disable_torque()
        missing, *others = bus.motors
        silenced = self.silence(bus, missing)
        if silenced:
            with pytest.raises(DeviceError, match=missing):
                bus.disable_torque()
            bus.enable_torque(others)
        with contextlib.suppress(DeviceError):
            bus.disconnect()
        assert not bus.is_connected, "the port is still open"
        needs(silenced, "silence()")
        bus.connect(handshake=False)
        powered = [name for name, on in bus.sync_read(self.torque_register, others, normalize=False).items() if on]
        bus.disconnect(disable_torque=False)
        assert not powered, f"still powered: {', '.join(powered)}"

    def test_a_spoilt_reply_is_noticed_and_got_over(self, connected: Any) -> None:
        """Wires pick up noise. Fix: check the sum, drop what does not parse, and begin anew at the next header."""
        needs(self.faults, "faults")
        motor = next(iter(connected.motors))
        right = connected.read(self.shared, motor, normalize=False)
        for fault in self.faults:
            self.spoil(connected, fault)
            try:
                assert abs(connected.read(self.shared, motor, normalize=False) - right) <= 2, (
                    f"wrong value after {fault}"
                )
            except DeviceError:
                continue
            finally:
                found = connected.read(self.shared, motor, normalize=False)
                assert abs(found - right) <= 2, f"not in step after {fault}"

    def test_packets_are_those_of_the_datasheet(self, connected: Any) -> None:
        """An emulator can share a mistake with the driver; the datasheet does not. Fix: compare byte by byte."""
        needs(self.packets, "packets")
        self.sent(connected)
        for use, wanted in self.packets:
            use(connected)
            assert self.sent(connected).hex(" ") == wanted.hex(" ")

    def test_disconnect_can_be_called_at_any_time(self, bus: Any) -> None:
        """Clean-up runs after failures too, also before anything was opened. Fix: return when nothing is open."""
        bus.disconnect()
        bus.connect()
        assert bus.is_connected
        bus.disconnect()
        bus.disconnect()
        assert not bus.is_connected

    def test_it_connects_again(self, bus: Any) -> None:
        """Sessions end and begin again in one process. Fix: open the port anew in `connect`."""
        for _ in range(2):
            bus.connect()
            bus.sync_read(self.shared, normalize=False)
            bus.disconnect()
            with pytest.raises(NotConnected):
                bus.sync_read(self.shared, normalize=False)

    def test_a_second_connect_leaves_it_usable(self, connected: Any) -> None:
        """Two callers may both connect; opening a port twice breaks the first. Fix: refuse, or do nothing."""
        try:
            connected.connect()
        except LeRobotError:
            assert connected.is_connected
        connected.sync_read(self.shared, normalize=False)

    def test_reading_all_keeps_up_with_the_loop(self, connected: Any) -> None:
        """A read per servo halves the rate of an arm. Fix: one sync packet, and deadlines of a wire's length."""
        seconds = median_seconds(lambda: connected.sync_read(self.shared, normalize=False))
        assert seconds < 0.5 / self.fps, f"reading all takes {seconds * 1e3:.0f} ms"

    def test_nothing_outlives_disconnect(self, bus: Any) -> None:
        """A port that stays open, or a thread that polls it, blocks the next program. Fix: close and join."""
        before, counts = set(threading.enumerate()), []
        for _ in range(3):
            bus.connect()
            bus.disconnect()
            counts.append(open_files())
        assert not new_threads(before, 0.5)
        assert counts[0] is None or counts[2] <= counts[0], "files are left open"
