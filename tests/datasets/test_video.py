"""Frames by time in any order, joined files, and a queue that overflows without losing alignment."""

from __future__ import annotations

import errno
import os
import pickle
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import recordings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lerobot_core.errors import DataError
from lerobot_datasets.config import DEPTH, EncoderConfig
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer
from lerobot_datasets.video import decode, encode, png
from lerobot_datasets.video.pictures import Camera, Encoding, Levels
from lerobot_datasets.video.stream import PictureStream

FPS = 10


@pytest.fixture(scope="module", params=[("h264", 10), ("h264", 250), ("libsvtav1", 2)], ids=lambda p: f"{p[0]}-g{p[1]}")
def joined(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 10, 1 and 19 frames as one file; H.264 stores frames out of order."""
    vcodec, g = request.param
    folder = tmp_path_factory.mktemp("video")
    whole, count = folder / "0.mp4", 0
    for clip, length in enumerate((10, 1, 19)):
        path = folder / f"{clip}.mp4"
        file = encode.VideoFile(path, (48, 64), FPS, EncoderConfig(vcodec=vcodec, g=g))
        for i in range(length):
            file.write(recordings.picture(count + i))
        file.close()
        if clip:
            encode.join([(whole, Fraction(0)), (path, Fraction(count, FPS))], folder / f"joined{clip}.mp4")
            whole = folder / f"joined{clip}.mp4"
        count += length
    return whole


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_order(joined: Path, decoder: str, orders: list[list[int]]) -> None:
    reader = decode.VideoReader(decoder)
    for order in orders:
        times = np.float32(np.array(order) / FPS).astype(np.float64)
        assert [recordings.number_of(picture) for picture in reader.frames(joined, times)] == order
    reader.close()


def test_decoders_agree_with_one_pass(joined: Path, decoder: str) -> None:
    once = np.stack(list(decode.iterate(joined, 0.0, 3.0)))
    reader = decode.VideoReader(decoder)
    np.testing.assert_array_equal(reader.frames(joined, np.arange(30) / FPS), once)
    assert len(list(decode.iterate(joined, 1.0, 1.5))) == 5


def test_tolerance(joined: Path, decoder: str) -> None:
    with pytest.raises(DataError, match=r"no frame within 0\.0001 s of 0\.140000 s, the nearest is at 0\.1"):
        decode.VideoReader(decoder).frames(joined, np.array([0.14]))
    loose = decode.VideoReader(decoder, tolerance_s=0.05)
    assert recordings.number_of(loose.frames(joined, np.array([0.14]))[0]) == 1
    with pytest.raises(DataError):
        loose.frames(joined, np.array([3.4]))


def test_open_decoders_are_few_and_stay_home(joined: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = decode.VideoReader("pyav", size=1)
    for path in (joined, joined.with_name("0.mp4"), joined):
        reader.frames(path, np.array([0.5]))
        assert list(reader._open) == [(path, decode.RGB)]
    assert not pickle.loads(pickle.dumps(reader))._open  # noqa: S301
    mine = reader._open[joined, decode.RGB]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    reader.frames(joined, np.array([0.5]))
    assert reader._open[joined, decode.RGB] is not mine, "a forked process opens its own"


def test_joining_unlike_videos_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path, size in zip(paths, [(48, 64), (64, 64)], strict=True):
        file = encode.VideoFile(path, size, FPS, EncoderConfig(vcodec="h264"))
        file.write(np.zeros((*size, 3), np.uint8))
        file.close()
    with pytest.raises(DataError, match=r"b\.mp4' is .* continues is"):
        encode.join([(path, Fraction(0)) for path in paths], tmp_path / "c.mp4")


def test_encoder_options() -> None:
    short = "fast-decode=0:lookahead=0:hierarchical-levels=2"
    assert encode.options(EncoderConfig()) == {"g": "2", "crf": "30", "preset": "12", "svtav1-params": short}
    given = {"svtav1-params": "tune=0", "threads": "9"}
    assert encode.options(EncoderConfig(g=30, threads=2, extra_options=given)) == {
        "g": "30",
        "crf": "30",
        "preset": "12",
        "svtav1-params": "fast-decode=0:lookahead=0:lp=2:tune=0",
        "threads": "9",
    }
    assert encode.options(EncoderConfig(vcodec="h264", fast_decode=1, threads=2)) == {
        "g": "2",
        "crf": "30",
        "tune": "fastdecode",
        "threads": "2",
        "bf": "0",
    }


def test_png() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(png.decode(png.encode(noise)), noise)
    with pytest.raises(DataError, match="of no kind known"):
        png.decode(b"not a picture")


@pytest.mark.parametrize(
    "config", [EncoderConfig(vcodec="h264", g=4), EncoderConfig(vcodec="h264", g=250), EncoderConfig(), DEPTH], ids=str
)
def test_a_video_is_ordinary_when_closed_and_readable_when_cut_off_anywhere(
    tmp_path: Path, config: EncoderConfig
) -> None:
    path = tmp_path / "video.mp4"
    file = encode.VideoFile(path, (48, 64), FPS, config, fragments=True)
    for i in range(20):
        file.write(np.full((48, 64), i, np.uint16) if config is DEPTH else recordings.picture(i))
    file.close()
    with av.open(str(path)) as container:
        source = container.streams.video[0]
        times = sorted(packet.pts * source.time_base for packet in container.demux(source) if packet.size)
    assert times == [Fraction(i, FPS) for i in range(20)]
    assert 0 < file.delay <= 20
    whole, lengths = path.read_bytes(), []
    for part in np.linspace(0, len(whole), 30).astype(int):
        path.write_bytes(whole[:part])
        encode.mend(path)
        lengths.append(max(encode.cuts(path, FPS)))
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (0, 20)
    assert len(set(lengths)) > (1 if config.g == 250 else 5)
    path.write_bytes(whole)
    encode.mend(path)
    assert path.read_bytes() == whole


class Shuffling:
    """An encoder's stream that gives all its packets at the end, changed."""

    def __init__(self, stream: Any, change: Callable[[list[Any]], list[Any]]) -> None:
        self._stream, self._change = stream, change
        self._packets: list[Any] = []

    def encode(self, frame: av.VideoFrame | None) -> list[Any]:
        self._packets += self._stream.encode(frame)
        return [] if frame else self._change(self._packets)


def shuffled(path: Path, change: Callable[[list[Any]], list[Any]]) -> list[int]:
    """The numbers of the pictures of a video whose encoder gives its packets otherwise."""
    file = encode.VideoFile(path, (recordings.HEIGHT, recordings.WIDTH), 30, EncoderConfig(), fragments=True)
    file._encoded._stream = Shuffling(file._stream, change)
    for i in range(20):
        file.write(recordings.picture(i))
    file.close()
    return [recordings.number_of(picture) for picture in encode.pictures(path)]


def test_packets_in_each_others_place_are_put_right(tmp_path: Path) -> None:
    def swap(packets: list[Any]) -> list[Any]:
        packets[5], packets[15] = packets[15], packets[5]
        return packets

    assert shuffled(tmp_path / "swapped.mp4", swap) == list(range(20))
    with pytest.raises(DataError, match="the encoder lost frame 5"):
        shuffled(tmp_path / "lost.mp4", lambda packets: packets[:5] + packets[6:])


class SlowFile:
    """Takes pictures only when allowed to."""

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.begun = threading.Event()
        self.numbers: list[int] = []

    def write(self, picture: np.ndarray) -> None:
        self.begun.set()
        self.allowed.wait()
        self.numbers.append(recordings.number_of(picture))

    def close(self) -> None:
        pass

    def flush(self) -> None:
        pass


def camera(**options: Any) -> Camera:
    encoder = EncoderConfig(vcodec="h264", **options)
    return Camera(name="test", dtype="video", shape=(48, 64, 3), fps=FPS, encoder=encoder)


@given(taken=st.integers(0, 2), dropped=st.integers(1, 4), after=st.integers(0, 2))
@settings(max_examples=15, deadline=None)
def test_a_full_queue_drops_and_keeps_places(taken: int, dropped: int, after: int) -> None:
    """One picture is being written and two wait: what comes then is dropped, and the one before stands in."""
    file = SlowFile()
    test = camera(queue_size=2)

    def begin(folder: Path) -> Encoding:
        encoding = Encoding.__new__(Encoding)
        encoding._file, encoding._seen, encoding._last, encoding._count, encoding._began = file, Levels(), None, 0, 0.0
        return encoding

    stream = PictureStream(test, begin)
    stream.begin(Path("nowhere"))
    assert stream.add(0, recordings.picture(0))
    file.begun.wait()
    kept = [0, 1, 2]
    for i in range(1, 3 + dropped):
        assert stream.add(i, recordings.picture(i)) == (i < 3)
    assert stream.dropped == dropped
    file.allowed.set()
    while len(file.numbers) < len(kept) or stream._ring.full:
        time.sleep(0.001)
    late = range(3 + dropped, 3 + dropped + min(taken + after, 1))
    for i in late:
        stream.add(i, recordings.picture(i))
    length = 3 + dropped + len(late)
    stream.ask(length)
    result = stream.finish()
    assert file.numbers == kept + [2] * dropped + list(late)
    assert result.dropped == dropped
    assert result.stats["count"].tolist() == [length]
    stream.close()


def test_dropped_pictures_are_counted_by_the_writer(tmp_path: Path) -> None:
    config = EncoderConfig(vcodec="h264", queue_size=1)
    writer = Writer.create(tmp_path / "set", recordings.features(), FPS, encoder=config)
    for i in range(60):
        writer.add(recordings.frame(0, i), task="t")
    writer.save_episode()
    writer.finalize()
    assert 0 < writer.dropped[recordings.CAMERA] < 60
    assert len(list(Reader(tmp_path / "set").frames(0, recordings.CAMERA))) == 60


@pytest.mark.parametrize(
    ("failure", "heard", "says"),
    [
        (RuntimeError("no such profile"), DataError, "encode test failed: no such profile"),
        (OSError(errno.ENOSPC, "No space left on device"), OSError, "No space left"),
    ],
)
def test_a_failing_encoder_is_heard_of(failure: Exception, heard: type[Exception], says: str) -> None:
    def refuse(folder: Path) -> SlowFile:
        raise failure

    stream = PictureStream(camera(queue_size=1, when_full="wait"), refuse)
    stream.begin(Path("nowhere"))
    with pytest.raises(heard, match=says):
        _ = [stream.add(i, recordings.picture(0)) for i in range(1000)]
    stream.ask(1)
    with pytest.raises(heard, match=says):
        stream.finish()
    stream.close()
