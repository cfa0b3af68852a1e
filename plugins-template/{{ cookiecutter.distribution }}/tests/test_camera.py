"""The camera passes the suite that every camera has to pass, and says when its sensor fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout
from lerobot_core.roles import Camera
from lerobot_core.testing import CameraSuite

from {{ cookiecutter.name }} import plugin


class Test{{ cookiecutter.class_name }}Camera(CameraSuite):
    component = plugin.lr_cameras()[0]


def test_a_failure_of_the_sensor_reaches_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = choose(Camera, "{{ cookiecutter.name }}").build()

    def fail() -> None:
        raise OSError("unplugged")

    monkeypatch.setattr(camera.sensor, "grab", fail)
    with pytest.raises(DeviceError, match="unplugged"):
        camera.connect()
    assert not camera.is_connected


def test_the_latest_picture_is_there_at_once() -> None:
    camera = choose(Camera, "{{ cookiecutter.name }}", fps=10.0).build()
    camera.connect()
    first, again = camera.read_latest(), camera.read_latest()
    assert np.array_equal(first, again)
    assert not np.shares_memory(first, again)
    with pytest.raises(DeviceTimeout, match="ms old"):
        camera.read_latest(max_age_ms=0.0)
    camera.disconnect()


@pytest.mark.parametrize("options", [{"fps": 0.0}, {"width": 0}, {"height": -1}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Camera, "{{ cookiecutter.name }}", **options)
