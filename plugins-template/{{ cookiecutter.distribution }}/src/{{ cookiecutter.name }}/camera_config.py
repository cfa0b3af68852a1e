"""Options of the camera. Plain data: naming a camera opens nothing."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}CameraConfig:
    """Size and rate of the pictures. The lines below are the help of each option.

    Attributes:
        fps: pictures per second [Hz].
        width: width of a picture [px].
        height: height of a picture [px].
    """

    fps: float = 30.0
    width: int = 640
    height: int = 480

    def __attrs_post_init__(self) -> None:
        for name in ("fps", "width", "height"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, got {getattr(self, name):g}")
