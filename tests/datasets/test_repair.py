"""`lr dataset repair`: a killed recording's running episode is offered back, up to what its encoder had given out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import killed
import numpy as np
import pytest
import recordings
from click.testing import CliRunner, Result
from recordings import CAMERA

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import records
from lerobot_datasets.commands.repair import repair
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import journal, running
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

FRAMES = 90

_RUNNING = """
import os, sys, time
from pathlib import Path
import killed, recordings
from lerobot_datasets.config import EncoderConfig
encoder = EncoderConfig(vcodec=sys.argv[2], g=int(sys.argv[3]), when_full="wait")
backend = recordings.backend(Path(sys.argv[1]), encoder=encoder)
writer = backend.create(recordings.features(sys.argv[4]), 10, robot_type="arm")
for episode, length in enumerate([3, int(sys.argv[5])]):
    for i in range(length):
        writer.add(killed.frame(episode, i), task=f"task {episode}")
        time.sleep(0.002)
    if not episode:
        writer.save_episode()
os.kill(os.getpid(), 9)
"""


def leave(root: Path, vcodec: str = "h264", g: int = 2, camera: str = "video", length: int = FRAMES) -> None:
    """A recording that was killed in its second episode."""
    words = [sys.executable, "-c", _RUNNING, root, vcodec, g, camera, length]
    assert subprocess.run(list(map(str, words)), cwd=Path(__file__).parent).returncode == -9


def run(*args: Any) -> Result:
    return CliRunner().invoke(repair, [str(arg) for arg in args], catch_exceptions=False)


def check_committed(root: Path, least: int) -> int:
    """The second episode is there up to some frame, as it was recorded; how many of its frames."""
    reader = Reader(root)
    assert (reader.num_episodes, reader.tasks) == (2, ["task 0", "task 1"])
    columns, pictures = reader.columns(1), list(reader.frames(1, CAMERA))
    assert len(pictures) == len(columns["index"]) >= least
    for i, picture in enumerate(pictures):
        assert recordings.number_of(picture) == (1 + i) % 30
        for key, value in killed.frame(1, i).items():
            if key != CAMERA:
                assert np.asarray(columns[key][i]).reshape(np.shape(value)).tolist() == np.asarray(value).tolist()
    return len(pictures)


@pytest.mark.parametrize(
    ("vcodec", "g", "camera", "least"),
    [("h264", 2, "video", 30), ("h264", 250, "video", 30), ("libsvtav1", 2, "video", 30), ("h264", 2, "image", 80)],
)
def test_the_running_episode_is_offered_back(tmp_path: Path, vcodec: str, g: int, camera: str, least: int) -> None:
    root = tmp_path / "set"
    leave(root, vcodec, g, camera)
    assert Reader(root).num_episodes == 1
    said = run(root).output
    assert f"unfinished episode 1 of 1: {FRAMES} rows" in said, "every row that was added"
    assert "nothing done" in said
    assert Reader(root).num_episodes == 1
    assert "committed as episode 1" in run(root, "--yes").output
    length = check_committed(root, least)
    assert f"{length} frames can be committed, {FRAMES - length} are lost" in said
    print(f"{vcodec} g={g} {camera}: {FRAMES - length} of {FRAMES} frames lost")
    assert run(root).output == "nothing is unfinished\n"
    assert not (root / journal.STAGING).exists()
    writer = recordings.backend(root).create(recordings.features(camera), 10, robot_type="arm", resume=True)
    recordings.record(writer, [2])
    writer.finalize()
    check = Reader(root)
    assert (check.num_episodes, check.episodes["dataset_from_index"].tolist()) == (3, [0, 3, 3 + length])


def test_it_waits_while_recording_goes_on_and_can_be_thrown_away(tmp_path: Path) -> None:
    root = tmp_path / "set"
    leave(root, camera="image", length=5)
    writer = recordings.backend(root).create(recordings.features("image"), 10, robot_type="arm", resume=True)
    recordings.record(writer, [2])
    with pytest.raises(DataError, match="is being recorded to"):
        run(root, "--yes")
    writer.finalize()
    assert "5 rows" in run(root).output
    assert "nothing done" in run(root, "--discard").output
    assert "1 thrown away" in run(root, "--discard", "--yes").output
    assert not (root / journal.STAGING).exists()
    assert Reader(root).num_episodes == 2


def test_what_is_cut_off_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    """A crash of the whole machine may cut files at any byte."""
    root, copy = tmp_path / "set", tmp_path / "copy"
    leave(root, length=30)
    journal.recover(root)
    info, folder = Reader(root).info, journal.LEFT / "0"
    whole = (root / folder / f"{CAMERA}.mp4").read_bytes()
    lengths = []
    for part in np.linspace(0, len(whole), 25).astype(int):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root, copy)
        (copy / folder / f"{CAMERA}.mp4").write_bytes(whole[:part])
        (left,) = running.left(copy, info)
        lengths.append(left.length)
        if left.length:
            run(copy, "--yes")
            assert check_committed(copy, 1) == left.length
    assert lengths == sorted(lengths)
    assert lengths[0] == 0 < lengths[12] < lengths[-1]


def test_records_end_at_the_first_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "records"
    file = records.RecordFile(path)
    wanted = [b"one", b"", b"three" * 100]
    for data in wanted:
        file.add(data)
    file.close()
    whole = path.read_bytes()
    ends = [11, 19, len(whole)]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert list(records.read(path)) == wanted[: sum(end <= length for end in ends)]
    path.write_bytes(whole[:20] + b"x" + whole[21:])
    assert list(records.read(path)) == wanted[:2]


# --- a full disk ------------------------------------------------------------------------------------------------------


def fill(root: Path, camera: str | None, free: int) -> tuple[int, int]:
    """Record until the disk is full; how many episodes were committed, and how many frames of the next were added."""
    size = (240, 320, 3)
    features = recordings.features(camera) | ({CAMERA: Feature(dtype=camera, shape=size)} if camera else {})
    writer = Writer.create(root, features, 10, robot_type="arm", encoder=EncoderConfig(vcodec="h264", when_full="wait"))
    noise, added = np.random.default_rng(0), []

    def episodes() -> None:
        while writer.num_episodes * 1000 < free:
            for i in range(6):
                picture = {CAMERA: noise.integers(0, 256, size, dtype=np.uint8)} if camera else {}
                writer.add(recordings.frame(writer.num_episodes, i, camera=False) | picture, task="fill")
                added.append(writer.num_episodes)
            writer.save_episode()

    with pytest.raises(DataError, match=r"cannot be written: .*No space left.*episodes committed are intact"):
        episodes()
    writer.finalize()
    return writer.num_episodes, added.count(writer.num_episodes)


@pytest.mark.parametrize("camera", ["video", "image", None])
def test_a_full_disk_stops_recording_with_everything_committed_intact(
    tmp_path: Path, processes: None, camera: str | None
) -> None:
    disk, size = tmp_path / "disk", 8000 if camera else 400
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        saved, running_on = fill(disk / "set", camera, size * 1024)
        assert saved > 1
        shutil.copytree(disk / "set", tmp_path / "set")
    finally:
        subprocess.run(["umount", disk], check=True)
    root = tmp_path / "set"
    assert Reader(root).num_episodes == saved
    found = run(root, "--yes").output
    assert not running_on or f"1 of 1: {running_on} rows" in found, "what was running is offered back"
    reader = Reader(root)
    for episode in range(reader.num_episodes):
        columns = reader.columns(episode)
        for i in range(len(columns["index"])):
            assert columns["note"][i] == f"ep{episode}-f{i}"
        if camera:
            assert len(list(reader.frames(episode, CAMERA))) == len(columns["index"])
