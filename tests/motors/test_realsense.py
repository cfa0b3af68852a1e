"""The RealSense camera on a fake of the seam to its library: colour and depth of one moment, in millimetres, turned right."""

from __future__ import annotations

import numpy as np
import pytest

from lerobot_core.errors import ConfigError, DeviceError
from lerobot_core.testing import CameraSuite
from lerobot_motors.cameras import realsense_sdk
from lerobot_motors.cameras.configs import RealsenseConfig
from lerobot_motors.cameras.pattern import decode
from lerobot_motors.cameras.realsense import RealsenseCamera
from lerobot_motors.conformance_cameras import FakePipeline, RealsenseSuite

assert issubclass(RealsenseSuite, CameraSuite)


class TestRealsense(RealsenseSuite):
    """The component's own suite is skipped where Intel's library is missing; this one never is."""


@pytest.fixture
def camera_of():
    made = []

    def make(pipeline=None, **options):
        pipeline = pipeline or FakePipeline()
        config = RealsenseConfig(**{"serial_number_or_name": "42", "warmup_s": 0.0, "max_age_s": 1.0, **options})
        made.append(RealsenseCamera(config, start=lambda config: pipeline))
        made[-1].connect()
        return made[-1]

    yield make
    for camera in made:
        camera.disconnect()


def test_depth_is_in_millimetres_and_of_the_same_moment(camera_of):
    camera = camera_of(use_depth=True)
    picture, depth = camera.read_both()
    assert depth.shape == (96, 160, 1)
    assert depth.dtype == np.uint16
    assert depth[5, :4, 0].tolist() == [0, 1, 2, 3], "steps of 0.1 mm, 10 a column"
    assert decode(picture) <= decode(camera.read_both()[0])
    assert np.array_equal(camera.read_latest_depth(), depth)


def test_without_colour_the_picture_is_the_depth(camera_of):
    camera = camera_of(use_rgb=False, use_depth=True)
    assert camera.read().shape == (96, 160, 1)
    assert camera.read_both()[0] is None


def test_without_depth_there_is_none_to_read(camera_of):
    with pytest.raises(ConfigError, match="without depth"):
        camera_of().read_latest_depth()


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_both_are_turned_clockwise(camera_of, rotation):
    camera = camera_of(use_depth=True, rotation=rotation)
    picture, depth = camera.read_both()
    assert picture.shape[:2] == depth.shape[:2] == (camera.height, camera.width)
    assert decode(np.rot90(picture, rotation // 90)) >= 1
    assert np.rot90(depth, rotation // 90)[0, :3, 0].tolist() == [0, 1, 2]


def test_bgr_is_the_order_of_the_channels(camera_of):
    picture = camera_of(color_mode="bgr").read()[48:]
    assert picture[:, -20:, 2].mean() > 200
    assert picture[:, -20:, 0].mean() < 150


def test_depth_that_does_not_fit_is_cut_off_and_not_wrapped(camera_of):
    class Far(FakePipeline):
        given = FakePipeline.given._replace(depth_step_mm=1000.0)

    assert camera_of(Far(), use_depth=True).read_latest_depth().max() == 65535


def test_a_pipeline_that_gives_nothing_is_an_error_and_is_stopped():
    class Dead(FakePipeline):
        def wait(self, timeout_ms):
            self._rate.wait()

    pipeline = Dead()
    camera = RealsenseCamera(RealsenseConfig(serial_number_or_name="42", warmup_s=0.0), start=lambda config: pipeline)
    with pytest.raises(DeviceError, match="'42': the source gave no picture"):
        camera.connect()
    assert pipeline.stopped


DEVICES = [
    {"serial": "111", "name": "D435"},
    {"serial": "222", "name": "D435"},
    {"serial": "333", "name": "D405"},
]


def test_a_camera_is_chosen_by_number_or_by_a_name_that_only_it_has():
    assert realsense_sdk.serial_of("111", DEVICES) == "111"
    assert realsense_sdk.serial_of("D405", DEVICES) == "333"
    for wanted, found in (("D435", 2), ("112", 0)):
        with pytest.raises(DeviceError, match=f"'{wanted}', found {found} of that name.*333"):
            realsense_sdk.serial_of(wanted, DEVICES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_rgb": False}, "use_rgb, use_depth or both"),
        ({"fps": 30.0}, "given together"),
        ({"use_rgb": False, "use_depth": True, "exposure": 10.0}, "exposure belong to the colour sensor"),
        ({"width": 640}, "given together"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RealsenseConfig(serial_number_or_name="42", **options)
