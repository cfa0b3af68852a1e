"""Import strings: `module`, or `module:attribute`."""

from __future__ import annotations

import gc
import importlib
from typing import Any


def import_target(target: str) -> Any:
    """The module, or the attribute of a module, behind an import string.

    What is imported stays: not looking for garbage in it meanwhile saves a twelfth of importing torch.
    """
    module, _, attribute = target.partition(":")
    if not module:
        raise ValueError("it names no module")
    collecting = gc.isenabled()
    gc.disable()
    try:
        found: Any = importlib.import_module(module)
    finally:
        if collecting:
            gc.enable()
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found
