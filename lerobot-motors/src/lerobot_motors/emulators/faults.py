"""What goes wrong on purpose, by seed and by script. *Pure*: time and packets are counted by whoever calls.

A fault is written as `kind:key=value:…`, several with commas between them:

    drop:rate=0.01                   every reply is lost with probability 1/100
    corrupt:every=50:id=3            every 50th reply of servo 3 has a wrong bit
    dead:id=3:at=2.5:for=1           servo 3 has no power from 2.5 s on, for a second
    unplug:cycle=200:for=2           from the 200th instruction on the port is gone, for 2 s

Keys: `id`, the servo it happens to (otherwise all); `every`, every Nth reply; `rate`, the probability that it happens to a
reply; `at` [s] after the start, and `cycle`, instructions heard, before it begins; `for`, how long it lasts [s] (otherwise for
ever); `value`, whose meaning and default depend on the kind. A fault of replies with neither `every` nor `rate` happens to
each.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from lerobot_core.errors import ConfigError, did_you_mean


class Kind(NamedTuple):
    """A kind of fault.

    Attributes:
        hits: a reply, a servo, or the whole line.
        means: in a few words.
        value: default of its value.
        unit: of its value; empty where it has none.
        once: whether it happens at a moment, not for a while.
    """

    hits: Literal["reply", "servo", "line"]
    means: str
    value: float = 0.0
    unit: str = ""
    once: bool = False


KINDS = {
    "drop": Kind("reply", "the reply is lost"),
    "corrupt": Kind("reply", "one bit of the reply is wrong"),
    "checksum": Kind("reply", "the checksum of the reply is wrong"),
    "wrong_id": Kind("reply", "the reply says that it is another servo's, with a right checksum", 1, "added to the id"),
    "truncate": Kind("reply", "the end of the reply is missing", 2, "bytes"),
    "split": Kind("reply", "the reply comes in two parts with a pause", 3, "ms"),
    "late": Kind("reply", "the reply comes when nobody waits for it any more", 20, "ms"),
    "duplicate": Kind("reply", "the reply comes twice"),
    "before": Kind("reply", "noise comes before the reply", 3, "bytes"),
    "after": Kind("reply", "noise comes after the reply, between two of a sync read", 3, "bytes"),
    "slow": Kind("servo", "the servo waits before it replies", 2, "ms"),
    "deaf": Kind("servo", "the servo hears nothing, and goes on with what it does"),
    "dead": Kind("servo", "the servo has no power: it neither answers nor holds"),
    "collision": Kind("servo", "a second servo with the same id answers at the same time", 37, "ticks away"),
    "frozen": Kind("servo", "what the servo measures stays as it is"),
    "jump": Kind("servo", "the encoder moves, the joint does not", 200, "ticks", once=True),
    "overload": Kind("servo", "overload protection: the servo lets go and says so"),
    "hot": Kind("servo", "the servo is too hot, lets go and says so", 85, "°C"),
    "low_voltage": Kind("servo", "the supply is too weak, and the servo says so", 3.4, "V"),
    "restart": Kind("servo", "power fails for a moment: what is not in the EEPROM is gone", once=True),
    "forget": Kind("servo", "the EEPROM is as from the factory, but for id and baud rate", once=True),
    "baud": Kind("servo", "the servo is at another baud rate", 115_200, "baud"),
    "echo": Kind("line", "the adapter gives back what was sent before any reply"),
    "stuck": Kind("line", "the line is held down: nothing gets through"),
    "unplug": Kind("line", "the port is gone"),
}
_FOREVER = float("inf")
_NUMBERS = ("id", "every", "cycle")


class Fault(NamedTuple):
    """One thing that goes wrong; see the module for the meaning of the numbers."""

    kind: str
    id: int | None = None
    every: int = 0
    rate: float = 0.0
    at: float = 0.0
    cycle: int = 0
    lasts: float = _FOREVER
    value: float = 0.0

    def hits(self, number: int) -> bool:
        """Whether it is about a servo."""
        return self.id is None or self.id == number


def parse(text: str) -> list[Fault]:
    """The faults of a text; lines and commas separate them, `#` begins a comment.

    Raises:
        ConfigError: a kind, a key or a value that does not exist.
    """
    lines = [line.partition("#")[0] for line in text.splitlines()]
    return [_one(part.strip()) for line in lines for part in line.split(",") if part.strip()]


def _one(text: str) -> Fault:
    name, *rest = text.split(":")
    if name not in KINDS:
        raise ConfigError(
            f"'{text}': unknown fault '{name}'{did_you_mean(name, KINDS)} (known: {', '.join(KINDS)})",
            hint="as in drop:rate=0.01 or dead:id=3:at=2.5",
        )
    kind = KINDS[name]
    allowed = {"id", "at", "cycle", "for"} | ({"value"} if kind.unit else set())
    allowed -= {"for"} if kind.once else {"id"} if kind.hits == "line" else set()
    allowed |= {"every", "rate"} if kind.hits == "reply" else set()
    values: dict[str, float] = {}
    for key, equals, number in (part.partition("=") for part in rest):
        if key not in allowed or not equals:
            known = ", ".join(sorted(allowed))
            raise ConfigError(f"'{text}': '{name}' has no '{key}'{did_you_mean(key, allowed)} (known: {known})")
        try:
            values[key] = int(number) if key in _NUMBERS else float(number)
        except ValueError as problem:
            raise ConfigError(f"'{text}': '{key}' is a number, got '{number}'") from problem
        if values[key] < 0 and key != "value":
            raise ConfigError(f"'{text}': '{key}' is not below 0, got {number}")
    values["lasts"] = values.pop("for", _FOREVER)
    return Fault(name, **{"value": kind.value, **values})  # type: ignore[arg-type]


class _Running:
    """A fault, and how far it is."""

    def __init__(self, fault: Fault, seed: str, now: float, cycle: int) -> None:
        self.fault = fault
        self.chance = random.Random(seed)
        self.replies = 0
        self.on = self.over = False
        self._at, self._cycle = now + fault.at, cycle + fault.cycle
        self._ends = _FOREVER

    def advance(self, now: float, cycle: int) -> bool | None:
        """Whether it begins (True), ends (False), or nothing (None)."""
        if not self.on and not self.over and now >= self._at and cycle >= self._cycle:
            self.on, self._ends = True, now + self.fault.lasts
            return True
        if self.on and now >= self._ends:
            self.on, self.over = False, True
            return False
        return None

    def due(self) -> bool:
        """Whether it happens to this reply."""
        self.replies += 1
        fault = self.fault
        if fault.rate:
            return self.chance.random() < fault.rate
        return self.replies % (fault.every or 1) == 0


class Faults:
    """All that goes wrong with a chain.

    Args:
        faults: from the beginning.
        seed: of what is left to chance; the same seed spoils the same bytes of the same replies.

    Attributes:
        chance: for the bytes that are spoilt.
    """

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self._seed = seed
        self._all: list[_Running] = []
        self.chance = random.Random(seed)
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault, now: float = 0.0, cycle: int = 0) -> None:
        """One more; `at` and `cycle` count from here."""
        self._all.append(_Running(fault, f"{self._seed} {len(self._all)} {fault.kind}", now, cycle))

    @property
    def any(self) -> bool:
        """Whether anything may go wrong."""
        return bool(self._all)

    def advance(self, now: float, cycle: int) -> Sequence[tuple[Fault, bool]]:
        """What begins (True) and what ends (False) now."""
        if not self._all:
            return ()
        turns = [(running.fault, running.advance(now, cycle)) for running in self._all]
        return [(fault, turn) for fault, turn in turns if turn is not None]

    def to_reply(self, number: int) -> dict[str, float]:
        """What happens to the next reply of a servo: kind → value."""
        found = {}
        for running in self._all:
            if (
                running.on
                and KINDS[running.fault.kind].hits == "reply"
                and running.fault.hits(number)
                and running.due()
            ):
                found[running.fault.kind] = running.fault.value
        return found

    def line(self, kind: str) -> bool:
        """Whether a fault of the whole line is on."""
        return any(running.on and running.fault.kind == kind for running in self._all)
