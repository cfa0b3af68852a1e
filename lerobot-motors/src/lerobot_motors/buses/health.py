"""What happened on a bus, in numbers."""

from __future__ import annotations

import attrs


@attrs.define(kw_only=True)
class BusHealth:
    """Counts since the bus was made.

    Attributes:
        transactions: questions asked, retries included.
        lost: questions to which a reply was missing.
        corrupt: questions to which a reply was damaged or of the wrong size.
    """

    transactions: int = 0
    lost: int = 0
    corrupt: int = 0

    @property
    def errors(self) -> int:
        return self.lost + self.corrupt

    def line(self) -> str:
        """The one-line summary printed at the end of a run."""
        return f"bus: {self.transactions} transactions, {self.errors} bus errors ({self.lost} lost, {self.corrupt} corrupt)"
