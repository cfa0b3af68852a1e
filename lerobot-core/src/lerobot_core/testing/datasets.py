"""What a dataset backend must do: give back what was written, and lose nothing that was committed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.errors import LeRobotError
from lerobot_core.features import Feature
from lerobot_core.roles import DatasetBackend
from lerobot_core.testing.suite import Suite, needs

FPS = 10
LENGTHS = (5, 3, 4)
TASKS = ("pick", "place", "pick")
CAMERA = "observation.images.front"
INDICES = ("frame_index", "episode_index", "index")


class DatasetBackendSuite(Suite):
    """Subclass it and give the fixture `backend`: a new one for each check, with nothing stored yet.

    Attributes:
        size: height and width of the pictures written; None writes none.
        lossy: pictures come back similar, not equal.
        has_torch: readers give torch datasets.
        has_stats: readers give statistics.
    """

    role: ClassVar[type] = DatasetBackend
    size: ClassVar[tuple[int, int] | None] = (64, 64)
    lossy: ClassVar[bool] = True
    has_torch: ClassVar[bool] = True
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
            "next.done": Feature(dtype="bool", shape=(1,)),
            "count": Feature(dtype="int64", shape=(1,)),
        }
        if self.size is not None:
            found[CAMERA] = Feature(dtype="video", shape=(*self.size, 3), names=["height", "width", "channels"])
        return found

    def frame(self, episode: int, step: int) -> dict[str, Any]:
        """Frame `step` of episode `episode`; different everywhere."""
        rng = np.random.default_rng([episode, step])
        frame: dict[str, Any] = {
            "observation.state": rng.normal(size=3).astype(np.float32),
            "action": rng.normal(size=2).astype(np.float32),
            "next.done": np.array([step == LENGTHS[episode % len(LENGTHS)] - 1]),
            "count": np.array([1000 * episode + step], np.int64),
        }
        if self.size is not None:
            ramp = np.linspace(0, 120, self.size[1], dtype=np.uint8)[None, :, None]
            frame[CAMERA] = np.broadcast_to(ramp + np.uint8(20 * step + 5 * episode), (*self.size, 3)).copy()
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
            found = np.asarray(columns[key]).reshape(wanted.shape)
            assert np.array_equal(found, wanted), f"'{key}' of episode {episode} differs"
            assert found.dtype == wanted.dtype, f"'{key}' came back as {found.dtype}"

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
                assert (picture.shape, picture.dtype) == (wanted.shape, np.uint8)
                error = np.abs(picture.astype(int) - wanted.astype(int)).mean()
                assert error <= (6.0 if self.lossy else 0.0), (
                    f"picture {step} of episode {episode} is off by {error:.1f}"
                )

    def test_some_episodes_can_be_opened(self, written: Any) -> None:
        """Training on a part, and holding a part back. Fix: filter before counting."""
        reader = written.open(episodes=[0, 2])
        assert (reader.num_episodes, reader.num_frames) == (2, LENGTHS[0] + LENGTHS[2])
        self.check_episode(reader, 2, 2)

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

    @pytest.mark.parametrize("wrong", ["missing", "unknown", "shape"])
    def test_a_wrong_frame_is_refused_at_once(self, backend: Any, wrong: str) -> None:
        """Found at the end of an episode, it costs the episode. Fix: check keys and shapes in `add`."""
        writer = backend.create(self.features(), FPS)
        frame = self.frame(0, 0)
        if wrong == "missing":
            del frame["action"]
        elif wrong == "unknown":
            frame["actoin"] = frame["action"]
        else:
            frame["action"] = np.zeros(5, np.float32)
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

    def test_statistics_are_those_of_all_frames(self, written: Any) -> None:
        """Policies scale by them. Fix: weigh episodes by their length; variances do not average."""
        needs(self.has_stats, "has_stats")
        self.check_stats(written.open())

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

    # --- torch datasets -----------------------------------------------------------------------------------------------

    def windows(self, reader: Any) -> Any:
        pytest.importorskip("torch")
        steps = (-2, -1, 0, 1, 2, 3)
        return steps, reader.torch(delta_timestamps={"action": [step / FPS for step in steps]})

    def test_windows_stay_in_their_episode(self, written: Any) -> None:
        """A chunk that runs into the next episode teaches a jump. Fix: repeat the edge frame and mark it as padding."""
        needs(self.has_torch, "has_torch")
        steps, dataset = self.windows(written.open())
        assert len(dataset) == sum(LENGTHS)
        index = 0
        for episode, length in enumerate(LENGTHS):
            for step in range(length):
                item = dataset[index]
                inside = [0 <= step + offset < length for offset in steps]
                wanted = [self.frame(episode, min(max(step + offset, 0), length - 1))["action"] for offset in steps]
                np.testing.assert_array_equal(item["action"].numpy(), np.stack(wanted))
                assert item["action_is_pad"].tolist() == [not there for there in inside]
                index += 1

    def test_order_of_access_changes_nothing(self, written: Any) -> None:
        """Shuffled training must see what a player shows. Fix: keep no position between items."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        forth = [dataset[index] for index in range(len(dataset))]
        back = [dataset[index] for index in reversed(range(len(dataset)))][::-1]
        for one, other in zip(forth, back, strict=True):
            assert set(one) == set(other)
            assert all(bool(np.all(np.asarray(one[key]) == np.asarray(other[key]))) for key in one)

    def test_items_say_their_task(self, written: Any) -> None:
        """Language policies are trained on the sentence. Fix: put the text, not its number, under `task`."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        assert [dataset[index]["task"] for index in (0, LENGTHS[0], len(dataset) - 1)] == list(TASKS)

    def test_the_sampler_gives_every_frame_once(self, written: Any) -> None:
        """An epoch that repeats frames trains on another distribution. Fix: one permutation per epoch, by the seed."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        orders = [list(dataset.sampler(seed=seed, shuffle=True)) for seed in (0, 0, 1)]
        assert sorted(orders[0]) == list(range(len(dataset)))
        assert orders[0] == orders[1] != orders[2]
        assert list(dataset.sampler(seed=0, shuffle=False)) == list(range(len(dataset)))

    def test_spawned_workers_can_read(self, written: Any) -> None:
        """Loaders run in processes that share nothing. Fix: open files in the worker, keep no handle in the pickle."""
        needs(self.has_torch, "has_torch")
        torch = pytest.importorskip("torch")
        _, dataset = self.windows(written.open())
        loader = torch.utils.data.DataLoader(
            dataset,
            batch_size=len(dataset),
            num_workers=1,
            multiprocessing_context="spawn",
            collate_fn=dataset.collate,
        )
        (batch,) = loader
        wanted = dataset.collate([dataset[index] for index in range(len(dataset))])
        assert torch.equal(batch["action"], wanted["action"])
        assert list(batch["task"]) == list(wanted["task"])


def copy_folder(source: Path, target: Path) -> Path:
    """A copy of a folder as it is this moment; for `killed`."""
    return Path(shutil.copytree(source, target))
