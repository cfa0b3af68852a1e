"""Tensors in files: safetensors and nothing else, since it cannot hold code."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lerobot_core.errors import CheckpointError


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        CheckpointError: it is missing or broken.
    """
    if not file.is_file():
        raise CheckpointError(f"'{file}' does not exist", path=file, hint="copy the whole checkpoint folder")
    try:
        return load_file(file)
    except (OSError, SafetensorError) as failure:
        raise CheckpointError(
            f"'{file}' cannot be read: {failure}", path=file, hint="copy or download the file again"
        ) from failure
