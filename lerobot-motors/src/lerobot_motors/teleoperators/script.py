"""What is pressed, from a script instead of a person, so that keyboards and pads work in tests and examples. *Pure.*

`up*10 left+x*5 -*3 stick=0.5*2` presses up for ten actions, then left and x for five, nothing for three, then holds `stick` at
0.5 for two. After its end nothing is pressed.
"""

from __future__ import annotations

import math


def parse(script: str) -> list[dict[str, float]]:
    """What is held in each action: name → value, 1 where none is given.

    Raises:
        ValueError: a part is not as above.
    """
    out: list[dict[str, float]] = []
    for part in script.split():
        held, _, times = part.rpartition("*") if "*" in part else (part, "", "1")
        try:
            state = dict(_pressed(word) for word in held.split("+") if word != "-")
            out += [state] * int(times)
        except ValueError as error:
            raise ValueError(f"'{part}' of a script is not as in 'up*10', 'left+x*5', '-*3' or 'x=0.5'") from error
    return out


def _pressed(word: str) -> tuple[str, float]:
    name, _, value = word.partition("=")
    number = float(value or 1.0)
    if not name or "*" in name or not math.isfinite(number):
        raise ValueError(word)
    return name, number
