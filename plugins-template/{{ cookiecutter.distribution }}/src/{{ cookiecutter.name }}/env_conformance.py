"""What the conformance suite must know of the environment. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

from lerobot_core.testing import EnvSuite


class {{ cookiecutter.class_name }}EnvSuite(EnvSuite):
    """Episodes of the example end within these steps; actions are drawn from this range [deg]."""

    steps = 20
    low = -90.0
    high = 90.0
