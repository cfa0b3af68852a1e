"""What the conformance suite must know of the policy `hold`."""

from __future__ import annotations

from lerobot_core.testing import PolicySuite


class HoldSuite(PolicySuite):
    """It has no model: nothing to train and nothing to save."""

    trains = saves = False
