"""What a training run shows and keeps of its numbers: a bar, a line every so often, and `metrics.jsonl`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console


class Progress:
    """Bar on a terminal, plain lines elsewhere; both on the error stream.

    Args:
        file: where the numbers go, one JSON object per line; lines of steps that are done again are dropped.
        total: steps of the run.
        done: steps done before.
    """

    def __init__(self, file: Path, total: int, done: int = 0) -> None:
        self._file, self._total, self._done = file, total, done
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: rich.progress.Progress | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        _keep_until(self._file, self._done)
        self._out = self._file.open("a")
        if self._console.is_terminal:
            self._bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("training", total=self._total, completed=self._done)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._out.close()

    def advance(self, loss: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=f"loss {loss:.4g}")

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def log(self, numbers: Mapping[str, float]) -> None:
        """Show and keep the numbers of a step."""
        self._out.write(json.dumps(dict(numbers)) + "\n")
        self._out.flush()
        self.say(_line(numbers))


def _line(numbers: Mapping[str, float]) -> str:
    words = [f"step {numbers['step']}", f"epoch {numbers['epoch']:.2f}"]
    words += [f"{name} {numbers[name]:.4g}" for name in ("loss", "grad_norm", "lr")]
    words += [f"data {numbers['data_s'] * 1e3:.0f} ms", f"step {numbers['update_s'] * 1e3:.0f} ms"]
    words += [f"{numbers['samples_per_s']:.0f} samples/s"]
    rest = [name for name in numbers if name not in _COLUMNS]
    return "  ".join([*words, *(f"{name} {numbers[name]:.4g}" for name in rest)])


_COLUMNS = ("step", "samples", "epoch", "loss", "grad_norm", "lr", "data_s", "update_s", "samples_per_s")


def _keep_until(file: Path, step: int) -> None:
    """Drop lines after a step (a resumed run does it again) and one that a kill cut short."""
    if not file.is_file():
        return
    kept = []
    for line in file.read_text().splitlines():
        try:
            numbers = json.loads(line)
        except ValueError:
            continue
        if numbers["step"] <= step:
            kept.append(line)
    file.write_text("".join(f"{line}\n" for line in kept))
