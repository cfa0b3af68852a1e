"""Options of the tracker. Plain data: naming a tracker opens nothing."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}TrackerConfig:
    """Where the numbers go. The lines below are the help of each option.

    Attributes:
        path: the file; lines are added to one that exists.
    """

    path: Path = Path("{{ cookiecutter.name }}.jsonl")

    def __attrs_post_init__(self) -> None:
        if self.path.suffix != ".jsonl":
            raise ValueError(f"path ends in .jsonl, got '{self.path}'")
