"""v2.x datasets written as v3.0: as the ecosystem's own conversion, value by value and packet by packet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from expected import check_cases, check_metadata

from lerobot_core.errors import DataError
from lerobot_datasets import stats
from lerobot_datasets.commands.edit import convert, delete
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.plan import Source
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v21 import convert as conversion

FRONT = "observation.images.front"


@pytest.fixture
def old(fixtures: Path) -> Path:
    return fixtures / "datasets" / "v21"


@pytest.fixture
def twin(fixtures: Path) -> Path:
    """What the ecosystem's conversion made of it."""
    return fixtures / "datasets" / "v21_converted"


def converted(*args: Any) -> Result:
    return CliRunner().invoke(convert, [str(arg) for arg in args])


def packets(path: Path) -> Iterator[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.dts is not None:
                yield float(packet.pts * packet.time_base), bytes(packet)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_equals_the_recorded_conversion(old: Path, twin: Path, tmp_path: Path, decoder: str) -> None:
    before, target = tree(old), tmp_path / "new"
    result = converted(old, "--output_dir", target)
    assert (result.exit_code, result.stdout) == (0, f"{target}: 3 episodes, 55 frames\n")
    assert tree(old) == before
    check_cases(target, twin, video_backend=decoder)
    check_metadata(target, twin)
    assert sorted(tree(target)) == sorted(name for name in tree(twin) if "expected" not in name)
    video = f"videos/{FRONT}/chunk-000/file-000.mp4"
    for mine, want in zip(packets(target / video), packets(twin / video), strict=True):
        assert mine == (pytest.approx(want[0], abs=1e-9), want[1])


def test_what_the_dataset_says_of_itself(old: Path, twin: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    converted(old, "--output_dir", target)
    mine, want = ((root / "meta" / "info.json").read_text() for root in (target, twin))
    assert mine == want
    table, expected = Reader(target).episode_table(), Reader(twin).episode_table()
    assert set(table.column_names) == set(expected.column_names)
    for name in expected.column_names:
        for a, b in zip(table[name].to_pylist(), expected[name].to_pylist(), strict=True):
            if name == "tasks":
                assert a == b
            else:
                np.testing.assert_allclose(a, b, rtol=1e-12, err_msg=name)


def test_statistics_of_v20_are_made_from_the_frames(old: Path, twin: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(old, tmp_path / "old"))
    (older / "meta" / "episodes_stats.jsonl").unlink()
    info = older / "meta" / "info.json"
    info.write_text(info.read_text().replace('"v2.1"', '"v2.0"'))
    target = tmp_path / "new"
    assert converted(older, "--output_dir", target).exit_code == 0
    found, want = Reader(target).stats, Reader(twin).stats
    assert found is not None
    assert want is not None
    for key in ("observation.state", "action", "timestamp", "frame_index"):
        assert set(found[key]) == set(stats.NAMES)
        for name in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(found[key][name], want[key][name], rtol=1e-5, atol=1e-6, err_msg=f"{key} {name}")
    for name in ("mean", "std"):  # of decoded pictures, where the twin's are of those before encoding
        np.testing.assert_allclose(found[FRONT][name], want[FRONT][name], atol=0.02)
    assert Reader(target).episode_table()["stats/index/min"].to_pylist() == [[0.0], [18.0], [44.0]]


def test_what_came_with_an_episode_goes_along(old: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(old, tmp_path / "old"))
    path = older / "meta" / "episodes.jsonl"
    rows = [json.loads(line) | {"operator": f"nr {i}"} for i, line in enumerate(path.read_text().splitlines())]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert converted(older, "--output_dir", tmp_path / "new").exit_code == 0
    assert [row["operator"] for row in Reader(tmp_path / "new").episodes] == ["nr 0", "nr 1", "nr 2"]


def test_edits_take_old_datasets_too(old: Path, twin: Path, tmp_path: Path) -> None:
    older, target = Path(shutil.copytree(old, tmp_path / "old")), tmp_path / "new"
    before = tree(older)
    refused = CliRunner().invoke(delete, [str(older), "--episodes=1", "--in_place"]).exception
    assert isinstance(refused, DataError)
    assert "v2.1" in str(refused)
    assert tree(older) == before
    assert CliRunner().invoke(delete, [str(older), "--episodes=1", f"--output_dir={target}"]).exit_code == 0
    found, want = Reader(target), Reader(twin)
    assert (found.info.codebase_version, [row["length"] for row in found.episodes]) == ("v3.0", [18, 11])
    np.testing.assert_array_equal(found.columns(1)["action"], want.columns(2)["action"])
    np.testing.assert_array_equal(list(found.frames(1, FRONT)), list(want.frames(2, FRONT)))


def test_nothing_half_made(old: Path, tmp_path: Path) -> None:
    """Interrupted after the second episode."""
    plan, seen = conversion.plan(Source.of(Reader(old))), []

    def advance() -> None:
        seen.append(len(seen))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(plan, tmp_path / "new", advance=advance)
    assert not list(tmp_path.iterdir())


def test_a_missing_video_leaves_nothing(old: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(old, tmp_path / "old"))
    (older / "videos" / "chunk-000" / FRONT / "episode_000002.mp4").unlink()
    result = converted(older, "--output_dir", tmp_path / "new")
    assert isinstance(result.exception, DataError)
    assert "episode_000002.mp4" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_plan_is_shown(old: Path, tmp_path: Path) -> None:
    shown = converted(old, "--dry_run", "--output_dir", tmp_path / "new").stdout
    assert shown.startswith("3 episodes, 55 frames at 30 fps\n")
    assert not list(tmp_path.iterdir())


def test_what_is_refused(old: Path, twin: Path, tmp_path: Path) -> None:
    refused = converted(twin, "--output_dir", tmp_path / "new").exception
    assert isinstance(refused, DataError)
    assert "v3.0" in str(refused)
    assert "--output_dir" in converted(old).output
    (tmp_path / "file").write_text("taken")
    taken = converted(old, "--output_dir", tmp_path).exception
    assert isinstance(taken, DataError)
    assert (tmp_path / "file").read_text() == "taken"
