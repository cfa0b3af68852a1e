"""The datasets of the cases: `python make.py FOLDER`. Made once, by this repository's writer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import CAMERAS, FPS
from recording import JOINTS, features, picture

from lerobot_core.features import Feature
from lerobot_datasets import LeRobotDataset, columns, stats
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.frame import complete

EPISODES, LENGTH, PER_FILE = 50_000, 200, 1_000


def small(root: Path, cameras: tuple[str, ...], episodes: int, length: int) -> None:
    """Episodes of six joints that walk, and of smooth pictures."""
    draw = np.random.default_rng(0)
    dataset = LeRobotDataset.create(f"bench/{root.name}", fps=FPS, features=features(cameras), root=root)
    for episode in range(episodes):
        walk = draw.normal(size=(length, 6)).cumsum(axis=0).astype(np.float32)
        for step in range(length):
            shown = picture(7 * episode + step) if cameras else None
            pictures = dict.fromkeys(cameras, shown)
            dataset.add_frame({"observation.state": walk[step], "action": walk[step], **pictures, "task": "walk"})
        dataset.save_episode()
    dataset.finalize()


def large(root: Path) -> None:
    """50,000 episodes with 10 M frames of six joints, written straight to tables."""
    vector = Feature(dtype="float32", shape=(6,), names=JOINTS)
    known = complete({"observation.state": vector, "action": vector})
    for folder in ("data/chunk-000", "meta/episodes/chunk-000"):
        (root / folder).mkdir(parents=True)
    draw, rows = np.random.default_rng(0), []
    described: stats.Stats = {}
    for number, begin in enumerate(range(0, EPISODES, PER_FILE)):
        episode = np.repeat(np.arange(begin, begin + PER_FILE), LENGTH)
        frame = np.tile(np.arange(LENGTH), PER_FILE)
        walk = draw.normal(size=(len(frame), 6)).astype(np.float32)
        values = {
            "observation.state": walk,
            "action": walk,
            "timestamp": (frame / FPS).astype(np.float32),
            "frame_index": frame,
            "episode_index": episode,
            "index": np.arange(len(frame)) + begin * LENGTH,
            "task_index": np.zeros(len(frame), np.int64),
        }
        arrays = [columns.to_arrow(values[key], key, feature) for key, feature in known.items()]
        place = layout.Place(0, number)
        pq.write_table(pa.Table.from_arrays(arrays, schema=columns.schema(known)), root / place.path(layout.DATA_PATH))
        described = described or stats.episode_stats(values, known, {})
        rows += [_row(begin + i, number, described) for i in range(PER_FILE)]
    pq.write_table(pa.Table.from_pylist(rows), root / layout.Place().path(layout.EPISODES_PATH))
    pq.write_table(metadata.tasks_table(["walk"]), root / layout.TASKS)
    (root / layout.STATS).write_text(metadata.stats_text(described))
    info = metadata.Info(
        fps=FPS,
        features=known,
        total_episodes=EPISODES,
        total_frames=EPISODES * LENGTH,
        total_tasks=1,
        splits={"train": f"0:{EPISODES}"},
    )
    (root / layout.INFO).write_text(metadata.info_text(info))


def _row(episode: int, file: int, described: stats.Stats) -> dict[str, object]:
    row: dict[str, object] = {
        "episode_index": episode,
        "tasks": ["walk"],
        "length": LENGTH,
        "data/chunk_index": 0,
        "data/file_index": file,
        "dataset_from_index": episode * LENGTH,
        "dataset_to_index": (episode + 1) * LENGTH,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    return row | {f"stats/{key}/{name}": v[name].tolist() for key, v in described.items() for name in stats.NAMES}


def main(folder: Path) -> None:
    makes = {
        "state": lambda root: small(root, (), 200, 500),
        "video": lambda root: small(root, CAMERAS, 20, 300),
        "large": large,
    }
    for name, make in makes.items():
        if not (folder / f"{name}.made").exists():
            print(f"making {folder / name} …", file=sys.stderr, flush=True)
            make(folder / name)
            (folder / f"{name}.made").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
