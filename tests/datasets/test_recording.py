"""Recording beyond rows and pictures: processes that fail, stamps, depth, language, and small files that are joined."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow.parquet as pq
import pytest
import recordings
from click.testing import CliRunner
from recordings import CAMERA, PATIENT

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import LeRobotDataset, edit
from lerobot_datasets.commands.info import info
from lerobot_datasets.commands.repair import repair
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import compact, journal, stamps
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer
from lerobot_datasets.video import encode, stream, tiff, worker
from lerobot_datasets.video.depth import Quantiser


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"


def create(root: Path, **options: Any) -> Writer:
    return Writer.create(root, recordings.features(), 10, robot_type="arm", encoder=attrs.evolve(PATIENT, **options))


def add(writer: Writer, frames: int, **stamped: Any) -> None:
    for i in range(frames):
        writer.add(recordings.frame(writer.num_episodes, i), task="t", **stamped)


def process(writer: Writer) -> subprocess.Popen[bytes]:
    found = writer._streams[CAMERA]._process
    assert found is not None
    return found


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "says"), [(signal.SIGKILL, "ended with status -9"), (signal.SIGSTOP, "done nothing")])
def test_a_process_that_dies_or_hangs_costs_the_running_episode_only(
    root: Path, processes: None, monkeypatch: pytest.MonkeyPatch, end: int, says: str
) -> None:
    writer = create(root)
    recordings.record(writer, [3])
    add(writer, 60)
    while writer._streams[CAMERA]._ring.peek() is not None:
        time.sleep(0.01)
    monkeypatch.setattr(stream, "PATIENCE", 1.5)
    os.kill(process(writer).pid, end)
    with pytest.raises(DataError, match=f"process that encodes '{CAMERA}' .*{says}"):
        writer.save_episode()
    assert writer.num_episodes == 1
    monkeypatch.undo()
    recordings.record(writer, [4])
    writer.finalize()
    said = CliRunner().invoke(repair, [str(root), "--yes"], catch_exceptions=False).output
    assert "unfinished episode 1 of 1: 60 rows" in said
    reader = Reader(root)
    assert reader.episodes["length"].tolist()[:2] == [3, 4]
    assert reader.episodes["length"].tolist()[2] > 5
    assert [recordings.number_of(picture) for picture in reader.frames(2, CAMERA)][:6] == [0, 1, 2, 3, 4, 5]


@pytest.mark.skipif(sys.platform != "linux", reason="shows in /proc")
def test_every_thread_that_encodes_gives_way(root: Path, processes: None) -> None:
    writer = create(root, vcodec="libsvtav1")
    add(writer, 1)
    found = process(writer).pid
    while writer._streams[CAMERA]._ring.peek() is not None:
        time.sleep(0.01)
    threads = [int(name) for name in os.listdir(f"/proc/{found}/task")]
    assert len(threads) > 5, "the encoder has threads of its own"
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}
    assert min(os.getpriority(os.PRIO_PROCESS, thread) for thread in threads) >= 10
    cores = sorted(os.sched_getaffinity(0))
    assert {tuple(sorted(os.sched_getaffinity(thread))) for thread in threads} == {tuple(cores[1:] or cores)}
    group = Path(f"/proc/{found}/autogroup")
    while group.exists() and group.read_text().endswith(" 0\n"):  # the kernel hears all but root only now and then
        time.sleep(0.05)
        worker.give_way(found, os.getpid())
    writer.finalize()


def test_a_full_queue_is_counted_and_never_waited_for(root: Path, processes: None) -> None:
    writer = create(root, queue_size=4, when_full="drop")
    add(writer, 1)
    while writer._streams[CAMERA]._ring.beats == 0:
        time.sleep(0.01)
    os.kill(process(writer).pid, signal.SIGSTOP)
    start = time.perf_counter()
    for i in range(1, 40):
        writer.add(recordings.frame(0, i), task="t", stamps={CAMERA: i * 10**8, "timestamp": i * 10**8 + 5})
    assert time.perf_counter() - start < 1.0
    os.kill(process(writer).pid, signal.SIGCONT)
    writer.save_episode()
    writer.finalize()
    dropped = writer.dropped[CAMERA]
    assert 30 <= dropped <= 39
    reader = Reader(root)
    shown = [recordings.number_of(picture) for picture in reader.frames(0, CAMERA)]
    assert len(shown) == 40
    assert shown[-1] == 39 - dropped, "the last that found a place stands in"
    found = stamps.read(root, reader.info, reader.episodes[0])
    assert found is not None
    assert int(np.isnan(found[CAMERA]).sum()) == dropped
    assert f"{dropped} dropped" in CliRunner().invoke(info, [str(root)], catch_exceptions=False).output


_INTERRUPTED = """
import os, signal, sys
from pathlib import Path
import recordings
os.setpgid(0, 0)
writer = recordings.backend(Path(sys.argv[1])).create(recordings.features(), 10)
for i in range(5):
    writer.add(recordings.frame(0, i), task="t")
print(writer._streams[recordings.CAMERA]._process.pid, flush=True)
try:
    os.killpg(0, signal.SIGINT)
    sys.stdin.read()
except KeyboardInterrupt:
    writer.save_episode()
    writer.finalize()
"""


def test_ctrl_c_is_for_the_recording_alone(root: Path) -> None:
    command = [sys.executable, "-c", _INTERRUPTED, root]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert [recordings.number_of(picture) for picture in Reader(root).frames(0, CAMERA)] == [0, 1, 2, 3, 4]
    assert not Path("/proc", done.stdout.strip()).exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks the system what runs")
def test_no_process_outlives_a_killed_recording(root: Path) -> None:
    script = _INTERRUPTED.replace("os.killpg(0, signal.SIGINT)", "os.kill(os.getpid(), signal.SIGKILL)")
    command = [sys.executable, "-c", script, root]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=30)
    assert done.returncode == -9
    there, deadline = Path("/proc", done.stdout.strip()), time.monotonic() + 5
    while there.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not there.exists()


def test_a_process_left_behind_keeps_others_off_until_it_ends(
    root: Path, processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may still write to the episode's files, whose names the next recording uses again."""
    stop = "(os.kill(writer._streams[recordings.CAMERA]._process.pid, signal.SIGSTOP), os.kill(os.getpid(), 9))"
    script = _INTERRUPTED.replace("os.killpg(0, signal.SIGINT)", stop)
    command = [sys.executable, "-c", script, root]
    done = subprocess.run(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, timeout=30)
    monkeypatch.setattr(journal, "_PATIENCE", 0.2)
    with pytest.raises(DataError, match="is being recorded to"):
        Writer.resume(root)
    monkeypatch.undo()
    os.kill(int(done.stdout), signal.SIGCONT)
    Writer.resume(root).finalize()


def test_what_the_process_imports() -> None:
    code = "import sys, lerobot_datasets.video.worker; print(*[m for m in ('torch', 'pyarrow', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- stamps -----------------------------------------------------------------------------------------------------------


def test_stamps_are_kept_beside_the_frames_and_joined_with_them(root: Path) -> None:
    writer = create(root)
    for episode in range(3):
        for i in range(5):
            tick = 10**12 * (episode + 1) + i * 10**8
            times = {"timestamp": tick, "front": tick - (2 if i == 3 else 0) * 10**8, "arm": tick + 7}
            times |= {"a": tick + 3, "b": tick + 2}  # parts of the state
            writer.add(recordings.frame(episode, i), task="t", stamps=times)
        writer.save_episode()
    assert len(list((root / "stamps").rglob("*.parquet"))) == 3
    writer.finalize()
    assert len(list((root / "stamps").rglob("*.parquet"))) == 1
    reader = Reader(root)
    for episode, row in enumerate(reader.episodes):
        found = stamps.read(root, reader.info, row)
        assert found is not None
        assert (found["timestamp"] - 10**12 * (episode + 1)).tolist() == [i * 10**8 for i in range(5)]
        assert (found["arm"] - found["timestamp"]).tolist() == [7] * 5
        assert (found["observation.state"] - found["timestamp"]).tolist() == [2] * 5, "as old as its oldest part"
    result = CliRunner().invoke(info, [str(root), "--json"], catch_exceptions=False)
    figures = json.loads(result.output)["cameras"][CAMERA]["1"]
    assert (figures["dropped"], figures["late"], figures["repeated"]) == (0, 1, 1)
    assert figures["jitter_p99_ms"] == pytest.approx(200, rel=0.1)
    assert "3 late" in CliRunner().invoke(info, [str(root)], catch_exceptions=False).output


def test_edits_take_the_stamps_along(root: Path, tmp_path: Path) -> None:
    writer = create(root)
    for episode in range(4):
        for i in range(5):
            writer.add(recordings.frame(episode, i), task="t", stamps={"timestamp": 100 * episode + i, "arm": episode})
        writer.save_episode()
    writer.finalize()
    edited, merged = tmp_path / "edited", tmp_path / "merged"
    edit.delete_episodes(root, [1], output_dir=tmp_path / "three")
    edit.trim(tmp_path / "three", drop_first=1, drop_last=2, output_dir=edited)
    plain = create(tmp_path / "plain")
    recordings.record(plain, [3])
    plain.finalize()
    edit.merge([tmp_path / "plain", edited], output_dir=merged)
    edit.delete_episodes(tmp_path / "three", [0], in_place=True)
    for folder, wanted in ((edited, [0, 2, 3]), (merged, [None, 0, 2, 3]), (tmp_path / "three", [2, 3])):
        reader = Reader(folder)
        for row, was in zip(reader.episodes, wanted, strict=True):
            found = stamps.read(folder, reader.info, row)
            if was is None:
                assert found is None
                continue
            assert found is not None
            frames = range(5) if folder.name == "three" else range(1, 3)
            assert found["timestamp"].tolist() == [100 * was + i for i in frames]
            assert set(found["arm"]) == {was}


def test_nothing_is_kept_where_nothing_was_stamped(root: Path) -> None:
    writer = create(root)
    recordings.record(writer, [3, 2])
    writer.finalize()
    assert not (root / "stamps").exists()
    assert "pictures" not in CliRunner().invoke(info, [str(root)], catch_exceptions=False).output


# --- small files ------------------------------------------------------------------------------------------------------


def test_small_files_are_joined_up_to_the_limits(root: Path) -> None:
    wide = {"wide": Feature(dtype="float64", shape=(1000, 5))}
    writer = Writer.create(root, wide, 10, data_files_size_in_mb=1)
    path = root / "meta/info.json"
    path.write_text(path.read_text().replace('"chunks_size": 1000', '"chunks_size": 2'))
    writer.finalize()
    writer, noise = Writer.resume(root), np.random.default_rng(0)
    rows = [[noise.normal(size=(1000, 5)) for _ in range(10)] for _ in range(7)]
    for episode in rows:
        for value in episode:
            writer.add({"wide": value}, task="t")
        writer.save_episode()
    small = Reader(root)
    assert len(set(zip(small.episodes["data/chunk_index"], small.episodes["data/file_index"], strict=True))) == 7
    writer.finalize()
    reader = Reader(root)
    places = list(zip(reader.episodes["data/chunk_index"], reader.episodes["data/file_index"], strict=True))
    assert places == [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0), (1, 1)]
    assert len(list((root / "data").rglob("*.parquet"))) == 4
    for file in (root / "data").rglob("*.parquet"):
        assert pq.ParquetFile(file).num_row_groups in (1, 2), "one per episode"
    for episode, values in enumerate(rows):
        np.testing.assert_array_equal(reader.columns(episode)["wide"], np.stack(values))


def test_other_encodings_are_not_joined(root: Path) -> None:
    for crf in (20, 40):
        encoder = EncoderConfig(vcodec="h264", g=4, crf=crf, pix_fmt="yuv420p", when_full="wait")
        writer = Writer.resume(root, encoder=encoder) if root.exists() else create(root)
        recordings.record(writer, [4])
        writer.finalize()
    reader = Reader(root)
    for episode in range(2):
        assert [recordings.number_of(picture) for picture in reader.frames(episode, CAMERA)] == [0, 1, 2, 3]


def test_what_cannot_be_joined_stays_small(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create(root)
    recordings.record(writer, [3, 2])

    def full(clips: Any, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encode, "join", full)
    writer.finalize()
    reader = Reader(root)
    assert reader.episodes[f"videos/{CAMERA}/file_index"].tolist() == [0, 1]
    assert reader.episodes["data/file_index"].tolist() == [0, 0]
    assert not (root / journal.STAGING).exists()
    monkeypatch.undo()
    said = CliRunner().invoke(repair, [str(root)], catch_exceptions=False).output
    assert "1 files joined into others" in said
    assert Reader(root).episodes[f"videos/{CAMERA}/from_timestamp"].tolist() == pytest.approx([0.0, 0.3])
    assert compact.compact(root, Reader(root).info) == 0


# --- depth and language -----------------------------------------------------------------------------------------------

DEPTH = "observation.images.depth"


def distances(i: int, dtype: str) -> np.ndarray:
    """(48, 64, 1) from half a metre to three."""
    y, x = np.mgrid[0:48, 0:64]
    metres = 0.5 + (x + 2 * y + 5 * i) / 80
    return (metres if dtype == "float32" else metres * 1000).astype(dtype)[..., None]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("camera", ["video", "image"])
def test_depth_is_recorded(root: Path, fixtures: Path, dtype: str, camera: str) -> None:
    names = ["height", "width", "channels"]
    seen = Feature(dtype=camera, shape=(48, 64, 1), names=names, info={"is_depth_map": True})
    writer = Writer.create(root, recordings.features(camera) | {DEPTH: seen}, 30, encoder=PATIENT)
    for length in (4, 3):
        for i in range(length):
            writer.add(recordings.frame(0, i) | {DEPTH: distances(i, dtype)}, task="t")
        writer.save_episode()
    other = "float32" if dtype == "uint16" else "uint16"
    with pytest.raises(DataError, match="before it gave"):
        writer.add(recordings.frame(0, 0) | {DEPTH: distances(0, other)}, task="t")
    writer.finalize()
    unit, scale = ("m", 1.0) if dtype == "float32" else ("mm", 1000.0)
    reader = Reader(root, depth_output_unit=unit)
    for episode, length in enumerate((4, 3)):
        for i, found in zip(range(length), reader.frames(episode, DEPTH), strict=True):
            error = np.abs(found - distances(i, dtype).astype(np.float32))
            assert error.max() <= (0.002 * scale if camera == "video" else 0)
    described = reader.features[DEPTH].info or {}
    if camera == "video":
        path = fixtures / "datasets/depth/meta/info.json"
        want = json.loads(path.read_text())["features"]["observation.images.front_depth"]["info"]
        assert list(described) == list(want)
        different = {"video.height", "video.width", "video.preset", "depth_unit"}
        assert {k: v for k, v in described.items() if k not in different} == {
            k: v for k, v in want.items() if k not in different
        }
    assert described["depth_unit"] == unit
    found = (reader.stats or {})[DEPTH]
    every = np.concatenate([distances(i, dtype).ravel() for i in (0, 1, 2, 3, 0, 1, 2)]).astype(np.float64)
    assert found["min"].item() == pytest.approx(every.min())
    assert found["mean"].item() == pytest.approx(every.mean())
    assert found["std"].item() == pytest.approx(every.std())
    assert found["count"].tolist() == [7]


def test_codes_are_those_of_the_ecosystem(fixtures: Path) -> None:
    """Whole millimetres survive being coded, decoded, and coded again."""
    quantiser = Quantiser()
    codes = np.arange(4096, dtype=np.uint16)
    np.testing.assert_array_equal(quantiser.codes(quantiser.distances("m")), codes)
    linear = Quantiser(use_log=False)
    np.testing.assert_array_equal(linear.codes(linear.distances("m")), codes)
    assert quantiser.codes(np.array([0, 65535], np.uint16)).tolist() == [0, 4095]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_tiff_round_trip(dtype: str) -> None:
    picture = distances(3, dtype)[..., 0]
    found = tiff.decode(tiff.encode(picture))
    assert found.dtype == picture.dtype
    np.testing.assert_array_equal(found, picture)


SAY = {"type": "function", "function": {"name": "say", "arguments": {"text": "done"}}}


def test_language_is_recorded(root: Path) -> None:
    columns = {name: Feature(dtype="language", shape=(1,)) for name in ("language_persistent", "language_events")}
    writer = Writer.create(root, recordings.features(None) | columns, 10)
    plan = {"role": "assistant", "content": "grasp it", "style": "subtask", "timestamp": 0.0}
    event = {"role": "assistant", "style": None, "tool_calls": [SAY]}
    for i in range(3):
        language = {"language_persistent": [plan], "language_events": [event] if i == 1 else []}
        writer.add(recordings.frame(0, i, camera=False) | language, task="t")
    wrong = {"language_persistent": [plan | {"style": "poem"}], "language_events": []}
    with pytest.raises(DataError, match="style is one of subtask"):
        writer.add(recordings.frame(0, 0, camera=False) | wrong, task="t")
    with pytest.raises(DataError, match="camera is given for vqa"):
        writer.add(
            recordings.frame(0, 0, camera=False)
            | {"language_persistent": [], "language_events": [{"role": "user", "content": "?", "style": "vqa"}]},
            task="t",
        )
    writer.save_episode()
    writer.finalize()
    found = Reader(root).columns(0)
    assert [len(cell) for cell in found["language_events"]] == [0, 1, 0]
    assert found["language_events"][1][0]["tool_calls"] == [SAY]
    assert found["language_persistent"][2][0]["content"] == "grasp it"
    assert found["language_persistent"][2][0]["timestamp"] == 0.0
    assert LeRobotDataset("t/s", root=root)[1]["language_events"][0]["tool_calls"] == [SAY]
    schema = pq.read_schema(root / "data/chunk-000/file-000.parquet")
    assert "arrow.json" in str(schema.field("language_events").type) or "json" in str(
        schema.field("language_events").type
    )
