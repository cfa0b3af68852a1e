"""What edits write and refuse: features, statistics, files that are full, in place, interrupted; and the ecosystem's own results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import recordings
from recordings import CAMERA
from safetensors.numpy import load_file

from lerobot_core.errors import DataError, FeatureError
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.plan import Plan, Source
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.reader import Reader


def source(root: Path) -> Source:
    return Source.of(Reader(root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset of three episodes without a camera."""
    writer = recordings.backend(tmp_path / "set").create(recordings.features(None), 10, robot_type="arm")
    recordings.record(writer, [5, 2, 4], camera=False)
    writer.finalize()
    return tmp_path / "set"


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- the ecosystem's results ------------------------------------------------------------------------------------------

GOLDEN: dict[str, Callable[[Path], Plan]] = {
    "delete_ep1_state_env": lambda folder: plans.delete(source(folder / "state_env"), [1]),
    "merge_state_env_x2": lambda folder: plans.merge([source(folder / "state_env")] * 2),
    "split_frac_state_env_val": lambda folder: plans.split(source(folder / "state_env"), {"train": 0.5, "val": 0.5})[
        "val"
    ],
    "split_frac_state_env_train": lambda folder: plans.split(source(folder / "state_env"), {"train": 0.5, "val": 0.5})[
        "train"
    ],
    "delete_ep0_video2": lambda folder: plans.delete(source(folder / "video2"), [0]),
    "merge_video2_x2": lambda folder: plans.merge([source(folder / "video2")] * 2),
    "remove_feature_state_only": lambda folder: plans.remove_features(
        source(folder / "state_only"), ["counter", "note"]
    ),
}


#: Where the other tool's order of tasks is that of a set, which differs from run to run.
UNORDERED = ("delete_ep0_video2",)
#: Where the other tool encodes videos again that are copied here.
ENCODED_AGAIN = ("delete_ep0_video2",)


def in_form(recorded: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) in 0 to 255."""
    picture = recorded.transpose(1, 2, 0) if recorded.shape[0] == 3 else recorded
    return picture.astype(float) * (1 if recorded.dtype == np.uint8 else 255)


@pytest.mark.parametrize("name", GOLDEN)
def test_results_are_those_of_the_ecosystem(fixtures: Path, tmp_path: Path, name: str) -> None:
    if not (fixtures / "tools" / f"{name}.json").is_file():
        pytest.skip("in the larger set of recorded data only")
    expected = json.loads((fixtures / "tools" / f"{name}.json").read_text())
    values = load_file(fixtures / "tools" / f"{name}.safetensors")
    execute(GOLDEN[name](fixtures / "datasets"), tmp_path / "out")
    reader = Reader(tmp_path / "out")
    theirs = sorted(expected["tasks"], key=expected["tasks"].__getitem__)
    assert (sorted(reader.tasks) if name in UNORDERED else reader.tasks) == (
        sorted(theirs) if name in UNORDERED else theirs
    )
    assert sorted(reader.features) == expected["features"]
    for row, want in zip(reader.all_episodes, expected["episodes"], strict=True):
        for key in want.keys() - {"tasks"}:
            assert row[key] == pytest.approx(want[key], abs=1e-9), key
        assert set(row["tasks"]) == set(want["tasks"])
    found = [reader.columns(number) for number in range(reader.num_episodes)]
    pictures = {
        key: [picture for number in range(reader.num_episodes) for picture in reader.frames(number, key)]
        for key in reader.info.video_keys
    }
    for path, value in values.items():
        kind, key, *stat = path.split("/")
        if path == "col/task_index":
            mine = [reader.tasks[task] for c in found for task in c[key]]
            assert mine == [theirs[int(task)] for task in value.ravel()]
        elif kind == "frame":
            mine = pictures[stat[0]][int(key)].astype(float)
            assert np.abs(mine - in_form(value)).mean() < (6 if name in ENCODED_AGAIN else 1e-6), path
        elif kind == "col":
            np.testing.assert_array_equal(np.concatenate([c[key] for c in found]).reshape(value.shape), value, path)
        elif kind == "stats" and key not in ("index", "episode_index", "task_index"):  # theirs are of the old numbers
            np.testing.assert_allclose((reader.stats or {})[key][stat[0]], value, rtol=1e-6, err_msg=path)


# --- features and statistics ------------------------------------------------------------------------------------------


def test_a_feature_goes_and_another_comes(root: Path, tmp_path: Path) -> None:
    values = np.arange(22, dtype=np.float32).reshape(11, 2)
    execute(plans.add_feature(source(root), "force", values, ["x", "y"]), tmp_path / "more")
    execute(plans.remove_features(source(tmp_path / "more"), ["tactile", "note"]), tmp_path / "other")
    reader = Reader(tmp_path / "other")
    assert list(reader.features)[:4] == ["observation.state", "action", "next.done", "force"]
    np.testing.assert_array_equal(np.concatenate([reader.columns(i)["force"] for i in range(3)]), values)
    assert (reader.stats or {})["force"]["max"].tolist() == [20, 21]
    assert "tactile" not in (reader.stats or {})
    assert not [name for name in pq.read_schema(tmp_path / "other" / "meta/episodes/chunk-000/file-000.parquet").names
                if "tactile" in name or "note" in name]  # fmt: skip


def test_strings_can_be_added(root: Path, tmp_path: Path) -> None:
    execute(plans.add_feature(source(root), "who", np.array([f"person {i}" for i in range(11)])), tmp_path / "more")
    assert Reader(tmp_path / "more").columns(1)["who"].tolist() == ["person 5", "person 6"]


def test_statistics_are_computed_anew(root: Path, tmp_path: Path) -> None:
    good = metadata.read_stats(root) or {}
    table = pq.read_table(path := root / "meta/episodes/chunk-000/file-000.parquet")
    at = table.column_names.index("stats/action/mean")
    pq.write_table(table.set_column(at, "stats/action/mean", pa.array([[7.0, 7.0]] * 3)), path)
    execute(plans.delete(source(root), []), tmp_path / "kept")
    execute(plans.restate(source(root)), tmp_path / "anew")
    kept, anew = (metadata.read_stats(tmp_path / name) or {} for name in ("kept", "anew"))
    assert kept["action"]["mean"].tolist() == [7, 7]
    for key, part in good.items():
        for name, value in part.items():
            np.testing.assert_allclose(anew[key][name], value, rtol=1e-6, atol=1e-6, err_msg=f"{key}/{name}")


def test_statistics_that_are_missing_are_computed(root: Path, tmp_path: Path) -> None:
    table = pq.read_table(path := root / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(table.select([name for name in table.column_names if not name.startswith("stats/")]), path)
    execute(plans.delete(source(root), [0]), tmp_path / "out")
    assert (metadata.read_stats(tmp_path / "out") or {})["action"]["max"].tolist() == [3, 0]


def test_columns_that_somebody_added_to_the_episodes_stay(root: Path, tmp_path: Path) -> None:
    table = pq.read_table(path := root / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(table.append_column("grade", pa.array(["good", "bad", "fair"])), path)
    execute(plans.delete(source(root), [0]), tmp_path / "out")
    assert Reader(tmp_path / "out").all_episodes["grade"].tolist() == ["bad", "fair"]
    execute(plans.trim(source(root), drop_first=1, episodes=[0]), tmp_path / "cut")
    assert Reader(tmp_path / "cut").all_episodes["grade"].tolist() == [None, "bad", "fair"]


def test_a_full_file_is_followed_by_another(root: Path, tmp_path: Path) -> None:
    plan = plans.delete(source(root), [])
    execute(attrs.evolve(plan, info=attrs.evolve(plan.info, data_files_size_in_mb=1e-6, chunks_size=2)), tmp_path / "o")
    files = sorted(str(path.relative_to(tmp_path / "o")) for path in (tmp_path / "o" / "data").rglob("*.parquet"))
    assert files == [
        "data/chunk-000/file-000.parquet", "data/chunk-000/file-001.parquet", "data/chunk-001/file-000.parquet",
    ]  # fmt: skip
    assert Reader(tmp_path / "o").columns(2)["note"].tolist() == [f"ep2-f{i}" for i in range(4)]


def test_tables_of_other_writers_are_brought_into_form(root: Path, tmp_path: Path) -> None:
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    rows = table.column("action").to_pylist()
    plain = table.set_column(table.column_names.index("action"), "action", pa.array(rows, pa.list_(pa.float32())))
    pq.write_table(plain.replace_schema_metadata(None), path)
    execute(plans.delete(source(root), [1]), tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / "data/chunk-000/file-000.parquet")
    assert pa.types.is_fixed_size_list(schema.field("action").type)
    assert b"huggingface" in schema.metadata


# --- refusals ---------------------------------------------------------------------------------------------------------


def without(root: Path, name: str, **changes: Any) -> Source:
    """The dataset with something else in its info.json, beside it."""
    shutil.copytree(root, root.parent / name)
    path = root.parent / name / layout.INFO
    info = json.loads(path.read_text())
    for key, value in changes.items():
        target = info["features"] if key in info["features"] else info
        target[key] = value
    path.write_text(json.dumps(info))
    return source(root.parent / name)


REFUSED: dict[str, tuple[Callable[[Source], Any], str]] = {
    "an unknown episode": (lambda s: plans.delete(s, [1, 7]), "no episode 7"),
    "every episode": (lambda s: plans.delete(s, [0, 1, 2]), "would be left"),
    "an episode in two parts": (lambda s: plans.split(s, {"a": [0, 1], "b": [1]}), "episode 1 is in part 'a'"),
    "fractions above 1": (lambda s: plans.split(s, {"a": 0.8, "b": 0.3}), "a=0.8, b=0.3"),
    "fractions and lists": (lambda s: plans.split(s, {"a": 0.8, "b": [1]}), "not both"),
    "one dataset to merge": (lambda s: plans.merge([s]), "1 dataset"),
    "another rate": (lambda s: plans.merge([s, without(s.root, "b", fps=20)]), "fps is 20, not 10"),
    "another robot": (lambda s: plans.merge([s, without(s.root, "b", robot_type="x")]), "robot_type is x, not arm"),
    "another shape": (
        lambda s: plans.merge([s, without(s.root, "b", action={"dtype": "float32", "shape": [3], "names": None})]),
        r"'action' has shape \[3\], not \[2\]",
    ),
    "a short episode": (lambda s: plans.trim(s, 1, 1), "episode 1 .* has 2 frames"),
    "nothing to trim": (lambda s: plans.trim(s), "0 first and 0 last"),
    "an unknown task": (lambda s: plans.retask(s, replacements={"tusk 1": "x"}), "did you mean 'task 1'"),
    "no task": (lambda s: plans.retask(s), "no new task"),
    "a default column": (lambda s: plans.remove_features(s, ["index"]), "column of every dataset"),
    "an unknown feature": (lambda s: plans.remove_features(s, ["acton"]), "did you mean 'action'"),
    "a feature it has": (lambda s: plans.add_feature(s, "action", np.zeros(11)), "has a feature 'action'"),
    "too few values": (lambda s: plans.add_feature(s, "x", np.zeros(10)), "10 values, .* 11 frames"),
    "a bad name": (lambda s: plans.add_feature(s, "a/b", np.zeros(11)), "no '/'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_plans_refuse(root: Path, case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises((DataError, FeatureError), match=words):
        make(source(root))


def test_an_incomplete_source_is_refused_before_anything_is_written(root: Path, tmp_path: Path) -> None:
    plan = plans.delete(source(root), [0])
    path = root / "data/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path).slice(0, 9), path)
    with pytest.raises(DataError, match=r"holds 2 of the 4 frames of episode 2"):
        execute(plan, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("target", ["set", "set/inside", "taken"])
def test_a_folder_that_is_taken_is_refused(root: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "taken").write_text("mine")
    before = contents(root)
    with pytest.raises(DataError, match=r"exists|is in the dataset"):
        execute(plans.delete(source(root), [0]), tmp_path / target)
    assert contents(root) == before


# --- in place, interrupted --------------------------------------------------------------------------------------------


def test_in_place(root: Path, tmp_path: Path) -> None:
    (root / "README.md").write_text("a card")
    (root / "meta" / "notes.json").write_text("{}")
    execute(plans.delete(source(root), [1]), root, in_place=True)
    assert Reader(root).num_episodes == 2
    assert (root / "README.md").read_text() + (root / "meta" / "notes.json").read_text() == "a card{}"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("in_place", [False, True])
def test_an_interruption_leaves_nothing_half_made(root: Path, tmp_path: Path, in_place: bool) -> None:
    before = contents(root)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(
            plans.delete(source(root), [1]),
            root if in_place else tmp_path / "out",
            in_place=in_place,
            advance=interrupt,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert contents(root) == before


def test_a_failure_between_the_two_renames_puts_the_old_one_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = contents(root), Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == root and not self.name.endswith(".old"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(KeyboardInterrupt):
        execute(plans.delete(source(root), [1]), root, in_place=True)
    assert contents(root) == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_images_in_tables(tmp_path: Path) -> None:
    writer = recordings.backend(tmp_path / "set").create(recordings.features("image"), 10, robot_type="arm")
    recordings.record(writer, [3, 6])
    writer.finalize()
    execute(plans.trim(source(tmp_path / "set"), drop_first=2), tmp_path / "out")
    found = Reader(tmp_path / "out")
    assert [recordings.number_of(picture) for picture in found.frames(1, CAMERA)] == [2, 3, 4, 5]
    assert (found.stats or {})[CAMERA]["min"].ravel() == pytest.approx(recordings.picture(2).min() / 255)
