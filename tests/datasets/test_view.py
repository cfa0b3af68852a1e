"""`lr dataset view` without a browser: what is served of every dataset, to whom, and what never is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recordings
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from viewing import Served, serving

import hub_emulator
from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import publish
from lerobot_datasets.commands.view import opened, view
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer
from lerobot_datasets.video import png
from lerobot_datasets.view import pictures
from lerobot_datasets.view.content import Content, Wanted
from lerobot_datasets.view.quality import FLAGS, Quality
from lerobot_datasets.view.server import Server, part_of

DATASETS = ("state_only", "state_env", "video2", "v21", "v21_converted", "depth", "images", "multifile", "video_stream")
BITS = {flag.name: flag.bit for flag in FLAGS}


@pytest.fixture(scope="module")
def served(fixtures: Path) -> Iterator[Served]:
    """Two cameras, three episodes."""
    with serving(fixtures / "datasets" / "video2") as here:
        yield here


# --- what is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_shown_as_it_is_read(fixtures: Path, name: str) -> None:
    if not (fixtures / "datasets" / name).is_dir():
        pytest.skip(f"{name} is in the larger set of fixtures")
    reader = Reader(fixtures / "datasets" / name)
    with serving(reader.root, name) as here:
        said = here.json("/data/dataset")
        assert (said["name"], said["episodes"], said["frames"]) == (name, reader.num_episodes, reader.num_frames)
        assert here.listed()[:, :2].tolist() == [[i, row["length"]] for i, row in enumerate(reader.episodes)]
        texts = here.json("/data/tasks?episodes=" + ",".join(map(str, range(reader.num_episodes))))
        assert texts == list(reader.episodes["tasks"])
        for episode in range(reader.num_episodes):
            check_episode(here, reader, episode, said["series"])


def check_episode(here: Served, reader: Reader, episode: int, series: list[dict[str, Any]]) -> None:
    columns, said = reader.columns(episode), here.json(f"/data/episode/{episode}")
    length = said["length"]
    assert here.json(f"/data/findings/{episode}") == []
    assert {one["key"] for one in series} == {
        key for key, values in columns.items() if values.dtype != object and values.ndim < 4
    } - set(DEFAULT_COLUMNS)
    for one in series:
        values = np.frombuffer(here.ask(f"/data/values/{episode}/{one['key']}").body, dtype="<f4")
        np.testing.assert_array_equal(values, columns[one["key"]].astype(np.float32).reshape(-1))
        assert len(one["names"]) * length == len(values)
    assert spread(said["tasks"], length) == [reader.tasks[i] for i in columns["task_index"]]
    for key, pieces in said["texts"].items():
        assert spread(pieces, length) == columns[key].tolist()
    assert all(file["bytes"] == (reader.root / file["path"]).stat().st_size for file in said["files"])
    for camera in said["cameras"]:
        wanted = list(reader.frames(episode, camera["key"]))[length - 1]
        reply = here.ask(f"/data/picture/{episode}/{camera['key']}/{length - 1}")
        shown = png.decode(reply.body)
        if reader.features[camera["key"]].is_depth:
            wanted = png.decode(pictures.coloured(wanted[..., 0], camera["bounds"]))
        np.testing.assert_array_equal(shown, wanted)
        if camera["played"]:
            chunk, file = camera["place"]
            path = reader.info.video_file(Place(chunk, file), camera["key"])
            whole = here.ask(f"/data/video/{camera['key']}/{chunk}/{file}")
            assert (whole.status, whole.body) == (200, (reader.root / path).read_bytes())


def spread(pieces: list[list[Any]], length: int) -> list[str]:
    """The text of each frame."""
    starts = [frame for frame, _ in pieces]
    return [pieces[np.searchsorted(starts, frame, side="right") - 1][1] for frame in range(length)]


def test_pictures_of_tables_come_as_they_are_stored(tmp_path: Path) -> None:
    writer = recordings.backend(tmp_path / "set").create(recordings.features("image"), 10)
    recordings.record(writer, [3])
    writer.finalize()
    cells = pq.read_table(next((tmp_path / "set").glob("data/*/*.parquet")))[recordings.CAMERA].to_pylist()
    with serving(tmp_path / "set") as here:
        [camera] = here.json("/data/episode/0")["cameras"]
        reply = here.ask(f"/data/picture/0/{recordings.CAMERA}/2")
    assert (camera["played"], camera["size"]) == (False, [recordings.WIDTH, recordings.HEIGHT])
    assert (reply.body, reply.headers["Content-Type"]) == (cells[2]["bytes"], "image/png")


def test_depth_is_coloured_by_distance() -> None:
    ramp = np.linspace(0, 3000, 64, dtype=np.float32).reshape(1, 64)
    seen = png.decode(pictures.coloured(np.repeat(ramp, 16, axis=0), (500, 2500)))[0].astype(int).sum(axis=1)
    assert seen[0] == 0  # no reading
    assert (np.diff(seen[1:11]) == 0).all()
    assert (np.diff(seen[11:53]) > 0).all()
    assert (np.diff(seen[54:]) == 0).all()


def test_language_and_broken_numbers(tmp_path: Path, fixtures: Path) -> None:
    root = Path(shutil.copytree(fixtures / "datasets" / "state_env", tmp_path / "set"))
    plan = [
        {"role": "assistant", "content": "reach", "style": "subtask", "timestamp": 0.0, "camera": None},
        {"role": "assistant", "content": "grasp", "style": "subtask", "timestamp": 0.2, "camera": None},
    ]
    call = {"type": "function", "function": {"name": "say", "arguments": {"text": "got it"}}}
    said = {"role": "assistant", "content": None, "style": None, "camera": None, "tool_calls": [call]}
    path = next(root.glob("data/*/*.parquet"))
    table = pq.read_table(path)
    table = table.append_column("language_persistent", pa.array([plan] * len(table)))
    table = table.append_column("language_events", pa.array([[said] if i == 4 else [] for i in range(len(table))]))
    action = table["action"].to_pylist()
    action[2][1] = float("nan")
    table = table.set_column(
        table.schema.get_field_index("action"), "action", pa.array(action, pa.list_(pa.float32(), 6))
    )
    pq.write_table(table, path)
    info = json.loads((root / "meta/info.json").read_text())
    for key in ("language_persistent", "language_events"):
        info["features"][key] = {"dtype": "language", "shape": [1], "names": None}
    (root / "meta/info.json").write_text(json.dumps(info))
    with serving(root) as here:
        found = here.json("/data/episode/0")["language"]
        assert [(one["text"], one["time"], one["frame"]) for one in found] == [
            ("reach", 0.0, None),
            ("grasp", pytest.approx(0.2), None),
            ("got it", None, 4),
        ]
        values = np.frombuffer(here.ask("/data/values/0/action").body, dtype="<f4").reshape(-1, 6)
        assert np.isnan(values[2, 1])
        [finding] = here.json("/data/findings/0")
        assert finding["flag"] == "nan"
        assert here.listed(f"flags={BITS['nan']}")[:, 0].tolist() == [0]


# --- filters and flags ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, fixtures: Path) -> Path:
    """The metadata of 50,000 episodes."""
    root, source, count = tmp_path_factory.mktemp("many") / "set", fixtures / "datasets" / "state_env", 50_000
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    lengths = 100 + np.arange(count) % 41
    tasks = [f"Put block {i} away" for i in range(200)]
    info = json.loads((source / "meta/info.json").read_text())
    info |= {"total_episodes": count, "total_frames": int(lengths.sum()), "total_tasks": len(tasks)}
    (root / "meta/info.json").write_text(json.dumps(info))
    pq.write_table(pa.table({"task_index": range(len(tasks)), "task": tasks}), root / "meta/tasks.parquet")
    high = np.ones((count, 6))
    high[7, 2] = 0  # a joint that moves in the other episodes
    high[8, 0] = np.nan
    columns: dict[str, Any] = {
        "episode_index": np.arange(count),
        "tasks": [[tasks[i % len(tasks)]] for i in range(count)],
        "length": np.where(np.arange(count) == 9, 5000, lengths),
        "data/chunk_index": np.zeros(count, dtype=int),
        "data/file_index": np.arange(count) // 100,
        "dataset_from_index": np.cumsum(lengths) - lengths,
        "stats/action/min": list(np.zeros((count, 6))),
        "stats/action/max": list(high),
    }
    pq.write_table(pa.table(columns), root / "meta/episodes/chunk-000/file-000.parquet")
    return root


@pytest.fixture(scope="module")
def many_content(many: Path) -> Content:
    return Content(Reader(many), "many")


def test_a_large_dataset_is_listed_from_its_metadata_alone(many: Path) -> None:
    content = Content(Reader(many), "many")
    content.dataset()
    assert len(content.episodes(Wanted())) == 50_000
    assert content.tasks(range(49_900, 50_000))


def test_flags_of_the_metadata(many_content: Content) -> None:
    found = {name: np.flatnonzero(many_content.quality.bits & bit).tolist() for name, bit in BITS.items()}
    assert found == {"length": [9], "still": [7], "nan": [8], "dropped": [], "frozen": [], "broken": []}
    told = many_content.quality._told
    assert told[7][0].message == "action: elbow_flex.pos is 0 throughout"


@given(
    st.sampled_from(["", "block 7", "BLOCK 19 ", "nothing"]),
    st.integers(0, 150),
    st.one_of(st.none(), st.integers(90, 200)),
    st.integers(0, 63),
)
def test_filters(many_content: Content, text: str, shortest: int, longest: int | None, flags: int) -> None:
    episodes, bits = many_content.reader.all_episodes, many_content.quality.bits
    wanted = [
        number
        for number, (length, tasks) in enumerate(zip(episodes["length"], many_content._texts, strict=True))
        if text.lower() in tasks[0].lower()
        and shortest <= length <= (np.inf if longest is None else longest)
        and (not flags or bits[number] & flags)
    ]
    found = many_content.episodes(Wanted(text=text, shortest=shortest, longest=longest, flags=flags))
    assert found[:, 0].tolist() == wanted


def test_filters_by_query(served: Served) -> None:
    assert served.listed("text=STACK")[:, 0].tolist() == [2]
    assert served.listed("shortest=30&longest=39")[:, 0].tolist() == [2]
    assert served.listed("flags=1").tolist() == []


def test_videos_that_deserve_a_second_look(tmp_path: Path) -> None:
    root = tmp_path / "set"
    writer = recordings.backend(root).create(recordings.features(), 10)
    for episode in range(3):
        for i in range(6):
            frame = recordings.frame(episode, i)
            frame[recordings.CAMERA] = recordings.picture(0 if episode == 1 else i)
            writer.add(frame, task="t")
        writer.save_episode()
    writer.finalize()
    with serving(root) as here:
        assert [one["flag"] for one in here.json("/data/findings/1")] == ["frozen"]
        assert here.listed()[:, 2].tolist() == [0, BITS["frozen"], 0]
        here.json("/data/looked?all=1")
        while here.json("/data/looked")["looked"] < 3:
            time.sleep(0.02)
        assert here.json("/data/looked") == {"looked": 3, "flagged": 1}
        next(root.glob("videos/*/*/*.mp4")).unlink()
        assert here.json("/data/episode/0")["cameras"][0]["missing"]
        assert here.ask(f"/data/video/{recordings.CAMERA}/0/0").status == 422
    assert "missing" in Quality(Reader(root)).told(0)[0].message


# --- to whom, and what never ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_a_name_of_somebody_else_is_refused(served: Served, host: str) -> None:
    assert served.ask("/", Host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:80", socket.gethostname()])
def test_own_names_are_answered(served: Served, host: str) -> None:
    assert served.ask("/", Host=host).status == 200


def test_pages_of_other_sites_are_refused(served: Served) -> None:
    video = "/data/video/observation.images.front/0/0"
    assert served.ask(video, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
    assert served.ask("/data/dataset", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors").status == 403
    assert served.ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200
    assert served.ask(video, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_is_written(served: Served, method: str) -> None:
    assert served.ask("/data/dataset", method).status == 405


SECRET = "root:"


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/static/../server.py",
        "/server.py",
        "/page.html/../../server.py",
        "/data/video/..%2F..%2F..%2Fetc/0/0",
        "/data/video/observation.images.front/0/1",
        "/data/video/observation.images.front/-1/0",
        "/data/video/observation.images.front/0/..%2f",
        "/data/video/observation.images.front/99999999999/0",
        "/data/video/action/0/0",
        "/data/picture/0/action/0",
        "/data/picture/0/observation.images.front/40",
        "/data/picture/3/observation.images.front/0",
        "/data/episode/3",
        "/data/episode/x",
        "/data/episode/-1",
        "/data/values/0/observation.images.front",
        "/data/values/0/%00",
        "/data/findings/9",
        "/data/tasks",
        "/data/tasks?episodes=0,x",
        "/data/tasks?episodes=0,7",
        "/data/tasks?episodes=" + ",".join(["0"] * 501),
        "/data/episodes?shortest=-1",
        "/data/episodes?flags=1e9",
        "/data/episodes?" + "&".join(["text=a"] * 30),
        "/data",
        "/data/",
        "/" + quote("\u0000"),
        "http://evil.example/",
        "*",
    ],
)
def test_what_is_not_there(served: Served, path: str) -> None:
    reply = served.ask(path, Host="localhost")
    assert reply.status in (400, 404, 422)
    assert SECRET not in reply.body.decode()
    assert reply.json["error"]


@pytest.mark.parametrize("template", ["../outside.mp4", "{video_key}/../../outside.mp4", "/etc/hostname"])
def test_metadata_cannot_lead_out_of_the_folder(tmp_path: Path, fixtures: Path, template: str) -> None:
    root = Path(shutil.copytree(fixtures / "datasets" / "video2", tmp_path / "set"))
    (tmp_path / "outside.mp4").write_bytes(b"secret")
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | {"video_path": template}))
    with serving(root) as here:
        for path in ("/data/video/observation.images.front/0/0", "/data/episode/0"):
            reply = here.ask(path)
            assert reply.status == 422
            assert "leads out" in reply.json["error"]


def test_every_answer_is_locked_up(served: Served) -> None:
    for path in ("/", "/page.js", "/data/dataset", "/data/episode/9", "/nothing"):
        headers = served.ask(path).headers
        assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


def test_the_page_loads_from_here_alone() -> None:
    for file in files("lerobot_datasets.view").joinpath("static").iterdir():
        text = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//\w+\.\w+/|@import|style=|\son\w+=", text), file.name


# --- parts of files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-", (0, 999)),
        ("bytes=10-19", (10, 19)),
        ("bytes=990-5000", (990, 999)),
        ("bytes=-10", (990, 999)),
        ("bytes=-5000", (0, 999)),
        ("bytes=999-999", (999, 999)),
        ("bytes=1000-", None),
        ("bytes=20-10", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_parts(asked: str, part: tuple[int, int] | None) -> None:
    assert part_of(asked, 1000) == part


def test_a_part_is_never_large() -> None:
    assert part_of("bytes=5-", 10**10) == (5, 5 + 2**20 - 1)


@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_parts_lie_within(size: int, first: int, last: int) -> None:
    found = part_of(f"bytes={first}-{last}", size)
    assert found == ((first, min(last, size - 1)) if first <= min(last, size - 1) else None)


def test_ranges(served: Served) -> None:
    path = served.content.reader.root / "videos/observation.images.wrist/chunk-000/file-000.mp4"
    whole, place = path.read_bytes(), "/data/video/observation.images.wrist/0/0"
    reply = served.ask(place, Range="bytes=100-299")
    assert (reply.status, reply.body) == (206, whole[100:300])
    assert reply.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert reply.headers["Content-Type"] == "video/mp4"
    refused = served.ask(place, Range=f"bytes={len(whole)}-")
    assert (refused.status, refused.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    head = served.ask(place, "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole)))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_serves_until_it_is_interrupted(fixtures: Path) -> None:
    words = ["dataset", "view", str(fixtures / "datasets" / "state_env"), "--no-open", "--episode=2"]
    code = "import sys; from lerobot_core.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#episode=2\n", process.stdout.readline())
        with socket.create_connection(("127.0.0.1", int(found[1])), timeout=10) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{found[1]}\r\nConnection: close\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_refusals(fixtures: Path, tmp_path: Path) -> None:
    dataset = fixtures / "datasets" / "state_env"
    with pytest.raises(DataError, match="no episode 4"):
        CliRunner().invoke(view, [str(dataset), "--episode=4", "--no-open"], catch_exceptions=False)
    with serving(dataset) as here, pytest.raises(Exception, match=r"cannot listen on 127\.0\.0\.1, port") as taken:
        Server(here.content, "127.0.0.1", here.server.server_port)
    assert "--port=0" in taken.value.hint


def test_episodes_on_the_hub_are_fetched_when_they_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    root = tmp_path / "set"
    for part in range(2):
        if part == 0:
            writer = Writer.create(root, recordings.features(), 10, robot_type="arm", encoder=recordings.PATIENT)
        else:
            writer = Writer.resume(root, encoder=recordings.PATIENT)
        recordings.record(writer, [5])
        writer.finalize()
    with hub_emulator.online(monkeypatch):
        publish.push(publish.plan(root, "acme/cubes"))
        reader, fetch = opened("acme/cubes")
        assert fetch is not None
        assert not list(reader.root.rglob("*.mp4"))
        with serving(reader.root, "acme/cubes", fetch) as here:
            assert here.json("/data/dataset")["remote"]
            assert not here.json("/data/episode/1")["cameras"][0]["missing"]
            assert len(list(reader.root.rglob("*.mp4"))) == 1
            assert here.ask("/data/looked?all=1").status == 422


# --- rerun ------------------------------------------------------------------------------------------------------------


class Rerun(ModuleType):
    """Takes what is logged, as rerun-sdk does."""

    def __init__(self) -> None:
        super().__init__("rerun")
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.Scalars = type("Scalars", (), {"columns": staticmethod(lambda scalars: scalars)})
        self.Image = type(
            "Image", (), {"__init__": lambda self, p: None, "compress": lambda self, jpeg_quality: "jpeg"}
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def called(*args: Any, **options: Any) -> str:
            self.calls.append((name, args, options))
            return name

        return called

    def count(self, name: str, first: Any = None) -> int:
        return sum(one == name and (first is None or args[0] == first) for one, args, _ in self.calls)


def test_rerun(fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Rerun()
    monkeypatch.setitem(sys.modules, "rerun", fake)
    file = tmp_path / "episode.rrd"
    words = [str(fixtures / "datasets" / "depth"), "--episode=1", f"--rerun={file}"]
    assert CliRunner().invoke(view, words, catch_exceptions=False).exit_code == 0
    length = Reader(fixtures / "datasets" / "depth").all_episodes[1]["length"]
    assert fake.count("save", str(file)) == fake.count("disconnect") == 1
    assert fake.count("spawn") == 0
    assert (
        fake.count("log", "observation/images/front") == fake.count("log", "observation/images/front_depth") == length
    )
    assert fake.count("send_columns", "action/gripper.pos") == 1
    assert fake.count("DepthImage") == length
    CliRunner().invoke(view, [*words[:1], "--rerun"], catch_exceptions=False)
    assert fake.count("spawn") == 1


def test_without_rerun(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(Exception, match="needs rerun-sdk") as refused:
        CliRunner().invoke(view, [str(fixtures / "datasets" / "state_env"), "--rerun"], catch_exceptions=False)
    assert refused.value.hint == 'pip install "lerobot-datasets[rerun]"'


def test_the_rest_works_without_torch() -> None:
    code = "import sys, lerobot_datasets.commands.view; print(*{'torch', 'torchcodec', 'rerun'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert out.stdout.strip() == ""


def test_units_and_names_of_series(tmp_path: Path) -> None:
    features = {
        "action": Feature(dtype="float32", shape=(2,), names={"motors": ["a", "b"]}),
        "grid": Feature(dtype="float32", shape=(2, 2)),
    }
    writer = Writer.create(tmp_path / "set", features, 10)
    for i in range(3):
        writer.add({"action": np.full(2, i, np.float32), "grid": np.full((2, 2), i, np.float32)}, task="t")
    writer.save_episode()
    writer.finalize()
    series = Content(Reader(tmp_path / "set"), "set").dataset()["series"]
    assert [one["names"] for one in series] == [["a", "b"], ["0,0", "0,1", "1,0", "1,1"]]
