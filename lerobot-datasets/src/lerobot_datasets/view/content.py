"""What the page shows of a dataset: episodes, numbers, texts, files and pictures. Knows no network. No torch."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader, read_columns
from lerobot_datasets.view import pictures
from lerobot_datasets.view.quality import FLAGS, Quality

_MIB = 1024**2
_KEPT = 256 * _MIB  # tables of the episodes looked at last
_MOST_VALUES = 64 * _MIB  # one feature of one episode, as it is sent
_MOST_TEXT = 4000  # characters of one text
_MOST_PIECES = 5000  # texts of one column in one episode
_MOST_ROWS = 500  # rows of the list at once


@attrs.frozen(kw_only=True)
class Wanted:
    """Which episodes the list shows.

    Attributes:
        text: part of a task's text, in any case.
        shortest: frames at least.
        longest: frames at most; any number when None.
        flags: bits of which an episode has one at least; any when 0.
    """

    text: str = ""
    shortest: int = 0
    longest: int | None = None
    flags: int = 0


class Content:
    """What is shown of one dataset.

    Args:
        reader: the dataset.
        name: what it is called.
        fetch: brings the files of an episode that are not here; None where nothing can.
    """

    def __init__(self, reader: Reader, name: str, fetch: Callable[[int], None] | None = None) -> None:
        self.reader, self.name = reader, name
        self.quality = Quality(reader)
        self._fetch, self._fetching = fetch, threading.Lock()
        self._kept = Kept(_KEPT)
        self._videos = pictures.Videos(reader)
        self._bounds = {
            key: pictures.bounds(key, feature, reader.stats) if feature.is_depth else (0.0, 0.0)
            for key, feature in reader.features.items()
            if feature.is_picture
        }

    # --- the dataset and its list of episodes ---

    def dataset(self) -> dict[str, Any]:
        """What is said of the whole dataset."""
        reader = self.reader
        lengths = np.asarray(reader.all_episodes["length"])
        return {
            "name": self.name,
            "root": str(reader.root),
            "version": reader.info.codebase_version,
            "robot": reader.info.robot_type,
            "fps": reader.fps,
            "episodes": len(lengths),
            "frames": int(lengths.sum()),
            "longest": int(lengths.max(initial=0)),
            "tasks": len(reader.tasks),
            "flags": [flag._asdict() for flag in FLAGS],
            "remote": self._fetch is not None,
            "dead": list(self._dead()),
            "series": [self._series(key, feature) for key, feature in self._numeric.items()],
        }

    def _dead(self) -> list[str]:
        """Elements of actions and states that never change in the whole dataset."""
        out = []
        for key, values in (self.reader.stats or {}).items():
            feature = self._numeric.get(key)
            if feature is None or not key.startswith(("action", "observation.")) or "min" not in values:
                continue
            names = feature.elements or []
            for element in np.flatnonzero(values["min"] == values.get("max")):
                out.append(f"{key}: {names[element] if element < len(names) else f'element {element}'}")
        return out

    @cached_property
    def _numeric(self) -> dict[str, Feature]:
        stored = columns.stored(self.reader.features)
        return {k: f for k, f in stored.items() if f.dtype not in columns.OBJECTS and k not in DEFAULT_COLUMNS}

    def _series(self, key: str, feature: Feature) -> dict[str, Any]:
        size, names = math.prod(feature.shape), feature.elements
        if names is None or len(names) != size:
            names = [",".join(map(str, i)) for i in np.ndindex(*feature.shape)] if size > 1 else [""]
        return {"key": key, "names": list(map(str, names)), "unit": feature.unit, "dtype": feature.dtype}

    @cached_property
    def _texts(self) -> list[list[str]]:
        episodes = self.reader.all_episodes
        return episodes["tasks"] if "tasks" in episodes.names else [[]] * len(episodes)

    @cached_property
    def _searched(self) -> list[str]:
        return ["\n".join(texts or ()).casefold() for texts in self._texts]

    def episodes(self, wanted: Wanted) -> np.ndarray:
        """Number, length and flags of the episodes wanted (N, 3) uint32."""
        lengths, bits = np.asarray(self.reader.all_episodes["length"]), self.quality.bits
        chosen = lengths >= wanted.shortest
        if wanted.longest is not None:
            chosen &= lengths <= wanted.longest
        if wanted.flags:
            chosen &= (bits & wanted.flags) != 0
        if wanted.text:
            part = wanted.text.casefold()
            chosen &= np.fromiter((part in text for text in self._searched), dtype=bool, count=len(lengths))
        numbers = np.flatnonzero(chosen)
        return np.stack([numbers, lengths[numbers], bits[numbers]], axis=1).astype("<u4")

    def tasks(self, numbers: Sequence[int]) -> list[list[str]]:
        """Task texts of some episodes."""
        if len(numbers) > _MOST_ROWS:
            raise DataError(f"at most {_MOST_ROWS} episodes at once, asked for {len(numbers)}")
        return [[_cut(text) for text in self._texts[self._row(n)["episode_index"]] or ()] for n in numbers]

    # --- one episode ---

    def require(self, episode: int) -> None:
        """
        Raises:
            DataError: there is no such episode.
        """
        self._row(episode)

    def _row(self, episode: int) -> dict[str, Any]:
        episodes = self.reader.all_episodes
        if not 0 <= episode < len(episodes):
            raise DataError(f"no episode {episode}", hint=f"the dataset has {len(episodes)}, counted from 0")
        return episodes[episode]

    def episode(self, episode: int) -> dict[str, Any]:
        """What is said of one episode; its files are fetched where they are not here."""
        row = self._row(episode)
        self._bring(row)
        table = self._objects(row)
        return {
            "episode": episode,
            "length": row["length"],
            "rows": [row["dataset_from_index"], row["dataset_from_index"] + row["length"]],
            "tasks": self._segments(row),
            "texts": {key: _runs(values) for key, values in table.items() if self._dtype(key) == "string"},
            "language": _language([values for key, values in table.items() if self._dtype(key) == "language"]),
            "cameras": [self._camera(key, row) for key in self.reader.info.camera_keys],
            "files": [
                {"path": path.as_posix(), "bytes": _size(self.reader.root / path)} for path in self._paths(row).values()
            ],
            "more": {k: v for k, v in row.items() if _is_extra(k) and v is not None},
        }

    def _dtype(self, key: str) -> str:
        return self.reader.features[key].dtype

    def _bring(self, row: Mapping[str, Any]) -> None:
        if self._fetch is None:
            return
        with self._fetching:
            if not all((self.reader.root / path).is_file() for path in self._paths(row).values()):
                self._fetch(row["episode_index"])

    def _paths(self, row: Mapping[str, Any]) -> dict[str, Path]:
        """Table ("") and video of each camera that hold an episode, within the dataset's folder."""
        info = self.reader.info
        out = {"": info.data_file(Place(row["data/chunk_index"], row["data/file_index"]))}
        for key in info.video_keys:
            place = Place(row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"])
            out[key] = info.video_file(place, key)
        return {key: pictures.require_within(path) for key, path in out.items()}

    def _read(self, row: Mapping[str, Any], features: Mapping[str, Feature]) -> dict[str, np.ndarray]:
        path = self.reader.root / self._paths(row)[""]
        return read_columns(path, features, [row["episode_index"]], row["length"])

    def _numbers(self, row: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        wanted = self._numeric | {"task_index": self.reader.features["task_index"]}
        return self._kept.get((row["episode_index"], ""), partial(self._read, row, wanted))

    def _objects(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        stored = columns.stored(self.reader.features)
        wanted = {key: f for key, f in stored.items() if f.dtype in ("string", "language")}
        return self._read(row, wanted) if wanted else {}

    def _segments(self, row: Mapping[str, Any]) -> list[list[Any]]:
        """Frame from which a task holds, and its text."""
        tasks = self.reader.tasks
        numbers = self._numbers(row)["task_index"]
        return _runs([tasks[i] if 0 <= i < len(tasks) else f"task {i}, which does not exist" for i in numbers.tolist()])

    def _camera(self, key: str, row: Mapping[str, Any]) -> dict[str, Any]:
        feature = self.reader.features[key]
        height, width = feature.shape[1:] if feature.channels_first else feature.shape[:2]
        played = feature.dtype == "video" and not feature.is_depth
        out = {
            "key": key,
            "played": played,
            "size": [width, height],
            "codec": (feature.info or {}).get("video.codec"),
            "bounds": list(self._bounds[key]) if feature.is_depth else None,
        }
        if feature.dtype == "video":
            start, place = row[f"videos/{key}/from_timestamp"], self._paths(row)[key]
            out |= {"from": start, "missing": not (self.reader.root / place).is_file()}
            out["place"] = [row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")]
        return out

    def values(self, episode: int, key: str) -> np.ndarray:
        """Values of a feature in an episode (length, D) float32."""
        row = self._row(episode)
        if key not in self._numeric:
            raise DataError(f"no numeric feature '{key}'")
        size = row["length"] * math.prod(self._numeric[key].shape) * 4
        if size > _MOST_VALUES:
            raise DataError(f"'{key}' takes {size / _MIB:.0f} MiB in this episode, more than can be drawn")
        found = self._numbers(row)[key]
        return found.reshape(row["length"], -1).astype("<f4")

    def video(self, camera: str, place: Place) -> Path:
        """The video file of a camera that has that place.

        Raises:
            DataError: the metadata name no such file, or it is not here.
        """
        if place not in self._places.get(camera, ()):
            raise DataError(f"no video {tuple(place)} of camera '{camera}'")
        path = self.reader.root / pictures.require_within(self.reader.info.video_file(place, camera))
        if not path.is_file():
            raise DataError(f"'{path}' is not here", hint="`lr dataset pull` brings it")
        return path

    @cached_property
    def _places(self) -> dict[str, set[Place]]:
        episodes = self.reader.all_episodes
        return {
            key: {
                Place(*both)
                for both in zip(*(episodes[f"videos/{key}/{n}_index"].tolist() for n in ("chunk", "file")), strict=True)
            }
            for key in (self.reader.info.video_keys if len(episodes) else ())
        }

    def picture(self, episode: int, camera: str, frame: int) -> tuple[bytes, str]:
        """A camera's picture as a file that browsers show, and its media type.

        Raises:
            DataError: no such episode, camera or frame, or it cannot be read.
        """
        row, feature = self._row(episode), self.reader.features.get(camera)
        if feature is None or camera not in self._bounds or not 0 <= frame < row["length"]:
            raise DataError(f"no frame {frame} of camera '{camera}' in episode {episode}")
        if feature.dtype == "video":
            time = row[f"videos/{camera}/from_timestamp"] + frame / self.reader.fps
            path = self.reader.root / self._paths(row)[camera]
            return self._videos.picture(camera, path, time, self._bounds[camera]), "image/png"
        cells = self._kept.get((episode, camera), partial(self._read, row, {camera: feature}))[camera]
        return pictures.of_cell(cells[frame]["bytes"], feature, self._bounds[camera])

    def findings(self, episode: int) -> list[dict[str, str]]:
        """What is to be said of an episode's quality, its rows and videos looked at."""
        self._bring(self._row(episode))
        return [told._asdict() for told in self.quality.told(episode)]

    def look_at_all(self) -> None:
        """Begin to look at every episode.

        Raises:
            DataError: it would fetch the whole dataset.
        """
        if self._fetch is not None:
            raise DataError("not all of this dataset is here", hint=f"`lr dataset pull {self.name}`, then view it")
        self.quality.look_at_all()


class Kept:
    """Columns that were read last, up to a number of bytes; read once, also for several who ask at a time."""

    def __init__(self, cap: int) -> None:
        self._cap, self._sizes, self._lock = cap, 0, threading.Lock()
        self._made: OrderedDict[tuple[Any, ...], tuple[Mapping[str, np.ndarray], int]] = OrderedDict()

    def get(self, key: tuple[Any, ...], read: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        with self._lock:
            if key not in self._made:
                made = read()
                self._made[key] = made, sum(map(_bytes, made.values()))
                self._sizes += self._made[key][1]
                while self._sizes > self._cap and len(self._made) > 1:
                    self._sizes -= self._made.popitem(last=False)[1][1]
            self._made.move_to_end(key)
            return self._made[key][0]


def _bytes(values: np.ndarray) -> int:
    return sum(len(cell["bytes"]) for cell in values) if values.dtype == object else values.nbytes


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _cut(text: Any) -> str:
    whole = str(text)
    return whole if len(whole) <= _MOST_TEXT else whole[:_MOST_TEXT] + " …"


def _runs(values: Sequence[Any]) -> list[list[Any]]:
    """[frame, text] wherever a text begins to hold."""
    out: list[list[Any]] = []
    last = None
    for frame, value in enumerate(values):
        if (frame == 0 or value != last) and len(out) < _MOST_PIECES:
            out.append([frame, _cut(value)])
        last = value
    return out


def _language(found: Sequence[Sequence[Sequence[Mapping[str, Any]]]]) -> list[dict[str, Any]]:
    """Utterances of all language columns in time; those that name no time are said at their frame."""
    out: dict[tuple[Any, ...], dict[str, Any]] = {}
    for column in found:
        for frame, cell in enumerate(column):
            for entry in cell:
                time = entry.get("timestamp")
                one = {
                    "frame": frame if time is None else None,
                    "time": time,
                    "style": entry.get("style"),
                    "role": entry.get("role"),
                    "camera": entry.get("camera"),
                    "text": _cut(entry["content"]) if entry.get("content") is not None else _called(entry),
                }
                if len(out) < _MOST_PIECES:
                    out.setdefault(tuple(one.values()), one)
    return list(out.values())


def _called(entry: Mapping[str, Any]) -> str:
    """Tool calls as text: what is said aloud, else the function and its arguments."""
    said = []
    for call in entry.get("tool_calls") or ():
        function = call.get("function", {}) if isinstance(call, Mapping) else {}
        given = function.get("arguments")
        spoken = given.get("text") if isinstance(given, Mapping) else None
        said.append(str(spoken) if spoken is not None else f"{function.get('name')}({given})")
    return _cut(" / ".join(said))


_KNOWN = ("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index")


def _is_extra(name: str) -> bool:
    """Whether a column of the table of episodes is none of the format's own."""
    return name not in _KNOWN and not name.startswith(("data/", "videos/", "meta/", "stats/"))
