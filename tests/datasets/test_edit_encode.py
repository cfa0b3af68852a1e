"""Videos encoded again, and made of images in tables: every frame there, nearly as it was, and depth exactly."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import attrs
import av
import numpy as np
import pytest
import recordings
from recordings import CAMERA, PATIENT
from test_edit_commands import lr

from lerobot_core.errors import DataError
from lerobot_datasets import edit
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.edit import clips, place, videos
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit.clips import Packets, Pictures
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.operations import opened
from lerobot_datasets.v3.reader import Reader

DEPTH = "observation.images.front_depth"

#: Frames that refer to later ones, which the decoder shows in another order than they lie in the file.
REORDERED = EncoderConfig(vcodec="h264", g=30, preset="medium", when_full="wait")


def record(root: Path, lengths: list[int], encoder: EncoderConfig, camera: str = "video") -> Path:
    writer = recordings.backend(root, encoder=encoder).create(recordings.features(camera), 10, robot_type="arm")
    recordings.record(writer, lengths)
    writer.finalize()
    return root


def pictures(root: Path, episode: int, camera: str = CAMERA) -> np.ndarray:
    return np.stack(list(Reader(root).frames(episode, camera)))


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.mp4"))


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with the number of frames of every clip that is encoded."""
    made: list[int] = []
    original = videos.encoded

    def make(found: Pictures, target: Path, *rest: Any) -> Packets:
        made.append(found.length)
        return original(found, target, *rest)

    monkeypatch.setattr(videos, "encoded", make)
    return made


# --- cutting ----------------------------------------------------------------------------------------------------------


def test_frames_lie_in_another_order(tmp_path: Path) -> None:
    """What the next test is about: without it, that one would test nothing."""
    root = record(tmp_path / "set", [70], REORDERED)
    shown = clips.scan(files(root)[0]).ticks
    assert (np.diff(shown) < 0).any()


@pytest.mark.parametrize(
    ("encoder", "drop_first", "drop_last", "most", "kept"),
    [
        (REORDERED, 10, 0, 20, (30, 100)),
        (REORDERED, 0, 7, 30, (0, 60)),
        (REORDERED, 10, 7, 53, (30, 60)),
        (REORDERED, 30, 0, 0, (30, 100)),
        (EncoderConfig(g=2, when_full="wait"), 11, 0, 1, (12, 100)),
        (EncoderConfig(g=2, when_full="wait"), 11, 5, 2, (12, 94)),
        (EncoderConfig(g=2, when_full="wait"), 10, 0, 0, (10, 100)),
    ],
    ids=["head", "tail", "both", "at a key frame", "AV1 head", "AV1 both", "AV1 at a key frame"],
)
def test_only_what_must_is_encoded_again(
    tmp_path: Path, encoded: list[int], encoder: EncoderConfig, drop_first: int, drop_last: int, most: int,
    kept: tuple[int, int],
) -> None:  # fmt: skip
    """All frames outside the first and the last group of pictures stay bit by bit."""
    root = record(tmp_path / "set", [100, 12], encoder)
    execute(plans.trim(opened(root), drop_first, drop_last, episodes=[0]), tmp_path / "out")
    found, before = pictures(tmp_path / "out", 0), pictures(root, 0)
    first, stop = kept
    np.testing.assert_array_equal(found[first - drop_first : stop - drop_first], before[first:stop])
    assert [recordings.number_of(p) for p in found] == [i % 30 for i in range(drop_first, 100 - drop_last)]
    np.testing.assert_array_equal(pictures(tmp_path / "out", 1), pictures(root, 1))
    assert sum(encoded) <= most
    assert len(files(tmp_path / "out")) == 1, "one decoder set-up serves all parts"


@pytest.mark.parametrize(("drop_first", "drop_last"), [(2, 0), (3, 2)])
def test_depth_is_cut_without_loss(fixtures: Path, tmp_path: Path, drop_first: int, drop_last: int) -> None:
    root = fixtures / "datasets" / "depth"
    execute(plans.trim(opened(root), drop_first, drop_last), tmp_path / "out")
    before, after = Reader(root), Reader(tmp_path / "out")
    for episode in range(before.num_episodes):
        length = before.all_episodes[episode]["length"]
        np.testing.assert_array_equal(
            pictures(tmp_path / "out", episode, DEPTH), pictures(root, episode, DEPTH)[drop_first : length - drop_last]
        )
    for name in ("min", "max", "mean", "std"):
        old, new = (before.stats or {})[DEPTH][name], (after.stats or {})[DEPTH][name]
        np.testing.assert_allclose(new, old, rtol=0.2, err_msg=name)
    assert (after.stats or {})[DEPTH]["mean"].shape == (1, 1, 1)


# --- reencode ---------------------------------------------------------------------------------------------------------


def test_reencode(tmp_path: Path) -> None:
    root = record(tmp_path / "set", [9, 1, 6], PATIENT)
    result = lr(
        "reencode", root, "--vcodec=h264", "--g=3", "--crf=10", "--preset=ultrafast", "--output_dir", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    for episode, length in enumerate([9, 1, 6]):
        found = pictures(tmp_path / "out", episode)
        assert [recordings.number_of(picture) for picture in found] == list(range(length))
        np.testing.assert_allclose(found.astype(int), pictures(root, episode).astype(int), atol=4)
    info = Reader(tmp_path / "out").features[CAMERA].info or {}
    found_info = {name: info[f"video.{name}"] for name in ("codec", "g", "crf", "preset", "pix_fmt")}
    assert found_info == {"codec": "h264", "g": 3, "crf": 10, "preset": "ultrafast", "pix_fmt": "yuv420p"}
    assert list(info) == list(Reader(root).features[CAMERA].info or {})
    for path in (root / "data").rglob("*.parquet"):
        other = tmp_path / "out" / path.relative_to(root)
        assert other.read_bytes() == path.read_bytes(), "tables stay bit by bit"
    with av.open(str(files(tmp_path / "out")[0])) as container:
        keys = [i for i, p in enumerate(p for p in container.demux(video=0) if p.dts is not None) if p.is_keyframe]
    assert {0, 9, 10} <= set(keys), "an episode begins with a key frame"


def test_depth_is_encoded_again_without_loss(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "datasets" / "depth"
    edit.reencode(root, EncoderConfig(vcodec="h264", g=5), tmp_path / "out")
    for episode in range(Reader(root).num_episodes):
        np.testing.assert_array_equal(pictures(tmp_path / "out", episode, DEPTH), pictures(root, episode, DEPTH))
    old, new = (dict(Reader(r).features[DEPTH].info or {}) for r in (root, tmp_path / "out"))
    assert list(old) == list(new)
    assert {key for key in old if old[key] != new[key]} <= {"video.g", "video.preset"}


def test_frames_that_go_missing_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = record(tmp_path / "set", [6], PATIENT)
    original = clips.Clip.frames
    monkeypatch.setattr(clips.Clip, "frames", lambda self: list(original(self))[:5])
    with pytest.raises(DataError, match="gave 5 frames of 6"):
        edit.reencode(root, PATIENT, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def interrupted(plan: plans.Plan, target: Path, episodes: int, in_place: bool = False) -> None:
    """Write a plan until some episodes are done."""
    done: list[int] = []

    def advance() -> None:
        done.append(1)
        if len(done) == episodes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(plan, target, in_place=in_place, advance=advance)


@pytest.mark.parametrize("in_place", [False, True])
def test_an_interruption_stops_the_encoders_and_keeps_what_they_encoded(
    tmp_path: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # with many, all are encoded before the first is written
    root = record(tmp_path / "set", [6] * 8, PATIENT)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    plan, target = plans.reencode(opened(root), PATIENT), root if in_place else tmp_path / "out"
    execute(plan, tmp_path / "whole")
    interrupted(plan, target, 2, in_place)
    folder = place.encoded_of(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, "set", "whole"])
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    kept = place.encoded(target)
    assert 2 <= kept == len(list(folder.iterdir())) < 8
    encoded.clear()
    execute(plan, target, in_place=in_place)
    assert len(encoded) == 8 - kept
    assert files(target)[0].read_bytes() == files(tmp_path / "whole")[0].read_bytes()
    assert not folder.exists()


def test_only_what_would_be_encoded_alike_is_used_again(tmp_path: Path, encoded: list[int]) -> None:
    """Neither with other settings, nor of another source, nor what a power cut broke."""
    root, out = record(tmp_path / "set", [6, 4], PATIENT), tmp_path / "out"
    plan = plans.reencode(opened(root), PATIENT)

    def left() -> list[Path]:
        encoded.clear()
        interrupted(plan, out, 2)
        return sorted(place.encoded_of(out).glob("*.mp4"))

    assert (len(left()), len(encoded)) == (2, 2)
    one, _ = left()
    assert not encoded
    one.write_bytes(one.read_bytes()[:200])
    assert (len(left()), len(encoded)) == (2, 1)
    os.utime(files(root)[0], ns=(1, 1))
    assert (len(left()), len(encoded)) == (4, 2)
    execute(plans.reencode(opened(root), attrs.evolve(PATIENT, g=3)), out)
    assert len(encoded) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]


def test_images_encoded_before_are_used_again(tmp_path: Path, encoded: list[int]) -> None:
    root = record(tmp_path / "set", [3, 6], PATIENT, "image")
    plan = plans.to_video(opened(root), PATIENT)
    interrupted(plan, tmp_path / "out", 2)
    execute(plan, tmp_path / "out")
    assert sorted(encoded) == [3, 6]


def test_the_command_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, words = record(tmp_path / "set", [6, 4], PATIENT), ["--vcodec=h264", "--output_dir", tmp_path / "out"]

    def fails(*_: object) -> None:
        raise DataError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(place, "flush", fails)
        said = lr("reencode", root, *words).output
    assert f"2 encoded videos are kept in '{place.encoded_of(tmp_path / 'out')}'; the same command goes on" in said
    result = lr("reencode", root, *words)
    assert "going on with 2 videos that were encoded before" in result.output
    assert result.exit_code == 0


def test_episodes_are_encoded_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cores: the same files."""
    root = record(tmp_path / "set", [5, 3, 4, 6, 2], PATIENT)
    for cores in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        edit.reencode(root, PATIENT, tmp_path / str(cores))
    assert files(tmp_path / "1")[0].read_bytes() == files(tmp_path / "4")[0].read_bytes()


def test_an_encoder_that_refuses_is_told(tmp_path: Path) -> None:
    root = record(tmp_path / "set", [3], PATIENT)
    with pytest.raises(DataError, match="cannot be encoded by 'h264' as gray9le"):
        edit.reencode(root, EncoderConfig(vcodec="h264", pix_fmt="gray9le"), tmp_path / "out")
    record(tmp_path / "tables", [3], PATIENT, "image")
    with pytest.raises(DataError, match="has no videos"):
        edit.reencode(tmp_path / "tables", PATIENT, tmp_path / "out")


# --- to-video ---------------------------------------------------------------------------------------------------------


def test_images_become_videos(tmp_path: Path) -> None:
    root = record(tmp_path / "set", [3, 6, 2], PATIENT, "image")
    result = lr("to-video", root, "--vcodec=h264", "--crf=5", "--episodes=0,2", "--output_dir", tmp_path / "out")
    assert result.exit_code == 0, result.output
    reader = Reader(tmp_path / "out")
    assert reader.features[CAMERA].dtype == "video"
    assert CAMERA not in reader.columns(0)
    for new, old in enumerate([0, 2]):
        np.testing.assert_allclose(pictures(tmp_path / "out", new).astype(int), pictures(root, old).astype(int), atol=3)
    assert (reader.features[CAMERA].info or {})["video.codec"] == "h264"
    assert reader.info.video_path
    assert (reader.stats or {})[CAMERA]["count"].tolist() == [5]
    with pytest.raises(DataError, match="has no images in its tables"):
        edit.convert_image_to_video(tmp_path / "out", tmp_path / "again")


def test_images_of_the_ecosystem_become_videos(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "datasets" / "images"
    if not root.is_dir():
        pytest.skip("in the larger set of recorded data only")
    edit.convert_image_to_video(
        root, tmp_path / "out", rgb_encoder=EncoderConfig(vcodec="h264", pix_fmt="yuv444p", crf=1)
    )
    before, after = Reader(root), Reader(tmp_path / "out")
    assert after.info.video_keys == before.info.camera_keys
    for camera in before.info.camera_keys:
        for episode in range(before.num_episodes):
            difference = pictures(tmp_path / "out", episode, camera).astype(int) - pictures(root, episode, camera)
            assert np.abs(difference).mean() < 2, camera


def depth_images(fixtures: Path, root: Path) -> Path:
    """The dataset with a depth camera, as TIFF cells of a table in millimetres."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    source = fixtures / "datasets" / "depth"
    shutil.copytree(source, root)
    reader = Reader(source)
    path = root / "meta" / "info.json"
    info = json.loads(path.read_text())
    shape, names = info["features"][DEPTH]["shape"], info["features"][DEPTH]["names"]
    info["features"][DEPTH] = {
        "dtype": "image", "shape": shape, "names": names, "info": {"is_depth_map": True, "depth_unit": "mm"},
    }  # fmt: skip
    path.write_text(json.dumps(info))
    table = next(iter((root / "data").rglob("*.parquet")))
    cells = [
        {"bytes": tiff_of(picture[..., 0].astype(np.uint16)), "path": None}
        for episode in range(reader.num_episodes)
        for picture in reader.frames(episode, DEPTH)
    ]
    column = pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pq.read_table(table).append_column(DEPTH, column), table)
    return root


def tiff_of(picture: np.ndarray) -> bytes:
    """TIFF file bytes of a picture (H, W) uint16: a header, the pixels, and a directory of whole numbers."""
    import struct

    height, width = picture.shape
    data = picture.astype("<u2").tobytes()
    tags = ((256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, height),
            (279, len(data)), (339, 1))  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<4sI", b"II*\0", 8 + len(data)) + data + struct.pack("<H", len(tags)) + directory + b"\0" * 4


def test_depth_images_become_depth_videos(fixtures: Path, tmp_path: Path) -> None:
    root = depth_images(fixtures, tmp_path / "set")
    edit.convert_image_to_video(root, tmp_path / "out")
    for episode in range(Reader(root).num_episodes):
        np.testing.assert_array_equal(pictures(tmp_path / "out", episode, DEPTH), pictures(root, episode, DEPTH))
    info = Reader(tmp_path / "out").features[DEPTH].info or {}
    want = Reader(fixtures / "datasets" / "depth").features[DEPTH].info or {}
    assert list(info) == list(want)
    assert {key for key in want if want[key] != info[key]} <= {"video.preset"}
    execute(plans.trim(opened(root), drop_first=2), tmp_path / "cut")
    np.testing.assert_array_equal(pictures(tmp_path / "cut", 0, DEPTH), pictures(root, 0, DEPTH)[2:])
