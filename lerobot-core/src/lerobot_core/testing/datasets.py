"""What a dataset backend must do: give back what was written, and lose nothing that was committed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.errors import LeRobotError
from lerobot_core.roles import DatasetBackend
from lerobot_core.testing.loading import LoadingChecks
from lerobot_core.testing.recordings import CAMERA, FPS, INDICES, LENGTHS, TASKS, RecordingSuite
from lerobot_core.testing.suite import needs


class DatasetBackendSuite(LoadingChecks, RecordingSuite):
    """Subclass it and give the fixture `backend`: a new one for each check, with nothing stored yet."""

    role: ClassVar[type] = DatasetBackend

    def test_it_has_the_role(self, backend: Any) -> None:
        """Commands use both methods. Fix: add the one that isinstance(backend, DatasetBackend) misses."""
        assert isinstance(backend, DatasetBackend)

    def test_what_is_read_is_what_was_written(self, written: Any) -> None:
        """A demonstration cannot be taken again. Fix: store every value in its own dtype."""
        reader = written.open()
        assert (reader.fps, reader.num_episodes, reader.num_frames) == (FPS, len(LENGTHS), sum(LENGTHS))
        assert len(reader.episodes) == len(LENGTHS)
        for key, feature in self.features().items():
            found = reader.features[key]
            assert (tuple(found.shape), found.is_picture) == (feature.shape, feature.is_picture), key
            assert found.elements == feature.elements, f"names of '{key}' were lost"
        for episode in range(len(LENGTHS)):
            self.check_episode(reader, episode, episode)

    def test_indices_and_times_count_up(self, written: Any) -> None:
        """Windows and seeking rely on them. Fix: number frames from 0 in each episode, and through all of them."""
        reader, start = written.open(), 0
        for episode, length in enumerate(LENGTHS):
            columns = {key: np.ravel(value) for key, value in reader.columns(episode).items() if key in INDICES}
            assert columns["frame_index"].tolist() == list(range(length))
            assert columns["episode_index"].tolist() == [episode] * length
            assert columns["index"].tolist() == list(range(start, start + length))
            times = np.ravel(reader.columns(episode)["timestamp"])
            np.testing.assert_allclose(times, np.arange(length) / FPS, atol=1e-6)
            start += length

    def test_equal_tasks_have_one_number(self, written: Any) -> None:
        """A policy is told the task by text; numbers must not fall apart. Fix: look a task up before adding it."""
        reader = written.open()
        numbers = [np.unique(reader.columns(episode)["task_index"]).tolist() for episode in range(len(TASKS))]
        assert numbers[0] == numbers[2] != numbers[1]

    def test_pictures_come_back_in_order(self, written: Any) -> None:
        """A picture one frame off teaches a delay. Fix: seek by the episode's own start, and count what is decoded."""
        needs(self.size, "size")
        reader = written.open()
        for episode, length in enumerate(LENGTHS):
            pictures = list(reader.frames(episode, CAMERA))
            assert len(pictures) == length
            for step, picture in enumerate(pictures):
                wanted = self.frame(episode, step)[CAMERA]
                self.check_picture(picture, wanted, f"picture {step} of episode {episode}")

    def test_some_episodes_can_be_opened(self, written: Any) -> None:
        """Training on a part, and holding a part back. Fix: filter before counting."""
        reader = written.open(episodes=[0, 2])
        assert (reader.num_episodes, reader.num_frames) == (2, LENGTHS[0] + LENGTHS[2])
        self.check_episode(reader, 2, 2)

    def test_statistics_are_those_of_all_frames(self, written: Any) -> None:
        """Policies scale by them. Fix: weigh episodes by their length; variances do not average."""
        needs(self.has_stats, "has_stats")
        self.check_stats(written.open())

    def test_numbers_come_back_to_the_bit(self, backend: Any) -> None:
        """Integers through floats lose their end, floats through text their last digit. Fix: store each in its own type."""
        floats = np.array([1e-38, -0.0, 1e18], np.float32), np.array([np.pi, -1 / 3], np.float32)
        counts = [2**53 + 1, -(2**62) - 1]
        writer = backend.create(self.features(), FPS)
        for step, count in enumerate(counts):
            frame = self.frame(0, step) | {"observation.state": floats[0], "action": floats[1]}
            writer.add(frame | {"count": np.array([count], np.int64)}, task="pick")
        writer.save_episode()
        writer.finalize()
        columns = backend.open().columns(0)
        assert np.ravel(columns["count"]).tolist() == counts
        for key, wanted in zip(("observation.state", "action"), floats, strict=True):
            assert np.asarray(columns[key])[1].tobytes() == wanted.tobytes(), key

    def test_columns_are_described_and_equally_long(self, written: Any) -> None:
        """Tools go by the features. Fix: one entry in `features` for every column, one row per frame."""
        reader = written.open()
        for episode, length in enumerate(LENGTHS):
            columns = reader.columns(episode)
            assert set(columns) <= set(reader.features), "columns without a feature"
            assert {len(column) for column in columns.values()} == {length}

    def test_columns_are_the_callers_own(self, written: Any) -> None:
        """An edit in a notebook must not reach the dataset. Fix: hand out copies, or read-only arrays."""
        reader = written.open()
        action = reader.columns(0)["action"]
        if action.flags.writeable:
            action[...] = 0
        self.check_episode(reader, 0, 0)

    def test_films_can_be_read_side_by_side(self, written: Any) -> None:
        """A viewer shows two episodes at once. Fix: a decoder per call, no shared position."""
        needs(self.size, "size")
        reader = written.open()
        for step, pair in enumerate(zip(reader.frames(0, CAMERA), reader.frames(1, CAMERA), strict=False)):
            for episode, picture in enumerate(pair):
                wanted = self.frame(episode, step)[CAMERA]
                self.check_picture(np.array(picture), wanted, f"picture {step} of episode {episode}")

    def test_pictures_are_the_callers_own(self, written: Any) -> None:
        """A viewer draws into them. Fix: a new array for each picture, and no cache that is handed out."""
        needs(self.size, "size")
        reader = written.open()
        for picture in list(reader.frames(0, CAMERA)):
            if picture.flags.writeable:
                picture[...] = 0
        for step, picture in enumerate(reader.frames(0, CAMERA)):
            self.check_picture(picture, self.frame(0, step)[CAMERA], f"picture {step}")

    def test_many_short_episodes_keep_their_places(self, backend: Any) -> None:
        """Numbers slip at the edges of files. Fix: count frames and episodes over all files, not within one."""
        lengths = [1, 2, 1, 3, 1, 1, 2, 1]
        writer = backend.create(self.features(), FPS)
        for episode, length in enumerate(lengths):
            for step in range(length):
                writer.add(self.frame(episode, step), task=f"task {episode % 3}")
            writer.save_episode()
        writer.finalize()
        reader = backend.open()
        assert reader.num_frames == sum(lengths)
        for episode, length in enumerate(lengths):
            columns, start = reader.columns(episode), sum(lengths[:episode])
            assert np.ravel(columns["index"]).tolist() == list(range(start, start + length))
            assert np.ravel(columns["count"]).tolist() == [1000 * episode + step for step in range(length)]
            for step, picture in enumerate(reader.frames(episode, CAMERA) if self.size else []):
                self.check_picture(picture, self.frame(episode, step)[CAMERA], f"picture {step} of episode {episode}")

    def test_what_is_saved_can_be_read_while_recording(self, backend: Any) -> None:
        """A person looks at the last episode before recording the next. Fix: a saved episode is complete at once."""
        writer = backend.create(self.features(), FPS)
        self.write(writer, (0, 1))
        writer.add(self.frame(2, 0), task="pick")
        reader = backend.open()
        assert (reader.num_episodes, reader.num_frames) == (2, LENGTHS[0] + LENGTHS[1])
        for episode in (0, 1):
            self.check_episode(reader, episode, episode)
        writer.finalize()

    def test_what_is_not_there_is_refused(self, backend: Any) -> None:
        """A misspelt name must not be a traceback from a file system. Fix: raise a LeRobotError that names it."""
        with pytest.raises(LeRobotError):
            backend.open()

    @pytest.mark.parametrize("what", ["episode", "camera"])
    def test_an_unknown_part_is_refused(self, written: Any, what: str) -> None:
        """Episode -1 must not be the last one by accident. Fix: check the number and the name before reading."""
        reader = written.open()
        if what == "episode":
            for number in (len(LENGTHS), -1):
                with pytest.raises(LeRobotError):
                    reader.columns(number)
        else:
            needs(self.size, "size")
            with pytest.raises(LeRobotError, match="no_such"):
                next(iter(reader.frames(0, "observation.images.no_such")))

    def test_statistics_are_in_order(self, written: Any) -> None:
        """Quantiles that cross clip good actions away. Fix: min, quantiles and max of the same frames; pictures 0 to 1."""
        needs(self.has_stats, "has_stats")
        stats = written.open().stats
        for key in ("observation.state", "action"):
            found = stats[key]
            names = ["min", *sorted(name for name in found if name.startswith("q") and name[1:].isdigit()), "max"]
            rows = np.stack([np.ravel(found[name]) for name in names]).astype(np.float64)
            assert (np.diff(rows, axis=0) >= -1e-5).all(), f"{', '.join(names)} of '{key}' are not in order"
        if CAMERA in stats:
            mean = np.asarray(stats[CAMERA]["mean"])
            assert mean.shape == (3, 1, 1), "statistics of a picture are one number per channel"
            assert 0 <= mean.min() <= mean.max() <= 1


def copy_folder(source: Path, target: Path) -> Path:
    """A copy of a folder as it is this moment; for `killed`."""
    return Path(shutil.copytree(source, target))
