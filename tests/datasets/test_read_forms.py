"""Tables as other tools write them: inferred types, plain lists, columns nobody described, language."""

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
from expected import check_cases

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import LeRobotDataset, columns
from lerobot_datasets.v3.reader import Reader


@pytest.fixture
def copy(fixtures: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a recorded dataset, to be rewritten."""
    return lambda name: Path(shutil.copytree(fixtures / "datasets" / name, tmp_path / name))


def rewrite(path: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Write a table anew without the ecosystem's description."""
    pq.write_table(edit(pq.read_table(path)).replace_schema_metadata(None), path)


def inferred(table: pa.Table) -> pa.Table:
    """Every column with the type that its Python values suggest: doubles, int64, plain lists."""
    return pa.table({name: pa.array(table[name].to_pylist()) for name in table.column_names})


def grown(table: pa.Table) -> pa.Table:
    """Columns nobody described, in front."""
    extra = pa.table(
        {"__index_level_0__": pa.array(range(table.num_rows)), "language_events": pa.array([[]] * table.num_rows)}
    )
    for name in table.column_names:
        extra = extra.append_column(name, table[name])
    return extra


def dictionaries(table: pa.Table) -> pa.Table:
    """Texts as categories."""
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(i, field.name, table[field.name].dictionary_encode())
    return table


def large(table: pa.Table) -> pa.Table:
    """Lists and texts with 64-bit offsets."""
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(i, field.name, table[field.name].cast(pa.large_string()))
        if pa.types.is_fixed_size_list(field.type):
            table = table.set_column(i, field.name, table[field.name].cast(pa.large_list(field.type.value_type)))
    return table


@pytest.mark.parametrize("edit", [inferred, grown, dictionaries, large], ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("name", ["state_only", "state_env"])
def test_data_rewritten(copy: Callable[[str], Path], name: str, edit: Callable[[pa.Table], pa.Table]) -> None:
    root = copy(name)
    rewrite(root / "data" / "chunk-000" / "file-000.parquet", edit)
    check_cases(root)


def test_episodes_rewritten(copy: Callable[[str], Path]) -> None:
    root = copy("video2")
    path = root / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    rewrite(path, lambda table: grown(inferred(table)).append_column("remark", pa.array(["", "good", None])))
    assert [row["remark"] for row in Reader(root).episodes] == ["", "good", None]
    check_cases(root, video_backend="pyav")


def test_picture_cells_of_bytes_alone() -> None:
    feature = Feature(dtype="image", shape=(2, 2, 3))
    found = columns.to_numpy(pa.array([b"one", b"two"]), "cam", feature)
    assert [cell["bytes"] for cell in found] == [b"one", b"two"]
    with pytest.raises(DataError, match="column 'cam' is string"):
        columns.to_numpy(pa.array(["one"]), "cam", feature)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("string", [1, 2]),
        ("language", ["no list"]),
        ("int64", [0.5]),
        ("uint8", [300]),
        ("float32", ["one"]),
        ("bool", [[True, False]]),
    ],
)
def test_what_does_not_cast_is_refused(dtype: str, values: list[Any]) -> None:
    with pytest.raises(DataError, match=r"'table\.parquet': column 'x'"):
        columns.to_numpy(pa.array(values), "x", Feature(dtype=dtype, shape=(1,)), "table.parquet")


# --- language ---------------------------------------------------------------------------------------------------------

SAY = {"type": "function", "function": {"name": "say", "arguments": {"text": "hello"}}}
NOTHING = {"camera": None, "tool_calls": None}
PLAN = [
    {"role": "assistant", "content": "grasp", "style": "subtask", "timestamp": 0.0, **NOTHING},
    {"role": "assistant", "content": "lift", "style": "subtask", "timestamp": 0.1, **NOTHING},
]
EVENTS: dict[int, list[dict[str, Any]]] = {
    2: [{"role": "assistant", "content": None, "style": None, "camera": None, "tool_calls": [SAY]}],
    4: [{"role": "user", "content": "no, left", "style": "interjection", **NOTHING}],
}


def speaking(root: Path, calls: Callable[[dict[str, Any]], Any]) -> Path:
    """Add language columns, types inferred, with tool calls in some form."""

    def edit(table: pa.Table) -> pa.Table:
        events = [
            [
                event | {"tool_calls": event["tool_calls"] and [calls(c) for c in event["tool_calls"]]}
                for event in EVENTS.get(i, [])
            ]
            for i in range(table.num_rows)
        ]
        table = table.append_column("language_persistent", pa.array([PLAN] * table.num_rows))
        return table.append_column("language_events", pa.array(events))

    rewrite(root / "data" / "chunk-000" / "file-000.parquet", edit)
    path = root / "meta" / "info.json"
    info = json.loads(path.read_text())
    for key in ("language_persistent", "language_events"):
        info["features"][key] = {"dtype": "language", "shape": [1], "names": None}
    path.write_text(json.dumps(info))
    return root


@pytest.mark.parametrize("calls", [dict, json.dumps], ids=["structs", "texts"])
def test_language_is_carried_through(copy: Callable[[str], Path], calls: Callable[[dict[str, Any]], Any]) -> None:
    root = speaking(copy("state_env"), calls)
    dataset = LeRobotDataset("t/t", root=root, delta_timestamps={"action": [0.0]})
    item = dataset[2]
    assert list(item)[-4:] == ["language_persistent", "language_events", "action_is_pad", "task"]
    assert item["language_persistent"] == [PLAN[0], PLAN[1] | {"timestamp": float(np.float32(0.1))}]
    assert (item["language_events"], dataset[4]["language_events"]) == (EVENTS[2], EVENTS[4])
    assert dataset[3]["language_events"] == []
    batch = dataset.collate([dataset[2], dataset[3]])
    assert batch["language_events"] == [EVENTS[2], []]
    assert Reader(root).columns(0)["language_events"][4] == EVENTS[4]


def test_nobody_said_anything() -> None:
    feature = Feature(dtype="language", shape=(1,))
    assert columns.to_numpy(pa.array([[], []]), "x", feature).tolist() == [[], []]
    assert columns.to_numpy(pa.array([None, []], type=pa.list_(pa.struct([]))), "x", feature).tolist() == [[], []]
    assert columns.empty(feature).shape == (0,)
