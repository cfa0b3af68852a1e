"""Options of the `robomimic` dataset backend. Knows no files and no libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class RobomimicBackendConfig:
    """Demonstrations in one HDF5 file of robomimic's layout, for reading.

    Attributes:
        file: the .hdf5 file.
        filter_key: which of the file's lists of demonstrations under `mask` to read, as train; all when not set.
        control_freq: frames per second; what the file says of its environment, else 20, when not set.
        task: what is done, in a sentence; the file's own words for it when not set, else the environment's name.
        features: our name of a feature and the arrays of a demonstration that it is made of, as
            {observation.state: [obs/robot0_eef_pos, obs/robot0_gripper_qpos]}; an empty list leaves one out. Without it,
            observation.state is every vector under obs but `object`, which is observation.environment_state.
        names: our name of a feature and the names of its elements, as {action: [x, y, z, gripper]}.
        return_uint8: give pictures as uint8 instead of float32 in [0, 1] to torch.
        depth_output_unit: unit of depth pictures.
    """

    file: Path
    filter_key: str | None = None
    control_freq: int | None = None
    task: str | None = None
    features: Mapping[str, Sequence[str]] = attrs.Factory(dict)
    names: Mapping[str, Sequence[str]] = attrs.Factory(dict)
    return_uint8: bool = False
    depth_output_unit: Literal["mm", "m"] = "mm"

    def __attrs_post_init__(self) -> None:
        if self.control_freq is not None and self.control_freq < 1:
            raise ValueError(f"control_freq is 1 Hz or more, got {self.control_freq}")
