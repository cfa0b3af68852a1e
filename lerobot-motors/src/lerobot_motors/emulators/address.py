"""`emulated://…` addresses: attach to the emulator of that name, or start it. Knows no bytes and no servos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs

from lerobot_core.errors import ConfigError, NotConnected, did_you_mean
from lerobot_motors import shared_file
from lerobot_motors.emulators import faults, memory, profiles
from lerobot_motors.sidecar import Sidecars

#: Longest an emulator may take to start [s].
START_TIMEOUT = 10.0
_HINT = "as in emulated://so101?name=left&motion=sine"


@attrs.frozen(kw_only=True)
class Address:
    """What an `emulated://` address says.

    Attributes:
        chain: which servos.
        name: of the emulator on this machine.
        seed: of the starting pose, of `motion=sine`, and of faults left to chance.
        motion: none or sine, which moves every joint whose torque is off.
        gravity: how much the joints weigh, 1 as on Earth; 0: nothing.
        pace: how long the wire takes, 1 as a real one; 0: no time.
        faults: as `faults.parse` reads them.
    """

    chain: str
    name: str
    seed: int = 0
    motion: str = "none"
    gravity: float = 0.0
    pace: float = 1.0
    faults: str = ""

    def arguments(self) -> list[str]:
        """Command line of the emulator process."""
        names = [field.name for field in attrs.fields(Address) if field.name not in ("chain", "name")]
        return [self.chain, *(f"--{name}={getattr(self, name)}" for name in names)]


class OpenEmulator:
    """A running emulator this process uses.

    Attributes:
        name: of the emulator.
        path: device to open as a serial port.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self._open = True

    def close(self) -> None:
        """Done with it: it ends if this process started it and uses it no more. Idempotent."""
        if self._open:
            self._open = False
            _children.release(self.name)


_children = Sidecars("lerobot_motors.emulators", "emulator", START_TIMEOUT)


def open_port(url: str) -> OpenEmulator:
    """Attach to the emulator of the address, or start it.

    Raises:
        ConfigError: the address says something unknown.
        NotConnected: the emulator does not start, or its port is unplugged.
    """
    return open_address(parse(url))


def open_address(address: Address) -> OpenEmulator:
    """As `open_port`."""
    path = memory.location(address.name)
    with shared_file.one_at_a_time():
        if not shared_file.running(path):
            _children.start(address.name, [*address.arguments(), f"--state={path}"])
        shared = memory.Memory(path)
        device = shared.device
        shared.close()
        if not device:
            raise NotConnected(
                f"the port of emulator '{address.name}' is unplugged",
                device=address.name,
                hint="a fault of its own does this",
            )
        _children.use(address.name)
    return OpenEmulator(address.name, device)


def parse(url: str) -> Address:
    """The parts of an address.

    Raises:
        ConfigError: a chain, an option or a value that does not exist.
    """
    parts = urlsplit(url)
    return from_options(parts.netloc, dict(parse_qsl(parts.query, keep_blank_values=True)), f"'{url}'")


def from_options(chain: str, given: Mapping[str, str], where: str) -> Address:
    """The address of a chain with options as text; `where` names it in messages. Raises as `parse`."""
    if chain not in profiles.CHAINS:
        known = ", ".join(profiles.CHAINS)
        raise ConfigError(
            f"{where}: unknown emulated chain '{chain}'{did_you_mean(chain, profiles.CHAINS)} (known: {known})",
            hint=_HINT,
        )
    for key in given:
        if key not in _OPTIONS:
            raise ConfigError(
                f"{where}: unknown option '{key}'{did_you_mean(key, _OPTIONS)} (known: {', '.join(_OPTIONS)})",
                hint=_HINT,
            )
    motion = given.get("motion", "none")
    if motion not in ("none", "sine"):
        raise ConfigError(f"{where}: motion is none or sine, got '{motion}'")
    numbers = {key: _number(given[key], key, where) for key in ("seed", "gravity", "pace") if key in given}
    found = Address(
        chain=chain, name=given.get("name", chain), motion=motion, faults=",".join(_faults(given, where)), **numbers
    )
    profiles.check(chain, faults.parse(found.faults))
    return found


#: Each with a number: the faults that have an option of their own.
_SHORT = {"drop": "drop:every={}", "corrupt": "corrupt:every={}", "late": "late:every={}", "dead": "dead:id={}"}
_OPTIONS = ("name", "seed", "motion", "gravity", "pace", "faults", "script", *_SHORT)


def _faults(given: Mapping[str, str], where: str) -> Iterator[str]:
    for key, form in _SHORT.items():
        for number in filter(None, given.get(key, "").split(",")):
            value = _number(number, key, where)
            if value or key == "dead":
                yield form.format(value)
    if "script" in given:
        try:
            text = Path(given["script"]).read_text(encoding="utf-8")
        except OSError as failure:
            raise ConfigError(f"{where}: script '{given['script']}' cannot be read: {failure.strerror}") from failure
        yield from (stripped for line in text.splitlines() if (stripped := line.partition("#")[0].strip()))
    if given.get("faults"):
        yield given["faults"]


def _number(text: str, key: str, where: str) -> float:
    kind = float if key in ("gravity", "pace") else int
    try:
        value = kind(text)
    except ValueError as problem:
        raise ConfigError(
            f"{where}: numbers only for seed, gravity, pace, drop, corrupt, late and dead ({problem})"
        ) from problem
    if value < 0 and key != "seed":
        raise ConfigError(f"{where}: '{key}' is not below 0, got {text}")
    return value
