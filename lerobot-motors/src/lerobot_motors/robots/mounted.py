"""How the parts of a robot are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def close(closers: Iterable[Callable[[], Any]]) -> None:
    """Call every one, whatever happens; the first error is raised with the others as notes."""
    errors: list[Exception] = []
    for closer in closers:
        try:
            closer()
        except Exception as error:
            errors.append(error)
    if errors:
        for other in errors[1:]:
            errors[0].add_note(str(other))
        raise errors[0]
