"""Random edits one after the other, on datasets and on a naive model of them: lists of frames, cut and joined with
Python's own means. Both must hold the same at the end, or refuse at the same step.

`python tests/datasets/programs.py FIRST COUNT` runs the programs of so many seeds.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from recordings import PATIENT

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import stats
from lerobot_datasets.edit import execute, place
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit.plan import Plan, Source
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

FPS = 10
TASKS = ("pick", "place", "wipe")
TEXTS = (*TASKS, "fold", "wave")
FEATURES = {
    "observation.state": Feature(dtype="float32", shape=(2,), names=["a", "b"]),
    "tactile": Feature(dtype="float32", shape=(2, 2)),
    "note": Feature(dtype="string", shape=(1,)),
}
BASES = {"a": (3, 1, 4), "b": (2, 5), "c": (1,)}

#: A dataset as the model has it: episodes of frames of values.
Model = list[list[dict[str, Any]]]
Step = tuple[str, dict[str, Any]]


class Refused(Exception):
    """What the model does not do either."""


def base(name: str) -> Model:
    """The episodes of a recorded dataset; a frame knows by its note where it comes from."""
    number = itertools.count(100 * "abc".index(name))
    return [
        [
            {
                "observation.state": [float(n := next(number)), float(np.float32(n / 7))],
                "tactile": [[n, 1.0], [2.0, -n]],
                "note": f"{name}{episode}-{i}",
                "task": TASKS[(episode + i // 2 + len(BASES[name])) % 3],
            }
            for i in range(length)
        ]
        for episode, length in enumerate(BASES[name])
    ]


def record(model: Model, root: Path) -> Path:
    writer = Writer.create(root, FEATURES, FPS, robot_type="arm", encoder=PATIENT)
    for episode in model:
        for frame in episode:
            values = {k: np.array(frame[k], dtype=f.dtype).reshape(f.shape) for k, f in FEATURES.items() if k != "note"}
            writer.add(values | {"note": frame["note"]}, task=frame["task"])
        writer.save_episode()
    writer.finalize()
    return root


def opened(root: Path) -> Source:
    return Source.of(Reader(root))


@contextmanager
def recorded() -> Iterator[dict[str, Source]]:
    """The recorded datasets; read only. Nothing made of them outlives a power cut: nothing waits for the disk."""
    flush, place.flush = place.flush, lambda folder: None
    pa.set_cpu_count(1)  # for tables of ten rows, threads are most of the time
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield {name: opened(record(base(name), Path(folder) / name)) for name in BASES}
    finally:
        place.flush = flush


# --- what a dataset holds ---------------------------------------------------------------------------------------------


def same(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        raise AssertionError(f"{what}: {found} instead of {wanted}")


def check(source: Source, model: Model) -> None:
    """A dataset holds this model: every value, the numbers, the tables and the statistics."""
    reader = source.reader or Reader(source.root)
    lengths = [len(episode) for episode in model]
    ends = list(itertools.accumulate(lengths))
    starts = [end - length for end, length in zip(ends, lengths, strict=True)]
    info, frames = reader.info, [frame for episode in model for frame in episode]
    same((info.total_episodes, info.total_frames, info.fps), (len(model), len(frames), FPS), "info")
    same(info.splits, {"train": f"0:{len(model)}"}, "splits")
    same(sorted(reader.tasks), sorted({frame["task"] for frame in frames}), "tasks")
    files = [pq.ParquetFile(path) for path in sorted((source.root / "data").glob("*/*.parquet"))]
    groups = [file.metadata.row_group(i).num_rows for file in files for i in range(file.num_row_groups)]
    same(groups, lengths, "rows of the groups")
    table = pa.concat_tables([file.read(use_threads=False) for file in files]).to_pydict()
    for key in FEATURES:
        same(table[key], [frame[key] for frame in frames], key)
    same([reader.tasks[task] for task in table["task_index"]], [frame["task"] for frame in frames], "task")
    same(table["index"], list(range(len(frames))), "index")
    same(table["episode_index"], [e for e, length in enumerate(lengths) for _ in range(length)], "episode_index")
    same(table["frame_index"], [i for length in lengths for i in range(length)], "frame_index")
    same(table["timestamp"], [float(np.float32(i / FPS)) for i in table["frame_index"]], "timestamp")
    rows = reader.episode_table().to_pydict()
    same((rows["length"], rows["dataset_from_index"], rows["dataset_to_index"]), (lengths, starts, ends), "episodes")
    for row, episode in zip(rows["tasks"], model, strict=True):
        same(row, list(dict.fromkeys(frame["task"] for frame in episode)), "tasks of an episode")
    check_statistics(reader, rows, table, list(zip(starts, ends, strict=True)))


def check_statistics(reader: Reader, rows: dict[str, Any], table: dict[str, Any], spans: list[tuple[int, int]]) -> None:
    """The statistics are those of the numbers."""
    parts = []
    values = {k: np.array(table[k], dtype=f.dtype) for k, f in reader.features.items() if f.dtype != "string"}
    for number, (start, end) in enumerate(spans):
        mine = {key: column[start:end] for key, column in values.items()}
        mine["timestamp"] = np.arange(end - start) / FPS
        parts.append(stats.episode_stats(mine, reader.features, {}))
        for key, part in parts[-1].items():
            for name, value in part.items():
                same(rows[f"stats/{key}/{name}"][number], value.tolist(), f"{name} of {key} in {number}")
    for key, part in stats.aggregate(parts).items():
        for name, value in part.items():
            if not np.allclose((reader.stats or {})[key][name], value, rtol=1e-6, atol=1e-6):
                raise AssertionError(f"{name} of {key}: {(reader.stats or {})[key][name]} instead of {value}")


# --- steps ------------------------------------------------------------------------------------------------------------


def steps(random: Random, model: Model) -> Step:
    """A step on a dataset; most speak of episodes that exist."""

    def number() -> int:
        return random.randrange(len(model)) if random.random() < 0.95 else random.randrange(25)

    def numbers(most: int) -> list[int]:
        return [number() for _ in range(random.randint(0, most))]

    name = random.choice(("delete", "split", "merge", "trim", "retask"))
    options: dict[str, Any]
    if name == "delete":
        options = {"episodes": numbers(3)}
    elif name == "split" and random.random() < 0.5:
        options = {"shares": [random.choice((0.2, 0.34, 0.5, 0.8, 1.0)) for _ in range(random.randint(1, 3))]}
    elif name == "split":
        options = {"shares": [numbers(3) for _ in range(random.randint(1, 2))]}
    elif name == "merge":
        options = {"other": random.choice("abc"), "first": random.random() < 0.5}
    elif name == "trim":
        chosen = None if random.random() < 0.3 else numbers(3)
        options = {"drop_first": random.randint(0, 2), "drop_last": random.randint(0, 1), "episodes": chosen}
    else:
        present = sorted({frame["task"] for episode in model for frame in episode})
        options = {
            "new": random.choice((None, *TEXTS)),
            "episodes": {n: random.choice(TEXTS) for n in numbers(2)},
            "replacements": {
                random.choice((*present, *TASKS)): random.choice(TEXTS) for _ in range(random.randint(0, 2))
            },
        }
    if name == "split":
        options["taken"] = random.randint(0, 1)
    return name, options


def planned(source: Source, bases: dict[str, Source], name: str, options: dict[str, Any]) -> Plan:
    if name == "merge":
        pair = [source, bases[options["other"]]]
        return plans.merge(pair[::-1] if options["first"] else pair)
    if name == "split":
        parts = plans.split(source, {str(i): share for i, share in enumerate(options["shares"])})
        if str(options["taken"]) not in parts:
            raise DataError("that part is left out")
        return parts[str(options["taken"])]
    plan: Plan = getattr(plans, name)(source, **options)
    return plan


def modelled(model: Model, name: str, options: dict[str, Any]) -> Model:
    """The same step on lists."""
    changed: Model = globals()[f"model_{name}"](model, **options)
    return changed


def known(model: Model, episodes: Any) -> None:
    if any(episode >= len(model) for episode in episodes):
        raise Refused


def model_delete(model: Model, episodes: list[int]) -> Model:
    known(model, episodes)
    out = [episode for i, episode in enumerate(model) if i not in episodes]
    if not out:
        raise Refused
    return out


def model_split(model: Model, shares: list[Any], taken: int) -> Model:
    rest = list(range(len(model)))
    out = []
    for i, share in enumerate(shares):
        if isinstance(share, float):
            count = len(rest) if i == len(shares) - 1 else int(len(model) * share)
            out.append(rest[:count])
            rest = rest[count:]
        else:
            known(model, share)
            out.append(share)
    asked = [number for share in out for number in share]
    if (isinstance(shares[0], float) and sum(shares) > 1) or len(set(asked)) < len(asked):
        raise Refused
    if taken >= len(out) or not out[taken]:
        raise Refused
    return [model[number] for number in out[taken]]


def model_merge(model: Model, other: str, first: bool) -> Model:
    return base(other) + model if first else model + base(other)


def model_trim(model: Model, drop_first: int, drop_last: int, episodes: list[int] | None) -> Model:
    chosen = range(len(model)) if episodes is None else episodes
    known(model, chosen)
    if drop_first + drop_last == 0:
        raise Refused
    out = [e[drop_first : len(e) - drop_last] if i in chosen else e for i, e in enumerate(model)]
    if not all(out):
        raise Refused
    return out


def model_retask(model: Model, new: str | None, episodes: dict[int, str], replacements: dict[str, str]) -> Model:
    known(model, episodes)
    present = {frame["task"] for episode in model for frame in episode}
    if set(replacements) - present or not (new or episodes or replacements):
        raise Refused
    return [
        [f | {"task": episodes.get(i) or replacements.get(f["task"]) or new or f["task"]} for f in episode]
        for i, episode in enumerate(model)
    ]


# --- programs ---------------------------------------------------------------------------------------------------------


def run(bases: dict[str, Source], seed: int, length: int = 3) -> None:
    """The program of a seed, up to `length` steps long.

    Raises:
        AssertionError: dataset and model differ; names the seed and the steps taken.
    """
    random, taken = Random(seed), list[Step]()
    start = random.choice("abc")
    source, model = bases[start], base(start)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(random.randint(1, length)):
                name, options = steps(random, model)
                taken.append((name, options))
                expected = _or_refused(modelled, Refused, model, name, options)
                plan = _or_refused(planned, DataError, source, bases, name, options)
                if (expected is None) != (plan is None):
                    raise AssertionError("refused" if plan is None else "not refused")
                if plan is not None and expected is not None:
                    execute.execute(plan, Path(folder) / str(number))
                    source, model = opened(Path(folder) / str(number)), expected
            check(source, model)
    except Exception as error:
        raise AssertionError(f"program {seed} on '{start}', {taken}: {type(error).__name__}: {error}") from error


def _or_refused(function: Any, refusal: type[Exception], *args: Any) -> Any:
    try:
        return function(*args)
    except refusal:
        return None


def main(first: int, count: int) -> None:
    began = time.process_time()
    with recorded() as bases:
        for seed in range(first, first + count):
            run(bases, seed)
            if (seed - first) % 1000 == 999:
                done = seed - first + 1
                print(f"{done} programs, {(time.process_time() - began) / done * 1e3:.1f} ms each", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
