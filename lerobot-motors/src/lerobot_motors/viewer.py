"""What a robot observes and is sent, in the rerun viewer while it runs. Knows the names of rerun-sdk, imported on use.

A thread of its own logs the newest tick there is: while it is busy with one, those that come are left out, and the loop waits
for nothing. Numbers go as two series per tick, as every call holds the interpreter for a while.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import LeRobotError
from lerobot_core.loop import Tick

#: Where a viewer listens unless told otherwise.
PORT = 9876
#: Of the JPEG pictures logged, of 100.
_QUALITY = 80
#: How long the end waits for the last tick, and the beginning for a viewer elsewhere [s].
_LAST, _PATIENCE = 0.2, 2.0

logger = logging.getLogger(__name__)


class Viewer:
    """A sink that shows ticks, inside its `with`, in a viewer of this machine or of another one.

    Args:
        name: of the run.
        ip: where `rerun` runs; empty starts one here.
        port: of that one.

    Raises:
        LeRobotError: rerun-sdk is not installed, there is no display here, or no viewer there.
    """

    def __init__(self, name: str, ip: str = "", port: int = PORT) -> None:
        try:
            import rerun
        except ImportError:
            raise LeRobotError("--display_data needs rerun-sdk", hint='pip install "lerobot-motors[rerun]"') from None
        self._rerun: Any = rerun
        self._newest: Tick | None = None
        self._stirred = threading.Event()
        self._ended = False
        self._named: dict[str, list[str]] = {}
        self._thread = threading.Thread(target=self._run, name="viewer", daemon=True)
        rerun.init(name)
        if ip:
            _check_listens(ip, port)
            rerun.connect_grpc(f"rerun+http://{ip}:{port}/proxy")
        else:
            _check_display()
            rerun.spawn(port=port)

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._stirred.set()
        self._thread.join(_LAST)

    def add(self, tick: Tick) -> None:
        self._newest = tick
        self._stirred.set()

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks are not shown."""

    def _run(self) -> None:
        try:
            while not self._ended or self._newest is not None:
                self._stirred.wait()
                self._stirred.clear()
                tick, self._newest = self._newest, None
                if tick is not None:
                    self._log(tick)
        except Exception:
            logger.exception("the viewer is off, the run goes on")

    def _log(self, tick: Tick) -> None:
        rerun = self._rerun
        rerun.set_time("time", duration=tick.time / 1e9)
        self._log_numbers("observation", tick.observation)
        self._log_numbers("action", tick.action or {})
        ages = {key: max(tick.time - stamp, 0) / 1e6 for key, stamp in tick.stamps.items()}
        self._log_numbers("age_ms", ages)
        for key, value in tick.observation.items():
            if np.ndim(value) == 3 and value.shape[-1] == 1:
                rerun.log(f"observation/{key}", rerun.DepthImage(value[..., 0], meter=1000.0))
            elif np.ndim(value) == 3:
                rerun.log(f"observation/{key}", rerun.Image(value).compress(jpeg_quality=_QUALITY))

    def _log_numbers(self, path: str, values: Mapping[str, Any]) -> None:
        """All scalars as one entity; their names are said once."""
        numbers = {key: float(value) for key, value in values.items() if np.ndim(value) == 0}
        if not numbers:
            return
        if self._named.get(path) != list(numbers):
            self._named[path] = list(numbers)
            self._rerun.log(path, self._rerun.SeriesLines(names=list(numbers)), static=True)
        self._rerun.log(path, self._rerun.Scalars(np.array(list(numbers.values()))))


def _check_display() -> None:
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        raise LeRobotError(
            "--display_data: there is no display here",
            hint="run `rerun` where there is one and give --display_ip=ADDRESS",
        )


def _check_listens(ip: str, port: int) -> None:
    try:
        socket.create_connection((ip, port), timeout=_PATIENCE).close()
    except OSError as problem:
        raise LeRobotError(
            f"--display_ip: no viewer at {ip}:{port} ({problem})",
            hint=f"run `rerun --port {port}` there, and let this machine through its firewall",
        ) from None
