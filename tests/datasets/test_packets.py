"""Frames by their packets: any frames in any order are those of one pass, however the file was written."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lerobot_core.errors import DataError
from lerobot_datasets.video import boxes, colours, decode, decoders, packets
from lerobot_datasets.video.decode import Wanted
from lerobot_datasets.video.decoders import Decoders, Source
from lerobot_datasets.video.packets import PacketTable, Run

FPS, LENGTH, SIZE = 10, 36, (48, 64)
KINDS = {
    "av1": ("libsvtav1", {"g": "2", "preset": "12"}, {}),
    "av1-long": ("libsvtav1", {"g": "12", "preset": "12"}, {}),
    "h264": ("libx264", {"g": "2"}, {}),
    "h264-reordered": ("libx264", {"g": "12", "bf": "3"}, {}),
    "h264-open": ("libx264", {"x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=3:open-gop=1:b-adapt=0"}, {}),
    "hevc-open": ("libx265", {"x265-params": "keyint=8:min-keyint=8:scenecut=0:bframes=3:open-gop=1:log-level=0"}, {}),
    "fragmented": ("libx264", {"g": "6", "bf": "2"}, {"movflags": "frag_keyframe+empty_moov"}),
}


def noise() -> np.ndarray:
    """Pictures (LENGTH, H, W, 3) that move and differ, so that a wrong reference shows."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (SIZE[0], SIZE[1] + LENGTH, 3), dtype=np.uint8)
    return np.stack([ground[:, i : i + SIZE[1]] for i in range(LENGTH)])


def written(path: Path, codec: str, options: dict[str, str], container: dict[str, str]) -> Path:
    with av.open(str(path), "w", options=container) as file:
        stream = file.add_stream(codec, rate=FPS, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, FPS)
        for i, picture in enumerate(noise()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module", params=list(KINDS))
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("video") / f"{request.param}.mp4", *KINDS[request.param])


@pytest.fixture(scope="module")
def once(video: Path) -> np.ndarray:
    """All frames as one pass through the container gives them."""
    return np.stack(list(decode.iterate(video, 0.0, LENGTH / FPS)))


def source(path: Path) -> Source:
    data = path.read_bytes()
    return Source(PacketTable.of(path), lambda offset, size: data[offset : offset + size])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=9), min_size=1, max_size=5))
def test_any_frames_in_any_order(video: Path, once: np.ndarray, calls: list[list[int]]) -> None:
    assert len(once) == LENGTH
    reader = decode.VideoReader("pyav")
    for frames in calls:
        np.testing.assert_array_equal(reader.frames(video, np.array(frames) / FPS), once[frames])
    reader.close()


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, LENGTH - 1), window=st.integers(1, 4), cap=st.sampled_from([0, 1 << 20]))
def test_going_on(video: Path, once: np.ndarray, first: int, window: int, cap: int) -> None:
    """Item after item with windows that overlap, with and without room for recent frames."""
    reader = decode.VideoReader("pyav", cap=cap)
    for i in range(first, LENGTH):
        frames = np.maximum(np.arange(i - window + 1, i + 1), 0)
        np.testing.assert_array_equal(reader.frames(video, frames / FPS), once[frames])
    decoders.process.cap = decoders.CAP


@pytest.mark.parametrize("step", [1, 5])
def test_going_on_decodes_every_packet_once(video: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    fed: list[int] = []
    plain = Source.packets

    def counted(self: Source, first: int, last: int) -> Any:
        for number, packet in enumerate(plain(self, first, last), first):
            fed.append(number)
            yield packet

    monkeypatch.setattr(Source, "packets", counted)
    reader = decode.VideoReader("pyav")
    for i in range(0, LENGTH, step):
        reader.frames(video, np.arange(i, min(i + step, LENGTH)) / FPS)
    begun_again = 12 if PacketTable.of(video).delays else 0  # what was emptied before it was seen that reading goes on
    assert len(fed) <= LENGTH + begun_again
    assert set(fed) == set(range(LENGTH))


def test_a_key_frame_is_decoded_alone(video: Path, once: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    table, fed = PacketTable.of(video), []
    key = int(table.shown.tolist().index(np.flatnonzero(table.is_key)[-1]))
    plain = Source.packets
    monkeypatch.setattr(Source, "packets", lambda *a: (fed.append(p) or p for p in plain(*a)))
    np.testing.assert_array_equal(decode.VideoReader("pyav").frames(video, np.array([key / FPS]))[0], once[key])
    assert len(fed) == 1


def test_several_at_once(video: Path, once: np.ndarray, tmp_path: Path) -> None:
    """Two files and two threads fill one array, with duplicates; floats are the bytes divided by 255."""
    other = tmp_path / "other.mp4"
    other.write_bytes(video.read_bytes())
    frames = np.array([3, 30, 3, 11, 0, 35, 11, 20])
    out = np.zeros((16, 3, *SIZE), np.float32)
    parts = [Wanted(path, frames / FPS, out, np.arange(8) * 2 + i) for i, path in enumerate((video, other))]
    decode.VideoReader("pyav").fill(parts)
    want = (once[frames].astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(out, np.repeat(want, 2, axis=0))


@pytest.mark.parametrize(("height", "width"), [(48, 64), (84, 84), (50, 66), (48, 62)])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv422p", "yuv420p10le", "nv12"])
def test_floats_are_the_bytes_whatever_they_are_made_of(height: int, width: int, pixels: str) -> None:
    """Planes are used only where FFmpeg makes the same of them: it does not of every format and width."""
    frame, rng = av.VideoFrame(width, height, pixels), np.random.default_rng(1)
    for plane in frame.planes:
        plane.update(rng.bytes(plane.buffer_size))
    out, whole = np.empty((3, height, width), np.float32), np.empty((height, width, 3), np.uint8)
    for target in (out, whole):
        colours.write(frame, colours.form("rgb24", target, pixels, width, height), target)
    np.testing.assert_array_equal(out, whole.transpose(2, 0, 1) / np.float32(255))


def test_planes_are_used_where_they_may_be() -> None:
    assert colours.form("rgb24", np.empty(0, np.float32), "yuv420p", 64, 48) == "gbrp"
    assert colours.form("rgb24", np.empty(0, np.uint8), "yuv420p", 64, 48) == "rgb24"


@pytest.mark.parametrize(("height", "width"), [(48, 64), (84, 84), (50, 66), (48, 62), (31, 33)])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le", "nv12"])
@pytest.mark.parametrize(("matrix", "limits"), [(2, 0), (2, 1), (2, 2), (1, 1), (5, 2), (9, 1)])
def test_pictures_are_those_of_pyav(height: int, width: int, pixels: str, matrix: int, limits: int) -> None:
    """Also where the conversion straight into an array would differ or write past its end; beside it nothing changes."""
    frame, rng = av.VideoFrame(width, height, pixels), np.random.default_rng(1)
    for plane in frame.planes:
        plane.update(rng.bytes(plane.buffer_size))
    frame.colorspace, frame.color_range = matrix, limits
    memory = np.full((3, height, width, 3), 7, np.uint8)
    colours.write(frame, "rgb24", memory[1])
    np.testing.assert_array_equal(memory[1], frame.to_ndarray(format="rgb24"))
    assert (memory[[0, 2]] == 7).all()


@pytest.mark.skipif(sys.platform != "linux", reason="found through the module that is linked to it")
def test_pictures_are_written_straight_into_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colours, "put", None)
    frame, out = av.VideoFrame(64, 48, "yuv420p"), np.empty((48, 64, 3), np.uint8)
    colours.write(frame, "rgb24", out)
    np.testing.assert_array_equal(out, frame.to_ndarray(format="rgb24"))


def test_tables_of_bytes_and_of_files(video: Path, tmp_path: Path) -> None:
    one = PacketTable.of(video)
    one.save(tmp_path / "table")
    for other in (PacketTable.of(io.BytesIO(video.read_bytes())), PacketTable.load(tmp_path / "table")):
        assert other.kind == one.kind
        assert (other.tick, other.start, other.rate, other.delays) == (one.tick, one.start, one.rate, one.delays)
        for name in ("pos", "size", "pts", "is_key", "is_shown", "times", "begins"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name))
    data = (tmp_path / "table").read_bytes()
    (tmp_path / "table").write_bytes(data[:-3])
    with pytest.raises(ValueError, match=r"multiple|reshape"):
        PacketTable.load(tmp_path / "table")


CONTAINERS = {
    "end": {},
    "first": {"movflags": "faststart"},
    "negative": {"movflags": "negative_cts_offsets"},
    "unedited": {"use_editlist": "0"},
    "key": {"movflags": "frag_keyframe"},
    "delayed": {"movflags": "frag_keyframe+delay_moov"},
    "dash": {"movflags": "dash"},
    "cmaf": {"movflags": "cmaf"},
    "each": {"movflags": "frag_every_frame+empty_moov+default_base_moof"},
}


@pytest.mark.parametrize(("kind", "container"), [*product(["h264-reordered"], CONTAINERS), ("hevc-open", "end")])
def test_the_boxes_say_what_reading_the_whole_file_gives(tmp_path: Path, kind: str, container: str) -> None:
    path = written(tmp_path / "v.mp4", *KINDS[kind][:2], CONTAINERS[container])
    same_as_read(path, PacketTable.of(path))


def same_as_read(path: Path, table: PacketTable) -> None:
    with av.open(str(path)) as file:
        want = packets._demuxed(file, file.streams.video[0])
        assert PacketTable(**packets._described(file.streams.video[0]), **want).kind == table.kind
    read = np.isin(table.pos, want["pos"])  # others lie before the key frame of the first that is shown
    assert not table.is_shown[~read].any()
    for name in ("pos", "size", "is_key", "is_shown"):
        np.testing.assert_array_equal(getattr(table, name)[read], want[name])
    np.testing.assert_array_equal((table.pts - table.start)[read], want["pts"] - want["start"])
    assert table.rate == FPS


@pytest.mark.parametrize("shift", [-5, 7])
def test_a_video_that_begins_before_or_after_its_time(tmp_path: Path, shift: int) -> None:
    """Frames before time 0 are cut off by an edit list; a video that begins later has a pause in front."""
    path = tmp_path / "shifted.mp4"
    with (
        av.open(str(written(tmp_path / "v.mp4", *KINDS["h264"]))) as source,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                step = round(Fraction(shift, FPS) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + step, packet.dts + step, stream
                out.mux(packet)
    table = PacketTable.of(path)
    same_as_read(path, table)
    assert int(table.is_shown.sum()) == LENGTH + min(shift, 0)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_boxes_are_refused(video: Path, data: st.DataObject) -> None:
    """Whatever is in them: what comes out fits the file, or it is said that the boxes are unusual."""
    whole = bytearray(video.read_bytes())
    starts = [at for name in (b"moov", b"moof") for at in range(len(whole)) if whole.startswith(name, at)]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(starts)) + data.draw(st.integers(-4, 900))
        if at < len(whole):
            whole[at] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255]))
    try:
        found, head = boxes.packets(lambda offset, size: bytes(whole[offset : offset + size]), len(whole))
    except boxes.Unusual:
        return
    assert len({len(values) for values in found.values()}) == 1
    assert 0 <= head <= len(whole)
    assert len(found["pos"]) <= len(whole)


def test_packets_that_cannot_be_there_take_no_memory(tmp_path: Path) -> None:
    """Four thousand million packets of one byte each, in a file of some thousand bytes."""
    whole = bytearray(written(tmp_path / "v.mp4", *KINDS["h264"]).read_bytes())
    at = whole.index(b"stsz") + 8
    whole[at : at + 8] = b"\0\0\0\1\xff\xff\xff\xff"
    with pytest.raises(boxes.Unusual, match="4294967295 packets in a file of"):
        boxes.packets(lambda offset, size: bytes(whole[offset : offset + size]), len(whole))


def test_what_the_boxes_do_not_tell_is_read(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = PacketTable.of(video)
    monkeypatch.setattr(boxes, "_samples", lambda *a: boxes._require(False, "strange"))
    np.testing.assert_array_equal(PacketTable.of(video).times, want.times)


def test_pictures_shown_before_their_key_frame_begin_earlier() -> None:
    """Decode order 0 3 1 2 | 6 4 5: the last two are shown before the second key frame and lean on the first."""
    pts = np.array([0, 3, 1, 2, 6, 4, 5])
    zeros = np.zeros(7, np.int64)
    is_key = np.array([True, False, False, False, True, False, False])
    table = PacketTable(
        codec="h264", extradata=b"", height=1, width=1, pixel_format="", colours=(0, 2, 2, 2), tick=(1, 1), start=0,
        rate=1.0, delays=True, pos=zeros, size=zeros, pts=pts, is_key=is_key, is_shown=np.ones(7, bool),
    )  # fmt: skip
    assert table.begins.tolist() == [0, 0, 0, 0, 4, 0, 0]
    assert table.shown.tolist() == [0, 2, 3, 1, 5, 6, 4]
    for wanted, runs in {(4, 6, 1): [(0, [1, 4, 6])], (1, 4): [(0, [1]), (4, [4])], (4, 3): [(0, [3, 4])]}.items():
        assert [(run.begin, run.wanted.tolist()) for run in table.runs(np.array(wanted))] == runs


def test_the_cap_holds(video: Path) -> None:
    """Many streams at a time: decoders beyond the cap are closed or go to another stream."""
    pool = Decoders(cap=10 * decoders.held(*SIZE))
    streams = [source(video) for _ in range(30)]
    for _ in range(2):
        for one in streams:
            wanted = one.table.shown[4:6]
            got = {packet for packet, _ in pool.frames(one, list(one.table.runs(wanted)), ahead=True)}
            assert got >= set(wanted.tolist())
            assert pool.bytes <= pool.cap
    few = Decoders(count=2)
    for one in streams[:5]:
        list(few.frames(one, [Run(0, np.array([0]))]))
        assert few._open <= 2


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 3], lambda data: b"no video at all" * 9, lambda data: b""],
    ids=["cut", "text", "empty"],
)
def test_broken_files_are_named(video: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(damage(video.read_bytes()))
    with pytest.raises(DataError, match=r"broken\.mp4'"):
        decode.VideoReader("pyav").frames(path, np.array([(LENGTH - 1) / FPS]))


def test_what_is_broken_in_the_middle(tmp_path: Path) -> None:
    """The other frames are there still."""
    path = written(tmp_path / "v.mp4", *KINDS["h264"])
    table = PacketTable.of(path)
    data, last = bytearray(path.read_bytes()), int(np.flatnonzero(table.is_key)[-1])
    at = int(table.pos[last])
    data[at : at + int(table.size[last])] = b"\xff" * int(table.size[last])
    path.write_bytes(data)
    reader = decode.VideoReader("pyav")
    with pytest.raises(DataError, match="cannot be decoded between"):
        reader.frames(path, table.times[-1:])
    assert reader.frames(path, np.array([0.0])).any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_begins_with_nothing(video: Path, once: np.ndarray) -> None:
    reader = decode.VideoReader("pyav")
    reader.frames(video, np.array([0.5]))
    child = os.fork()
    if child == 0:
        fine = not decoders.process._idle and np.array_equal(reader.frames(video, np.array([0.6]))[0], once[6])
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert pickle.loads(pickle.dumps(reader)).frames(video, np.array([0.7])).shape == (1, *SIZE, 3)  # noqa: S301
