"""Carries out a plan: checks the sources, has the new dataset written beside its place and moves it there. No torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from lerobot_datasets.edit import place
from lerobot_datasets.edit.clips import encoder_of
from lerobot_datasets.edit.making import Making
from lerobot_datasets.edit.origin import Origin
from lerobot_datasets.edit.plan import Plan
from lerobot_datasets.v3.reader import Reader


def execute(plan: Plan, target: Path, *, in_place: bool = False, advance: Callable[[], None] = lambda: None) -> None:
    """Write a plan's dataset.

    Args:
        plan: what to write.
        target: folder of the new dataset; with `in_place` that of the source, which it replaces.
        in_place: write beside the source, then change places with it.
        advance: called after every episode.

    Raises:
        DataError: the folder is taken, or a source is incomplete. Nothing is left behind but, where cameras are encoded
            anew, those that were: the same plan goes on with them.
    """
    target = target.absolute()  # a name to write beside, also for "."
    place.require_free(plan, target, in_place=in_place)
    sources = [Origin(source.reader or Reader(source.root)) for source in plan.sources]
    draft, encoded = place.draft_of(target), place.encoded_of(target)
    try:
        tasks, rows = _tasks(plan, sources)
        _require_videos(plan, sources)
        draft.mkdir(parents=True)
        Making(plan, sources, draft, tasks, encoded).write(rows, advance)
        if in_place:
            place.carry_over(target, draft)
        place.flush(draft)
        place.publish(draft, target)
        shutil.rmtree(encoded, ignore_errors=True)
    finally:
        for source in sources:
            source.close()
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):
            encoded.rmdir()  # where nothing is in it


def _tasks(plan: Plan, sources: Sequence[Origin]) -> tuple[dict[str, int], list[np.ndarray]]:
    """The new table of tasks (text → index), and for each piece its new task per frame.

    Texts that no frame has any more are left out, the others keep the order of the sources' tables.
    """
    numbers = []
    for i, source in enumerate(sources):
        used = sorted({piece.episode for piece in plan.pieces if piece.source == i})
        numbers.append(source.task_numbers(used))
    old = [numbers[piece.source][piece.episode][piece.start : piece.stop] for piece in plan.pieces]
    pairs = []
    for position, (piece, task_rows) in enumerate(zip(plan.pieces, old, strict=True)):
        for number in set(task_rows.tolist()):
            text = sources[piece.source].reader.tasks[number]
            pairs.append((piece.source, number, position, piece.tasks.get(text, text)))
    table = {text: i for i, text in enumerate(dict.fromkeys(text for *_, text in sorted(pairs)))}
    rows = []
    for piece, task_rows in zip(plan.pieces, old, strict=True):
        texts = sources[piece.source].reader.tasks
        new = np.array([table.get(piece.tasks.get(text, text), -1) for text in texts], dtype=np.int64)
        rows.append(new[task_rows])
    return table, rows


def _require_videos(plan: Plan, sources: Sequence[Origin]) -> None:
    """
    Raises:
        DataError: a video is missing, lacks frames, or must be encoded again as nothing here encodes.
    """
    for piece in plan.pieces:
        source = sources[piece.source]
        for key in plan.info.video_keys:
            if source.reader.features[key].dtype == "video":
                clip = source.clip(key, piece)
                if source.packets(clip.path).run(clip) is None and key not in plan.encoders:
                    encoder_of(key, plan.info.features[key])
