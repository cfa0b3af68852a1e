"""Small datasets to record in tests: features, frames and their pictures are functions of episode and frame number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets.backend import LeRobotBackend
from lerobot_datasets.config import EncoderConfig, LeRobotBackendConfig
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

WIDTH, HEIGHT = 64, 48
CAMERA = "observation.images.front"

#: Fast, and no frame is lost to a busy test machine.
PATIENT = EncoderConfig(vcodec="h264", g=4, when_full="wait")


def features(camera: str | None = "video") -> dict[str, Feature]:
    out = {
        "observation.state": Feature(dtype="float32", shape=(3,), names=["a", "b", "c"]),
        "action": Feature(dtype="float32", shape=(2,), names=["a", "b"]),
        "tactile": Feature(dtype="float32", shape=(2, 3)),
        "next.done": Feature(dtype="bool", shape=(1,)),
        "note": Feature(dtype="string", shape=(1,)),
    }
    if camera:
        out[CAMERA] = Feature(dtype=camera, shape=(HEIGHT, WIDTH, 3), names=["height", "width", "channels"])
    return out


def picture(number: int) -> np.ndarray:
    """A grey picture whose brightness names the frame, so that a coded copy can be told from its neighbours."""
    return np.full((HEIGHT, WIDTH, 3), 8 * (number % 30) + 8, dtype=np.uint8)


def number_of(coded: np.ndarray) -> int:
    """Which `picture` a decoded one is."""
    return round((float(coded.mean()) - 8) / 8)


def frame(episode: int, i: int, camera: bool = True) -> dict[str, Any]:
    values = {
        "observation.state": np.array([episode, i, i / 7], dtype=np.float32),
        "action": np.array([i, -i], dtype=np.float32),
        "tactile": np.arange(6, dtype=np.float32).reshape(2, 3) + i,
        "next.done": np.array([i == 4]),
        "note": f"ep{episode}-f{i}",
    }
    return values | ({CAMERA: picture(i)} if camera else {})


def record(writer: Writer, lengths: list[int], camera: bool = True) -> None:
    """Episodes of these lengths; tasks alternate."""
    for length in lengths:
        episode = writer.num_episodes
        for i in range(length):
            writer.add(frame(episode, i, camera), task=f"task {episode % 2}")
        writer.save_episode()


def backend(root: Path, **options: Any) -> LeRobotBackend:
    options = {"repo_id": "test/set", "root": root, "encoder": PATIENT} | options
    return LeRobotBackend(LeRobotBackendConfig(**options))


def copy(source: Path, target: Path, encoder: EncoderConfig = PATIENT) -> None:
    """Record what a dataset holds, frame by frame, to a new one."""
    reader = Reader(source)
    own = {key: feature for key, feature in reader.features.items() if key not in DEFAULT_COLUMNS}
    writer = Writer.create(target, own, reader.fps, robot_type=reader.info.robot_type, encoder=encoder)
    for episode in range(reader.num_episodes):
        columns = reader.columns(episode)
        pictures = {key: list(reader.frames(episode, key)) for key in reader.info.video_keys}
        for i, task in enumerate(columns["task_index"]):
            values = {key: pictures.get(key, columns.get(key))[i] for key in own}
            writer.add(values, task=reader.tasks[task])
        writer.save_episode()
    writer.finalize()
