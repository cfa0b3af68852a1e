"""Everything this repository offers passes the suites that third parties use, as `lr plugins --check` runs them."""

from __future__ import annotations

from lerobot_core.testing.offered import suites

for _distribution in ("lerobot-motors", "lerobot-serve"):
    globals().update(suites(_distribution))
