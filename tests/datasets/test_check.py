"""`lr dataset check`: sound datasets have no findings; every kind of damage is found where it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recordings
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lerobot_datasets import checks
from lerobot_datasets.commands.check import check

CAMERA = recordings.CAMERA


def looked_at(root: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings."""
    result = CliRunner().invoke(check, [str(root), "--json", *options], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)["findings"]


@pytest.mark.parametrize("name", ["state_only", "state_env", "video2"])
def test_recorded_datasets_are_sound(fixtures: Path, name: str) -> None:
    assert looked_at(fixtures / "datasets" / name) == (0, [])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six episodes of about eight frames."""
    root = tmp_path_factory.mktemp("check") / "set"
    writer = recordings.backend(root).create(recordings.features(), 10)
    recordings.record(writer, [8, 9, 8, 9, 8, 8])
    writer.finalize()
    return root


@pytest.fixture
def dataset(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "set"))


def table(root: Path, change: Callable[[dict[str, list[Any]]], None], **types: pa.DataType) -> str:
    """Change the rows of the last data file; gives its name."""
    path = sorted(root.glob("data/*/*.parquet"))[-1]
    found = pq.read_table(path)
    values = found.to_pydict()
    change(values)
    fields = [pa.field(f.name, types.get(f.name, f.type)) for f in found.schema]
    pq.write_table(pa.table({f.name: pa.array(values[f.name], f.type) for f in fields}, pa.schema(fields)), path)
    return str(path.relative_to(root))


def test_what_was_recorded_is_sound(dataset: Path) -> None:
    assert looked_at(dataset) == (0, [])
    told = CliRunner().invoke(check, [str(dataset)]).stdout
    assert told == "6 episodes with 50 frames: nothing wrong\n"


def put(column: str, value: Any) -> Callable[[dict[str, list[Any]]], None]:
    """A value in the row before the last, which is row 6 of episode 5."""

    def change(values: dict[str, list[Any]]) -> None:
        values[column][-2] = value

    return change


@pytest.mark.parametrize(
    ("kind", "column", "value", "says"),
    [
        ("index", "index", 7, "index is 7, expected 48"),
        ("index", "frame_index", 0, "frame_index is 0, expected 6"),
        ("index", "task_index", 9, "task_index is 9, the dataset has 2 tasks"),
        ("timestamp", "timestamp", 0.61, "timestamp is 0.610000 s, expected 0.600000 s"),
        ("timestamp", "timestamp", float("nan"), "timestamp is nan s"),
        ("nan", "action", [float("nan"), 0.0], "NaN"),
        ("nan", "observation.state", [0.0, float("inf"), 0.0], "NaN or infinity"),
    ],
)
def test_a_wrong_cell(dataset: Path, kind: str, column: str, value: Any, says: str) -> None:
    file = table(dataset, put(column, value))
    status, found = looked_at(dataset, *(f"--skip={name}" for name in ("stats", "drift", "video")))
    assert status == 1
    [finding] = found
    assert says in finding.pop("message")
    assert finding == {"check": kind, "file": file, "column": column, "episode": 5, "row": 6}


def test_a_column_of_another_type(dataset: Path) -> None:
    file = table(dataset, lambda values: None, action=pa.list_(pa.float64(), 2))
    message = "stored as double, info.json says float32"
    wanted = {"check": "dtype", "message": message, "file": file, "column": "action", "episode": None, "row": None}
    assert looked_at(dataset) == (1, [wanted])
    assert looked_at(dataset, "--skip=dtype") == (0, [])


def test_rows_that_are_missing(dataset: Path) -> None:
    def cut(values: dict[str, list[Any]]) -> None:
        for cells in values.values():
            del cells[-1]

    file = table(dataset, cut)
    found = [finding for finding in looked_at(dataset)[1] if finding["check"] == "unreadable"]
    assert [(f["file"], f["episode"]) for f in found] == [(file, 5)]
    assert "7 of the 8 frames" in found[0]["message"]


def test_videos(dataset: Path) -> None:
    path = sorted(dataset.glob("videos/*/*/*.mp4"))[-1]
    where = {"file": str(path.relative_to(dataset)), "column": CAMERA}
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert {f["check"] for f in looked_at(dataset)[1]} <= {"unreadable", "video"}
    path.write_bytes(b"")
    assert where.items() <= looked_at(dataset)[1][-1].items()
    path.unlink()
    status, found = looked_at(dataset)
    assert status == 1
    assert all(where.items() <= f.items() and f["message"] == "the video is missing" for f in found)
    assert found[-1]["episode"] == 5


def test_a_video_that_begins_elsewhere(dataset: Path) -> None:
    path = sorted(dataset.glob("meta/episodes/*/*.parquet"))[-1]
    found = pq.read_table(path)
    name = f"videos/{CAMERA}/from_timestamp"
    for by, kind in ((0.02, "drift"), (1.0, "video")):
        starts = found[name].to_pylist()
        starts[-1] += by
        pq.write_table(found.set_column(found.schema.get_field_index(name), name, pa.array(starts)), path)
        [finding] = looked_at(dataset)[1]
        assert (finding["check"], finding["column"], finding["episode"]) == (kind, CAMERA, 5)
        assert finding["row"] == (0 if kind == "drift" or len(found) == 1 else finding["row"])


def test_a_dead_column_a_frozen_camera_and_an_outlier(tmp_path: Path) -> None:
    root = tmp_path / "set"
    writer = recordings.backend(root).create(recordings.features(), 10)
    for episode, length in enumerate([6, 6, 6, 6, 60]):
        for i in range(length):
            frame = recordings.frame(episode, i)
            frame["action"][1] = 4
            still = {CAMERA: recordings.picture(3)} if episode == 1 else {}
            writer.add(frame | still, task="task")
        writer.save_episode()
    writer.finalize()
    found = {f["check"]: f for f in looked_at(root)[1]}
    assert sorted(found) == ["dead", "frozen", "outlier"]
    assert (found["dead"]["column"], found["dead"]["message"]) == ("action", "element 1 (b) is 4 in every row")
    assert (found["frozen"]["column"], found["frozen"]["episode"]) == (CAMERA, 1)
    assert (found["outlier"]["episode"], found["outlier"]["message"]) == (4, "60 frames, the median is 6")


@pytest.mark.parametrize(
    ("name", "says"), [("mean", "mean of element 1"), ("std", "std of element 1"), ("count", "50")]
)
def test_statistics_of_other_data(dataset: Path, name: str, says: str) -> None:
    path = dataset / "meta" / "stats.json"
    stats = json.loads(path.read_text())
    stats["action"][name][-1] += 1
    path.write_text(json.dumps(stats))
    [finding] = looked_at(dataset)[1]
    assert (finding["check"], finding["file"], finding["column"]) == ("stats", "meta/stats.json", "action")
    assert says in finding["message"]


def test_text_names_the_place(dataset: Path) -> None:
    table(dataset, put("timestamp", 9.0))
    result = CliRunner().invoke(check, [str(dataset), "--skip=video", "--skip=drift"])
    assert result.exit_code == 1
    assert "timestamp   data/chunk-000/file-" in result.stdout
    assert "'timestamp', episode 5, row 6: timestamp is 9.000000 s, expected 0.600000 s" in result.stdout
    assert result.stdout.endswith("1 findings\n")


@given(st.integers(2, 30), st.data())
def test_pictures_that_lack_repeat_or_drift(length: int, data: st.DataObject) -> None:
    """Two episodes in one video, the second damaged."""
    rows = np.arange(length) / 30
    start = length / 30
    times = np.arange(2 * length) / 30
    assert not list(checks.pictures(times, start, rows, 1e-4))
    which = length + data.draw(st.integers(0, length - 1))
    lacking = np.delete(times, which)
    [(kind, _, row)] = checks.pictures(lacking, start, rows, 1e-4)
    assert (kind, row) == ("video", which - length)
    twice = np.sort(np.append(times, times[which]))
    assert [found[0] for found in checks.pictures(twice, start, rows, 1e-4)] == ["video"]
    late = times + np.where(np.arange(2 * length) >= which, 0.004, 0)
    [(kind, _, row)] = checks.pictures(late, start, rows, 1e-4)
    assert (kind, row) == ("drift", which - length)
    assert not list(checks.pictures(late, start, rows, 0.01))
