"""The cases with this repository's packages: `python ours.py CASE ARGUMENT…`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import BATCH, CAMERAS, FPS, WARM, main, memory, rate, windows

from lerobot_core.priority import real_time
from lerobot_datasets import LeRobotDataset


def opened(folder: str, case: str, **options: Any) -> LeRobotDataset:
    name, offsets = windows(case)
    return LeRobotDataset(f"bench/{name}", root=Path(folder) / name, delta_timestamps=offsets, **options)


def loader(folder: str, case: str, workers: str, uint8: str, seconds: str) -> dict[str, float]:
    """Shuffled batches."""
    import torch  # here, so that `first` measures what the library imports

    dataset = opened(folder, case, return_uint8=uint8 == "uint8")
    parallel = {"num_workers": int(workers), "multiprocessing_context": "spawn"} if int(workers) else {}
    batches = torch.utils.data.DataLoader(
        dataset, batch_size=BATCH, shuffle=True, collate_fn=dataset.collate, **parallel
    )
    return rate((len(batch["index"]) for batch in batches), float(seconds), warm=WARM)


def sequential(folder: str, case: str, uint8: str, seconds: str) -> dict[str, float]:
    """Items one by one in order."""
    dataset = opened(folder, case, return_uint8=uint8 == "uint8")
    return rate((1 for i in range(len(dataset)) if dataset[i]), float(seconds))


def streaming(folder: str, case: str, seconds: str) -> dict[str, float]:
    """Items of an epoch streamed from the local copy."""
    from lerobot_datasets import StreamingLeRobotDataset

    name, offsets = windows(case)
    dataset = StreamingLeRobotDataset(f"bench/{name}", root=Path(folder) / name, delta_timestamps=offsets)
    return rate((1 for _ in dataset), float(seconds))


def first(folder: str, case: str, backend: str) -> dict[str, float]:
    """One item; how long the process takes is for its caller to measure."""
    opened(folder, case, video_backend=None if backend == "any" else backend)[0]
    return {}


def record(folder: str, cameras: str, vcodec: str, seconds: str, episodes: str) -> dict[str, float]:
    """Episodes at 30 Hz, encoded while they are recorded."""
    from recording import features, paced

    from lerobot_datasets.config import EncoderConfig

    names = CAMERAS if cameras == "2" else (*CAMERAS, "observation.images.top")
    dataset = LeRobotDataset.create(
        "bench/record",
        fps=FPS,
        features=features(names),
        root=Path(folder) / "record",
        encoder=EncoderConfig(vcodec=vcodec),
    )

    def add(frame: dict[str, Any]) -> None:
        dataset.add_frame({**frame, "task": "bench"})

    with real_time():  # as `lr record` does
        found = paced(names, add, dataset.save_episode, float(seconds), int(episodes))
    start = time.perf_counter()
    dataset.finalize()
    dropped = float(sum(dataset.writer.dropped.values()))
    return found | {"dropped": dropped, "finalize_s": time.perf_counter() - start}


def large(folder: str) -> dict[str, float]:
    """Open many episodes and read one item."""
    before, start = memory(), time.perf_counter()
    dataset = LeRobotDataset("bench/large", root=Path(folder) / "large")
    opened_s, after = time.perf_counter() - start, memory()
    dataset[len(dataset) // 2]
    return {"open_s": opened_s, "open_mb": after - before}


def flat(folder: str, case: str, reads: str) -> dict[str, float]:
    """Memory after a tenth of many random items, and after all."""
    dataset = opened(folder, case, return_uint8=True)
    order = np.random.default_rng(0).integers(len(dataset), size=int(reads)).tolist()
    early = 0.0
    for begin in range(0, len(order), BATCH):
        dataset.__getitems__(order[begin : begin + BATCH])
        if begin <= len(order) // 10:
            early = memory(peak=True)
    return {"early_mb": early}


if __name__ == "__main__":
    main({f.__name__: f for f in (loader, sequential, streaming, first, record, large, flat)})
