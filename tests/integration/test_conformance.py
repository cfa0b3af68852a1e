"""What this repository offers passes the suites that third parties use, as `lr plugins --check` runs them.

The backend and the policies do so in the tests of their own distributions; the SO-100 is the same arm as the SO-101.
"""

from __future__ import annotations

from lerobot_core.testing.offered import suites

for _name in ("lerobot-core", "lerobot-motors", "lerobot-serve", "dataset info", "dataset check", "train"):
    globals().update({title: suite for title, suite in suites(_name).items() if "so100" not in title})
