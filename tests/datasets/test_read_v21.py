"""v2.1 and v2.0 datasets are read where they are: as their conversion to v3.0, value by value."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from expected import check_cases, check_metadata

from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDataset
from lerobot_datasets.commands.info import info
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

FRONT = "observation.images.front"


@pytest.fixture
def old(fixtures: Path, tmp_path: Path) -> Path:
    """A copy of a v2.1 dataset."""
    return Path(shutil.copytree(fixtures / "datasets" / "v21", tmp_path / "set"))


@pytest.fixture
def older(old: Path, fixtures: Path) -> Path:
    """The same as v2.0: statistics of the whole dataset only."""
    (old / "meta" / "episodes_stats.jsonl").unlink()
    shutil.copy(fixtures / "datasets" / "v21_converted" / "meta" / "stats.json", old / "meta")
    edit_info(old, codebase_version="v2.0")
    return old


def edit_info(root: Path, **changes: object) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("version", ["old", "older"])
def test_in_place(version: str, fixtures: Path, decoder: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(version)
    twin = fixtures / "datasets" / "v21_converted"
    check_cases(root, twin, video_backend=decoder)
    check_metadata(root, twin)
    same = ("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index")
    wanted = [{key: row[key] for key in same} for row in Reader(twin).episodes]
    assert [{key: row[key] for key in same} for row in Reader(root).episodes] == wanted


def test_numpy_reader_agrees(old: Path, fixtures: Path) -> None:
    mine, twin = Reader(old, [0, 2]), Reader(fixtures / "datasets" / "v21_converted", [0, 2])
    mine.require_videos()
    assert (mine.num_episodes, mine.num_frames, mine.fps) == (2, 29, 30)
    for episode in (0, 2):
        for key, values in twin.columns(episode).items():
            np.testing.assert_array_equal(mine.columns(episode)[key], values, err_msg=key)
        frames = list(mine.frames(episode, FRONT))
        np.testing.assert_array_equal(frames, list(twin.frames(episode, FRONT)))


def test_chunks_of_episodes(old: Path) -> None:
    """A chunk is full: the next episodes lie in the next folder."""
    edit_info(old, chunks_size=2)
    for kind, name in (("data", "episode_000002.parquet"), (f"videos/chunk-001/{FRONT}", "episode_000002.mp4")):
        source = old / kind / "chunk-000" / name if kind == "data" else old / "videos" / "chunk-000" / FRONT / name
        target = old / kind / "chunk-001" / name if kind == "data" else old / kind / name
        target.parent.mkdir(parents=True)
        source.rename(target)
    dataset = LeRobotDataset("test/set", root=old, video_backend="pyav")
    assert dataset[54]["episode_index"] == 2
    assert dataset[54][FRONT].shape == (3, 96, 128)


def test_what_came_with_an_episode_stays(old: Path) -> None:
    path = old / "meta" / "episodes.jsonl"
    rows = [json.loads(line) | {"action_config": [{"skill": "pick"}]} for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps(row) for row in reversed(rows)) + "\n\n")
    episodes = Reader(old).episodes
    assert episodes["length"].tolist() == [18, 26, 11], "ordered by number"
    assert episodes[1]["action_config"] == [{"skill": "pick"}]


def test_info_command(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = CliRunner().invoke(info, [str(old)], catch_exceptions=False)
    for part in ("(v2.1)", "episodes  3", "frames    55", "stack the blocks"):
        assert part in result.output
    assert not caplog.records, "total_videos and total_chunks are known keys of v2.1"


# --- what is refused --------------------------------------------------------------------------------------------------


def test_no_recording_to_an_old_dataset(old: Path) -> None:
    with pytest.raises(DataError, match=r"v2\.1") as caught:
        Writer.resume(old)
    assert "lr dataset convert" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "before", "after", "text"),
    [
        ("episodes.jsonl", '"episode_index": 1', '"episode_index": 3', "no line has 'episode_index' 1"),
        ("episodes.jsonl", '"episode_index": 1', '"episode_index": 0', "'episode_index' 0 is there twice"),
        ("episodes.jsonl", '"length": 26', '"size": 26', "line 2 lacks length"),
        ("episodes.jsonl", '{"episode_index": 2', '["episode_index", 2', "line 3 is not valid JSON"),
        ("episodes.jsonl", '"length": 26', '"length": "long"', "'length' is a number of frames, found 'long'"),
        ("tasks.jsonl", '"task_index": 2', '"task_index": 5', "no line has 'task_index' 2"),
        ("tasks.jsonl", '{"task_index": 2, "task": "stack the blocks"}', "[]", "line 3 is no object"),
        ("episodes_stats.jsonl", '"stats"', '"stat"', "lacks stats"),
    ],
)
def test_impossible_metadata(old: Path, name: str, before: str, after: str, text: str) -> None:
    path = old / "meta" / name
    content = path.read_text()
    assert before in content
    path.write_text(content.replace(before, after))
    with pytest.raises(DataError, match=text) as caught:
        Reader(old)
    assert str(path) in str(caught.value)


def test_missing_files(old: Path) -> None:
    for name, text in [("data/chunk-000/episode_000001.parquet", "not found"), ("meta/tasks.jsonl", "not found")]:
        (old / name).unlink()
        with pytest.raises(DataError, match=text) as caught:
            LeRobotDataset("test/set", root=old)
        assert name in str(caught.value)


def test_fewer_episodes_than_counted(old: Path) -> None:
    edit_info(old, total_episodes=4)
    with pytest.raises(DataError, match="3 of the 4 episodes"):
        Reader(old)
