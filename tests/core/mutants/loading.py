"""Faults of dataset backends in training."""

from __future__ import annotations

import numpy as np

from core.mutants.kinds import Backend, Mutant
from lerobot_core.testing.memory import MemoryDataset, MemoryReader


class Items(MemoryReader):
    """Gives torch datasets of another class."""

    kind: type = MemoryDataset

    def torch(self, delta_timestamps=None, transforms=None):
        made = super().torch(delta_timestamps)
        made.__class__ = self.kind
        return made


class NoPads(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {key: value & False if key.endswith("_is_pad") else value for key, value in item.items()}


class InvertedPads(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {key: ~value if key.endswith("_is_pad") else value for key, value in item.items()}


class ZeroPads(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        item["action"][item["action_is_pad"]] = 0
        return item


class TaskNumbers(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {**item, "task": str(int(item["task_index"]))}


class Repeats(MemoryDataset):
    def sampler(self, *args, **options):
        order = super().sampler(*args, **options)
        return list(np.random.default_rng(0).choice(order, len(order)))


class SameForEverySeed(MemoryDataset):
    def sampler(self, seed=0, **options):
        return super().sampler(0, **options)


class ShufflesAlways(MemoryDataset):
    def sampler(self, seed=0, shuffle=True, **options):
        return super().sampler(seed, True, **options)


class SamePart(MemoryDataset):
    def sampler(self, seed=0, shuffle=True, rank=0, world=1, **options):
        return super().sampler(seed, shuffle, **options)[: len(self) // world]


class DropsNothing(MemoryDataset):
    def sampler(self, seed=0, shuffle=True, drop_first=0, drop_last=0, **options):
        return super().sampler(seed, shuffle, **options)


class HwcPictures(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        camera = "observation.images.front"
        return {**item, camera: item[camera].permute(1, 2, 0)}


class BrightPictures(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        camera = "observation.images.front"
        return {**item, camera: item[camera] * 255}


class NextState(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        later = super().__getitem__(min(index + 1, len(self) - 1))
        return {**item, "observation.state": later["observation.state"]}


class GoesRound(MemoryDataset):
    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


class SortsBatches(MemoryDataset):
    @staticmethod
    def collate(items):
        return MemoryDataset.collate(sorted(items, key=lambda item: int(item["index"])))


class HoldsAHandle(MemoryDataset):
    """Cannot be sent to a worker."""

    def __init__(self, *args):
        super().__init__(*args)

    def __getstate__(self):
        raise TypeError("cannot pickle '_io.BufferedReader' object")


def items(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", lambda: Backend(reader=type("Given", (Items,), {"kind": kind})), noticed)


MUTANTS = {
    "padding lost": items(NoPads, "windows_stay_in"),
    "padding inverted": items(InvertedPads, "windows_stay_in"),
    "padding of zeros": items(ZeroPads, "windows_stay_in"),
    "numbers for tasks": items(TaskNumbers, "items_say_their_task"),
    "frames drawn twice": items(Repeats, "every_frame_once"),
    "seed not used": items(SameForEverySeed, "every_frame_once"),
    "shuffles always": items(ShufflesAlways, "every_frame_once"),
    "the same rows for all processes": items(SamePart, "processes_share"),
    "edges not dropped": items(DropsNothing, "edges_of_episodes"),
    "channels last for torch": items(HwcPictures, "items_hold_pictures"),
    "pictures up to 255": items(BrightPictures, "items_hold_pictures"),
    "state one frame ahead": items(NextState, "items_hold_the_present"),
    "reading goes round": items(GoesRound, "reading_ends"),
    "batches sorted": items(SortsBatches, "a_batch_is_its_items"),
    "cannot go to workers": items(HoldsAHandle, "spawned_workers"),
}
