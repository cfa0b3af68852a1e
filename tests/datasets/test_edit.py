"""Edits of datasets against a naive model of them: lists of frames, cut and joined with Python's own means."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import PATIENT

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import stats
from lerobot_datasets.edit import execute
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit.plan import Plan, Source
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

FPS = 10
TASKS = ("pick", "place", "wipe")
FEATURES = {
    "observation.state": Feature(dtype="float32", shape=(2,), names=["a", "b"]),
    "tactile": Feature(dtype="float32", shape=(2, 2)),
    "done": Feature(dtype="bool", shape=(1,)),
    "note": Feature(dtype="string", shape=(1,)),
}
BASES = {"a": (3, 1, 4), "b": (2, 5), "c": (1,)}

#: A dataset as the model has it: episodes of frames of values.
Model = list[list[dict[str, Any]]]


class Refused(Exception):
    """What the model does not do either."""


def base(name: str) -> Model:
    """The episodes of a recorded dataset; a frame knows by its note where it comes from."""
    number = itertools.count(100 * "abc".index(name))
    return [
        [
            {
                "observation.state": (float(n := next(number)), n / 7),
                "tactile": ((n, 1.0), (2.0, -n)),
                "done": i == length - 1,
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


@pytest.fixture(scope="module")
def bases() -> Iterator[Path]:
    """A folder with the recorded datasets; read only. Nothing here outlives a power cut, so nothing waits for the disk."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "_flush", lambda folder: None)
        for name in BASES:
            record(base(name), Path(folder) / name)
        yield Path(folder)


def source(root: Path) -> Source:
    return Source.of(Reader(root))


def frames_of(reader: Reader, found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """An episode on the disk as the model has it."""
    return [
        {
            "observation.state": tuple(found["observation.state"][i].tolist()),
            "tactile": tuple(map(tuple, found["tactile"][i].tolist())),
            "done": bool(found["done"][i]),
            "note": found["note"][i],
            "task": reader.tasks[task],
        }
        for i, task in enumerate(found["task_index"])
    ]


def rounded(model: Model) -> Model:
    """The model with the numbers as float32 stores them."""
    return [
        [frame | {"observation.state": tuple(float(np.float32(v)) for v in frame["observation.state"])} for frame in e]
        for e in model
    ]


def check(root: Path, model: Model) -> None:
    """A dataset holds this model: every value, the numbers, the tables and the statistics."""
    reader = Reader(root)
    lengths = [len(episode) for episode in model]
    starts = np.cumsum([0, *lengths]).tolist()
    info = reader.info
    assert (info.total_episodes, info.total_frames, info.fps) == (len(model), sum(lengths), FPS)
    assert info.splits == {"train": f"0:{len(model)}"}
    assert sorted(reader.tasks) == sorted({frame["task"] for episode in model for frame in episode})
    parts = []
    table = pq.read_table(root / "meta" / "episodes")
    for number, row in enumerate(reader.all_episodes):
        assert (row["episode_index"], row["length"]) == (number, lengths[number])
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (starts[number], starts[number + 1])
        assert row["tasks"] == list(dict.fromkeys(frame["task"] for frame in model[number]))
        found = reader.columns(number)
        assert frames_of(reader, found) == model[number]
        frame = np.arange(lengths[number])
        np.testing.assert_array_equal(found["frame_index"], frame)
        np.testing.assert_array_equal(found["index"], frame + starts[number])
        np.testing.assert_array_equal(found["episode_index"], number)
        np.testing.assert_array_equal(found["timestamp"], (frame / FPS).astype(np.float32))
        parts.append(stats.episode_stats(found | {"timestamp": frame / FPS}, info.features, {}))
        for key, part in parts[-1].items():
            for name, value in part.items():
                np.testing.assert_array_equal(
                    np.array(table[f"stats/{key}/{name}"][number].as_py()), value, f"{number} {key} {name}"
                )
    for key, part in stats.aggregate(parts).items():
        for name, value in part.items():
            np.testing.assert_allclose((reader.stats or {})[key][name], value, rtol=1e-6, atol=1e-6)
    groups = [pq.ParquetFile(path).metadata for path in sorted((root / "data").glob("*/*.parquet"))]
    assert [g.row_group(i).num_rows for g in groups for i in range(g.num_row_groups)] == lengths


# --- programs ---------------------------------------------------------------------------------------------------------

Step = tuple[str, dict[str, Any]]


def step() -> st.SearchStrategy[Step]:
    number = st.integers(0, 24)
    numbers = st.lists(number, max_size=3)
    text = st.sampled_from([*TASKS, "fold", "wave"])
    shares = st.one_of(
        st.lists(st.sampled_from([0.2, 0.34, 0.5, 0.8, 1.0]), min_size=1, max_size=3),
        st.lists(numbers, min_size=1, max_size=2),
    )
    return st.one_of(
        st.tuples(st.just("delete"), st.fixed_dictionaries({"episodes": numbers})),
        st.tuples(st.just("split"), st.fixed_dictionaries({"shares": shares, "taken": st.integers(0, 2)})),
        st.tuples(st.just("merge"), st.fixed_dictionaries({"other": st.sampled_from("abc"), "first": st.booleans()})),
        st.tuples(
            st.just("trim"),
            st.fixed_dictionaries(
                {"drop_first": st.integers(0, 2), "drop_last": st.integers(0, 1), "episodes": st.none() | numbers}
            ),
        ),
        st.tuples(
            st.just("retask"),
            st.fixed_dictionaries(
                {
                    "new": st.none() | text,
                    "episodes": st.dictionaries(number, text, max_size=2),
                    "replacements": st.dictionaries(st.sampled_from(TASKS), text, max_size=2),
                }
            ),
        ),
    )


def planned(root: Path, bases: Path, name: str, options: dict[str, Any]) -> Plan:
    if name == "merge":
        pair = [source(root), source(bases / options["other"])]
        return plans.merge(pair[::-1] if options["first"] else pair)
    if name == "split":
        parts = plans.split(source(root), {str(i): share for i, share in enumerate(options["shares"])})
        if str(options["taken"]) not in parts:
            raise DataError("that part is left out")
        return parts[str(options["taken"])]
    return getattr(plans, name)(source(root), **options)


def modelled(model: Model, name: str, options: dict[str, Any]) -> Model:
    """The same step on lists."""
    return globals()[f"model_{name}"](model, **options)


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
    more = rounded(base(other))
    return more + model if first else model + more


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


def fitted(options: dict[str, Any], total: int) -> dict[str, Any]:
    """The options with numbers of episodes that exist, but for the few that are meant not to."""

    def fit(value: Any) -> Any:
        if isinstance(value, dict):
            return {fit(key): text for key, text in value.items()}
        if isinstance(value, list):
            return [fit(part) for part in value]
        return value % total if isinstance(value, int) and value < 23 else value

    fitting = ("episodes", "shares")
    return {key: fit(value) if key in fitting else value for key, value in options.items()}


def run(bases: Path, start: str, program: list[Step]) -> None:
    """A program on a dataset and on its model; both hold the same at the end, or refuse at the same step."""
    root, model = bases / start, rounded(base(start))
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, options) in enumerate(program):
            target, options = Path(folder) / str(number), fitted(options, len(model))
            try:
                expected = modelled(model, name, options)
            except Refused:
                with pytest.raises(DataError):
                    planned(root, bases, name, options)
                continue
            execute.execute(planned(root, bases, name, options), target)
            root, model = target, expected
        check(root, model)


@settings(max_examples=200)
@given(start=st.sampled_from("abc"), program=st.lists(step(), min_size=1, max_size=3))
def test_programs(bases: Path, start: str, program: list[Step]) -> None:
    run(bases, start, program)


@pytest.mark.nightly
@settings(max_examples=1000)
@given(start=st.sampled_from("abc"), program=st.lists(step(), min_size=2, max_size=6))
def test_longer_programs(bases: Path, start: str, program: list[Step]) -> None:
    run(bases, start, program)
