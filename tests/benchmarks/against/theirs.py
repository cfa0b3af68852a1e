"""The cases with the published lerobot package: `python theirs.py CASE ARGUMENT…`, in an environment of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from lerobot.datasets import LeRobotDataset, StreamingLeRobotDataset
from measure import BATCH, CAMERAS, FPS, WARM, main, rate, windows


def opened(folder: str, case: str, **options: Any) -> LeRobotDataset:
    name, offsets = windows(case)
    return LeRobotDataset(f"bench/{name}", root=Path(folder) / name, delta_timestamps=offsets, **options)


def loader(folder: str, case: str, workers: str, uint8: str, seconds: str) -> dict[str, float]:
    """Shuffled batches."""
    dataset = opened(folder, case, return_uint8=uint8 == "uint8")
    batches = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=int(workers))
    return rate((len(batch["index"]) for batch in batches), float(seconds), warm=WARM)


def sequential(folder: str, case: str, uint8: str, seconds: str) -> dict[str, float]:
    """Items one by one in order."""
    dataset = opened(folder, case, return_uint8=uint8 == "uint8")
    return rate((1 for i in range(len(dataset)) if dataset[i]), float(seconds))


def streaming(folder: str, case: str, seconds: str) -> dict[str, float]:
    """Items of an epoch streamed from the local copy."""
    name, offsets = windows(case)
    dataset = StreamingLeRobotDataset(f"bench/{name}", root=Path(folder) / name, delta_timestamps=offsets)
    return rate((1 for _ in dataset), float(seconds))


def first(folder: str, case: str, backend: str) -> dict[str, float]:
    """One item; how long the process takes is for its caller to measure."""
    opened(folder, case, video_backend=None if backend == "any" else backend)[0]
    return {}


def record(folder: str, cameras: str, vcodec: str, seconds: str, episodes: str) -> dict[str, float]:
    """Episodes at 30 Hz, encoded while they are recorded."""
    from lerobot.configs.video import RGBEncoderConfig
    from recording import features, paced

    names = CAMERAS if cameras == "2" else (*CAMERAS, "observation.images.top")
    dataset = LeRobotDataset.create(
        "bench/record",
        fps=FPS,
        features=features(names),
        root=Path(folder) / "record",
        streaming_encoding=True,
        rgb_encoder=RGBEncoderConfig(vcodec=vcodec),
    )

    def add(frame: dict[str, Any]) -> None:
        dataset.add_frame({**frame, "task": "bench"})

    found = paced(names, add, dataset.save_episode, float(seconds), int(episodes))
    dataset.finalize()
    return found


def large(folder: str) -> dict[str, float]:
    """Open many episodes and read one item."""
    start = time.perf_counter()
    dataset = LeRobotDataset("bench/large", root=Path(folder) / "large")
    opened_s = time.perf_counter() - start
    dataset[len(dataset) // 2]
    return {"open_s": opened_s}


if __name__ == "__main__":
    main({f.__name__: f for f in (loader, sequential, streaming, first, record, large)})
