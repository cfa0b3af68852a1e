"""What the conformance suite must know of the policy. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

from lerobot_policies.testing import TrainedPolicySuite


class {{ cookiecutter.class_name }}PolicySuite(TrainedPolicySuite):
    """It is tried with a state, an environment state and a picture, and sees no pictures."""

    ignored = ("observation.images.front",)
