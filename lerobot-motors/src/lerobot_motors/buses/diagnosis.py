"""What is likely broken where servos do not answer. *Pure.*"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def likely_cause(chain: Mapping[int, str], silent: Collection[int], damaged: Collection[int] = ()) -> str:
    """The likeliest cause and what to do, in one sentence.

    Args:
        chain: id → name of the servos asked; on most arms they hang one behind the other by id.
        silent: ids of those that did not answer.
        damaged: ids of those whose replies came, but damaged.
    """
    order = sorted(chain)
    if set(damaged) & set(silent):
        return "replies come damaged: look for noise on the cable, another baud rate, or two servos with one id"
    if len(order) > 1 and len(silent) == len(order):
        return "no servo answers: check the power supply, the cable to the adapter and the adapter"
    if len(silent) == 1:
        (one,) = silent
        return f"only '{chain[one]}' (id {one}) is silent: check its cable, its id and whether it is overloaded"
    last = max((servo for servo in order if servo not in silent), default=None)
    if last is not None and set(order[order.index(last) + 1 :]) == set(silent):
        return f"all after '{chain[last]}' (id {last}) are silent: check the cable after it"
    return "several servos are silent: check their cables and the power supply"
