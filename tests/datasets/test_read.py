"""Reading: recorded datasets give exactly what was recorded of the ecosystem's reader, through every decoder."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from expected import check_cases

from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDataset
from lerobot_datasets.backend import LeRobotBackend
from lerobot_datasets.config import LeRobotBackendConfig
from lerobot_datasets.v3.reader import Reader

FRONT = "observation.images.front"


def test_a_batch_is_its_items(fixtures: Path) -> None:
    deltas = {"action": [0.0, 1 / 30, 0.1], FRONT: [-1 / 30, 0.0]}
    root = fixtures / "datasets" / "video2"
    dataset = LeRobotDataset("test/set", root=root, delta_timestamps=deltas, video_backend="pyav")
    rows = [97, 3, 40, 3, 0, -1]
    batch = dataset.collate(dataset.__getitems__(rows))
    loose = dataset.collate([dataset[i] for i in rows])
    assert list(batch) == list(loose)
    for key, value in batch.items():
        assert torch.equal(value, loose[key]) if isinstance(value, torch.Tensor) else value == loose[key], key


def test_workers_and_pickling(fixtures: Path) -> None:
    root = fixtures / "datasets" / "video2"
    dataset = LeRobotDataset("test/set", root=root, return_uint8=True, video_backend="pyav")
    first = dataset[50]
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301
    assert torch.equal(again[50][FRONT], first[FRONT])
    assert len(pickle.dumps(dataset)) < 60_000, "columns and decoders stay behind"


def test_spawned_workers(fixtures: Path) -> None:
    root = fixtures / "datasets" / "state_env"
    dataset = LeRobotDataset("test/set", root=root)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=16,
        num_workers=1,
        sampler=dataset.sampler(shuffle=False),
        collate_fn=dataset.collate,
        multiprocessing_context="spawn",
    )
    rows = torch.cat([batch["index"] for batch in loader])
    assert rows.tolist() == list(range(len(dataset)))


def test_transforms_and_single_offsets(fixtures: Path) -> None:
    root = fixtures / "datasets" / "video2"
    seen: list[tuple[int, ...]] = []

    def darken(pictures: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(pictures.shape))
        return pictures * 0

    dataset = LeRobotDataset(
        "test/set", root=root, delta_timestamps={FRONT: [0.0]}, image_transforms=darken, video_backend="pyav"
    )
    item = dataset[5]
    assert item[FRONT].shape == (3, 96, 128)
    assert item[f"{FRONT}_is_pad"].tolist() == [False]
    assert item[FRONT].sum() == 0
    assert seen == [(3, 96, 128)] * 2


def test_numpy_reader_agrees(fixtures: Path) -> None:
    root = fixtures / "datasets" / "video2"
    reader = LeRobotBackend(LeRobotBackendConfig(repo_id="test/set", root=root)).open([0, 2])
    assert (reader.num_episodes, reader.num_frames) == (2, 73)
    assert [row["length"] for row in reader.episodes] == [40, 33]
    dataset = reader.torch()
    columns = reader.columns(2)
    assert columns["action"].shape == (33, 6)
    np.testing.assert_array_equal(columns["action"][7], dataset[47]["action"])
    frames = list(reader.frames(2, FRONT))
    assert len(frames) == 33
    np.testing.assert_array_equal(frames[7] / np.float32(255), dataset[47][FRONT].permute(1, 2, 0))


def test_plain_lists_are_read_too(fixtures: Path, tmp_path: Path) -> None:
    """Other tools rewrite the tables with plain lists and without the ecosystem's schema metadata."""
    root = tmp_path / "set"
    shutil.copytree(fixtures / "datasets" / "state_only", root)
    path = root / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    plain = pa.table({name: pa.array(table[name].to_pylist()) for name in table.column_names})
    plain = plain.set_column(0, "observation.state", plain["observation.state"].cast(pa.list_(pa.float32())))
    pq.write_table(plain, path)
    check_cases(root)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(fixtures: Path, tmp_path: Path) -> Path:
    """A copy of a dataset, to be broken."""
    return Path(shutil.copytree(fixtures / "datasets" / "video2", tmp_path / "set"))


def edit_info(root: Path, **changes: Any) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no meta/info\.json there"):
        Reader(tmp_path / "nothing")
    with pytest.raises(DataError, match="'owner/nothing'") as caught:
        LeRobotDataset("owner/nothing")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fps": 0}, "'fps'"),
        ({"chunks_size": -1}, "'chunks_size'"),
        ({"features": None}, "no features"),
        ({"features": {"a": {"shape": [1]}}}, "feature 'a'"),
        ({"codebase_version": "v1.6"}, "v1.6"),
        ({"codebase_version": "v4.0"}, "v4.0"),
        ({"total_episodes": 9}, "3 of the 9 episodes"),
    ],
)
def test_impossible_metadata(broken: Path, changes: dict[str, Any], text: str) -> None:
    edit_info(broken, **changes)
    with pytest.raises(DataError, match=text):
        Reader(broken)


def test_broken_json(broken: Path) -> None:
    (broken / "meta" / "info.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        Reader(broken)


def test_a_missing_or_broken_video(broken: Path) -> None:
    dataset = LeRobotDataset("test/set", root=broken, video_backend="pyav")
    video = broken / "videos" / FRONT / "chunk-000" / "file-000.mp4"
    content = video.read_bytes()
    video.unlink()
    with pytest.raises(DataError, match=r"file-000\.mp4' not found"):
        dataset[0]
    video.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be decoded"):
        dataset[97]


def test_a_video_shorter_than_the_table(broken: Path) -> None:
    path = broken / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    name = f"videos/{FRONT}/from_timestamp"
    shifted = pa.array([value + 1.01 for value in table[name].to_pylist()])
    pq.write_table(table.set_column(table.column_names.index(name), name, shifted), path)
    dataset = LeRobotDataset("test/set", root=broken, video_backend="pyav")
    with pytest.raises(DataError, match=r"no frame within 0\.0001 s"):
        dataset[97]


def test_tables_that_do_not_fit(broken: Path) -> None:
    path = broken / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    text = table.set_column(1, "action", pa.array(["no"] * table.num_rows))
    for wrong, message in [
        (table.drop_columns(["action"]), "lacks the columns action"),
        (text, "column 'action' is string"),
        (table.slice(0, 90), "90 of the 98 frames"),
    ]:
        pq.write_table(wrong, path)
        with pytest.raises(DataError, match=message) as caught:
            LeRobotDataset("test/set", root=broken)
        assert str(path) in str(caught.value)


def test_wrong_questions(fixtures: Path) -> None:
    root = fixtures / "datasets" / "video2"
    with pytest.raises(DataError, match="did you mean 'action'"):
        LeRobotDataset("test/set", root=root, delta_timestamps={"actoin": [0.0]})
    with pytest.raises(DataError, match="no multiple of 1/30"):
        LeRobotDataset("test/set", root=root, delta_timestamps={"action": [0.02]})
    with pytest.raises(DataError, match="torchcodec or pyav"):
        LeRobotDataset("test/set", root=root, video_backend="opencv")[0]
    with pytest.raises(IndexError, match="row 98 of 98"):
        LeRobotDataset("test/set", root=root, video_backend="pyav")[98]
    with pytest.raises(DataError, match="no episode 3"):
        Reader(root).columns(3)
    with pytest.raises(DataError, match="did you mean"):
        Reader(root).frames(0, "observation.images.fornt")
