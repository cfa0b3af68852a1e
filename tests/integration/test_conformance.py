"""What this repository offers passes the suites that third parties use, as `lr plugins --check` runs them.

The backend and the policies do so in the tests of their own distributions; the SO-100 is the same arm as the SO-101. Every serial
arm is a row of one implementation: one of each kind is checked every day, the other rows every night.
"""

from __future__ import annotations

import pytest

from lerobot_core.testing.offered import suites

#: Rows that differ in nothing from one that is checked every day but their servos.
_ROWS = ("omx_", "viperx_", "widowx_", "hope_jr_arm", "openarm_mini", "bimanual")

for _name in ("lerobot-core", "lerobot-motors", "lerobot-serve", "dataset info", "dataset check", "train"):
    globals().update({title: suite for title, suite in suites(_name).items() if "so100" not in title})
for _title in [title for title in globals() if title.startswith("Test ") and any(row in title for row in _ROWS)]:
    globals()[_title].pytestmark = [pytest.mark.nightly]
