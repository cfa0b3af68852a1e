"""Streaming: items equal those read by row, every frame once, from any place, in any number of processes, and resumed."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import PATIENT, features, record
from torch.utils.data import DataLoader

from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDataset, StreamingLeRobotDataset
from lerobot_datasets.stream import tables
from lerobot_datasets.v3.writer import Writer


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven episodes with pictures in tables, over three files."""
    root = tmp_path_factory.mktemp("streamed") / "set"
    for part, lengths in enumerate([[5, 1, 9], [12, 3, 3, 2], [7, 4, 1, 6]]):
        writer = (
            Writer.resume(root, encoder=PATIENT)
            if part
            else Writer.create(root, features("image"), 10, encoder=PATIENT)
        )
        record(writer, lengths)
        writer.finalize()
    assert len(list((root / "data").rglob("*.parquet"))) == 3
    return root


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards and blocks as small as episodes, so that a small dataset has many."""
    monkeypatch.setattr(tables, "BLOCK_ROWS", 4)
    monkeypatch.setattr("lerobot_datasets.streaming.BLOCK_ROWS", 4)


def stream(root: Any, **options: Any) -> StreamingLeRobotDataset:
    return StreamingLeRobotDataset("test/set", root=root, **{"buffer_size": 9, "max_num_shards": 3} | options)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    assert list(one) == list(other)
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == other[key].dtype
            assert torch.equal(value, other[key]), key
        else:
            assert value == other[key], key
    return True


def numbers(items: Any) -> list[int]:
    return [int(item["index"]) for item in items]


def flat(parts: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(parts))


def around(root: Path) -> dict[str, list[float]]:
    """Windows of everything, wider than some episodes."""
    with_windows = LeRobotDataset("test/set", root=root)
    keys = [key for key in with_windows.features if key.startswith(("observation", "action", "next"))]
    return {key: [step / with_windows.fps for step in (-2, 0, 3)] for key in keys} | {
        "action": [step / with_windows.fps for step in range(-1, 9)]
    }


# --- what items are ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("name", ["state_only", "state_env", "v21", "recorded"])
def test_items_equal_those_read_by_row(
    fixtures: Path, recorded: Path, small_blocks: None, name: str, windows: bool, shuffle: bool
) -> None:
    root = recorded if name == "recorded" else fixtures / "datasets" / name
    options = {"delta_timestamps": around(root) if windows else None, "video_backend": "pyav"}
    dataset = LeRobotDataset("test/set", root=root, **options)
    items = list(stream(root, shuffle=shuffle, **options))
    assert sorted(numbers(items)) == list(range(len(dataset)))
    assert shuffle or numbers(items) == list(range(len(dataset)))
    for item in items:
        assert same(dataset[int(item["index"])], item)


@pytest.mark.parametrize("name", ["video2", "v21_converted", "depth"])
def test_items_with_videos(fixtures: Path, decoder: str, name: str) -> None:
    root = fixtures / "datasets" / name
    options = {"delta_timestamps": around(root), "video_backend": decoder, "return_uint8": True}
    dataset = LeRobotDataset("test/set", root=root, **options)
    for item in stream(root, **options):
        assert same(dataset[int(item["index"])], item)


@pytest.mark.parametrize("episodes", [[1], [0, 2, 10], [3, 4, 5, 6]])
def test_only_the_episodes_asked_for(recorded: Path, small_blocks: None, episodes: list[int]) -> None:
    deltas = {"action": [-0.3, 0.0, 0.1]}
    dataset = LeRobotDataset("test/set", root=recorded, episodes=episodes, delta_timestamps=deltas)
    items = list(stream(recorded, episodes=episodes, delta_timestamps=deltas, shuffle=False))
    assert len(items) == len(dataset) == len(stream(recorded, episodes=episodes))
    for row, item in enumerate(items):
        assert same(dataset[row], item)
    assert sorted(numbers(stream(recorded, episodes=episodes))) == sorted(numbers(items))


def test_tables_rewritten_in_other_row_groups(recorded: Path, tmp_path: Path, small_blocks: None) -> None:
    """Episodes then begin in the middle of row groups, and windows lie in several."""
    root = Path(shutil.copytree(recorded, tmp_path / "set"))
    for size, path in zip((1, 4, 1000), sorted((root / "data").rglob("*.parquet")), strict=True):
        pq.write_table(pq.read_table(path), path, row_group_size=size)
    deltas = around(root)
    dataset = LeRobotDataset("test/set", root=recorded, delta_timestamps=deltas)
    items = list(stream(root, delta_timestamps=deltas))
    assert sorted(numbers(items)) == list(range(len(dataset)))
    assert all(same(dataset[int(item["index"])], item) for item in items)


def test_little_memory_gives_the_same(recorded: Path, small_blocks: None) -> None:
    wanted = list(stream(recorded))
    starved = stream(recorded, cache_bytes=0)
    assert all(same(*pair) for pair in zip(wanted, starved, strict=True))
    assert starved._store.cache.held == 0
    tight = stream(recorded, cache_bytes=20_000)
    assert all(same(*pair) for pair in zip(wanted, tight, strict=True))
    assert 0 < tight._store.cache.held <= 20_000


def test_pictures_are_changed(recorded: Path) -> None:
    seen = []

    def darken(picture: torch.Tensor) -> torch.Tensor:
        seen.append(picture.shape)
        return picture * 0

    items = list(stream(recorded, image_transforms=darken))
    assert len(seen) == len(items)
    assert all(item["observation.images.front"].sum() == 0 for item in items)


# --- order, epochs, processes -----------------------------------------------------------------------------------------


def test_each_iteration_is_an_epoch(recorded: Path) -> None:
    dataset = stream(recorded)
    first, second = numbers(dataset), numbers(dataset)
    assert sorted(first) == sorted(second)
    assert first != second
    dataset.set_epoch(0)
    assert numbers(dataset) == first
    assert numbers(stream(recorded)) == first
    assert numbers(stream(recorded, seed=1)) != first
    assert numbers(stream(recorded, shuffle=False)) == sorted(first)


@settings(max_examples=25)
@given(
    world=st.integers(1, 4),
    buffer_size=st.sampled_from([1, 5, 100]),
    max_num_shards=st.integers(1, 4),
    shuffle=st.booleans(),
    episodes=st.none() | st.sets(st.integers(0, 10), min_size=1),
)
def test_ranks_share_an_epoch(recorded: Path, world: int, episodes: set[int] | None, **options: Any) -> None:
    chosen = None if episodes is None else sorted(episodes)
    parts = [stream(recorded, episodes=chosen, rank=rank, world=world, **options) for rank in range(world)]
    told = [numbers(part) for part in parts]
    assert [len(part) for part in parts] == [len(part) for part in told]
    whole = numbers(stream(recorded, episodes=chosen, shuffle=False))
    assert sorted(flat(told)) == whole
    even = [numbers(stream(recorded, episodes=chosen, rank=r, world=world, even=True, **options)) for r in range(world)]
    assert len({len(part) for part in even}) == 1
    assert set(flat(even)) == set(whole)


def test_resumed_anywhere(recorded: Path, small_blocks: None) -> None:
    deltas = {"action": [0.0, 0.1]}
    whole = stream(recorded, delta_timestamps=deltas)
    items, states = [], [whole.state_dict()]
    for item in whole:
        items.append(item)
        states.append(whole.state_dict())
    after = numbers(whole)
    for position, state in enumerate(states):
        again = stream(recorded, delta_timestamps=deltas)
        again.load_state_dict(state)
        assert again.state_dict() == state
        left = list(again)
        assert numbers(left) == numbers(items[position:])
        assert all(same(*pair) for pair in zip(items[position:], left, strict=True))
        if position % 10 == 0:
            assert numbers(again) == after, "and then comes the next epoch"


def test_a_state_that_cannot_be(recorded: Path) -> None:
    with pytest.raises(DataError, match="an epoch has 53 frames"):
        stream(recorded).load_state_dict({"epoch": 0, "start_index": 54})


def loader(dataset: StreamingLeRobotDataset, workers: int, batch_size: int = 4, **options: Any) -> DataLoader:
    if workers:
        options = {"multiprocessing_context": "spawn", "num_workers": workers} | options
    return DataLoader(dataset, batch_size=batch_size, collate_fn=dataset.collate, **options)


def test_spawned_workers(recorded: Path) -> None:
    """Two workers share an epoch, go on to the next, and are resumed within one at the same batch."""
    dataset = stream(recorded, batch_size=4)
    loading = loader(dataset, 2, persistent_workers=True)
    epochs = [[batch["index"].tolist() for batch in loading] for _ in range(2)]
    for epoch in epochs:
        assert sorted(flat(epoch)) == list(range(53))
        assert [len(batch) for batch in epoch] == [4] * 13 + [1]
    assert epochs[0] != epochs[1]
    dataset.load_state_dict({"epoch": 1, "start_index": 5 * 4})
    assert [batch["index"].tolist() for batch in loading] == epochs[1][5:]
    dataset.set_epoch(0)
    assert [batch["index"].tolist() for batch in loading] == epochs[0]
    del loading


def test_spawned_workers_without_shuffling(recorded: Path) -> None:
    dataset = stream(recorded, batch_size=5, shuffle=False)
    assert torch.cat([batch["index"] for batch in loader(dataset, 2, 5)]).tolist() == list(range(53))


def test_a_copy_is_small(fixtures: Path) -> None:
    dataset = stream(fixtures / "datasets" / "state_env")
    list(dataset)
    assert len(pickle.dumps(dataset)) < 30_000, "columns stay behind"


def test_frames_left_out(recorded: Path) -> None:
    wanted = list(LeRobotDataset("test/set", root=recorded).sampler(shuffle=False, drop_first=1, drop_last=2))
    part = stream(recorded).sampler(shuffle=False, drop_first=1, drop_last=2)
    assert numbers(part) == wanted
    assert len(part) == len(wanted)
    whole = stream(recorded)
    assert sorted(numbers(whole.sampler(seed=3, drop_first=1, drop_last=2))) == wanted
    assert len(list(whole)) == 53


# --- what is refused --------------------------------------------------------------------------------------------------


def test_wrong_questions(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'action'"):
        stream(recorded, delta_timestamps={"actoin": [0.0]})
    with pytest.raises(DataError, match="buffer_size is 1 or more"):
        stream(recorded, buffer_size=0)
    with pytest.raises(DataError, match="rank is 0 to 1, got 2"):
        stream(recorded, rank=2, world=2)
    with pytest.raises(DataError, match="no dataset in"):
        stream(tmp_path)


@pytest.fixture
def broken(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "set"))


def test_tables_that_do_not_fit(broken: Path) -> None:
    path = broken / "data" / "chunk-000" / "file-001.parquet"
    table = pq.read_table(path)
    numbers = pa.array([value + 1 for value in table["episode_index"].to_pylist()])
    shifted = table.set_column(table.column_names.index("episode_index"), "episode_index", numbers)
    for wrong, message in [
        (table.drop_columns(["action"]), "lacks the columns action"),
        (table.set_column(1, "action", pa.array(["no"] * len(table))), "column 'action' is string"),
        (table.slice(0, 19), "19 of the 20 frames"),
        (shifted, "a frame of episode 4 in row 0, which is of episode 3"),
    ]:
        pq.write_table(wrong, path)
        with pytest.raises(DataError, match=message) as caught:
            list(stream(broken))
        assert str(path) in str(caught.value)
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(DataError, match="cannot be read"):
        list(stream(broken))
    path.unlink()
    with pytest.raises(DataError, match=r"file-001\.parquet' not found"):
        list(stream(broken))
