"""The bus passes the suite that every motor bus has to pass, and converts units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout
from lerobot_core.roles import MotorBus

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.motor_bus_conformance import {{ cookiecutter.class_name }}MotorBusSuite


class Test{{ cookiecutter.class_name }}MotorBus({{ cookiecutter.class_name }}MotorBusSuite):
    component = plugin.lr_motor_buses()[0]


@pytest.fixture
def bus() -> Iterator[MotorBus]:
    """The bus, connected."""
    bus = choose(MotorBus, "{{ cookiecutter.name }}").build()
    bus.connect()
    yield bus
    bus.disconnect()


def test_angles_are_in_degrees_from_the_middle(bus: MotorBus) -> None:
    bus.write("Goal_Position", "elbow", 90.0)
    assert bus.read("Goal_Position", "elbow", normalize=False) == 2048 + 1024
    assert bus.read("Present_Position", "elbow") == 90.0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e6, -1e6])
def test_a_value_that_does_not_fit_is_refused(bus: MotorBus, value: float) -> None:
    with pytest.raises(DeviceError, match="does not fit"):
        bus.write("Goal_Position", "elbow", value)


def test_a_missing_servo_is_named_when_connecting() -> None:
    bus = choose(MotorBus, "{{ cookiecutter.name }}").build()
    bus.wire.unplugged.add(2)
    with pytest.raises(DeviceTimeout, match="elbow"):
        bus.connect()
    assert not bus.is_connected


@pytest.mark.parametrize("options", [{"motors": {}}, {"motors": {"a": 1, "b": 1}}, {"motors": {"a": 254}}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(MotorBus, "{{ cookiecutter.name }}", **options)
