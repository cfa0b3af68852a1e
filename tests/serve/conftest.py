"""The toy robot's module is found by name, as `--plugin FILE` would load it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
