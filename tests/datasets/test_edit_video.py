"""Videos of edited datasets: copied where they can be, encoded again where they are cut, and always the right frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import av
import numpy as np
import pytest
import recordings
from recordings import CAMERA, PATIENT

from lerobot_core.errors import DataError
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit import videos
from lerobot_datasets.edit.clips import Packets, Pictures
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.plan import Source
from lerobot_datasets.v3.reader import Reader


def record(root: Path, lengths: list[int], encoder: EncoderConfig = PATIENT) -> Path:
    writer = recordings.backend(root, encoder=encoder).create(recordings.features(), 10, robot_type="arm")
    recordings.record(writer, lengths)
    writer.finalize()
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of 9, 1, 6 and 12 frames in one h264 file, a key frame every fourth; read only."""
    return record(tmp_path_factory.mktemp("videos") / "set", [9, 1, 6, 12])


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every clip that is encoded again."""
    made: list[str] = []
    original = videos.encoded

    def make(pictures: Pictures, target: Path, *rest: Any) -> Packets:
        made.append(f"{pictures.length} frames")
        return original(pictures, target, *rest)

    monkeypatch.setattr(videos, "encoded", make)
    return made


def source(root: Path) -> Source:
    return Source.of(Reader(root))


def pictures(root: Path, episode: int) -> np.ndarray:
    return np.stack(list(Reader(root).frames(episode, CAMERA)))


def test_whole_episodes_are_copied(root: Path, tmp_path: Path, encoded: list[str]) -> None:
    execute(plans.delete(source(root), [1]), tmp_path / "cut")
    execute(plans.merge([source(tmp_path / "cut"), source(root)]), tmp_path / "all")
    assert not encoded
    assert len(list((tmp_path / "all").rglob("*.mp4"))) == 1
    for new, old in enumerate([0, 2, 3, 0, 1, 2, 3]):
        np.testing.assert_array_equal(pictures(tmp_path / "all", new), pictures(root, old))
    rows = Reader(tmp_path / "all").all_episodes
    ends = np.cumsum([9, 6, 12, 9, 1, 6, 12]) / 10
    np.testing.assert_allclose(rows[f"videos/{CAMERA}/to_timestamp"], ends)
    before, after = Reader(root).stats or {}, Reader(tmp_path / "all").stats or {}
    np.testing.assert_array_equal(after[CAMERA]["max"], before[CAMERA]["max"])


@pytest.mark.parametrize("drop_first", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("drop_last", [0, 1, 3])
def test_cut_episodes_hold_their_frames(
    root: Path, tmp_path: Path, encoded: list[str], drop_first: int, drop_last: int
) -> None:
    execute(plans.trim(source(root), drop_first, drop_last, episodes=[0, 3]), tmp_path / "out")
    for episode, length in enumerate([9, 1, 6, 12]):
        kept = range(drop_first, length - drop_last) if episode in (0, 3) else range(length)
        found = pictures(tmp_path / "out", episode)
        assert [recordings.number_of(picture) for picture in found] == list(kept)
        if episode not in (0, 3):
            np.testing.assert_array_equal(found, pictures(root, episode))
    assert bool(encoded) == (drop_first != 4 or drop_last != 0)
    stats = Reader(tmp_path / "out").stats or {}
    assert stats[CAMERA]["count"].tolist() == [28 - 2 * (drop_first + drop_last)]


@pytest.mark.parametrize("drop_first", [1, 2, 3])
def test_only_the_frames_up_to_a_key_frame_are_encoded_again(root: Path, tmp_path: Path, drop_first: int) -> None:
    execute(plans.trim(source(root), drop_first, episodes=[3]), tmp_path / "out")
    np.testing.assert_array_equal(pictures(tmp_path / "out", 3)[4 - drop_first :], pictures(root, 3)[4:])
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 1


def test_another_encoding_is_not_mixed_into_an_episode(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = attrs.evolve(PATIENT, g=1, fast_decode=1)  # as if the source had been encoded by something else
    monkeypatch.setattr(videos, "encoder_of", lambda *_: other)
    execute(plans.trim(source(root), drop_first=1, episodes=[3]), tmp_path / "out")
    assert [recordings.number_of(picture) for picture in pictures(tmp_path / "out", 3)] == list(range(1, 12))
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 2


def test_a_full_video_is_followed_by_another(root: Path, tmp_path: Path) -> None:
    plan = plans.delete(source(root), [])
    execute(attrs.evolve(plan, info=attrs.evolve(plan.info, video_files_size_in_mb=1e-6)), tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 4
    for episode in range(4):
        np.testing.assert_array_equal(pictures(tmp_path / "out", episode), pictures(root, episode))


def test_encodings_that_differ_go_to_files_of_their_own(root: Path, tmp_path: Path) -> None:
    other = record(tmp_path / "other", [5], attrs.evolve(PATIENT, crf=40, g=2, fast_decode=1))
    execute(plans.merge([source(root), source(other)]), tmp_path / "out")
    reader = Reader(tmp_path / "out")
    np.testing.assert_array_equal(pictures(tmp_path / "out", 4), pictures(other, 0))
    np.testing.assert_array_equal(pictures(tmp_path / "out", 3), pictures(root, 3))
    assert [row[f"videos/{CAMERA}/file_index"] for row in reader.all_episodes] == [0, 0, 0, 0, 1]
    info = dict(reader.features[CAMERA].info or {})
    assert (info["video.crf"], info["video.g"], info["video.codec"]) == (None, None, "h264")


def test_every_packet_comes_once(root: Path, tmp_path: Path) -> None:
    execute(plans.delete(source(root), [0]), tmp_path / "out")
    with av.open(str(next((tmp_path / "out").rglob("*.mp4")))) as container:
        times = sorted(p.pts * p.time_base for p in container.demux(video=0) if p.dts is not None)
    np.testing.assert_allclose([float(time) for time in times], np.arange(19) / 10)


def test_statistics_of_pictures_are_computed_anew(root: Path, tmp_path: Path) -> None:
    execute(plans.restate(source(root), pictures=True), tmp_path / "out")
    found, before = Reader(tmp_path / "out").stats or {}, Reader(root).stats or {}
    assert found[CAMERA]["count"] == before[CAMERA]["count"]
    np.testing.assert_allclose(found[CAMERA]["mean"], before[CAMERA]["mean"], atol=0.02)


def test_a_video_without_its_last_frames_is_refused(root: Path, tmp_path: Path) -> None:
    whole = record(tmp_path / "set", [4, 4])
    video = next(whole.rglob("*.mp4"))
    video.write_bytes(next(record(tmp_path / "short", [4, 2]).rglob("*.mp4")).read_bytes())
    with pytest.raises(DataError, match="holds 2 of the 4 frames of episode 1"):
        execute(plans.delete(source(whole), [0]), tmp_path / "out")
    video.unlink()
    with pytest.raises(DataError, match=r"file-000\.mp4' not found") as refusal:
        execute(plans.delete(source(whole), [0]), tmp_path / "out")
    assert refusal.value.path == video
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "short"]
