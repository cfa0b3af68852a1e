"""`lr dataset check`: sound datasets have no findings; every kind of damage is found where it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recordings
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lerobot_datasets import checks, stats
from lerobot_datasets.commands.check import check

CAMERA = recordings.CAMERA


def looked_at(root: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings."""
    result = CliRunner().invoke(check, [str(root), "--json", *options], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)["findings"]


def test_recorded_datasets_are_sound(fixtures: Path) -> None:
    """v2.1, depth, pictures in tables and every other kind there is."""
    found = {path.name: looked_at(path, "--all_frames") for path in sorted((fixtures / "datasets").iterdir())}
    assert len(found) >= 6
    assert found == dict.fromkeys(found, (0, []))


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
        [finding] = [f for f in looked_at(dataset)[1] if f["check"] == kind and f["episode"] is not None]
        assert (finding["column"], finding["episode"]) == (CAMERA, 5)
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


# --- files and tables of a dataset, and what must be said of each fault ---------------------------------------------------


def last(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[-1]


def episodes(root: Path, column: str, value: Any) -> None:
    """Another value for the last episode in the table of episodes."""
    path = last(root, "meta/episodes/*/*.parquet")
    found = pq.read_table(path)
    values = found[column].to_pylist()
    values[-1] = value(values[-1]) if callable(value) else value
    place = found.schema.get_field_index(column)
    pq.write_table(found.set_column(place, column, pa.array(values, found.schema.field(place).type)), path)


def info(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = root / "meta" / "info.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def more_rows(root: Path) -> None:
    path = last(root, "data/*/*.parquet")
    found = pq.read_table(path)
    number = found.schema.get_field_index("episode_index")
    extra = found.slice(0, 2).set_column(number, "episode_index", pa.array([99, 99]))
    pq.write_table(pa.concat_tables([found, extra]), path)


def other_statistics(root: Path) -> None:
    path = root / "meta" / "stats.json"
    data = json.loads(path.read_text())
    data[CAMERA]["mean"] = [[[0.9]]] * 3
    path.write_text(json.dumps(data))


def more_pictures(root: Path) -> None:
    """A video of more pictures than rows: that of another file at its end."""
    path = last(root, "videos/*/*/*.mp4")
    with av.open(str(path)) as source:
        count = sum(1 for packet in source.demux(video=0) if packet.size)
    longer = encode_many(path, [recordings.picture(i) for i in range(count + 3)])
    path.write_bytes(longer)


def other_size(root: Path) -> None:
    info(root, lambda data: data["features"][CAMERA].update(shape=[96, 128, 3]))


def encode_many(path: Path, pictures: list[np.ndarray], g: int = 4) -> bytes:
    """mp4 bytes of pictures, at 10 a second."""
    out = path.with_name("new.mp4")
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": str(g), "crf": "18"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    data = out.read_bytes()
    out.unlink()
    return data


FAULTS: list[tuple[str, Callable[[Path], Any], dict[str, Any]]] = [
    (
        "a table of no episode",
        lambda root: shutil.copy(last(root, "data/*/*.parquet"), root / "data" / "chunk-000" / "file-099.parquet"),
        {"check": "orphan", "file": "data/chunk-000/file-099.parquet"},
    ),
    (
        "a video of no episode",
        lambda root: shutil.copy(
            last(root, "videos/*/*/*.mp4"), root / "videos" / CAMERA / "chunk-000" / "file-099.mp4"
        ),
        {"check": "orphan", "file": f"videos/{CAMERA}/chunk-000/file-099.mp4"},
    ),
    ("rows of no episode", more_rows, {"check": "index", "message": "52 rows, its episodes have 50"}),
    (
        "rows that do not join",
        lambda root: episodes(root, "dataset_from_index", lambda value: value + 1),
        {"check": "episodes", "column": "dataset_from_index", "episode": 5},
    ),
    (
        "a part of a video too long",
        lambda root: episodes(root, f"videos/{CAMERA}/to_timestamp", lambda value: value + 0.3),
        {"check": "episodes", "column": f"videos/{CAMERA}/to_timestamp", "episode": 5},
    ),
    (
        "a task nobody knows",
        lambda root: episodes(root, "tasks", ["fly"]),
        {
            "check": "episodes",
            "column": "tasks",
            "message": "names the task 'fly', which the table of tasks does not have",
        },
    ),
    (
        "a task of other rows",
        lambda root: episodes(root, "tasks", ["task 0"]),
        {"check": "episodes", "column": "tasks", "message": "names ['task 0'], its rows have ['task 1']"},
    ),
    (
        "frames that are not there",
        lambda root: info(root, lambda data: data.update(total_frames=51)),
        {"check": "index", "file": "meta/info.json", "message": "total_frames is 51, the episodes have 50"},
    ),
    ("statistics of other pictures", other_statistics, {"check": "stats", "file": "meta/stats.json", "column": CAMERA}),
    ("pictures of no episode", more_pictures, {"check": "video", "message": "3 pictures are in no episode"}),
    ("another size", other_size, {"check": "dtype", "message": "pictures of 48x64, info.json says 96x128"}),
]


@pytest.mark.parametrize(("fault", "wanted"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_faults(dataset: Path, fault: Callable[[Path], Any], wanted: dict[str, Any]) -> None:
    fault(dataset)
    status, found = looked_at(dataset)
    assert status == 1
    assert any(wanted.items() <= finding.items() for finding in found), found


def recorded_again(
    root: Path, shown: Callable[[int], int], *, camera: str = "video", moving: bool = True, length: int = 50
) -> Path:
    """An episode whose pictures are those of other frames."""
    writer = recordings.backend(root).create(recordings.features(camera), 10)
    for i in range(length):
        frame = recordings.frame(0, i % 60 if moving else 0)
        frame["action"] += np.float32(i == 49)  # no column is dead
        frame["observation.state"] += np.float32(i == 49)
        writer.add(frame | {CAMERA: recordings.picture(shown(i))}, task="task")
    writer.save_episode()
    writer.finalize()
    return root


@pytest.mark.parametrize("camera", ["video", "image"])
def test_a_camera_that_freezes_for_a_while(tmp_path: Path, camera: str) -> None:
    root = recorded_again(tmp_path / "set", lambda i: 20 if 20 <= i < 45 else i, camera=camera)
    [finding] = looked_at(root)[1]
    assert (finding["check"], finding["row"], finding["column"]) == ("frozen", 20, CAMERA)
    assert finding["message"] == "the same picture up to row 44, 2.4 s, while the robot moves"


def test_a_camera_may_stand_still_with_the_robot_and_for_a_moment(tmp_path: Path) -> None:
    still = recorded_again(tmp_path / "still", lambda i: 7 if i < 40 else i, moving=False)
    assert looked_at(still) == (0, [])
    moment = recorded_again(tmp_path / "moment", lambda i: 20 if 20 <= i < 35 else i)
    assert looked_at(moment) == (0, [])


def test_every_picture_is_looked_at_if_wished(tmp_path: Path) -> None:
    """In a long episode statistics leave pictures out; a standstill that begins at one of those looks shorter than it is."""
    first = next(i for i in range(50, 250) if i not in stats.sample_indices(250))
    root = recorded_again(tmp_path / "set", lambda i: 3 if first <= i <= first + 20 else i, length=250)
    assert looked_at(root) == (0, [])
    [finding] = looked_at(root, "--all_frames")[1]
    assert (finding["check"], finding["row"]) == ("frozen", first)


def test_a_picture_of_a_table_that_is_damaged(tmp_path: Path) -> None:
    root = recorded_again(tmp_path / "set", lambda i: i, camera="image")

    def cut(values: dict[str, list[Any]]) -> None:
        values[CAMERA][30]["bytes"] = values[CAMERA][30]["bytes"][:40]

    file = table(root, cut)
    [finding] = looked_at(root)[1]
    assert (finding["check"], finding["file"], finding["column"]) == ("unreadable", file, CAMERA)
    assert "is broken" in finding["message"]
    assert looked_at(root, "--skip=stats", "--skip=frozen") == (0, []), "nothing is decoded"


def test_faults_of_v21(fixtures: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fixtures / "datasets" / "v21", tmp_path / "set"))
    video = last(root, "videos/*/*/*.mp4")
    video.unlink()
    file = root / "data" / "chunk-000" / "episode_000001.parquet"
    shutil.copy(file, root / "data" / "chunk-000" / "episode_000077.parquet")
    found = pq.read_table(file)
    actions = found["action"].to_pylist()
    actions[3][0] = float("nan")
    place = found.schema.get_field_index("action")
    pq.write_table(found.set_column(place, "action", pa.array(actions, found.schema.field(place).type)), file)
    kinds = {(f["check"], f["episode"], f["row"]) for f in looked_at(root, "--skip=stats")[1]}
    assert kinds == {("orphan", None, None), ("unreadable", 2, None), ("nan", 1, 3)}


# --- what the reader asks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "row", "value", "wanted"),
    [
        ("index", 9, 50, ("index", 9)),
        ("frame_index", 6, 3, ("index", 6)),
        ("timestamp", 16, 9.0, ("timestamp", 16)),
        ("task_index", 3, 2, ("index", 3)),
        ("action", 12, np.nan, ("nan", 12)),
        ("observation.state", 12, np.nan, None),
    ],
)
def test_the_first_impossible_row(column: str, row: int, value: float, wanted: Any) -> None:
    lengths = np.array([7, 10])
    number = np.concatenate([np.arange(n) for n in lengths])
    columns = {
        "index": 100 + np.arange(17),
        "frame_index": number.copy(),
        "timestamp": (number / 30).astype(np.float32),
        "task_index": np.repeat([0, 1], lengths),
        "action": np.zeros((17, 2), np.float32),
        "observation.state": np.zeros((17, 2), np.float32),
    }
    given = (number, 100 + np.arange(17), 2, 30, 1e-4)
    assert checks.impossible(columns, *given) is None
    columns[column][row] = value
    found = checks.impossible(columns, *given)
    assert (found and (found.check, found.row)) == wanted
    assert found is None or found.column == column


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
