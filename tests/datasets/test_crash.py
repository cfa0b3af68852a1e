"""Killed at any instant: what was committed is there, to the bit, for readers of every kind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import killed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recordings
from recordings import CAMERA

from lerobot_core.errors import DataError
from lerobot_datasets.v3 import journal, running
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer
from lerobot_datasets.video import decode


def check(root: Path, wanted: list[int]) -> None:
    """The dataset holds these attempts, and nothing else."""
    reader = Reader(root)
    assert reader.num_episodes == len(wanted)
    for episode, serial in enumerate(wanted):
        columns = reader.columns(episode)
        for i, picture in zip(range(killed.length(serial)), reader.frames(episode, CAMERA), strict=True):
            frame = killed.frame(serial, i)
            assert recordings.number_of(picture) == (serial + i) % 30
            for key, value in frame.items():
                if key != CAMERA:
                    assert np.asarray(columns[key][i]).reshape(np.shape(value)).tolist() == np.asarray(value).tolist()
        assert {reader.tasks[number] for number in columns["task_index"]} == {f"task {serial}"}


@pytest.mark.parametrize("chains", [10, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])])
def test_kills_at_random_instants(tmp_path: Path, chains: int) -> None:
    """Five kills of each recording, in whatever it was doing; the next goes on from there."""
    script = Path(killed.__file__)
    subprocess.run([sys.executable, script, tmp_path, str(chains), "5", "0"], check=True, cwd=script.parent)
    episodes = 0
    for chain in range(chains):
        root, log = tmp_path / str(chain), tmp_path / f"{chain}.log"
        if not (root / "meta/info.json").exists():
            assert not log.exists(), "the dataset was there once"
            continue
        sure, after = killed.committed(log) if log.exists() else ([], [])
        check(root, sure if Reader(root).num_episodes == len(sure) else after)
        recordings.backend(root).create(recordings.features(), killed.FPS, robot_type="arm", resume=True).finalize()
        check(root, sure if Reader(root).num_episodes == len(sure) else after)
        assert {path.name for path in (root / journal.STAGING).glob("*")} <= {"left"}
        episodes += len(sure)
    assert episodes > 2 * chains, "the kills came too early to tell anything"


# --- between any two changes of the folder ----------------------------------------------------------------------------

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "open"}
_look: Callable[[], None] | None = None


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _look is None or event not in _CHANGES or threading.current_thread() is not threading.main_thread():
        return
    if event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR):
        _look()


class Snapshots:
    """Copies of a folder, taken before every change that this thread makes to files; equal ones once."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._seen: set[str] = set()
        self.copies: list[Path] = []

    def take(self) -> None:
        global _look
        _look, looking = None, _look
        if self._root.exists() and (key := tree(self._root)) not in self._seen:
            self._seen.add(key)
            self.copies.append(self._folder / str(len(self.copies)))
            shutil.copytree(self._root, self.copies[-1])
        _look = looking


@pytest.fixture(scope="session")
def audited() -> None:
    """Python tells of every rename, removal, link and opening; a hook stays until the process ends."""
    sys.addaudithook(_audit)


def tree(root: Path, staging: bool = True) -> str:
    """One word for all files of a folder and what is in them; the running episode, which threads write, left out."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if name.parts[0] == journal.STAGING.name and (not staging or not {"episode", "left"}.isdisjoint(name.parts)):
            continue
        if path.is_file():
            digest.update(f"{name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def check_tables(root: Path, counts: set[int]) -> None:
    """What a reader finds that goes by the tables in the folder: each frame's episode, its task and its picture."""

    def joined(folder: str) -> pa.Table:
        files = sorted((root / folder).glob("*/*.parquet"))
        return pa.concat_tables([pq.read_table(path, partitioning=None) for path in files]) if files else None

    frames, episodes = joined("data"), joined("meta/episodes")
    numbers = sorted(set(frames["episode_index"].to_pylist())) if frames else []
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in counts
    if not frames:
        return
    assert frames["index"].to_pylist() == list(range(frames.num_rows))
    tasks = pq.read_table(root / "meta/tasks.parquet")["task"].to_pylist()
    for number, row in zip(numbers, episodes.to_pylist(), strict=False):
        assert row["episode_index"] == number
        own = frames.filter(pa.compute.equal(frames["episode_index"], number))
        assert own.num_rows == row["length"]
        assert [tasks[task] for task in set(own["task_index"].to_pylist())] == row["tasks"]
        place = (row[f"videos/{CAMERA}/{name}_index"] for name in ("chunk", "file"))
        video = root / "videos/{}/chunk-{:03d}/file-{:03d}.mp4".format(CAMERA, *place)
        start, end = (row[f"videos/{CAMERA}/{name}_timestamp"] for name in ("from", "to"))
        assert len(list(decode.iterate(video, start, end))) == row["length"]


@pytest.fixture
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system lets two folders change places in one step; a look is taken before that, too."""
    exchanged, wanted = journal._exchanged, getattr(request, "param", True)

    def observed(one: Path, other: Path) -> bool:
        if _look is not None:
            _look()
        return wanted and exchanged(one, other)

    monkeypatch.setattr(journal, "_exchanged", observed)
    if wanted and not _can_exchange():
        pytest.skip("two folders cannot change places in one step here")
    return wanted


def _can_exchange() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "one"), Path(folder, "other")
        one.mkdir(), other.mkdir()
        return journal._exchanged(one, other)


@pytest.fixture
def steps(
    tmp_path: Path, audited: None, at_once: bool
) -> Iterator[Callable[[Callable[[], object], list[int], list[int]], None]]:
    """Does something to `root`, and checks what every instant of it leaves."""
    root = tmp_path / "set"

    def run(do: Callable[[], object], before: list[int], after: list[int], joins: bool = False) -> None:
        global _look
        ends = {tree(root, staging=False)} if root.exists() else set()
        snapshots = Snapshots(root, tmp_path / f"snapshots{len(list(tmp_path.iterdir()))}")
        _look = snapshots.take
        try:
            do()
        finally:
            _look = None
        ends.add(tree(root, staging=False))
        snapshots.take()
        for copy in snapshots.copies:
            if not (copy / "meta/info.json").exists():
                assert not before, "the dataset was there before"
                continue
            if at_once or not before or all((copy / name).exists() for name in ("data", "meta/episodes")):
                check(copy, before if Reader(copy).num_episodes == len(before) else after)
                check_tables(copy, {len(before), len(after)})
            journal.recover(copy)
            assert joins or tree(copy, staging=False) in ends, "recovered to neither of the two"
            if joins:
                assert not list(copy.rglob(journal.NEW))
                check(copy, after)
                check_tables(copy, {len(after)})
            kept = running.left(copy, Reader(copy).info)
            unsaved = after[-1:] if len(after) > len(before) == Reader(copy).num_episodes else []
            assert [left.rows for left in kept] == [killed.length(serial) for serial in unsaved], (
                "neither lost nor twice"
            )
        assert len(snapshots.copies) >= (3 if before != after else 1)

    yield run
    assert _look is None


def test_every_instant_of_committing_and_taking_back(tmp_path: Path, steps: Callable[..., None]) -> None:
    root = tmp_path / "set"
    writers: list[Writer] = []

    def begin(resume: bool) -> None:
        made = recordings.backend(root).create(recordings.features(), killed.FPS, robot_type="arm", resume=resume)
        writers.append(made)

    def save(serial: int) -> Callable[[], object]:
        for i in range(killed.length(serial)):
            writers[-1].add(killed.frame(serial, i), task=f"task {serial}")
        return writers[-1].save_episode

    def undo() -> int:
        return writers[-1].undo()

    steps(lambda: begin(False), [], [])
    empty = tree(root, staging=False)
    steps(save(1), [], [1])
    steps(undo, [1], [])
    assert tree(root, staging=False) == empty, "the first episode left a trace"
    assert not (root / "data").exists()
    steps(save(2), [], [2])
    one = tree(root, staging=False)
    steps(save(3), [2], [2, 3])
    steps(undo, [2, 3], [2])
    assert tree(root, staging=False) == one, "an episode in the same files left a trace"
    steps(lambda: writers[-1].finalize(), [2], [2], joins=True)
    one = tree(root, staging=False)
    steps(lambda: begin(True), [2], [2])
    steps(save(4), [2], [2, 4])
    steps(undo, [2, 4], [2])
    assert tree(root, staging=False) == one, "an episode in files of its own left a trace"
    steps(save(5), [2], [2, 5])
    writers[-1].finalize()
    check(root, [2, 5])


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"], indirect=True)
def test_every_instant_of_joining(tmp_path: Path, steps: Callable[..., None]) -> None:
    root = tmp_path / "set"
    writer = recordings.backend(root).create(recordings.features(), killed.FPS, robot_type="arm")
    for serial in (2, 5, 6, 7):
        for i in range(killed.length(serial)):
            writer.add(killed.frame(serial, i), task=f"task {serial}", stamps={CAMERA: i})
        writer.save_episode()
    steps(writer.finalize, [2, 5, 6, 7], [2, 5, 6, 7], joins=True)
    for name in ("data", f"videos/{CAMERA}", "meta/episodes"):
        assert [path.name for path in sorted((root / name).rglob("file-*"))] == [
            "file-000." + ("mp4" if "videos" in name else "parquet")
        ]
    check(root, [2, 5, 6, 7])
    whole = tree(root, staging=False)
    recordings.backend(root).create(recordings.features(), killed.FPS, resume=True).finalize()
    assert tree(root, staging=False) == whole, "nothing is left to be joined"


def test_two_recordings_into_one_dataset_are_refused(tmp_path: Path) -> None:
    writer = recordings.backend(tmp_path / "set").create(recordings.features(), killed.FPS)
    with pytest.raises(DataError, match="is being recorded to"):
        recordings.backend(tmp_path / "set").create(recordings.features(), killed.FPS, resume=True)
    recordings.record(writer, [2])
    writer.finalize()
    assert Reader(tmp_path / "set").num_episodes == 1
