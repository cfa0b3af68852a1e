"""What was fetched and may be wanted again, up to a number of bytes. Used by many threads at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any


class ByteCache:
    """Keeps what was used last; what two threads want at a time is made once.

    Args:
        limit: bytes kept. What is larger is given but not kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ByteCache], tuple[int]]:
        return ByteCache, (self.limit,)  # another process keeps what it fetches itself

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """What is kept under a key, else what `make` gives: a value and how many bytes it holds."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
            making = self._making.get(key)
            if making is None:
                mine = self._making[key] = Future()
        if making is not None:
            return making.result()
        try:
            value, size = make()
        except BaseException as failure:
            with self._lock:
                del self._making[key]
            mine.set_exception(failure)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, value, size)
        mine.set_result(value)
        return value

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        if size > self.limit:
            return
        self._values[key] = value, size
        self.held += size
        while self.held > self.limit:
            _, (_, dropped) = self._values.popitem(last=False)
            self.held -= dropped
