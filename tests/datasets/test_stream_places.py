"""Streaming from places other than this machine: memory, the Hub, plain HTTP; connections that break, and stay broken."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

import hub_emulator
from hub_emulator import Fault, Hub, Repository
from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDataset, StreamingLeRobotDataset
from lerobot_datasets.backend import LeRobotBackend
from lerobot_datasets.config import LeRobotBackendConfig
from lerobot_datasets.stream import store
from lerobot_datasets.stream.cache import ByteCache
from lerobot_datasets.stream.store import Store
from lerobot_datasets.stream.videos import packets
from lerobot_datasets.video.packets import PacketTable

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("fsspec.asyn").get_loop()  # its thread stays for ever

NAME = "acme/cubes"
DATASETS = ["state_env", "v21", "video2"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between attempts here, neither do the libraries below."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def contents(root: Path) -> dict[str, bytes]:
    found = (path for kind in ("meta", "data", "videos") for path in (root / kind).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def in_memory(memory: Any, root: Path) -> str:
    for name, data in contents(root).items():
        memory.pipe_file(f"/sets/one/{name}", data)
    return "memory://sets/one"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    with hub_emulator.online(monkeypatch) as here:
        yield here


def on_hub(here: Hub, root: Path, tag: str = "v3.0") -> None:
    repository = here.repositories[NAME] = Repository()
    repository.tags[tag] = repository.add("main", contents(root))


def check(dataset: StreamingLeRobotDataset, root: Path, **options: Any) -> None:
    """Every item is there and equals that of the local folder."""
    local = LeRobotDataset("test/set", root=root, **options)
    items = list(dataset)
    assert sorted(int(item["index"]) for item in items) == list(range(len(local)))
    for item in items:
        for key, value in local[int(item["index"])].items():
            assert torch.equal(value, item[key]) if isinstance(value, torch.Tensor) else value == item[key], key


def windows(root: Path) -> dict[str, list[float]]:
    fps = LeRobotDataset("test/set", root=root).fps
    cameras = LeRobotDataset("test/set", root=root).meta.camera_keys
    return {"action": [step / fps for step in (-1, 0, 4)]} | {key: [-1 / fps, 0.0] for key in cameras}


@pytest.mark.parametrize("name", DATASETS)
def test_from_memory(fixtures: Path, memory: Any, name: str) -> None:
    root = fixtures / "datasets" / name
    options = {"delta_timestamps": windows(root), "return_uint8": True}
    check(StreamingLeRobotDataset("test/set", in_memory(memory, root), **options), root, **options)


@pytest.mark.parametrize("name", DATASETS)
def test_from_the_hub(fixtures: Path, online: Hub, name: str, home: Path) -> None:
    root = fixtures / "datasets" / name
    on_hub(online, root, "v2.1" if name == "v21" else "v3.0")
    revision = "v2.1" if name == "v21" else None
    check(StreamingLeRobotDataset(NAME, revision=revision, return_uint8=True), root, return_uint8=True)
    kept = [path.relative_to(home) for path in home.rglob("*") if path.suffix == ".mp4" or path.parent.name == "data"]
    assert not kept, "tables and videos stay where they are"


def test_from_the_hub_by_the_backend(fixtures: Path, online: Hub) -> None:
    root = fixtures / "datasets" / "state_env"
    on_hub(online, root)
    reader = LeRobotBackend(LeRobotBackendConfig(repo_id=NAME, streaming=True)).open([1, 3])
    assert reader.num_frames == sum(reader.episodes["length"])
    check_of = LeRobotDataset("test/set", root=root, episodes=[1, 3])
    items = list(reader.torch({"action": [0.0]}).sampler(shuffle=False))
    assert [int(item["index"]) for item in items] == [int(check_of[row]["index"]) for row in range(len(check_of))]


def test_from_plain_http(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lists no folders: the files of the metadata are asked for by their names."""
    pytest.importorskip("aiohttp")
    for name in DATASETS:
        with hub_emulator.serving() as (here, address):
            root = fixtures / "datasets" / name
            on_hub(here, root)
            url = f"{address}/datasets/{NAME}/resolve/main"
            check(StreamingLeRobotDataset("test/set", url, return_uint8=True), root, return_uint8=True)


def test_only_what_is_needed_is_fetched(fixtures: Path, online: Hub) -> None:
    root = fixtures / "datasets" / "v21"
    on_hub(online, root, "v2.1")
    dataset = StreamingLeRobotDataset(NAME, episodes=[1], revision="v2.1")
    online.log.clear()
    list(dataset)
    fetched = {path for path in online.fetched() if not path.startswith("meta/")}
    assert fetched == {path for path in contents(root) if "000001" in path}


@pytest.mark.parametrize("library", ["huggingface_hub", "aiohttp"])
def test_connections_that_break_are_tried_again(
    fixtures: Path, online: Hub, caplog: pytest.LogCaptureFixture, library: str
) -> None:
    """The Hub's own library tries again before it gives up; others leave it to us."""
    pytest.importorskip(library)
    root = fixtures / "datasets" / "video2"
    on_hub(online, root)
    url = None if library == "huggingface_hub" else f"{os.environ['HF_ENDPOINT']}/datasets/{NAME}/resolve/main"
    dataset = StreamingLeRobotDataset(NAME, url, return_uint8=True)
    online.faults += [Fault(r"GET .*parquet"), Fault(r"GET .*mp4", times=2), Fault(r"GET .*mp4", status=503)]
    with caplog.at_level(logging.WARNING, "lerobot_datasets"):
        check(dataset, root, return_uint8=True)
    assert not any(fault.times for fault in online.faults)
    assert ("trying again in 0.5 s" in caplog.text) == (library == "aiohttp")


def test_connections_that_stay_broken_are_refused(fixtures: Path, online: Hub) -> None:
    on_hub(online, fixtures / "datasets" / "state_env")
    dataset = StreamingLeRobotDataset(NAME)
    online.faults.append(Fault(r"GET .*/data/.*parquet", times=10_000))
    with pytest.raises(DataError, match=r"file-000\.parquet' cannot be read: .* \(attempt 5\)") as caught:
        list(dataset)
    assert "network" in caught.value.hint
    online.faults.clear()
    assert len(list(dataset)) == 76


def test_files_that_are_not_there(fixtures: Path, memory: Any, tmp_path: Path) -> None:
    url = in_memory(memory, fixtures / "datasets" / "video2")
    gone = next(path for path in memory.store if path.endswith(".mp4"))
    del memory.store[gone]
    with pytest.raises(DataError, match=r"file-000\.mp4' not found"):
        list(StreamingLeRobotDataset("test/set", url))
    with pytest.raises(DataError, match=r"memory://nothing/meta/info\.json' not found"):
        StreamingLeRobotDataset("test/set", "memory://nothing")
    with pytest.raises(DataError, match="nosuch"):
        StreamingLeRobotDataset("test/set", "nosuch://place")


def test_the_copied_metadata_goes_with_the_dataset(fixtures: Path, memory: Any) -> None:
    dataset = StreamingLeRobotDataset("test/set", in_memory(memory, fixtures / "datasets" / "state_env"))
    folder = dataset.root
    assert (folder / "meta/info.json").is_file()
    del dataset
    assert not folder.exists()


def test_bytes_are_fetched_once(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BLOCK", 100)
    data = bytes(range(256)) * 4
    memory.pipe_file("/files/one", data)
    place = Store("memory://files", ByteCache(500))
    fetched: list[tuple[int, int]] = []
    fetch = place.fetch
    monkeypatch.setattr(
        place, "fetch", lambda path, start, stop: fetched.append((start, stop)) or fetch(path, start, stop)
    )
    assert place.read("one", 150, 200) == data[150:350]
    assert place.read("one", 120, 260) == data[120:380]
    assert place.read("one", 1000, 100) == data[1000:]
    assert place.read("one", 5000, 1) == b""
    assert sorted(fetched) == [(100, 200), (200, 300), (300, 400), (1000, 1024)]
    assert place.cache.held == 324
    place.read("one", 0, 1024)
    assert place.cache.held <= 500


@pytest.mark.parametrize("flags", ["", "faststart", "frag_keyframe+empty_moov"])
def test_the_pictures_of_a_remote_video_are_not_read_for_its_table(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str
) -> None:
    """A video whose pictures are large: what is fetched is where its boxes are, and what opening a decoder needs."""
    path, noise = tmp_path / "v.mp4", np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    with av.open(str(path), "w", options={"movflags": flags} if flags else {}) as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast", "qp": "4", "g": "8", "bf": "2"})
        stream.height, stream.width, stream.pix_fmt = 480, 640, "yuv420p"
        for i in range(24):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, 40 * i, axis=1), format="rgb24")))
        out.mux(stream.encode(None))
    memory.pipe_file("/files/v.mp4", path.read_bytes())
    place, fetched = Store("memory://files", ByteCache(1 << 20)), list[int]()
    part = store._part

    def counted(fs: Any, url: str, start: int, stop: int) -> bytes:
        fetched.append(stop - start)
        return part(fs, url, start, stop)

    monkeypatch.setattr(store, "_part", counted)
    table, want = packets(place, "v.mp4"), PacketTable.of(path)
    np.testing.assert_array_equal(table.pos, want.pos)
    np.testing.assert_array_equal(table.times, want.times)
    assert len(table) == 24
    assert sum(fetched) < path.stat().st_size / 8


def test_two_threads_fetch_once() -> None:
    cache, made, begun = ByteCache(10), [], threading.Event()

    def make() -> tuple[str, int]:
        begun.wait(1)
        made.append(1)
        return "it", 4

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get("key", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert found == ["it"] * 4
    assert len(made) == 1
    with pytest.raises(ValueError, match="no"):
        cache.get("other", lambda: int("no"))  # type: ignore[arg-type]
    assert cache.get("other", lambda: ("now", 9)) == "now"
    assert cache.held == 9
