"""A temporary home for every test, a check for threads left behind, and no plugin but this one."""

from __future__ import annotations

from typing import Any

import pytest

from {{ cookiecutter.name }} import plugin

pytest_plugins = ["lerobot_core.testing.fixtures"]


@pytest.fixture(autouse=True)
def installed(host: Any) -> None:
    """What this package offers, by name."""
    host.add(plugin, "{{ cookiecutter.name }}", "{{ cookiecutter.distribution }}")
