"""`emulated://…` addresses: attach to the emulator of that name, or start it. Knows no bytes and no servos."""

from __future__ import annotations

import atexit
import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs

from lerobot_core.errors import ConfigError, NotConnected, did_you_mean
from lerobot_motors.emulators import memory, profiles

#: Longest an emulator may take to start [s].
START_TIMEOUT = 10.0
STOP_TIMEOUT = 2.0
_HINT = "as in emulated://so101?name=left&motion=sine"


@attrs.frozen(kw_only=True)
class Address:
    """What an `emulated://` address says."""

    chain: str
    name: str
    seed: int = 0
    motion: str = "none"
    drop: int = 0
    corrupt: int = 0
    late: int = 0
    dead: tuple[int, ...] = ()

    def arguments(self) -> list[str]:
        """Command line of the emulator process."""
        faults = [f"--{fault}={getattr(self, fault)}" for fault in ("drop", "corrupt", "late")]
        dead = ["--dead", *map(str, self.dead)] if self.dead else []
        return [self.chain, f"--seed={self.seed}", f"--motion={self.motion}", *faults, *dead]


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
            _release(self.name)


@attrs.define
class _Child:
    process: subprocess.Popen[bytes]
    owner: int
    users: int


_children: dict[str, _Child] = {}


def open_port(url: str) -> OpenEmulator:
    """Attach to the emulator of the address, or start it.

    Raises:
        ConfigError: the address says something unknown.
        NotConnected: the emulator does not start.
    """
    address = parse(url)
    path = memory.location(address.name)
    with _one_at_a_time(path.with_name("start.lock")):
        child = _children.get(address.name)
        if not memory.running(path):
            child = _Child(_start(address, path), os.getpid(), 0)
            _children[address.name] = child
        if child is not None and child.owner == os.getpid():
            child.users += 1
        shared = memory.Memory(path)
        device = shared.device
        shared.close()
    return OpenEmulator(address.name, device)


def parse(url: str) -> Address:
    """The parts of an address.

    Raises:
        ConfigError: a chain, an option or a value that does not exist.
    """
    parts = urlsplit(url)
    chain, given = parts.netloc, dict(parse_qsl(parts.query, keep_blank_values=True))
    if chain not in profiles.CHAINS:
        known = ", ".join(profiles.CHAINS)
        raise ConfigError(
            f"'{url}': unknown emulated chain '{chain}'{did_you_mean(chain, profiles.CHAINS)} (known: {known})",
            hint=_HINT,
        )
    options = [field.name for field in attrs.fields(Address) if field.name != "chain"]
    for key in given:
        if key not in options:
            raise ConfigError(
                f"'{url}': unknown option '{key}'{did_you_mean(key, options)} (known: {', '.join(options)})", hint=_HINT
            )
    motion = given.get("motion", "none")
    if motion not in ("none", "sine"):
        raise ConfigError(f"'{url}': motion is none or sine, got '{motion}'")
    try:
        numbers = {key: int(given[key]) for key in ("seed", "drop", "corrupt", "late") if key in given}
        dead = tuple(int(number) for number in given.get("dead", "").split(",") if number)
    except ValueError as problem:
        raise ConfigError(f"'{url}': numbers only for seed, drop, corrupt, late and dead ({problem})") from problem
    return Address(chain=chain, name=given.get("name", chain), motion=motion, dead=dead, **numbers)


def _start(address: Address, path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lerobot_motors.emulators", *address.arguments(), f"--state={path}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the robot, which needs its servos to stop
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
    )
    if not _ready(process):
        _stop(process)
        raise NotConnected(
            f"emulator '{address.name}' did not start (exit status {process.returncode})",
            device=address.name,
            hint=f"see what {sys.executable} -m lerobot_motors.emulators {address.chain} --state={path} says",
        )
    return process


def _ready(process: subprocess.Popen[bytes]) -> bool:
    if process.stdout is None:
        return False
    with process.stdout as output:
        readable, _, _ = select.select([output], [], [], START_TIMEOUT)
        return bool(readable) and output.readline() == b"ready\n"


def _release(name: str) -> None:
    child = _children.get(name)
    if child is None or child.owner != os.getpid():
        return
    child.users -= 1
    if child.users <= 0:
        del _children[name]
        _stop(child.process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@atexit.register
def _stop_all() -> None:
    for name, child in list(_children.items()):
        if child.owner == os.getpid():
            del _children[name]
            _stop(child.process)
