"""What followers and leaders of serial-bus servos share: a bus, a calibration file, the procedure that makes one.

Knows no cameras and no actions. Followers and leaders are an `ArmDevice`, which owns an `Arm`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs

from lerobot_core.errors import DeviceError
from lerobot_motors import calibrating, emulators, units
from lerobot_motors import calibration as calibrations
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.buses.family import Reading
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.calibration import Calibration
from lerobot_motors.catalogue import ArmRow
from lerobot_motors.prompt import ConsolePrompt, Prompt

logger = logging.getLogger(__name__)


class Arm:
    """Servos on one bus with the calibration file of their device.

    Args:
        row: which servos, and what is special about them.
        kind: what the device is.
        port: serial or emulated port.
        id: of this device: name of its file; an emulated arm without one takes its emulator's name.
        calibration_dir: folder of the file, where it is not the usual one.
        prompt: who answers when a person is needed; the terminal by default.

    Attributes:
        row: as given.
        bus: the servos.
        path: the calibration file.
    """

    def __init__(
        self,
        row: ArmRow,
        *,
        kind: Literal["robots", "teleoperators"],
        port: str,
        id: str | None,
        calibration_dir: Path | None,
        prompt: Prompt | None = None,
    ) -> None:
        self.row = row
        self.bus = bus_for(port, row.motors)
        self._emulated = emulators.is_emulated(port)
        self._let_go = False
        if id is None and self._emulated:
            id = f"emulated-{emulators.parse(port).name}"
        self.path = calibrations.directory(kind, row.name, calibration_dir) / f"{id}.json"
        self._prompt = prompt or ConsolePrompt()

    @property
    def is_connected(self) -> bool:
        return self.bus.is_connected

    @property
    def is_calibrated(self) -> bool:
        """Whether the servos hold the calibration in use; False while not connected."""
        return self.bus.is_connected and self.bus.is_calibrated

    def connect(self, calibrate: bool, configure: Callable[[], None]) -> None:
        """Open the bus, find the calibration (with `calibrate`, make one if there is none), configure.

        Raises:
            DeviceError: the arm is not what was expected; nothing is left open.
        """
        self.bus.connect(handshake=self.row.handshake)
        self._let_go = False
        try:
            self._find_calibration(calibrate)
            configure()
        except BaseException:
            self.bus.disconnect(disable_torque=self._let_go)  # not some servos on and some off
            raise

    def calibrate(self) -> None:
        """Offer the file if there is one, else ask the person to move the arm; store in the servos and in the file."""
        stored = self._stored()
        self._release()
        if stored:
            question = f"ENTER to use the calibration in '{self.path}', c and ENTER to calibrate {self.row.name} anew"
            if self._prompt.ask(question).lower() != "c":
                self.bus.write_calibration(stored)
                return
        calibration = dict(self.row.calibration or ())
        if not calibration:
            self._set_directions()
            measured = calibrating.measure(self.bus, self.bus.motors, self.row.full_turn, self._prompt)
            calibration = self._directed(measured)
        self.ensure_settings("Operating_Mode")
        calibrating.store(self.bus, calibration, self.path)
        logger.info("calibration saved to '%s'", self.path)

    def configure(self) -> None:
        """Let go and write the settings of the row."""
        self._release()
        for register, bits in self.row.cleared.items():
            held = self.bus.sync_read(register, normalize=False)
            self.ensure(register, {name: int(value) & ~bits for name, value in held.items()})
        self.ensure_settings()

    def _release(self) -> None:
        self._let_go = True  # or is about to: servo by servo
        self.bus.disable_torque()

    def ensure_settings(self, *registers: str) -> None:
        """Write what the row sets some registers to, or all of them. Needs the torque off."""
        for register, values in self.row.written():
            if register in registers or not registers:
                self.ensure(register, values)

    def ensure(self, register: str, values: Mapping[str, int]) -> None:
        """Write a register where it does not hold the value yet, which spares the EEPROM. Needs the torque off."""
        present = self.bus.sync_read(register, list(values), normalize=False)
        for name, value in values.items():
            if present[name] != value:
                self.bus.write(register, name, value, normalize=False)

    def positions(self, num_retry: int) -> dict[str, Reading]:
        """Where the joints that users see are, in their units, each with the time it was read.

        Raises:
            NotConnected, DeviceTimeout: a servo did not answer for longer than the bus has patience; it is named.
        """
        joints, apart = self.row.seen(), self.row.apart
        groups = [[joint for joint in joints if joint not in apart], *([joint] for joint in apart)]
        found: dict[str, Reading] = {}
        for group in groups:
            found |= self.bus.latest("Present_Position", group, num_retry=num_retry)
        return {joint: found[joint] for joint in joints}

    def limits(self, joint: str) -> tuple[float, float]:
        """The ends of a joint's travel in its unit."""
        place, mode = self.bus.calibrated(joint), self.bus.motors[joint].norm_mode
        low, high = sorted(
            units.to_user(raw, mode, place.range_min, place.range_max, resolution=self.bus.resolution(joint))
            for raw in (place.range_min, place.range_max)
        )
        return low, high

    def _find_calibration(self, calibrate: bool) -> None:
        stored = self._stored() or self.row.calibration
        if stored is None and self._emulated:
            self._set_directions()
            self.bus.calibration = self._directed(self.bus.read_calibration())
            logger.info("'%s' has no calibration file: taken from the emulated servos", self.row.name)
            return
        self.bus.calibration = dict(stored or {})
        if self.bus.is_calibrated:
            return
        if stored is not None and (self._emulated or self.row.calibration):
            self._release()
            self.bus.write_calibration(stored)  # emulated servos forget, and what is built in needs nobody
        elif calibrate:
            self.calibrate()
        else:
            logger.warning("'%s' is not calibrated as '%s' says: run `lr calibrate`", self.row.name, self.path)

    def _stored(self) -> Calibration | None:
        if not self.path.exists():
            return None
        stored = calibrations.load(self.path)
        if set(stored) != set(self.bus.motors):
            raise DeviceError(
                f"calibration file '{self.path}' is of {', '.join(stored)}, this arm has {', '.join(self.bus.motors)}",
                hint="give the arm the --robot.id or --teleop.id it was calibrated with, or remove the file and `lr calibrate`",
            )
        return stored

    def _set_directions(self) -> None:
        """Let go, and have servos that keep their direction themselves count as the row says."""
        self._release()
        if self.bus.family.keeps_drive_mode:
            held = self.bus.sync_read("Drive_Mode", normalize=False)
            inverted = self.row.inverted
            self.ensure("Drive_Mode", {name: int(mode) & ~1 | (name in inverted) for name, mode in held.items()})

    def _directed(self, calibration: Calibration) -> Calibration:
        """The calibration with the directions of the row."""
        inverted = self.row.inverted
        return {name: attrs.evolve(place, drive_mode=int(name in inverted)) for name, place in calibration.items()}


class ArmDevice:
    """What a follower and a leader share: an arm as a row and a config have it.

    Args:
        config: its options.
        prompt: who answers when a person is needed; the terminal by default.

    Attributes:
        name: class of device, as datasets and calibration folders have it.
        bus: the servos.
    """

    row: ClassVar[ArmRow]
    kind: ClassVar[Literal["robots", "teleoperators"]]

    def __init__(self, config: Any, *, prompt: Prompt | None = None) -> None:
        self.config = config
        self.name = self.row.name
        self._arm = Arm(
            self.row_of(config).configured(config),
            kind=self.kind,
            port=config.port,
            id=config.id,
            calibration_dir=config.calibration_dir,
            prompt=prompt,
        )
        self.bus = self._arm.bus

    def row_of(self, config: Any) -> ArmRow:
        """The row for a config, where a kind of arm comes in several."""
        return self.row

    @property
    def action_features(self) -> Mapping[str, Any]:
        return self._arm.row.features()

    @property
    def is_connected(self) -> bool:
        return self._arm.is_connected

    @property
    def is_calibrated(self) -> bool:
        return self._arm.is_calibrated

    @property
    def health(self) -> BusHealth:
        """Transactions and errors of the bus so far."""
        return self.bus.health

    def calibrate(self) -> None:
        """Ask a person to move the arm, or to take the stored calibration. Ends with the torque off."""
        self._arm.calibrate()
