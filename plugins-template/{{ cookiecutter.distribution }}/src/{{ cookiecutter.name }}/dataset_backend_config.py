"""Options of the dataset backend. Plain data: naming a backend opens nothing."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}DatasetBackendConfig:
    """Where the dataset lies. The lines below are the help of each option.

    Attributes:
        root: folder of the dataset.
    """

    root: Path

    def __attrs_post_init__(self) -> None:
        if self.root.is_absolute() and self.root == self.root.parent:
            raise ValueError(f"root is a folder of its own, got '{self.root}'")
