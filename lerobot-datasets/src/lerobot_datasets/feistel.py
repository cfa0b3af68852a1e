"""A random-looking order of n things of which any part can be had without making the whole. Knows numbers only. *Pure.*

A Feistel network of additions over pairs of digits: a number below n is (x, y) with x < a, y < b and a * b barely above n;
x moves by a keyed hash of y, then y by one of x, and so on. Every round can be undone, so that the whole is a bijection of
the a * b pairs. A result of n or more is sent through again until it is below n (cycle walking: Black and Rogaway, "Ciphers
with arbitrary finite domains", 2002), which about one number in sqrt(n) needs.
"""

from __future__ import annotations

import math

import numpy as np

#: Most things that can be put in order: the two digits have 31 bits each, so that a product with 32 bits of hash fits.
LIMIT = 1 << 62

_ROUNDS = 8
_MIX = np.uint64(0xD6E8FEB86659FD93)  # odd, with well-spread bits: multiplying by it mixes upwards, the shift downwards
_HALF = np.uint64(32)


def keys(*seed: int) -> np.ndarray:
    """A key for each round (8,) uint64 from numbers of 0 or more."""
    return np.random.SeedSequence(list(seed)).generate_state(_ROUNDS, np.uint64)


def permuted(positions: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """What stands at positions (N,) of the order of 0 to size - 1 that belongs to these keys, (N,) int64.

    Raises:
        ValueError: a size or a position that cannot be.
    """
    if not 1 <= size <= LIMIT:
        raise ValueError(f"the size is 1 to 2**62, got {size}")
    numbers = np.asarray(positions, dtype=np.int64)
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= size):
        raise ValueError(f"positions are 0 to {size - 1}, got {numbers.min()} to {numbers.max()}")
    out = _sent_through(numbers.astype(np.uint64), size, keys)
    while len(above := np.flatnonzero(out >= size)):
        out[above] = _sent_through(out[above], size, keys)
    return out.astype(np.int64)


def _sent_through(numbers: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    first = math.isqrt(size - 1) + 1
    moved, other = np.uint64(first), np.uint64(-(-size // first))
    x = numbers // other
    y = numbers - x * other
    for key in keys:
        x, y = y, _added(x, _hashed(y ^ key, moved), moved)
        moved, other = other, moved
    return x * other + y


def _hashed(numbers: np.ndarray, size: np.uint64) -> np.ndarray:
    """Numbers below `size` from numbers of 64 bits."""
    mixed = numbers * _MIX
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX
    return ((mixed >> _HALF) * size) >> _HALF


def _added(numbers: np.ndarray, others: np.ndarray, size: np.uint64) -> np.ndarray:
    """The sum of numbers below `size`, modulo `size`."""
    total = numbers + others
    return np.minimum(total, total - size)  # where the sum is below `size` the difference wraps around to a huge number
