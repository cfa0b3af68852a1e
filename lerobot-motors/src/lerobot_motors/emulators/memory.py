"""The file through which an emulator shows its state and takes hands, scenes and faults. Knows no servos and no numpy.

Layout, native byte order: eight int64 words, then blocks of 16 float64, then the device path, then the text of an order. The
emulator holds a lock on the file while it lives, which is how others know that it does.
"""

from __future__ import annotations

from pathlib import Path

from lerobot_motors import shared_file
from lerobot_motors.shared_file import SharedFile

#: First word of the file; changes with the layout.
MAGIC = 0x4C52_454D_5530_3102
#: Most motors of a chain, and size of each block.
CAPACITY = 16
BLOCKS = ("positions", "goals", "torque", "loads", "status", "hand", "scene")
#: `orders` counts the texts that were left for the emulator, `obeyed` those it has taken.
WORDS = ("magic", "pid", "motors", "stamp", "heard", "orders", "obeyed")
HEADER = 8 * 8
BLOCK = 8 * CAPACITY
PATH_SIZE, ORDER_SIZE = 256, 1024
PATH = HEADER + len(BLOCKS) * BLOCK
ORDER = PATH + PATH_SIZE
SIZE = ORDER + ORDER_SIZE


def location(name: str) -> Path:
    """State file of the emulator of that name. Raises as `shared_file.location`."""
    return shared_file.location(name, ".state")


class Memory(SharedFile):
    """One state file, mapped.

    Args:
        path: the file.
        create: make it anew and keep its lock: only the emulator does.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        super().__init__(path, SIZE, create=create)
        self.words = memoryview(self.map)[:HEADER].cast("q")
        if create:
            self.words[WORDS.index("magic")] = MAGIC

    def word(self, name: str) -> int:
        return self.words[WORDS.index(name)]

    def set_word(self, name: str, value: int) -> None:
        self.words[WORDS.index(name)] = value

    @staticmethod
    def offset(block: str) -> int:
        """Where a block begins [bytes]."""
        return HEADER + BLOCKS.index(block) * BLOCK

    def block(self, name: str) -> memoryview:
        """16 float64, written in place."""
        start = self.offset(name)
        return memoryview(self.map)[start : start + BLOCK].cast("d")

    @property
    def device(self) -> str:
        """Path of the pty; empty while it is unplugged."""
        return self.map[PATH:ORDER].rstrip(b"\0").decode()

    @device.setter
    def device(self, path: str) -> None:
        self.map[PATH:ORDER] = path.encode().ljust(PATH_SIZE, b"\0")

    @property
    def order(self) -> str:
        """The last text left for the emulator."""
        return self.map[ORDER:SIZE].rstrip(b"\0").decode()

    @order.setter
    def order(self, text: str) -> None:
        self.map[ORDER:SIZE] = text.encode().ljust(ORDER_SIZE, b"\0")
        self.set_word("orders", self.word("orders") + 1)
