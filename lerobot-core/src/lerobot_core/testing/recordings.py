"""What a dataset backend must do while recording: keep what was committed, refuse what does not fit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

from lerobot_core.errors import LeRobotError
from lerobot_core.features import Feature
from lerobot_core.roles import UndoingWriter
from lerobot_core.testing.suite import Suite, needs, new_threads

FPS = 10
LENGTHS = (5, 3, 4)
TASKS = ("pick", "place", "pick")
CAMERA = "observation.images.front"
INDICES = ("frame_index", "episode_index", "index")


class RecordingSuite(Suite):
    """What the checks of datasets write, and those of the writer; a part of `DatasetBackendSuite`.

    Attributes:
        size: height and width of the pictures written; None writes none.
        lossy: pictures come back similar, not equal.
        has_stats: readers give statistics.
    """

    size: ClassVar[tuple[int, int] | None] = (48, 64)
    lossy: ClassVar[bool] = True
    has_stats: ClassVar[bool] = True

    @pytest.fixture
    def backend(self) -> Any:
        return self.part()

    def killed(self, backend: Any, elsewhere: Path) -> Any:
        """A backend on a copy of what is on the disk this moment, as if the process had been killed; None: no disk."""
        return None

    def features(self) -> dict[str, Feature]:
        """What the checks write."""
        found = {
            "observation.state": Feature(dtype="float32", shape=(3,), names=["a", "b", "c"]),
            "action": Feature(dtype="float32", shape=(2,), names=["a", "b"]),
            "touch": Feature(dtype="float32", shape=(2, 3)),
            "next.done": Feature(dtype="bool", shape=(1,)),
            "count": Feature(dtype="int64", shape=(1,)),
        }
        if self.size is not None:
            found[CAMERA] = Feature(dtype="video", shape=(*self.size, 3), names=["height", "width", "channels"])
        return found

    def picture(self, number: int) -> np.ndarray:
        """(H, W, 3): red grows along the columns, green down the rows, all get brighter with the number."""
        height, width = self.size or (0, 0)
        picture = np.empty((height, width, 3), np.uint8)
        picture[..., 0] = np.linspace(0, 120, width, dtype=np.uint8) + np.uint8(number)
        picture[..., 1] = np.linspace(0, 60, height, dtype=np.uint8)[:, None] + np.uint8(number)
        picture[..., 2] = 10 + number
        return picture

    def check_picture(self, found: np.ndarray, wanted: np.ndarray, what: str) -> None:
        """Equal, or similar where coding loses something."""
        assert (found.shape, found.dtype) == (wanted.shape, np.uint8), what
        error = np.abs(found.astype(int) - wanted.astype(int)).mean()
        assert error <= (6.0 if self.lossy else 0.0), f"{what} is off by {error:.1f}"

    def frame(self, episode: int, step: int) -> dict[str, Any]:
        """Frame `step` of episode `episode`; different everywhere."""
        rng = np.random.default_rng([episode, step])
        frame: dict[str, Any] = {
            "observation.state": rng.normal(size=3).astype(np.float32),
            "action": rng.normal(size=2).astype(np.float32),
            "touch": rng.normal(size=(2, 3)).astype(np.float32),
            "next.done": np.array([step == LENGTHS[episode % len(LENGTHS)] - 1]),
            "count": np.array([1000 * episode + step], np.int64),
        }
        if self.size is not None:
            frame[CAMERA] = self.picture(20 * step + 5 * episode)
        return frame

    def write(self, writer: Any, episodes: Sequence[int]) -> None:
        """Record whole episodes."""
        for episode in episodes:
            for step in range(LENGTHS[episode]):
                writer.add(self.frame(episode, step), task=TASKS[episode])
            assert writer.save_episode() == episode, "save_episode returns the episode's index"

    @pytest.fixture
    def written(self, backend: Any) -> Any:
        """The backend with three episodes stored."""
        writer = backend.create(self.features(), FPS, robot_type="toy")
        self.write(writer, (0, 1, 2))
        writer.finalize()
        return backend

    def check_episode(self, reader: Any, episode: int, source: int) -> None:
        """An episode read back holds what was written as episode `source`, exactly."""
        columns = reader.columns(episode)
        for key, feature in self.features().items():
            if feature.is_picture:
                continue
            wanted = np.stack([self.frame(source, step)[key] for step in range(LENGTHS[source])])
            found = np.asarray(columns[key])
            assert found.size == wanted.size, f"'{key}' of episode {episode} has shape {found.shape}"
            found = found.reshape(wanted.shape)
            assert np.array_equal(found, wanted), f"'{key}' of episode {episode} differs"
            assert found.dtype == wanted.dtype, f"'{key}' came back as {found.dtype}"

    def check_stats(self, reader: Any) -> None:
        """Statistics equal those of all frames put together."""
        if not self.has_stats:
            return
        for key in ("observation.state", "action"):
            values = np.concatenate([reader.columns(episode)[key] for episode in range(reader.num_episodes)])
            for name, wanted in {
                "min": values.min(0),
                "max": values.max(0),
                "mean": values.mean(0, dtype=np.float64),
                "std": values.std(0, dtype=np.float64),
            }.items():
                np.testing.assert_allclose(
                    np.ravel(reader.stats[key][name]), wanted, rtol=1e-5, atol=1e-6, err_msg=name
                )
            assert np.ravel(reader.stats[key]["count"])[0] == len(values)

    # --- writing ------------------------------------------------------------------------------------------------------

    def test_frames_are_the_writers_own(self, backend: Any) -> None:
        """Robots may reuse buffers. Fix: copy or encode a frame before `add` returns."""
        writer = backend.create(self.features(), FPS)
        for step in range(LENGTHS[0]):
            frame = self.frame(0, step)
            writer.add(frame, task="pick")
            for value in frame.values():
                value[...] = 0
        writer.save_episode()
        writer.finalize()
        self.check_episode(backend.open(), 0, 0)

    def test_a_discarded_episode_leaves_nothing(self, backend: Any) -> None:
        """Re-recording is half of recording. Fix: drop the buffer, the pictures and the task of the running episode."""
        writer = backend.create(self.features(), FPS)
        self.write(writer, (0,))
        writer.add(self.frame(2, 0), task="a mistake")
        writer.discard()
        self.write(writer, (1,))
        writer.finalize()
        reader = backend.open()
        assert (reader.num_episodes, reader.num_frames) == (2, LENGTHS[0] + LENGTHS[1])
        self.check_episode(reader, 1, 1)

    def test_a_running_episode_is_not_kept_by_finalize(self, backend: Any) -> None:
        """Ctrl-C in the middle of an episode. Fix: `finalize` discards what was not saved, and may run twice."""
        writer = backend.create(self.features(), FPS)
        self.write(writer, (0,))
        writer.add(self.frame(1, 0), task="place")
        writer.finalize()
        writer.finalize()
        assert backend.open().num_frames == LENGTHS[0]

    def test_recording_can_go_on_later(self, written: Any) -> None:
        """Nobody records fifty episodes in one sitting. Fix: `resume` continues numbers, files and statistics."""
        writer = written.create(self.features(), FPS, robot_type="toy", resume=True)
        assert writer.num_episodes == len(LENGTHS)
        for step in range(LENGTHS[0]):
            writer.add(self.frame(0, step), task="another task")
        assert writer.save_episode() == len(LENGTHS)
        writer.finalize()
        reader = written.open()
        assert (reader.num_episodes, reader.num_frames) == (4, sum(LENGTHS) + LENGTHS[0])
        self.check_episode(reader, 1, 1)
        self.check_episode(reader, 3, 0)
        self.check_stats(reader)

    def test_an_existing_dataset_is_not_overwritten(self, written: Any) -> None:
        """One wrong command must not cost a day of demonstrations. Fix: `create` refuses what is there."""
        with pytest.raises(LeRobotError):
            written.create(self.features(), FPS)
        assert written.open().num_episodes == len(LENGTHS)

    @pytest.mark.parametrize("wrong", ["missing", "unknown", "shape", "picture"])
    def test_a_wrong_frame_is_refused_at_once(self, backend: Any, wrong: str) -> None:
        """Found at the end of an episode, it costs the episode. Fix: check keys and shapes in `add`."""
        writer = backend.create(self.features(), FPS)
        frame = self.frame(0, 0)
        if wrong == "missing":
            del frame["action"]
        elif wrong == "unknown":
            frame["actoin"] = frame["action"]
        elif wrong == "shape":
            frame["action"] = np.zeros(5, np.float32)
        else:
            needs(self.size, "size")
            frame[CAMERA] = frame[CAMERA][:-2]
        with pytest.raises(LeRobotError):
            writer.add(frame, task="pick")
        self.write(writer, (0,))
        writer.finalize()
        self.check_episode(backend.open(), 0, 0)

    def test_an_empty_episode_is_refused(self, backend: Any) -> None:
        """An episode of no frames breaks readers. Fix: refuse it in `save_episode`."""
        writer = backend.create(self.features(), FPS)
        with pytest.raises(LeRobotError):
            writer.save_episode()
        writer.finalize()

    def test_what_was_committed_survives_a_kill(self, backend: Any, tmp_path: Path) -> None:
        """Power fails in the middle of episode 40. Fix: a saved episode is on the disk, complete, before `save_episode`
        returns."""
        writer = backend.create(self.features(), FPS)
        self.write(writer, (0, 1))
        writer.add(self.frame(2, 0), task="pick")
        survivor = self.killed(backend, tmp_path / "survivor")
        writer.finalize()
        needs(survivor is not None, "killed()")
        reader = survivor.open()
        assert reader.num_episodes == 2
        for episode in (0, 1):
            self.check_episode(reader, episode, episode)

    @pytest.mark.parametrize("other", ["fps", "features", "robot_type"])
    def test_recording_goes_on_with_the_same_only(self, written: Any, other: str) -> None:
        """Two rates or two robots in one dataset cannot be told apart later. Fix: compare in `create`, name the difference."""
        features = self.features()
        if other == "features":
            features["action"] = attrs.evolve(features["action"], shape=(3,), names=["a", "b", "c"])
        fps, robot = (FPS + 5 if other == "fps" else FPS), ("another" if other == "robot_type" else "toy")
        with pytest.raises(LeRobotError):
            written.create(features, fps, robot_type=robot, resume=True)
        assert written.open().num_frames == sum(LENGTHS)

    def test_what_is_not_there_cannot_be_resumed(self, backend: Any) -> None:
        """A misspelt name would begin a second dataset. Fix: refuse `resume` where there is nothing."""
        with pytest.raises(LeRobotError):
            backend.create(self.features(), FPS, resume=True)

    def test_the_writer_counts_its_episodes(self, backend: Any) -> None:
        """`lr record` stops by this number. Fix: count what is committed, no more and no less."""
        writer = backend.create(self.features(), FPS)
        assert writer.num_episodes == 0
        self.write(writer, (0, 1))
        writer.add(self.frame(2, 0), task="pick")
        assert writer.num_episodes == 2
        writer.finalize()

    def test_discard_can_be_called_at_any_time(self, backend: Any) -> None:
        """A person presses the key twice. Fix: nothing to forget is no error, and nothing is left to save."""
        writer = backend.create(self.features(), FPS)
        writer.discard()
        writer.add(self.frame(0, 0), task="pick")
        writer.discard()
        writer.discard()
        with pytest.raises(LeRobotError):
            writer.save_episode()
        self.write(writer, (0,))
        writer.finalize()
        self.check_episode(backend.open(), 0, 0)

    def test_a_closed_dataset_takes_no_more(self, backend: Any) -> None:
        """A frame that vanishes is missed too late. Fix: raise a LeRobotError from `add` after `finalize`."""
        writer = backend.create(self.features(), FPS)
        self.write(writer, (0,))
        writer.finalize()
        with pytest.raises(LeRobotError):
            writer.add(self.frame(0, 0), task="pick")

    def test_the_frame_is_left_alone(self, backend: Any) -> None:
        """The viewer gets the same dict. Fix: add indices and times to a copy."""
        writer, frame = backend.create(self.features(), FPS), self.frame(0, 0)
        kept = {key: value.copy() for key, value in frame.items()}
        writer.add(frame, task="pick")
        writer.finalize()
        assert list(frame) == list(kept)
        assert all(np.array_equal(frame[key], value) for key, value in kept.items())

    def test_stamps_are_taken(self, backend: Any) -> None:
        """The loop gives them with every frame. Fix: accept them, stored or not."""
        writer = backend.create(self.features(), FPS)
        for step in range(LENGTHS[0]):
            writer.add(self.frame(0, step), task="pick", stamps={"observation.state": step * 10**8})
        writer.save_episode()
        writer.finalize()
        self.check_episode(backend.open(), 0, 0)

    def test_nothing_goes_on_after_finalize(self, backend: Any) -> None:
        """A writer thread that lives on keeps the program from ending. Fix: join encoders in `finalize`."""
        before = set(threading.enumerate())
        writer = backend.create(self.features(), FPS)
        self.write(writer, (0,))
        writer.add(self.frame(1, 0), task="pick")
        writer.finalize()
        assert not new_threads(before, 1.0)

    # --- taking back --------------------------------------------------------------------------------------------------

    def undoing(self, backend: Any) -> Any:
        """A new writer, if it can take back what it committed."""
        writer = backend.create(self.features(), FPS, robot_type="toy")
        if not isinstance(writer, UndoingWriter):
            writer.finalize()
            pytest.skip("not declared: undo()")
        return writer

    def test_an_undone_episode_leaves_nothing(self, backend: Any) -> None:
        """A person records again what was saved. Fix: `undo` takes back rows, pictures, tasks, counts and statistics."""
        writer = self.undoing(backend)
        self.write(writer, (0,))
        for step in range(LENGTHS[2]):
            writer.add(self.frame(2, step), task="a mistake")
        assert writer.save_episode() == 1
        writer.add(self.frame(1, 0), task=TASKS[1])
        assert writer.undo() == 1, "undo gives the index the episode had"
        assert writer.num_episodes == 1
        assert backend.open().num_frames == LENGTHS[0]
        for step in range(1, LENGTHS[1]):
            writer.add(self.frame(1, step), task=TASKS[1])
        assert writer.save_episode() == 1, "the running episode stays, the number is free again"
        writer.finalize()
        reader = backend.open()
        assert (reader.num_episodes, reader.num_frames) == (2, LENGTHS[0] + LENGTHS[1])
        self.check_episode(reader, 0, 0)
        self.check_episode(reader, 1, 1)
        assert np.unique(reader.columns(1)["task_index"]).tolist() == [1], "the task of the mistake is forgotten"
        self.check_stats(reader)
        for step, picture in enumerate(reader.frames(1, CAMERA) if self.size else []):
            self.check_picture(picture, self.frame(1, step)[CAMERA], f"picture {step} of episode 1")

    def test_the_first_episode_can_be_undone(self, backend: Any) -> None:
        """The first attempt is the likeliest to fail. Fix: an empty dataset is one to go on with."""
        writer = self.undoing(backend)
        self.write(writer, (0,))
        writer.undo()
        assert writer.num_episodes == 0
        self.write(writer, (0, 1))
        writer.finalize()
        self.check_episode(backend.open(), 1, 1)

    def test_only_the_last_episode_can_be_undone(self, backend: Any) -> None:
        """A key pressed twice must not cost the episode before. Fix: refuse until another one is saved."""
        writer = self.undoing(backend)
        with pytest.raises(LeRobotError):
            writer.undo()
        self.write(writer, (0, 1))
        writer.undo()
        with pytest.raises(LeRobotError):
            writer.undo()
        writer.finalize()
        assert backend.open().num_episodes == 1

    def test_what_was_undone_is_gone_after_a_kill(self, backend: Any, tmp_path: Path) -> None:
        """Power fails after the left arrow. Fix: `undo` is on the disk before it returns."""
        writer = self.undoing(backend)
        self.write(writer, (0, 1))
        writer.undo()
        survivor = self.killed(backend, tmp_path / "survivor")
        writer.finalize()
        needs(survivor is not None, "killed()")
        assert survivor.open().num_episodes == 1
        self.check_episode(survivor.open(), 0, 0)
