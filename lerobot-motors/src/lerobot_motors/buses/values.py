"""Numbers ↔ the bytes of a register. *Pure.*"""

from __future__ import annotations

from typing import Literal

from lerobot_motors import units
from lerobot_motors.buses.family import TWOS_COMPLEMENT, Register


def decode(data: bytes, place: Register, order: Literal["little", "big"]) -> int:
    """The number in the first bytes of `data`, which are the register's."""
    content = int.from_bytes(data[: place.size], order, signed=place.sign == TWOS_COMPLEMENT)
    return units.decode_sign_magnitude(content, place.sign) if isinstance(place.sign, int) else content


def encode(value: int, place: Register, order: Literal["little", "big"]) -> bytes:
    """The bytes of a number that is within `limits`."""
    if isinstance(place.sign, int):
        value = units.encode_sign_magnitude(value, place.sign)
    return value.to_bytes(place.size, order, signed=place.sign == TWOS_COMPLEMENT)


def limits(place: Register) -> tuple[int, int]:
    """The lowest and the highest number that the register holds."""
    bits = 8 * place.size
    if place.sign is None:
        return 0, (1 << bits) - 1
    if place.sign == TWOS_COMPLEMENT:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    highest = (1 << place.sign) - 1
    return -highest, highest
