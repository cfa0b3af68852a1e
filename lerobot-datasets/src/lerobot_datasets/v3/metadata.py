"""The files under `meta/`: info.json, tasks, episodes and stats, read and written. Knows nothing of frames and videos."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core import artifacts
from lerobot_core.errors import DataError, first_sentence
from lerobot_core.features import DEFAULT_COLUMNS, Feature, from_info, to_info
from lerobot_datasets.stats import Stats
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.journal import NEW

logger = logging.getLogger(__name__)

VERSION = "v3.0"
RESTORE = "copy or download the file again"

DEFAULT_FEATURES = {key: Feature(dtype=dtype, shape=(1,)) for key, dtype in DEFAULT_COLUMNS.items()}


@attrs.frozen(kw_only=True)
class Info:
    """What info.json says. The order of the attributes is the order of the keys in the file.

    Attributes:
        codebase_version: version of the format.
        fps: frames per second.
        features: every stored feature, default columns last.
        total_episodes: number of episodes.
        total_frames: number of frames in all episodes.
        total_tasks: number of rows in the table of tasks.
        chunks_size: files per chunk folder.
        data_files_size_in_mb: size at which a table file is closed [MiB].
        video_files_size_in_mb: size at which a video file is closed [MiB].
        data_path: template of the paths of the frame tables.
        video_path: template of the paths of the videos; None without videos.
        robot_type: name of the robot.
        splits: name of a split → "from:to" in episodes.
        tools: function schemas for language actions; None when the file has none.
    """

    codebase_version: str = VERSION
    fps: int
    features: Mapping[str, Feature]
    total_episodes: int = 0
    total_frames: int = 0
    total_tasks: int = 0
    chunks_size: int = 1000
    data_files_size_in_mb: int = 100
    video_files_size_in_mb: int = 200
    data_path: str = layout.DATA_PATH
    video_path: str | None = layout.VIDEO_PATH
    robot_type: str | None = None
    splits: Mapping[str, str] = attrs.Factory(dict)
    tools: Sequence[Any] | None = None

    @property
    def video_keys(self) -> list[str]:
        return [key for key, feature in self.features.items() if feature.dtype == "video"]

    @property
    def camera_keys(self) -> list[str]:
        return [key for key, feature in self.features.items() if feature.is_picture]

    def data_file(self, place: layout.Place) -> Path:
        """Path of a frame table within the dataset folder."""
        return place.path(self.data_path)

    def video_file(self, place: layout.Place, key: str) -> Path:
        """Path of a video within the dataset folder."""
        return place.path(self.video_path or layout.VIDEO_PATH, key)


@attrs.frozen(kw_only=True)
class Description:
    """Everything under `meta/`.

    Attributes:
        info: what info.json says.
        stats: statistics of the features; None when the dataset has none.
        tasks: task texts; a task's index is its position.
        episodes: the table of episodes.
    """

    info: Info
    stats: Stats | None
    tasks: list[str]
    episodes: Episodes


def read(root: Path) -> Description:
    """Everything under `meta/` of a v3.0 folder.

    Raises:
        DataError: no such dataset, another version, or a file is missing or broken.
    """
    info = read_info(root)
    return Description(
        info=info, stats=read_stats(root), tasks=read_tasks(root, info), episodes=read_episodes(root, info)
    )


_KEPT_EPISODES, _KEPT_TASKS, _KEPT_STATS = "episodes.arrow", "tasks.arrow", "stats.json"


def keep(folder: Path, found: Description) -> None:
    """Write what `kept` gives back without reading tables: the episodes are mapped."""
    _write_mapped(folder / _KEPT_EPISODES, found.episodes.table)
    _write_mapped(folder / _KEPT_TASKS, pa.table({"task": pa.array(found.tasks, pa.string())}))
    if found.stats is not None:
        (folder / _KEPT_STATS).write_text(stats_text(found.stats), encoding="utf-8")


def kept(folder: Path, info: Info) -> Description:
    """What `keep` wrote.

    Raises:
        OSError, ValueError, ArrowException: it is broken.
    """
    path = folder / _KEPT_STATS
    return Description(
        info=info,
        stats=arrays(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None,
        tasks=_mapped(folder / _KEPT_TASKS)["task"].to_pylist(),
        episodes=Episodes(_mapped(folder / _KEPT_EPISODES)),
    )


def _write_mapped(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table.combine_chunks())


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


# --- info.json --------------------------------------------------------------------------------------------------------


def major(root: Path) -> str:
    """The first number of the format's version in info.json.

    Raises:
        DataError: no such dataset, or broken JSON.
    """
    return str(_info_data(root).get("codebase_version", VERSION)).removeprefix("v").split(".")[0]


def _info_data(root: Path) -> dict[str, Any]:
    path = root / layout.INFO
    if not path.exists():
        layout.require_settled(root)
        raise DataError(
            f"no dataset in '{root}': no {layout.INFO} there{artifacts.holds(root)}",
            path=path,
            hint="give the folder of a dataset, or the repo_id of one recorded before",
        )
    data = read_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("features"), dict):
        raise DataError(f"'{path}' has no features", path=path, hint="the file is not a dataset's info.json")
    return data


def read_info(root: Path, version: str = VERSION, dropped: Sequence[str] = ()) -> Info:
    """Read and check info.json.

    Args:
        root: the dataset folder.
        version: whose major number the file's version must have.
        dropped: keys of that version that mean nothing here.

    Raises:
        DataError: no such dataset, broken JSON, a missing or impossible value, or another major version.
    """
    data, path = _info_data(root), root / layout.INFO
    _check_version(str(data.get("codebase_version", VERSION)), version, path)
    known = {field.name for field in attrs.fields(Info)}
    if unknown := [key for key in data if key not in known and key not in dropped]:
        logger.warning("%s: keys without a meaning are ignored: %s", path, ", ".join(unknown))
    values = {key: value for key, value in data.items() if key in known}
    values["features"] = {key: _feature(key, value, path) for key, value in data["features"].items()}
    for key in ("fps", "chunks_size", "data_files_size_in_mb", "video_files_size_in_mb"):
        value = values.get(key, 1 if key != "fps" else None)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise DataError(f"'{path}': '{key}' is a number above 0, found {value!r}", path=path, hint="mend the file")
    values["fps"] = int(values["fps"])
    return Info(**values)


def _feature(key: str, value: Any, path: Path) -> Feature:
    try:
        return from_info(value)
    except (KeyError, TypeError) as error:
        raise DataError(f"'{path}': feature '{key}' needs dtype and shape, found {value!r}", path=path) from error


def _check_version(found: str, wanted: str, path: Path) -> None:
    number = found.removeprefix("v").split(".")[0]
    if number == wanted[1]:
        return
    if number == "2":
        hint = f"lr dataset convert {path.parents[1]} --output_dir=FOLDER"
    elif number.isdigit() and int(number) < 2:
        hint = "bring it to v2.0 with the release of LeRobot that wrote it"
    else:
        hint = "update lerobot-datasets"
    raise DataError(f"'{path}' is in format {found}, {wanted} is needed here", path=path, hint=hint)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' is not valid JSON: {error}", path=path, hint=RESTORE) from error


def info_text(info: Info) -> str:
    """The text of info.json."""
    data = attrs.asdict(info, recurse=False) | {"features": {k: to_info(f) for k, f in info.features.items()}}
    if info.tools is None:
        del data["tools"]
    return _json(data)


def _json(data: Any) -> str:
    return json.dumps(data, indent=4, ensure_ascii=False)


# --- stats.json -------------------------------------------------------------------------------------------------------


def read_stats(root: Path) -> Stats | None:
    """Feature → statistic → array of at least one axis; None when the dataset has no stats.json."""
    path = root / layout.STATS
    if not path.exists():
        return None
    return arrays(read_json(path))


def arrays(data: Mapping[str, Mapping[str, Any]]) -> Stats:
    """Statistics from nested lists."""
    return {
        key: {name: np.atleast_1d(np.asarray(value)) for name, value in values.items()} for key, values in data.items()
    }


def stats_text(stats: Stats) -> str:
    """The text of stats.json."""
    return _json({key: {name: value.tolist() for name, value in values.items()} for key, values in stats.items()})


# --- tasks.parquet ----------------------------------------------------------------------------------------------------


def read_tasks(root: Path, info: Info) -> list[str]:
    """Task texts; a task's index is its position.

    Raises:
        DataError: the table is missing, unreadable or not in order.
    """
    if info.total_tasks == 0:
        return []
    path = root / layout.TASKS
    table = read_table(path)
    text = next((name for name in ("task", "__index_level_0__") if name in table.column_names), None)
    if text is None or "task_index" not in table.column_names:
        raise DataError(f"'{path}' has no columns 'task' and 'task_index', found {table.column_names}", path=path)
    if table["task_index"].to_pylist() != list(range(table.num_rows)):
        raise DataError(f"'{path}': row i does not hold task i in column 'task_index'", path=path)
    return table[text].to_pylist()


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """The table of tasks; its metadata makes `task` the index of a data frame, as readers with pandas expect."""
    column = {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [number | {"metadata": None}, column],
        "attributes": {},
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.3.3",
    }
    schema = pa.schema([("task_index", pa.int64()), ("task", pa.string())], metadata={"pandas": json.dumps(pandas)})
    return pa.table([list(range(len(tasks))), list(tasks)], schema=schema)


# --- episodes ---------------------------------------------------------------------------------------------------------


class Episodes(Sequence[dict[str, Any]]):
    """The table of episodes without its statistics: `episodes[3]` is a row, `episodes["length"]` a column."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def table(self) -> pa.Table:
        """All of it."""
        return self._table

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> list[dict[str, Any]]: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            column = self._table[key]
            return column.to_pylist() if pa.types.is_nested(column.type) else column.to_numpy()
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        if not -len(self) <= key < len(self):
            raise IndexError(f"episode {key} of {len(self)}")
        return self._table.slice(key % len(self), 1).to_pylist()[0]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._table.to_pylist())

    @property
    def names(self) -> list[str]:
        return self._table.column_names

    def select(self, rows: Sequence[int]) -> Episodes:
        """These rows, in this order."""
        return Episodes(self._table.take(pa.array(rows, type=pa.int64())))


def episode_table(root: Path, info: Info, *, stats: bool = True) -> pa.Table:
    """A row per committed episode, with its statistics or without.

    Raises:
        DataError: info.json counts episodes and there is no table, or one cannot be read.
    """
    folder = episodes_folder(root)
    tables = [read_table(path) if stats else _without_stats(path) for path in sorted(folder.glob("*/*.parquet"))]
    if not tables:
        if info.total_episodes:
            raise DataError(f"'{folder}' holds no table, info.json counts {info.total_episodes} episodes", path=folder)
        return pa.table({"episode_index": pa.array([], pa.int64()), "length": pa.array([], pa.int64())})
    # Rows past the count belong to an episode whose commit was cut off.
    return pa.concat_tables(tables, promote_options="default").slice(0, info.total_episodes)


def episodes_folder(root: Path) -> Path:
    """The tables of episodes that fit the frames: files being joined bring their own until both are in place."""
    with_frames = root / layout.DATA / NEW
    return with_frames if with_frames.is_dir() else root / layout.EPISODES


def read_episodes(root: Path, info: Info) -> Episodes:
    """The committed episodes, in order.

    Raises:
        DataError: fewer episodes than info.json says, a gap in their numbers, or a missing column.
    """
    table, folder = episode_table(root, info, stats=False), root / "meta" / "episodes"
    if not table.num_rows and not info.total_episodes:
        return Episodes(table)
    needed = ["episode_index", "length", "data/chunk_index", "data/file_index", "dataset_from_index"]
    needed += [f"videos/{key}/{name}" for key in info.video_keys for name in ("chunk_index", "from_timestamp")]
    if missing := [name for name in needed if name not in table.column_names]:
        raise DataError(f"'{folder}' lacks the columns {', '.join(missing)}", path=folder)
    if table["episode_index"].to_pylist() != list(range(info.total_episodes)):
        raise DataError(
            f"'{folder}' holds {table.num_rows} of the {info.total_episodes} episodes that info.json counts, or not in order",
            path=folder,
            hint="restore the folder's files",
        )
    return Episodes(table)


def _without_stats(path: Path) -> pa.Table:
    names = [name for name in read_schema(path).names if not name.startswith("stats/")]
    return read_table(path, names)


def read_schema(path: Path) -> pa.Schema:
    """Schema of a parquet file; DataError when it cannot be read."""
    return _opened(path, pq.read_schema)


def read_row_count(path: Path) -> int:
    """How many rows a parquet file has; DataError when it cannot be read."""
    return int(_opened(path, pq.read_metadata).num_rows)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A parquet file; DataError when it cannot be read."""
    return _opened(path, lambda p: pq.ParquetFile(p).read(columns=columns))


def _opened(path: Path, read: Any) -> Any:
    try:
        return read(path)
    except FileNotFoundError:
        raise DataError(f"'{path}' not found", path=path, hint="the dataset is incomplete; fetch it again") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"'{path}' cannot be read: {first_sentence(error)}", path=path, hint=RESTORE) from error
