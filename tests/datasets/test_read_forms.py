"""Tables as other tools write them: inferred types, plain lists, columns nobody described, language."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from expected import check_cases

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import LeRobotDataset, columns
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import png


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


PICTURE = Feature(dtype="image", shape=(16, 24, 3))


def shades() -> np.ndarray:
    rows, columns_ = np.mgrid[0:16, 0:24]
    return np.stack([rows * 8, columns_ * 8, rows + columns_], axis=-1).astype(np.uint8)


def coded(codec: str, pixels: str) -> bytes:
    """File bytes of `shades`, as other tools than ours write them."""
    context = av.CodecContext.create(codec, "w")
    context.height, context.width, context.pix_fmt, context.time_base = 16, 24, pixels, Fraction(1)
    context.color_range = 2 if pixels.startswith("yuvj") else 0
    frame = av.VideoFrame.from_ndarray(shades(), format="rgb24").reformat(format=pixels)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


@pytest.mark.parametrize(
    ("codec", "pixels", "off"),
    [("png", "rgb24", 0), ("png", "rgba", 0), ("bmp", "bgr24", 0), ("mjpeg", "yuvj444p", 12)],
)
def test_picture_cells_of_other_kinds(codec: str, pixels: str, off: int) -> None:
    cells = columns.to_numpy(pa.array([coded(codec, pixels)]), "cam", PICTURE)
    found = png.decode(cells[0]["bytes"])
    assert (found.shape, found.dtype) == ((16, 24, 3), np.uint8)
    assert np.abs(found.astype(int) - shades()).max() <= off


def test_grey_pictures_get_colours() -> None:
    found = png.decode(coded("png", "gray"))
    assert found.shape == (16, 24, 3)
    assert (found == found[..., :1]).all()


def test_cells_without_a_picture_are_named() -> None:
    good = {"bytes": coded("png", "rgb24"), "path": "frame-000000.png"}
    for cell, feature, says in [
        (
            {"bytes": None, "path": "frame-000001.png"},
            PICTURE,
            "row 1: the picture is not in the table, which names 'frame",
        ),
        ({"bytes": b"GIF89a...", "path": "x.gif"}, PICTURE, "row 1: no picture of a kind known, which are PNG, JPEG"),
    ]:
        cells = pa.array([good, cell], type=columns.IMAGE_TYPE)
        with pytest.raises(DataError, match=f"'table.parquet': column 'cam', {says}"):
            columns.to_numpy(cells, "cam", feature, "table.parquet")
    depth = Feature(dtype="image", shape=(16, 24, 1), info={"is_depth_map": True})
    with pytest.raises(DataError, match="row 0: no TIFF"):
        columns.to_numpy(pa.array([good], type=columns.IMAGE_TYPE), "cam", depth)
    with pytest.raises(DataError, match="of 20 bytes is broken"):
        png.decode(good["bytes"][:20])
    with pytest.raises(DataError, match="column 'cam' is string"):
        columns.to_numpy(pa.array(["one"]), "cam", PICTURE)


def test_picture_cells_of_bytes_alone() -> None:
    data = [coded("png", "rgb24"), coded("bmp", "bgr24")]
    found = columns.to_numpy(pa.array(data), "cam", PICTURE)
    assert [cell["bytes"] for cell in found] == data


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
