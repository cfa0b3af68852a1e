"""What happened on a bus, in numbers."""

from __future__ import annotations

import attrs


@attrs.define(kw_only=True)
class ServoHealth:
    """One servo since the bus was made.

    Attributes:
        lost: replies that did not come.
        corrupt: replies that came damaged or of a wrong size.
        late: replies that came after they were given up; they are counted as lost too.
        voltage: last read by `watch` [V].
        temperature: last read by `watch` [°C].
        fault: what it last reported, in words.
    """

    lost: int = 0
    corrupt: int = 0
    late: int = 0
    voltage: float | None = None
    temperature: float | None = None
    fault: str = ""

    def text(self) -> str:
        """Its troubles in words; empty without any."""
        counts = {"lost": self.lost, "corrupt": self.corrupt, "late": self.late}
        parts = [f"{count} {name}" for name, count in counts.items() if count]
        if self.fault:
            parts.append(self.fault)
            parts += [f"{self.voltage:.1f} V"] if self.voltage is not None else []
            parts += [f"{self.temperature:.0f} °C"] if self.temperature is not None else []
        return ", ".join(parts)


@attrs.define(kw_only=True)
class BusHealth:
    """Counts since the bus was made.

    Attributes:
        transactions: questions asked, retries included.
        lost: replies that did not come.
        corrupt: replies that came damaged or of a wrong size.
        late: replies that came after they were given up; they are counted as lost too.
        servos: the same by id, of the servos that had any trouble or were watched.
    """

    transactions: int = 0
    lost: int = 0
    corrupt: int = 0
    late: int = 0
    servos: dict[int, ServoHealth] = attrs.field(factory=dict)

    @property
    def errors(self) -> int:
        return self.lost + self.corrupt

    def servo(self, id: int) -> ServoHealth:
        """The counts of one servo."""
        return self.servos.setdefault(id, ServoHealth())

    def count(self, id: int, what: str) -> None:
        """One more `lost`, `corrupt` or `late` of a servo."""
        servo = self.servo(id)
        setattr(servo, what, getattr(servo, what) + 1)
        setattr(self, what, getattr(self, what) + 1)

    def line(self) -> str:
        """The summary printed at the end of a run: one line, and one more for each servo that had trouble."""
        late = f", {self.late} of them late" if self.late else ""
        kinds = f" ({self.lost} lost{late}, {self.corrupt} corrupt)" if self.errors else ""
        total = f"{self.errors} bus errors{kinds} in {self.transactions} transactions"
        troubles = {id: servo.text() for id, servo in sorted(self.servos.items())}
        return "\n".join([total, *(f"  servo {id}: {text}" for id, text in troubles.items() if text)])
