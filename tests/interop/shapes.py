"""A dataset of each shape there is, recorded or made out of others with our tools, and what our reader gives of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from lerobot_core.errors import LeRobotError
from lerobot_core.features import Feature
from lerobot_datasets import LeRobotDataset
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3.writer import Writer

V21 = Path(__file__).parents[1] / "data" / "datasets" / "v21"
FPS, HEIGHT, WIDTH = 20, 64, 80
FRONT, WRIST, DEPTH = (f"observation.images.{name}" for name in ("front", "wrist", "front_depth"))
AXES = ["height", "width", "channels"]
VECTOR = Feature(dtype="float32", shape=(3,), names=["a", "b", "c"])
STATE = {"observation.state": VECTOR, "action": VECTOR}
SPOKEN = {
    "language_persistent": [{"role": "assistant", "content": "grasp", "style": "subtask", "timestamp": 0.0}],
    "language_events": [{"role": "user", "content": "no, left", "style": "interjection"}],
}

Frame = Callable[[np.random.Generator, int, int], dict[str, Any]]


def state(rng: np.random.Generator, episode: int, step: int) -> dict[str, Any]:
    values = rng.normal(size=3).astype(np.float32)
    return {"observation.state": values, "action": -values}


def scene(rng: np.random.Generator, step: int) -> np.ndarray:
    """A picture (H, W, 3) with a square that moves over a slope."""
    picture = np.linspace(0, 180, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
    picture[10:30, step % 50 : step % 50 + 20] = rng.integers(0, 256, 3)
    return picture


def film(dtype: str, *, depth: bool = False) -> Feature:
    info = {"is_depth_map": True} if depth else None
    return Feature(dtype=dtype, shape=(HEIGHT, WIDTH, 1 if depth else 3), names=AXES, info=info)


def everything(rng: np.random.Generator, episode: int, step: int) -> dict[str, Any]:
    return state(rng, episode, step) | {
        "tactile": rng.normal(size=(4, 3)).astype(np.float32),
        "next.reward": rng.normal(size=1).astype(np.float32),
        "next.done": np.array([step == 7]),
        "counter": np.array([2**53 + step]),
        "note": f"ep{episode} « {step} »",
    }


EVERYTHING = STATE | {
    "tactile": Feature(dtype="float32", shape=(4, 3)),
    "next.reward": Feature(dtype="float32", shape=(1,)),
    "next.done": Feature(dtype="bool", shape=(1,)),
    "counter": Feature(dtype="int64", shape=(1,)),
    "note": Feature(dtype="string", shape=(1,)),
}
ENVIRONMENT = Feature(dtype="float32", shape=(5,))
WIDE = Feature(dtype="float32", shape=(12000,))


def seen(*cameras: str) -> Frame:
    return lambda rng, e, i: state(rng, e, i) | {camera: scene(rng, i) for camera in cameras}


def measured(rng: np.random.Generator, episode: int, step: int) -> dict[str, Any]:
    distances = np.linspace(300, 4000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) + 10 * step
    return seen(FRONT)(rng, episode, step) | {DEPTH: distances.astype(np.uint16)}


#: name → features, what a frame holds, and options of the writer
RECORDED: dict[str, tuple[Mapping[str, Feature], Frame, dict[str, Any]]] = {
    "state": (EVERYTHING, everything, {}),
    "environment": (
        STATE | {"observation.environment_state": ENVIRONMENT},
        lambda rng, e, i: state(rng, e, i) | {"observation.environment_state": rng.normal(size=5).astype(np.float32)},
        {},
    ),
    "cameras": (STATE | {FRONT: film("video"), WRIST: film("video")}, seen(FRONT, WRIST), {}),
    "h264": (STATE | {FRONT: film("video")}, seen(FRONT), {"vcodec": "h264", "g": 10, "crf": 23}),
    "images": (STATE | {FRONT: film("image"), WRIST: film("image")}, seen(FRONT, WRIST), {}),
    "depth": (STATE | {FRONT: film("video"), DEPTH: film("video", depth=True)}, measured, {}),
    "depth_images": (STATE | {FRONT: film("image"), DEPTH: film("image", depth=True)}, measured, {}),
    "language": (
        STATE | {key: Feature(dtype="language", shape=(1,)) for key in SPOKEN},
        lambda rng, e, i: state(rng, e, i) | {"language_persistent": SPOKEN["language_persistent"], "language_events": SPOKEN["language_events"] if i == 3 else []},
        {},
    ),
    "many_files": (
        STATE | {"observation.wide": WIDE, FRONT: film("video")},
        lambda rng, e, i: seen(FRONT)(rng, e, i) | {"observation.wide": rng.normal(size=12000).astype(np.float32)},
        {"data_files_size_in_mb": 1, "video_files_size_in_mb": 1},
    ),
}  # fmt: skip

#: name → arguments of `lr dataset`, with the names of others as `{name}` and the new folder as `{to}`
EDITED: dict[str, Sequence[str]] = {
    "deleted": ("delete", "{cameras}", "--episodes=1", "--output_dir={to}"),
    "merged": ("merge", "{cameras}", "{cameras}", "--output_dir={to}"),
    "trimmed": ("trim", "{cameras}", "--drop_first=3", "--drop_last=2", "--output_dir={to}"),
    "trimmed_h264": ("trim", "{h264}", "--drop_first=3", "--drop_last=2", "--output_dir={to}"),
    "retold": ("tasks", "{state}", "--new_task=all new", "--output_dir={to}"),
    "narrowed": ("remove-feature", "{state}", "--feature=note", "--output_dir={to}"),
    "images_deleted": ("delete", "{images}", "--episodes=0", "--output_dir={to}"),
    "many_files_deleted": ("delete", "{many_files}", "--episodes=2", "--output_dir={to}"),
    "converted": ("convert", str(V21), "--output_dir={to}"),
}


def record(root: Path, name: str) -> None:
    """Three episodes; the task changes within the second."""
    features, frame, options = RECORDED[name]
    rng = np.random.default_rng(len(name))
    sizes = {key: options.pop(key) for key in list(options) if key.endswith("_in_mb")}
    encoder = EncoderConfig(when_full="wait", **options)
    writer = Writer.create(root, features, FPS, robot_type="toy", encoder=encoder, **sizes)
    for episode, length in enumerate((20, 35, 17)):
        for step in range(length):
            writer.add(
                frame(rng, episode, step), task="place" if episode == 2 or (episode == 1 and step > 12) else "pick"
            )
        writer.save_episode()
    writer.finalize()


def produce(folder: Path) -> list[str]:
    """Every dataset with the items our reader gives beside it; gives the names of those this version does not record."""
    left_out = []
    for name in RECORDED:
        try:
            record(folder / name, name)
        except LeRobotError as refused:
            left_out.append(f"{name}: {refused.message}")
            continue
        keep(folder, name)
    for name, words in EDITED.items():
        places = {known: folder / known for known in RECORDED} | {"to": folder / name}
        command = [Path(sys.executable).with_name("lr"), "dataset", *(word.format(**places) for word in words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        keep(folder, name)
    return left_out


def keep(folder: Path, name: str) -> None:
    """Every item; every fifth with windows, too."""
    meta = LeRobotDataset(f"me/{name}", root=folder / name).meta
    windows = {"action": [i / meta.fps for i in range(-1, 8)], "observation.state": [-2 / meta.fps, 0.0]}
    windows |= {key: [-1 / meta.fps, 0.0] for key in meta.video_keys}
    tensors: dict[str, torch.Tensor] = {}
    texts: dict[str, dict[str, Any]] = {}
    for case, deltas, step in (("plain", {}, 1), ("windows", windows, 5)):
        read = LeRobotDataset(f"me/{name}", root=folder / name, delta_timestamps=deltas, return_uint8=True)
        for i in range(0, len(read), step):
            item = read[i]
            where = f"{case}/{i}"
            tensors |= {f"{where}/{key}": v.contiguous() for key, v in item.items() if isinstance(v, torch.Tensor)}
            texts[where] = {key: v for key, v in item.items() if not isinstance(v, torch.Tensor)}
    stats = {
        key: {stat: value.tolist() for stat, value in values.items()} for key, values in (meta.stats or {}).items()
    }
    told = {"windows": windows, "length": meta.total_frames, "tasks": list(meta.tasks), "texts": texts, "stats": stats}
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(told))
