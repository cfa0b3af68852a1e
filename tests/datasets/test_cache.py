"""With the cache as without it, whatever happens to the cache; batches as their items, in this process and in workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recordings
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDataset, cache
from lerobot_datasets.cache import Cache
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.rows import Rows
from lerobot_datasets.v3.writer import Writer

LENGTHS = [7, 1, 12, 4]
FRONT = recordings.CAMERA


@pytest.fixture(scope="module", params=["video", "image"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes with texts, and pictures in videos or in the table."""
    root = tmp_path_factory.mktemp("recorded") / "set"
    writer = Writer.create(root, recordings.features(request.param), 10, encoder=recordings.PATIENT)
    recordings.record(writer, LENGTHS)
    writer.finalize()
    return root


@pytest.fixture
def root(recorded: Path, tmp_path: Path) -> Path:
    """A copy, whose cache is empty."""
    return Path(shutil.copytree(recorded, tmp_path / "set"))


def everything(root: Path, **options: Any) -> dict[str, Any]:
    dataset = LeRobotDataset("test/set", root=root, **options)
    return dataset.collate(dataset.__getitems__(range(len(dataset))))


def require_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for key, value in one.items():
        assert torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key], key


def entries(root: Path, name: str) -> list[Path]:
    return [path for path in Cache(root).folder.glob(f"{name}-*") if path.suffix != ".part"]


@pytest.mark.parametrize("episodes", [None, [2], [0, 3]])
def test_cached_or_not(root: Path, monkeypatch: pytest.MonkeyPatch, episodes: list[int] | None) -> None:
    first = everything(root, episodes=episodes)
    monkeypatch.setattr(pq, "read_table", None)
    monkeypatch.setattr(pq, "ParquetFile", None)
    require_equal(everything(root, episodes=episodes), first)
    monkeypatch.undo()
    monkeypatch.setattr(cache, "home", lambda: Path(os.devnull) / "cache")  # as on a disk that cannot be written
    require_equal(everything(root, episodes=episodes), first)


def test_a_changed_table_is_read_anew(root: Path) -> None:
    first = everything(root)
    kept = {name: entries(root, name) for name in ("columns", "meta")}
    path = root / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    state = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(72, dtype=np.float32)), 3)
    pq.write_table(table.set_column(table.column_names.index("observation.state"), "observation.state", state), path)
    assert everything(root)["observation.state"].flatten().tolist() == list(range(72))
    assert not torch.equal(first["observation.state"], everything(root)["observation.state"])
    assert len(entries(root, "columns")) == 1
    assert entries(root, "columns") != kept["columns"], "the old one is gone"
    assert entries(root, "meta") == kept["meta"]


@pytest.mark.parametrize("name", ["columns", "meta", "packets"])
def test_a_damaged_cache_is_made_anew(root: Path, name: str) -> None:
    first = everything(root)
    for entry in entries(root, name):
        for path in [entry] if entry.is_file() else entry.iterdir():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    require_equal(everything(root), first)


def test_caches_of_what_is_gone_are_removed(root: Path, tmp_path: Path) -> None:
    everything(root)
    gone = Cache(root).folder
    shutil.move(root, tmp_path / "other")
    assert gone.is_dir()
    everything(tmp_path / "other")
    assert not gone.exists()


def test_an_episode_not_asked_for_may_be_broken(root: Path) -> None:
    """As a folder is that was fetched in part."""
    path = root / "data" / "chunk-000" / "file-000.parquet"
    wanted = everything(root, episodes=[0, 1])
    pq.write_table(pq.read_table(path).slice(0, 15), path)
    require_equal(everything(root, episodes=[0, 1]), wanted)
    with pytest.raises(DataError, match="15 of the 24 frames"):
        everything(root)


def _build(root: Path, home: Path, begin: Any, results: Any) -> None:
    os.environ["XDG_CACHE_HOME"] = str(home)
    begin.wait()
    rows = Rows(Reader(root), Cache(root))
    results.put((rows.columns["index"].tolist(), rows.columns["note"].take(np.arange(24))))


def test_several_processes_build_at_once(root: Path, home: Path) -> None:
    context = multiprocessing.get_context("fork")
    begin, results = context.Event(), context.Queue()
    jobs = [context.Process(target=_build, args=(root, home / "c", begin, results)) for _ in range(4)]
    for job in jobs:
        job.start()
    begin.set()
    found = [results.get(timeout=60) for _ in jobs]
    for job in jobs:
        job.join()
    assert all(one == (list(range(24)), found[0][1]) for one in found)
    assert not list((home / "c").rglob("*.part"))


# --- batches ----------------------------------------------------------------------------------------------------------

DELTAS = {"action": [-0.2, 0.0, 0.1, 0.7], "note": [0.0, 0.1], FRONT: [-0.1, 0.0], "tactile": [0.0]}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_batch_is_its_items(recorded: Path, data: st.DataObject) -> None:
    keys = data.draw(st.sets(st.sampled_from(list(DELTAS))))
    episodes = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=1, unique=True))
    dataset = LeRobotDataset(
        "test/set", root=recorded, episodes=episodes, delta_timestamps={key: DELTAS[key] for key in DELTAS if key in keys},
        return_uint8=data.draw(st.booleans()),
    )  # fmt: skip
    rows = data.draw(st.lists(st.integers(-len(dataset), len(dataset) - 1), min_size=1, max_size=8))
    batch = dataset.collate(dataset.__getitems__(rows))
    require_equal(dataset.collate([dataset[row] for row in rows]), batch)
    chosen = [i for i in range(4) if episodes is None or i in episodes]
    where = [(e, i) for e in chosen for i in range(LENGTHS[e])]
    for n, row in enumerate(rows):
        episode, step = where[row]
        want = recordings.frame(episode, step)
        assert batch["observation.state"][n].tolist() == pytest.approx(want["observation.state"].tolist())
        offsets = [round(10 * s) for s in DELTAS["note"]] if "note" in keys else [0]
        notes = [f"ep{episode}-f{min(step + offset, LENGTHS[episode] - 1)}" for offset in offsets]
        assert batch["note"][n] == (notes if "note" in keys else notes[0])
        picture = batch[FRONT][n][-1] if FRONT in keys else batch[FRONT][n]
        brightness = picture.float() * (1 if picture.dtype == torch.uint8 else 255)
        assert recordings.number_of(brightness.numpy()) == step


def test_uint8_is_a_view_and_floats_are_whole(root: Path) -> None:
    options = {"delta_timestamps": {FRONT: [-0.1, 0.0]}}
    small, large = everything(root, return_uint8=True, **options)[FRONT], everything(root, **options)[FRONT]
    assert small.shape == large.shape == (24, 2, 3, recordings.HEIGHT, recordings.WIDTH)
    assert large.is_contiguous()
    if small.dtype == torch.uint8:
        assert small.permute(0, 1, 3, 4, 2).is_contiguous(), "as it was decoded"
        assert torch.equal(small.to(torch.float32) / 255, large)


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of which a batch is worth memory of its own."""
    root = tmp_path_factory.mktemp("larger") / "set"
    writer = Writer.create(root, recordings.features("video"), 10, encoder=recordings.PATIENT)
    recordings.record(writer, [150, 50])
    writer.finalize()
    return root


def loaded(dataset: LeRobotDataset, workers: int, context: str | None = None) -> Iterator[dict[str, Any]]:
    options = {"num_workers": workers, "multiprocessing_context": context, "collate_fn": dataset.collate}
    return iter(torch.utils.data.DataLoader(dataset, 40, sampler=dataset.sampler(seed=1), **options))


@pytest.mark.parametrize("context", ["spawn", "fork"])
@pytest.mark.parametrize("return_uint8", [True, False])
def test_workers_give_what_this_process_gives(larger: Path, context: str, return_uint8: bool) -> None:
    """Batches that are kept do not change when later ones come, nor views of those that are not."""
    deltas = {FRONT: [-0.1, 0.0, 0.1, 0.2], "action": [0.0, 0.1]}
    dataset = LeRobotDataset("test/set", root=larger, delta_timestamps=deltas, return_uint8=return_uint8)
    dataset.__getitems__(range(40))  # a fork inherits what is open
    here = list(loaded(dataset, 0))
    there = list(loaded(dataset, 1, context))
    assert len(here) == len(there) == 5
    for one, other in zip(here, there, strict=True):
        assert type(other) is dict
        require_equal(other, one)
    seen = []
    for batch in loaded(dataset, 1, context):
        seen.append(batch[FRONT][3:5, -1])
        del batch
    for one, view in zip(here, seen, strict=True):
        assert torch.equal(one[FRONT][3:5, -1], view)


def test_memory_is_used_again_when_nobody_looks(larger: Path) -> None:
    deltas = {FRONT: [i / 10 for i in range(24)]}
    dataset = LeRobotDataset("test/set", root=larger, delta_timestamps=deltas, return_uint8=True)
    first = dataset.__getitems__(range(40)).batch[FRONT]
    assert first.nbytes > 8 << 20
    held, address = first[3, 2], first.data_ptr()
    want = held.clone()
    del first
    second = dataset.__getitems__(range(40, 80)).batch[FRONT]
    assert second.data_ptr() != address
    assert torch.equal(held, want)
    del held
    assert dataset.__getitems__(range(40)).batch[FRONT].data_ptr() == address


def test_a_pickled_dataset_is_small(larger: Path) -> None:
    dataset = LeRobotDataset("test/set", root=larger)
    dataset[0]
    data = pickle.dumps(dataset)
    assert len(data) < 2000
    require_equal(pickle.loads(data)[3], dataset[3])  # noqa: S301
