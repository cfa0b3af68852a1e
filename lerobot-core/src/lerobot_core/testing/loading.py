"""What a dataset must do in training: windows, tasks, samplers and batches of torch."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.errors import LeRobotError
from lerobot_core.testing.recordings import CAMERA, FPS, LENGTHS, TASKS
from lerobot_core.testing.suite import needs


class LoadingChecks:
    """Checks of `DatasetReader.torch`; mixed into `DatasetBackendSuite`, whose frames they use.

    Attributes:
        has_torch: readers give torch datasets.
    """

    has_torch: ClassVar[bool] = True

    def windows(self: Any, reader: Any) -> Any:
        pytest.importorskip("torch")
        steps = (-2, -1, 0, 1, 2, 3)
        return steps, reader.torch(delta_timestamps={"action": [step / FPS for step in steps]})

    def test_windows_stay_in_their_episode(self: Any, written: Any) -> None:
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

    def test_order_of_access_changes_nothing(self: Any, written: Any) -> None:
        """Shuffled training must see what a player shows. Fix: keep no position between items."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        forth = [dataset[index] for index in range(len(dataset))]
        back = [dataset[index] for index in reversed(range(len(dataset)))][::-1]
        for one, other in zip(forth, back, strict=True):
            assert set(one) == set(other)
            assert all(bool(np.all(np.asarray(one[key]) == np.asarray(other[key]))) for key in one)

    def test_items_say_their_task(self: Any, written: Any) -> None:
        """Language policies are trained on the sentence. Fix: put the text, not its number, under `task`."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        assert [dataset[index]["task"] for index in (0, LENGTHS[0], len(dataset) - 1)] == list(TASKS)

    def test_the_sampler_gives_every_frame_once(self: Any, written: Any) -> None:
        """An epoch that repeats frames trains on another distribution. Fix: one permutation per epoch, by the seed."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        orders = [list(dataset.sampler(seed=seed, shuffle=True)) for seed in (0, 0, 1)]
        assert sorted(orders[0]) == list(range(len(dataset)))
        assert orders[0] == orders[1] != orders[2]
        assert list(dataset.sampler(seed=0, shuffle=False)) == list(range(len(dataset)))

    def test_spawned_workers_can_read(self: Any, written: Any) -> None:
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

    @pytest.mark.parametrize("episodes", [[1], [0, 2]])
    def test_windows_of_some_episodes_are_theirs(self: Any, written: Any, episodes: list[int]) -> None:
        """Rows of a part and rows of the whole mixed up train on the episodes held back. Fix: index within the selection."""
        needs(self.has_torch, "has_torch")
        steps, dataset = self.windows(written.open(episodes=episodes))
        places = [(episode, step) for episode in episodes for step in range(LENGTHS[episode])]
        assert len(dataset) == len(places)
        for index, (episode, step) in enumerate(places):
            inside = [min(max(step + offset, 0), LENGTHS[episode] - 1) for offset in steps]
            wanted = np.stack([self.frame(episode, at)["action"] for at in inside])
            np.testing.assert_array_equal(dataset[index]["action"].numpy(), wanted)
            assert dataset[index]["task"] == TASKS[episode]

    def test_items_hold_the_present_frame(self: Any, written: Any) -> None:
        """A state one frame off teaches a delay. Fix: without a window, the value of that very frame, in its dtype."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        for index in (0, LENGTHS[0] - 1, LENGTHS[0]):
            episode, step = (0, index) if index < LENGTHS[0] else (1, index - LENGTHS[0])
            item, frame = dataset[index], self.frame(episode, step)
            for key in ("observation.state", "touch", "count"):
                found = item[key].numpy()
                assert np.array_equal(found.reshape(frame[key].shape), frame[key]), f"'{key}' of frame {index}"
                assert found.dtype == frame[key].dtype, f"'{key}' came as {found.dtype}"

    def test_items_hold_pictures_as_networks_take_them(self: Any, written: Any) -> None:
        """Swapped axes or colours train without an error. Fix: (C, H, W) RGB, floats from 0 to 1, of that very frame."""
        needs(self.has_torch and self.size, "has_torch and size")
        _, dataset = self.windows(written.open())
        for index, (episode, step) in {1: (0, 1), LENGTHS[0]: (1, 0)}.items():
            found = dataset[index][CAMERA].numpy()
            wanted = self.frame(episode, step)[CAMERA]
            assert found.shape == (3, *self.size)
            assert str(found.dtype) == "float32"
            assert 0 <= found.min() <= found.max() <= 1
            self.check_picture((found * 255).round().astype(np.uint8).transpose(1, 2, 0), wanted, f"picture {index}")

    def test_reading_ends(self: Any, written: Any) -> None:
        """`for item in dataset` would go round for ever. Fix: IndexError behind the last item."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        with pytest.raises(IndexError):
            dataset[sum(LENGTHS)]

    @pytest.mark.parametrize("deltas", [{"actoin": [0.0]}, {"action": [0.35 / FPS]}])
    def test_a_window_that_cannot_be_is_refused(self: Any, written: Any, deltas: dict[str, Any]) -> None:
        """A misspelt key trains without its window; half a frame is rounded. Fix: raise a LeRobotError at once."""
        needs(self.has_torch, "has_torch")
        pytest.importorskip("torch")
        with pytest.raises(LeRobotError):
            written.open().torch(delta_timestamps=deltas)

    def test_tasks_are_kept_to_the_letter(self: Any, backend: Any) -> None:
        """The sentence is what the policy reads. Fix: store UTF-8 text, one task per frame."""
        needs(self.has_torch, "has_torch")
        tasks = ["lève le cube « rouge » 🧊", "把它放下", 'a "quoted"\ttask, with commas', "pick"]
        writer = backend.create(self.features(), FPS)
        for step, task in enumerate(tasks):
            writer.add(self.frame(0, step), task=task)
        writer.save_episode()
        writer.finalize()
        _, dataset = self.windows(backend.open())
        assert [dataset[index]["task"] for index in range(len(tasks))] == tasks

    def test_an_episode_of_one_frame(self: Any, backend: Any) -> None:
        """A person who stops at once records one. Fix: a window there is that frame and padding."""
        writer = backend.create(self.features(), FPS)
        for episode in (0, 1):
            writer.add(self.frame(episode, 0), task="pick")
            assert writer.save_episode() == episode
        writer.finalize()
        reader = backend.open()
        assert (reader.num_episodes, reader.num_frames) == (2, 2)
        self.check_stats(reader)
        if self.has_torch:
            steps, dataset = self.windows(reader)
            for episode in (0, 1):
                item = dataset[episode]
                wanted = np.stack([self.frame(episode, 0)["action"]] * len(steps))
                np.testing.assert_array_equal(item["action"].numpy(), wanted)
                assert item["action_is_pad"].tolist() == [offset != 0 for offset in steps]

    def test_edges_of_episodes_can_be_left_out(self: Any, written: Any) -> None:
        """Windows of padding only teach to stand still. Fix: `drop_first` and `drop_last` frames of each episode."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        starts = np.cumsum([0, *LENGTHS[:-1]])
        wanted = [start + step for start, length in zip(starts, LENGTHS, strict=True) for step in range(1, length - 1)]
        assert list(dataset.sampler(shuffle=False, drop_first=1, drop_last=1)) == wanted

    def test_processes_share_an_epoch(self: Any, written: Any) -> None:
        """Two processes on the same rows are one with twice the bill. Fix: every world-th row of one permutation."""
        needs(self.has_torch, "has_torch")
        _, dataset = self.windows(written.open())
        parts = [list(dataset.sampler(seed=3, rank=rank, world=3)) for rank in range(3)]
        assert len({len(part) for part in parts}) == 1, "processes wait for each other: give all equally many"
        assert sorted(index for part in parts for index in part) == list(range(sum(LENGTHS)))

    def test_a_batch_is_its_items(self: Any, written: Any) -> None:
        """A batch in another order pairs pictures with foreign actions. Fix: stack in the order given; texts as a list."""
        needs(self.has_torch, "has_torch")
        torch = pytest.importorskip("torch")
        _, dataset = self.windows(written.open())
        items = [dataset[index] for index in (7, 0, 3)]
        batch = dataset.collate(items)
        assert set(batch) == set(items[0])
        for key, value in batch.items():
            alone = [item[key] for item in items]
            assert list(value) == alone if isinstance(alone[0], str) else torch.equal(value, torch.stack(alone)), key
