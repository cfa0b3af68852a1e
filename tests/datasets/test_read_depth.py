"""Depth: 12-bit codes of videos and TIFF cells of tables become distances in the unit asked for."""

from __future__ import annotations

import base64
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import LeRobotDataset
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import depth, tiff

FRONT, DEPTH = "observation.images.front", "observation.images.front_depth"

# --- videos -----------------------------------------------------------------------------------------------------------


def test_numpy_reader_agrees(fixtures: Path) -> None:
    root = fixtures / "datasets" / "depth"
    reader, dataset = Reader(root), LeRobotDataset("test/set", root=root, video_backend="pyav")
    frames = list(reader.frames(1, DEPTH))
    assert (len(frames), frames[0].shape, frames[0].dtype) == (14, (96, 128, 1), np.float32)
    np.testing.assert_array_equal(frames[9], dataset[29][DEPTH].permute(1, 2, 0))
    assert next(iter(reader.frames(1, FRONT))).shape == (96, 128, 3)


def test_metres(fixtures: Path) -> None:
    root = fixtures / "datasets" / "depth"
    mm, m = (LeRobotDataset("t/t", root=root, video_backend="pyav", depth_output_unit=u) for u in ("mm", "m"))
    np.testing.assert_allclose(m[3][DEPTH] * 1000, mm[3][DEPTH], atol=0.5)
    assert (m[3][FRONT] == mm[3][FRONT]).all()
    for name in ("min", "mean", "q99"):
        np.testing.assert_allclose(m.meta.stats[DEPTH][name] * 1000, mm.meta.stats[DEPTH][name])
        np.testing.assert_array_equal(m.meta.stats[FRONT][name], mm.meta.stats[FRONT][name])
    np.testing.assert_array_equal(m.meta.stats[DEPTH]["count"], mm.meta.stats[DEPTH]["count"])


def test_transforms_leave_depth_alone(fixtures: Path) -> None:
    root = fixtures / "datasets" / "depth"
    dark = LeRobotDataset("t/t", root=root, video_backend="pyav", image_transforms=lambda pictures: pictures * 0)
    assert dark[0][FRONT].sum() == 0
    assert dark[0][DEPTH].sum() > 0


@given(
    low=st.floats(0.01, 1),
    span=st.floats(0.5, 50),
    shift=st.floats(0, 5),
    use_log=st.booleans(),
    share=st.floats(0, 1),
)
def test_distances_are_within_half_a_step(low: float, span: float, shift: float, use_log: bool, share: float) -> None:
    quantiser = depth.Quantiser(depth_min=low, depth_max=low + span, shift=shift, use_log=use_log)
    distance = low + share * span

    def spread(d: float) -> float:
        return float(np.log(d + shift)) if use_log else d

    code = round((spread(distance) - spread(low)) / (spread(low + span) - spread(low)) * 4095)
    metres = quantiser.distances("m")
    assert metres.dtype == np.float32
    near = metres[max(code - 1, 0) : code + 2].astype(np.float64)
    assert abs(near[min(code, 1)] - distance) <= max(np.diff(near)) / 2 + 1e-5 * span
    np.testing.assert_array_equal(quantiser.distances("mm"), np.minimum(np.rint(metres * np.float32(1000)), 65535))


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({"video.depth_min": 2.0, "video.depth_max": 1.0}, "depth_min is below depth_max, got 2.0 and 1.0 m"),
        ({"video.shift": -1.0}, "depth_min \\+ shift"),
        ({"video.depth_min": "near"}, "impossible parameters"),
    ],
)
def test_impossible_parameters(info: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        depth.quantiser("cam", Feature(dtype="video", shape=(4, 4, 1), info=info))


def test_parameters_come_from_the_feature() -> None:
    info = {"is_depth_map": True, "video.depth_min": 0.1, "video.depth_max": 4.0, "video.use_log": False}
    found = depth.quantiser("cam", Feature(dtype="video", shape=(4, 4, 1), info=info | {"video.shift": None}))
    assert found == depth.Quantiser(depth_min=0.1, depth_max=4.0, shift=3.5, use_log=False)


# --- TIFF -------------------------------------------------------------------------------------------------------------

#: As the ecosystem writes them.
GOLDEN = {
    "u2": "SUkqAAgAAAAJAAABBAABAAAAAwAAAAEBBAABAAAAAgAAAAIBAwABAAAAEAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAA"
    "egAAABYBBAABAAAAAgAAABcBBAABAAAADAAAABwBAwABAAAAAQAAAAAAAAAAAAEAAgAsAUCc//8=",
    "f4": "SUkqAAgAAAAKAAABBAABAAAAAwAAAAEBBAABAAAAAgAAAAIBAwABAAAAIAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAA"
    "hgAAABYBBAABAAAAAgAAABcBBAABAAAAGAAAABwBAwABAAAAAQAAAFMBAwABAAAAAwAAAAAAAAAAAAAAAAAAPwAAAEAAAFBAAACAQAAAekQ=",
}
PICTURES = {
    "u2": np.array([[0, 1, 2], [300, 40000, 65535]], np.uint16),
    "f4": np.array([[0, 0.5, 2], [3.25, 4, 1e3]], np.float32),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_recorded_cells(kind: str) -> None:
    found = tiff.decode(base64.b64decode(GOLDEN[kind]))
    assert found.dtype == PICTURES[kind].dtype
    np.testing.assert_array_equal(found, PICTURES[kind])


def encoded(picture: np.ndarray, order: str, rows_per_strip: int) -> bytes:
    """A TIFF with the directory behind the strips, as other writers have it."""
    strips = [picture[i : i + rows_per_strip] for i in range(0, len(picture), rows_per_strip)]
    body = [strip.astype(strip.dtype.newbyteorder(order)).tobytes() for strip in strips]
    offsets = np.cumsum([8, *map(len, body)])
    tables = struct.pack(f"{order}{len(body)}I", *offsets[:-1]) + struct.pack(f"{order}{len(body)}I", *map(len, body))
    at, count = int(offsets[-1]), len(body)
    placed = (at, at + 4 * count) if count > 1 else (int(offsets[0]), len(body[0]))
    height, width = picture.shape
    is_float = picture.dtype.kind == "f"
    fields = [
        (256, width),
        (257, height),
        (258, picture.dtype.itemsize * 8),
        (259, 1),
        (277, 1),
        (339, 3 if is_float else 1),
    ]
    entries = [struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in fields]
    entries += [
        struct.pack(f"{order}HHII", tag, 4, count, place) for tag, place in zip((273, 279), placed, strict=True)
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at + len(tables))
    return head + b"".join(body) + tables + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kind=st.sampled_from(["u2", "f4"]),
    order=st.sampled_from("<>"),
    rows=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_any_writer(size: tuple[int, int], kind: str, order: str, rows: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 65536, size).astype(kind)
    data = encoded(picture, order, rows)
    np.testing.assert_array_equal(tiff.decode(data), picture)
    with pytest.raises(DataError, match="TIFF"):
        tiff.decode(data[: len(data) // 2])


def test_other_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="no TIFF"):
        tiff.decode(b"\x89PNG")
    with pytest.raises(DataError, match="8 bits"):
        tiff.decode(encoded(np.zeros((2, 2), np.uint8), "<", 2))


@pytest.fixture
def cells(fixtures: Path, tmp_path: Path) -> Path:
    """A dataset with two depth cameras in its table: whole millimetres, and metres."""
    root = Path(shutil.copytree(fixtures / "datasets" / "state_env", tmp_path / "set"))
    path, about = root / "data" / "chunk-000" / "file-000.parquet", root / "meta" / "info.json"
    table, info = pq.read_table(path), json.loads(about.read_text())
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for key, unit in (("u2", "mm"), ("f4", "m")):
        cell = {"bytes": base64.b64decode(GOLDEN[key]), "path": "frame-000000.tiff"}
        table = table.append_column(key, pa.array([cell] * table.num_rows, type=kind))
        described = Feature(
            dtype="image",
            shape=(2, 3, 1),
            names=["height", "width", "channels"],
            info={"is_depth_map": True, "depth_unit": unit},
        )
        info["features"][key] = attrs.asdict(described, filter=lambda field, _: field.name != "unit")
    pq.write_table(table, path)
    about.write_text(json.dumps(info))
    return root


def test_cells_of_a_table(cells: Path) -> None:
    found = LeRobotDataset("t/t", root=cells, delta_timestamps={"f4": [-1 / 30, 0.0]}, return_uint8=True)[0]
    assert (tuple(found["u2"].shape), tuple(found["f4"].shape)) == ((1, 2, 3), (2, 1, 2, 3))
    np.testing.assert_array_equal(found["u2"][0], PICTURES["u2"].astype(np.float32))
    np.testing.assert_array_equal(found["f4"][1, 0], PICTURES["f4"] * 1000)
    metres = LeRobotDataset("t/t", root=cells, depth_output_unit="m")[0]
    np.testing.assert_array_equal(metres["u2"][0], PICTURES["u2"].astype(np.float32) / 1000)
    np.testing.assert_array_equal(metres["f4"][0], PICTURES["f4"])
    reader = Reader(cells)
    np.testing.assert_array_equal(reader.columns(0)["f4"][0, ..., 0], PICTURES["f4"] * 1000)
    assert next(iter(reader.frames(0, "u2"))).shape == (2, 3, 1)
