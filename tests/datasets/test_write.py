"""Recording: what is written is what the ecosystem writes, comes back exactly, and survives a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import recordings
from recordings import CAMERA, PATIENT

from lerobot_core.errors import DataError, FeatureError
from lerobot_core.features import Feature
from lerobot_core.roles import DatasetBackend, DatasetReader, DatasetWriter
from lerobot_datasets import LeRobotDataset
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import journal
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

SVT = EncoderConfig(when_full="wait")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"


# --- the format -------------------------------------------------------------------------------------------------------


def described(path: Path) -> Any:
    """Names, types and metadata of a table's columns; how it was written."""
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    metadata = {key: json.loads(value) for key, value in (schema.metadata or {}).items()}
    metadata.get(b"huggingface", {}).pop("fingerprint", None)
    fields = [(field.name, str(field.type), field.nullable, field.metadata) for field in schema]
    column = file.metadata.row_group(0).column(0)
    return fields, metadata, file.metadata.num_row_groups, file.metadata.format_version, column.compression


@pytest.mark.parametrize("name", ["state_only", "state_env", "video2"])
def test_files_are_those_of_the_ecosystem(fixtures: Path, root: Path, name: str) -> None:
    source = fixtures / "datasets" / name
    recordings.copy(source, root, SVT)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {
        str(path.relative_to(source)) for path in source.rglob("*") if path.is_file() and "expected" not in path.name
    }
    for path in sorted(source.rglob("*.parquet")):
        assert described(root / path.relative_to(source)) == described(path), path.name
    for part in ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"):
        want, found = pq.read_table(source / part), pq.read_table(root / part)
        for column in want.column_names:  # tasks are numbered in another order; pictures were coded once more
            if "task" not in column and "stats/observation.images" not in column:
                assert found[column].combine_chunks().equals(want[column].combine_chunks()), column
    assert (root / "meta" / "info.json").read_text() == (source / "meta" / "info.json").read_text()
    want, found = (json.loads((folder / "meta" / "stats.json").read_text()) for folder in (source, root))
    for feature, values in want.items():
        for stat, value in values.items():
            if feature.startswith("observation.images"):
                np.testing.assert_allclose(found[feature][stat], value, atol=0.06, err_msg=f"{feature}/{stat}")
            elif feature != "task_index":
                assert found[feature][stat] == value, f"{feature}/{stat}"


@pytest.mark.parametrize("camera", ["video", "image", None])
def test_what_is_written_comes_back(root: Path, camera: str | None) -> None:
    backend = recordings.backend(root)
    writer = backend.create(recordings.features(camera), 10, robot_type="arm")
    assert isinstance(backend, DatasetBackend)
    assert isinstance(writer, DatasetWriter)
    recordings.record(writer, [5, 1, 9], camera=bool(camera))
    writer.finalize()

    reader = backend.open()
    assert isinstance(reader, DatasetReader)
    assert (reader.num_episodes, reader.num_frames, reader.fps) == (3, 15, 10)
    assert reader.tasks == ["task 0", "task 1"]
    dataset = reader.torch({"action": [-0.1, 0.0]})
    for episode, length in enumerate([5, 1, 9]):
        columns = reader.columns(episode)
        pictures = list(reader.frames(episode, CAMERA)) if camera else []
        for i in range(length):
            want = recordings.frame(episode, i, camera=False)
            item = dataset[int(columns["index"][i])]
            for key, value in want.items():
                np.testing.assert_array_equal(np.asarray(columns[key][i]).reshape(np.shape(value)), value)
            assert item["note"] == want["note"]
            assert item["action"].tolist() == [[max(i - 1, 0), -max(i - 1, 0)], [i, -i]]
            assert item["task"] == f"task {episode % 2}"
            assert item["timestamp"] == np.float32(i / 10)
            if camera:
                assert recordings.number_of(pictures[i]) == i
                assert recordings.number_of(item[CAMERA].numpy() * 255) == i


def test_dataset_class_records_and_reads(root: Path) -> None:
    features = {"action": {"dtype": "float32", "shape": (2,), "names": None}}
    dataset = LeRobotDataset.create("test/set", 10, features, root=root, robot_type="arm", video_backend="pyav")
    dataset.add_frame({"action": np.ones(2, np.float32), "task": "lost"})
    dataset.clear_episode_buffer()
    for i in range(3):
        dataset.add_frame({"action": np.full(2, i, np.float32), "task": "move"})
    assert dataset.save_episode() == 0
    assert [item["action"].tolist() for item in dataset[:]] == [[0, 0], [1, 1], [2, 2]]
    dataset.finalize()
    dataset.finalize()
    with pytest.raises(DataError, match="finalized"):
        dataset.add_frame({"action": np.ones(2, np.float32), "task": "late"})

    again = LeRobotDataset.resume("test/set", root, video_backend="pyav")
    again.add_frame({"action": np.full(2, 7, np.float32), "task": "other"})
    assert again.save_episode() == 1
    again.finalize()
    read = LeRobotDataset("test/set", root=root)
    assert (len(read), read[3]["task"], read[3]["index"].item()) == (4, "other", 3)
    with pytest.raises(DataError, match="open for reading"):
        read.add_frame({})


# --- files ------------------------------------------------------------------------------------------------------------


def test_resumed_recordings_go_to_new_files(root: Path) -> None:
    for _ in range(2):
        writer = recordings.backend(root).create(recordings.features(), 10, resume=root.exists())
        recordings.record(writer, [4, 3])
        writer.finalize()
    reader = Reader(root)
    for name in ("data", f"videos/{CAMERA}", "meta/episodes"):
        assert reader.episodes[f"{name}/file_index"].tolist() == [0, 0, 1, 1], name
    assert reader.episodes["dataset_from_index"].tolist() == [0, 4, 7, 11]
    assert reader.episodes[f"videos/{CAMERA}/from_timestamp"].tolist() == pytest.approx([0, 0.4, 0, 0.4])
    assert [recordings.number_of(picture) for picture in reader.frames(3, CAMERA)] == [0, 1, 2]
    assert reader.stats["action"]["count"].tolist() == [14]


def test_files_are_closed_at_their_size(root: Path) -> None:
    wide = {"wide": Feature(dtype="float64", shape=(5_000, 10))}
    writer = recordings.backend(root, data_files_size_in_mb=1).create(wide, 10)
    noise = np.random.default_rng(0)
    for _ in range(3):
        for _ in range(2):
            writer.add({"wide": noise.normal(size=(5_000, 10))}, task="t")
        writer.save_episode()
    writer.finalize()
    reader = Reader(root)
    assert reader.episodes["data/file_index"].tolist() == [0, 1, 2]
    assert reader.columns(2)["wide"].shape == (2, 5_000, 10)


def test_a_commit_is_finished_or_forgotten(root: Path) -> None:
    writer = recordings.backend(root).create(recordings.features(None), 10)
    recordings.record(writer, [2], camera=False)
    writer.finalize()
    info = (root / "meta" / "info.json").read_text()

    commit = journal.Commit(root)
    commit.write_text(Path("meta/info.json"), "never seen")
    journal.recover(root)
    assert (root / "meta" / "info.json").read_text() == info, "killed before the note: as before"

    commit = journal.Commit(root)
    commit.write_text(Path("meta/new.json"), "{}")
    (root / journal.STAGING / "commit.json").write_text('{"meta/gone.json": true, "meta/new.json": true}')
    journal.recover(root)
    assert (root / "meta" / "new.json").exists(), "killed after the note: finished"
    assert not (root / journal.STAGING).exists()


_KILLED = """
import sys
from pathlib import Path
import recordings
writer = recordings.backend(Path(sys.argv[1])).create(recordings.features(), 10, robot_type="arm")
recordings.record(writer, [6, 4])
for i in range(5):
    writer.add(recordings.frame(2, i), task="lost")
print("recording", flush=True)
sys.stdin.read()
"""


def test_a_killed_recording_loses_the_running_episode_only(root: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(root)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "recording\n"
        process.send_signal(signal.SIGKILL)
    reader = Reader(root)
    assert (reader.num_episodes, reader.num_frames) == (2, 10)
    assert [recordings.number_of(picture) for picture in reader.frames(1, CAMERA)] == [0, 1, 2, 3]
    assert len(LeRobotDataset("test/set", root=root, video_backend="pyav")[:]) == 10

    writer = recordings.backend(root).create(recordings.features(), 10, robot_type="arm", resume=True)
    recordings.record(writer, [3])
    writer.finalize()
    assert Reader(root).num_episodes == 3
    assert [path.name for path in (root / journal.STAGING).iterdir()] == ["left"], "and offers that to repair"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"action": None}, r"lacks \['action'\]"),
        ({"acton": np.zeros(2, np.float32)}, r"has \['acton'\].*did you mean 'action'"),
        ({"timestamp": np.zeros(1, np.float32)}, r"has \['timestamp'\]"),
        ({"action": np.zeros(2)}, r"'action' is float32\[2\], got float64\[2\]"),
        ({"action": np.zeros(3, np.float32)}, r"got float32\[3\]"),
        ({"next.done": 1}, "'next.done' is bool"),
        ({"note": 3}, "'note' is a string, got int"),
        ({CAMERA: np.zeros((48, 65, 3), np.uint8)}, r"is \[48, 64, 3\], got \[48, 65, 3\]"),
        ({CAMERA: np.zeros((48, 64, 3), np.float32) + 2}, "floats in"),
    ],
)
def test_frames_that_do_not_fit(root: Path, change: dict[str, Any], text: str) -> None:
    writer = recordings.backend(root).create(recordings.features(), 10)
    frame = {key: value for key, value in (recordings.frame(0, 0) | change).items() if value is not None}
    with pytest.raises(DataError, match=text):
        writer.add(frame, task="t")
    writer.add(recordings.frame(0, 0) | {CAMERA: recordings.picture(0).transpose(2, 0, 1) / 255}, task="t")
    assert writer.save_episode() == 0
    writer.finalize()
    assert Reader(root).num_frames == 1, "the refused frame left nothing behind"


def test_resuming_with_something_else(root: Path) -> None:
    writer = recordings.backend(root).create(recordings.features(None), 10, robot_type="arm")
    recordings.record(writer, [2], camera=False)
    writer.finalize()
    other = recordings.features() | {"action": Feature(dtype="float32", shape=(3,))}
    with pytest.raises(DataError) as caught:
        recordings.backend(root).create(other, 20, robot_type="leg", resume=True)
    for part in ("fps is 20", "'leg'", "feature 'action'", f"feature '{CAMERA}' is not in the dataset"):
        assert part in caught.value.message
    with pytest.raises(DataError, match="is not empty"):
        recordings.backend(root).create(other, 10)
    with pytest.raises(DataError, match=r"no dataset in .* to add to"):
        recordings.backend(root / "none").create(other, 10, resume=True)


@pytest.mark.parametrize(
    ("features", "error", "text"),
    [
        ({"a/b": Feature(dtype="float32", shape=(1,))}, FeatureError, "no '/'"),
        ({"a": Feature(dtype="float31", shape=(1,))}, FeatureError, "float31"),
        ({"a": Feature(dtype="float32", shape=(1,) * 6)}, FeatureError, "one to 5 axes"),
        ({"index": Feature(dtype="int64", shape=(1,))}, DataError, "added by the dataset"),
    ],
)
def test_features_that_cannot_be_stored(root: Path, features: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        recordings.backend(root).create(features, 10)
    assert not root.exists()


def test_an_empty_episode_is_refused(root: Path) -> None:
    writer = Writer.create(root, recordings.features(), 10, encoder=PATIENT)
    with pytest.raises(DataError, match="no frame to save"):
        writer.save_episode()
    writer.finalize()
    assert (Reader(root).num_episodes, len(LeRobotDataset("test/set", root=root))) == (0, 0)


def test_an_encoder_that_is_not_there(root: Path) -> None:
    with pytest.raises(DataError, match="h264_videotoolbox"):
        recordings.backend(root, vcodec="h264_videotoolbox").create(recordings.features(), 10)
