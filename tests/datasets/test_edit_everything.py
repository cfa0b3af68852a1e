"""Every edit over every recorded dataset: what is kept is kept bit by bit, and what comes out passes the checks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file
from test_edit_commands import lr

from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDatasetMetadata, edit
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.edit import place
from lerobot_datasets.edit.operations import opened
from lerobot_datasets.hub import locate
from lerobot_datasets.inspection import Inspection
from lerobot_datasets.v3 import journal, metadata
from lerobot_datasets.v3.reader import Reader

DATASETS = ("state_only", "state_env", "video2", "video_stream", "images", "multifile", "depth", "v21", "v21_converted")

#: Name → the edit, and of which frames (source, episode, first, number dropped at the end) it is made.
Edit = tuple[Callable[[Path, Path], Any], Callable[[int], list[tuple[int, int, int]]]]
EDITS: dict[str, Edit] = {
    "delete": (lambda root, out: edit.delete_episodes(root, [0], out), lambda n: [(i, 0, 0) for i in range(1, n)]),
    "split": (
        lambda root, out: shutil.move(edit.split(root, {"a": 0.5, "b": 0.5}, out.parent / "parts")["b"], out),
        lambda n: [(i, 0, 0) for i in range(int(n * 0.5), n)],
    ),
    "merge": (
        lambda root, out: edit.merge([root, root], out),
        lambda n: [(i, 0, 0) for i in range(n)] * 2,
    ),
    "merge apart": (
        lambda root, out: edit.merge([root, root], out, concatenate_videos=False, concatenate_data=False),
        lambda n: [(i, 0, 0) for i in range(n)] * 2,
    ),
    "trim": (lambda root, out: edit.trim(root, 2, 1, output_dir=out), lambda n: [(i, 2, 1) for i in range(n)]),
    "tasks": (lambda root, out: edit.modify_tasks(root, "rest", output_dir=out), lambda n: [(i, 0, 0) for i in range(n)]),
    "features": (
        lambda root, out: edit.modify_features(
            root, {"load": np.arange(sum(opened(root).lengths))}, "observation.state", out
        ),
        lambda n: [(i, 0, 0) for i in range(n)],
    ),
    "stats": (
        lambda root, out: edit.recompute_stats(root, out, skip_image_video=False),
        lambda n: [(i, 0, 0) for i in range(n)],
    ),
}  # fmt: skip


@pytest.fixture(params=DATASETS)
def dataset(request: pytest.FixtureRequest, fixtures: Path) -> Path:
    root = fixtures / "datasets" / request.param
    if not root.is_dir():
        pytest.skip("in the larger set of recorded data only")
    return root


def holds(found: Reader, before: Reader, made_of: list[tuple[int, int, int]]) -> None:
    """The values and the pictures outside what is encoded again are those of the source."""
    assert found.info.codebase_version == "v3.0"
    assert found.num_episodes == len(made_of)
    ours = {"timestamp", "frame_index", "episode_index", "index", "task_index"}
    keys = [key for key in before.features if key in found.features and key not in ours]
    for number, (episode, first, last) in enumerate(made_of):
        old, new = before.columns(episode), found.columns(number)
        stop = len(old["index"]) - last
        for key in keys:
            if before.features[key].dtype == "video":
                pictures = (np.stack(list(reader.frames(n, key))) for reader, n in ((found, number), (before, episode)))
                mine, theirs = pictures
                theirs = theirs[first:stop]
                if first or last:  # neighbours of a cut are encoded again
                    mine, theirs = mine.astype(float), theirs.astype(float)
                    assert np.abs(mine - theirs).mean() < 8, (key, number)
                else:
                    np.testing.assert_array_equal(mine, theirs, err_msg=f"{key} {number}")
            else:
                np.testing.assert_array_equal(new[key], old[key][first:stop], err_msg=f"{key} {number}")


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_of_every_dataset(dataset: Path, tmp_path: Path, name: str) -> None:
    carry_out, made_of = EDITS[name]
    before = Reader(dataset)
    carry_out(dataset, tmp_path / "out")
    found = Reader(tmp_path / "out")
    holds(found, before, made_of(before.num_episodes))
    serious = [f for f in Inspection(found).findings() if f.check not in ("frozen", "dead", "outlier", "length")]
    assert not serious
    kinds = {key for key, feature in found.features.items() if feature.dtype not in ("string", "language")}
    assert set(found.stats or {}) == kinds
    if name == "merge apart" and not before.info.codebase_version.startswith("v2."):
        for kind in ("parquet", "mp4"):
            made, of = (list(root.rglob(f"*/chunk-*/*.{kind}")) for root in (tmp_path / "out", dataset))
            tables = 1 if kind == "parquet" else 0  # that of the episodes is one file
            assert len(made) - tables == 2 * (len(of) - tables * len(list(dataset.rglob("episodes/*/*.parquet"))))


def test_every_dataset_with_videos_is_encoded_again(dataset: Path, tmp_path: Path) -> None:
    before = Reader(dataset)
    if not before.info.video_keys:
        pytest.skip("no videos")
    edit.reencode(dataset, EncoderConfig(vcodec="h264", crf=18, g=2, preset="ultrafast"), tmp_path / "out")
    found = Reader(tmp_path / "out")
    assert not [f for f in Inspection(found).findings() if f.check in ("video", "index", "unreadable", "timestamps")]
    for key in before.info.video_keys:
        for number in range(before.num_episodes):
            mine, theirs = (np.stack(list(r.frames(number, key))).astype(float) for r in (found, before))
            assert np.abs(mine - theirs).mean() < 8, (key, number)


def test_whole_episodes_keep_their_statistics(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "datasets" / "depth"
    edit.delete_episodes(root, [0], tmp_path / "out")
    before, after = (
        pq.read_table(root / "meta/episodes").to_pylist(),
        Reader(tmp_path / "out").episode_table().to_pylist(),
    )
    for key in ("observation.images.front", "observation.images.front_depth", "action"):
        for name in ("min", "mean", "q99", "count"):
            assert after[0][f"stats/{key}/{name}"] == before[1][f"stats/{key}/{name}"]


# --- relative actions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "exclude", "chunk_size"), [("chunk4_all", (), 4), ("chunk5_excl", ("gripper",), 5)])
def test_relative_actions(fixtures: Path, tmp_path: Path, name: str, exclude: tuple[str, ...], chunk_size: int) -> None:
    recorded = load_file(fixtures / "misc" / "relative_action_stats.safetensors")
    wanted = {path.split("/")[1]: value for path, value in recorded.items() if path.startswith(name)}
    edit.recompute_stats(
        fixtures / "datasets" / "state_only", tmp_path / "out", relative_action=True,
        relative_exclude_joints=exclude, chunk_size=chunk_size,
    )  # fmt: skip
    found = (metadata.read_stats(tmp_path / "out") or {})["action"]
    assert set(found) == set(wanted)
    for stat, value in wanted.items():
        np.testing.assert_allclose(found[stat], value, rtol=1e-6, atol=1e-6, err_msg=stat)


def test_relative_actions_need_a_state(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "datasets" / "state_only"
    edit.remove_feature(root, "observation.state", tmp_path / "blind")
    for dataset, options, words in (
        (tmp_path / "blind", {}, "observation.state is missing"),
        (root, {"chunk_size": 500}, "no episode of .* has 500 frames"),
    ):
        with pytest.raises(DataError, match=words):
            edit.recompute_stats(dataset, tmp_path / "out", relative_action=True, **options)


# --- language ---------------------------------------------------------------------------------------------------------


def entry(style: str, time: float, content: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": content,
        "style": style,
        "timestamp": time,
        "camera": None,
        "tool_calls": None,
    }


CALL = [{"type": "function", "function": {"name": "say", "arguments": {"text": "well done"}}}]


def annotated(fixtures: Path, root: Path, calls: Any = CALL) -> Path:
    """A dataset with language, as the tool that annotates stores it: types inferred, no description."""
    shutil.copytree(fixtures / "datasets" / "state_env", root)
    path = next((root / "data").rglob("*.parquet"))
    table = pq.read_table(path)
    said = {"role": "assistant", "content": None, "style": None, "camera": None, "tool_calls": calls}
    fps = Reader(root).fps
    plan = [entry("plan", 0.0, "first"), entry("subtask", 0.0, "reach"), entry("subtask", 3 / fps, "lift"),
            entry("subtask", 9 / fps, "place")]  # fmt: skip
    rows = table["frame_index"].to_pylist()
    table = table.append_column("language_persistent", pa.array([plan] * len(rows)))
    table = table.append_column("language_events", pa.array([[said] if i == 4 else [] for i in rows]))
    pq.write_table(table.replace_schema_metadata(None), path)
    info = json.loads((root / "meta/info.json").read_text())
    for key in ("language_persistent", "language_events"):
        info["features"][key] = {"dtype": "language", "shape": [1], "names": None}
    (root / "meta/info.json").write_text(json.dumps(info))
    return root


def language(root: Path, key: str) -> pa.ChunkedArray:
    return pq.read_table(root / "data")[key]


def test_language_goes_along_bit_by_bit(fixtures: Path, tmp_path: Path) -> None:
    root = annotated(fixtures, tmp_path / "set")
    lengths = opened(root).lengths
    edit.delete_episodes(root, [0], tmp_path / "less")
    edit.merge([tmp_path / "less", root], tmp_path / "more")
    for key in ("language_persistent", "language_events"):
        before = language(root, key)
        less, more = language(tmp_path / "less", key), language(tmp_path / "more", key)
        assert less.type == before.type
        assert less.combine_chunks().equals(before.combine_chunks().slice(lengths[0]))
        assert more.to_pylist() == less.to_pylist() + before.to_pylist()


def test_language_of_other_types_goes_together(fixtures: Path, tmp_path: Path) -> None:
    one, two = annotated(fixtures, tmp_path / "one"), annotated(fixtures, tmp_path / "two", calls=None)
    edit.merge([one, two], tmp_path / "out")
    found = language(tmp_path / "out", "language_events").to_pylist()
    assert found == language(one, "language_events").to_pylist() + language(two, "language_events").to_pylist()


def test_what_is_said_moves_with_the_frames(fixtures: Path, tmp_path: Path) -> None:
    root = annotated(fixtures, tmp_path / "set")
    fps = Reader(root).fps
    edit.trim(root, 4, output_dir=tmp_path / "out")
    rows = language(tmp_path / "out", "language_persistent").to_pylist()
    said = [(one["style"], one["content"], round(one["timestamp"] * fps)) for one in rows[0]]
    assert said == [("plan", "first", 0), ("subtask", "lift", 0), ("subtask", "place", 5)]
    events = language(tmp_path / "out", "language_events").to_pylist()
    assert [len(event) for event in events[:3]] == [1, 0, 0]


# --- in place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["old", "new"], ["set", "new"], ["set", "old"], ["old"]])
def test_a_replacement_that_was_killed_is_finished_or_undone(fixtures: Path, tmp_path: Path, names: list[str]) -> None:
    """At each instant of `publish`: before the renames, between them, and after."""
    root = tmp_path / "set"
    for name in names:
        shutil.copytree(fixtures / "datasets" / "state_env", root if name == "set" else tmp_path / f".set.{name}")
    (tmp_path / ".set.4194999").mkdir()  # no process has such a number
    assert opened(root).lengths
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_reader_names_a_replacement_that_was_killed_and_repair_finishes_it(
    fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A reader does not: the edit may be at it, between its two renames."""
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    root = tmp_path / "me" / "set"
    shutil.copytree(fixtures / "datasets" / "state_env", root.with_name(f".set.{name}"))
    for opening in (lambda: Reader(root), lambda: LeRobotDatasetMetadata("me/set"), lambda: locate(str(root))):
        with pytest.raises(DataError, match="being replaced by an edit in place") as refused:
            opening()
        assert f"lr dataset repair {root}" in refused.value.hint
    assert lr("repair", root).exit_code == 0
    assert Reader(root).num_episodes
    assert [path.name for path in root.parent.iterdir()] == ["set"]


def test_a_draft_of_a_running_process_stays(fixtures: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fixtures / "datasets" / "state_env", tmp_path / "set"))
    place.draft_of(root).mkdir()
    place.recover(root)
    assert place.draft_of(root).is_dir()


def test_a_dataset_that_is_recorded_to_is_not_replaced(fixtures: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fixtures / "datasets" / "state_env", tmp_path / "set"))
    (root / journal.LEFT / "0").mkdir(parents=True)
    with pytest.raises(DataError, match="is being recorded to, or holds an episode") as refused:
        edit.delete_episodes(root, [0], in_place=True)
    assert "lr dataset repair" in refused.value.hint
    edit.delete_episodes(root, [0], tmp_path / "out")


def test_a_place_is_needed(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "datasets" / "state_env"
    for where in ({}, {"output_dir": tmp_path / "out", "in_place": True}):
        with pytest.raises(DataError, match="needs a place"):
            edit.delete_episodes(root, [0], **where)


def test_features_come_and_go_in_one_pass(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "datasets" / "state_env"
    frames = sum(opened(root).lengths)
    new = np.arange(frames * 6).reshape(frames, 6)
    described = {"dtype": "float32", "names": list("abcdef")}
    edit.modify_features(root, {"action": (new, described), "load": np.ones(frames)}, ["action"], tmp_path / "out")
    reader = Reader(tmp_path / "out")
    assert (reader.features["action"].dtype, reader.features["action"].elements) == ("float32", list("abcdef"))
    np.testing.assert_array_equal(reader.columns(0)["action"], new[: len(reader.columns(0)["action"])])
    assert (reader.stats or {})["action"]["max"].tolist() == new[-1].tolist()
    with pytest.raises(AttributeError, match="no attribute 'delete'"):
        edit.delete  # noqa: B018
