"""Records into a v3.0 folder. After every `save_episode` the folder is a whole, valid dataset; numpy, no torch.

Pictures are encoded while recording, on a thread per camera. What an episode changes is written beside the dataset and
takes its place at once (`journal`), so a killed recording loses the running episode only.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns, stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.frame import checked, complete
from lerobot_datasets.v3.journal import STAGING, Commit, recover
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.video import encode
from lerobot_datasets.video.stream import PictureStream, Recorded, png_stream, video_stream

logger = logging.getLogger(__name__)


@attrs.define
class _Open:
    """A file that takes more episodes.

    Attributes:
        place: which one.
        frames: frames in it.
        end: where its last episode ends [s]; videos only.
    """

    place: Place
    frames: int = 0
    end: float = 0.0


class Writer:
    """Adds episodes to a dataset. Made by `create` or `resume`.

    Attributes:
        dropped: camera → pictures dropped by a full queue, in all episodes saved by this writer.
    """

    def __init__(self, root: Path, info: Info, encoder: EncoderConfig) -> None:
        self.root = root
        self._info = info
        self._encoder = encoder
        self._tasks = {task: i for i, task in enumerate(metadata.read_tasks(root, info))}
        self._stats = metadata.read_stats(root)
        if info.total_episodes and self._stats is None:
            path = root / layout.STATS
            raise DataError(
                f"'{path}' not found, so it cannot be brought up to date", path=path, hint="restore the file"
            )
        self._next = _next_places(root, info)
        self._files: dict[str, _Open] = {}
        self._episodes: pa.Table | None = None
        self.dropped = dict.fromkeys(info.camera_keys, 0)
        self._closed = False
        self._begin()

    @classmethod
    def create(
        cls,
        root: Path,
        features: Mapping[str, Feature],
        fps: int,
        *,
        robot_type: str | None = None,
        encoder: EncoderConfig | None = None,
        data_files_size_in_mb: int = 100,
        video_files_size_in_mb: int = 200,
    ) -> Writer:
        """A new dataset.

        Raises:
            DataError: the folder is not empty, or fps is not above 0.
            FeatureError: a feature cannot be stored.
        """
        if root.exists() and any(root.iterdir()):
            raise DataError(
                f"folder '{root}' is not empty",
                path=root,
                hint="choose another repo_id or root, or resume the recording",
            )
        if fps <= 0:
            raise DataError(f"fps is above 0, got {fps}")
        encoder = encoder or EncoderConfig()
        encode.encoder_name(encoder.vcodec)
        info = Info(
            fps=fps,
            features=complete(features),
            robot_type=robot_type,
            video_path=layout.VIDEO_PATH if any(f.dtype == "video" for f in features.values()) else None,
            data_files_size_in_mb=data_files_size_in_mb,
            video_files_size_in_mb=video_files_size_in_mb,
        )
        root.mkdir(parents=True, exist_ok=True)
        commit = Commit(root)
        commit.write_text(layout.INFO, metadata.info_text(info))
        commit.publish()
        return cls(root, info, encoder)

    @classmethod
    def resume(cls, root: Path, *, encoder: EncoderConfig | None = None) -> Writer:
        """More episodes for an existing dataset; they go to new files.

        Raises:
            DataError: no such dataset, or it is incomplete.
        """
        recover(root)
        info = metadata.read_info(root)
        complete({key: f for key, f in info.features.items() if key not in DEFAULT_COLUMNS})
        encoder = encoder or EncoderConfig()
        encode.encoder_name(encoder.vcodec)
        return cls(root, info, encoder)

    def require(self, features: Mapping[str, Feature], fps: int, robot_type: str | None) -> None:
        """Check that what will be recorded is what the dataset holds; a robot without a name passes.

        Raises:
            DataError: lists every difference.
        """
        info, problems = self._info, []
        if fps != info.fps:
            problems.append(f"fps is {fps}, the dataset's is {info.fps}")
        if robot_type is not None and robot_type != info.robot_type:
            problems.append(f"robot_type is '{robot_type}', the dataset's is '{info.robot_type}'")
        mine = {key: f for key, f in info.features.items() if key not in DEFAULT_COLUMNS}
        for key in dict.fromkeys([*mine, *features]):
            have, want = mine.get(key), features.get(key)
            if have is None or want is None:
                problems.append(f"feature '{key}' is {'not in the dataset' if have is None else 'not recorded'}")
            elif _identity(have) != _identity(want):
                problems.append(f"feature '{key}' is {_identity(want)}, the dataset's is {_identity(have)}")
        if problems:
            raise DataError(
                f"the dataset in '{self.root}' differs: " + "; ".join(problems),
                path=self.root,
                hint="record with the same robot and rate, or to a new dataset",
            )

    @property
    def features(self) -> Mapping[str, Feature]:
        return self._info.features

    @property
    def num_episodes(self) -> int:
        return self._info.total_episodes

    # --- the running episode ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """An empty episode. Encoders start now: opening one takes longer than a tick of the control loop."""
        self._length = 0
        self._rows: dict[str, list[Any]] = {
            key: [] for key, f in self.features.items() if not f.is_picture and key not in DEFAULT_COLUMNS
        }
        self._task_rows: list[str] = []
        self._streams = {key: self._stream(key) for key in self._info.camera_keys}

    def _stream(self, key: str) -> PictureStream:
        feature = self.features[key]
        if feature.dtype == "image":
            return png_stream(key, self._encoder)
        path = self.root / STAGING / "episode" / f"{key}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = feature.shape[1:] if feature.channels_first else feature.shape[:2]
        return video_stream(path, size, self._info.fps, self._encoder)

    def add(self, frame: Mapping[str, Any], *, task: str, stamps: Mapping[str, int] | None = None) -> None:
        """One frame in dataset names. Never waits for an encoder: see `dropped`.

        Args:
            frame: every feature but the default ones; pictures (H, W, C) or (C, H, W), uint8 or floats in [0, 1].
            task: what is done, in a sentence.
            stamps: taken for the role's sake; the format has a grid of frames only and no place for them.

        Raises:
            DataError: a key is missing, unknown, or holds the wrong dtype or shape; or an encoder failed.
        """
        if self._closed:
            raise DataError(f"the recording in '{self.root}' is finalized", path=self.root, hint="resume it")
        if not isinstance(task, str):
            raise DataError(f"the task is a sentence, got {task!r}")
        values = checked(frame, self.features)
        for key, value in values.items():
            if self.features[key].is_picture:
                self._streams[key].add(self._length, value)
            else:
                self._rows[key].append(value)
        self._task_rows.append(task)
        self._length += 1

    def discard(self) -> None:
        """Forget the running episode."""
        self._stop()
        self._begin()

    def finalize(self) -> None:
        """Close the dataset; idempotent. The running episode is discarded."""
        if not self._closed:
            self._stop()
            self._closed = True

    def _stop(self) -> None:
        for stream in self._streams.values():
            stream.cancel()
        shutil.rmtree(self.root / STAGING, ignore_errors=True)

    # --- committing ---------------------------------------------------------------------------------------------------

    def save_episode(self) -> int:
        """Commit the running episode; returns its index.

        Raises:
            DataError: it has no frames, or an encoder failed. The episode is then lost, the dataset is as before.
        """
        if not self._length:
            raise DataError("there is no frame to save", hint="add frames before save_episode")
        try:
            recorded = {key: stream.finish(self._length) for key, stream in self._streams.items()}
            return self._commit(recorded)
        finally:
            self.discard()

    def _commit(self, recorded: Mapping[str, Recorded]) -> int:
        info, number = self._info, self._info.total_episodes
        tasks = dict(self._tasks)
        for task in self._task_rows:
            tasks.setdefault(task, len(tasks))
        values = self._columns(tasks, recorded)
        numeric = values | {"timestamp": np.arange(self._length) / info.fps}  # double, as the ecosystem's statistics
        episode = stats.episode_stats(numeric, info.features, {key: r.stats for key, r in recorded.items()})
        total = stats.aggregate([self._stats, episode]) if self._stats else episode

        commit = Commit(self.root)
        files = {key: self._append_video(commit, key) for key in info.video_keys}
        files[""] = self._append_data(commit, values)
        info = attrs.evolve(
            info,
            features=self._described(commit, files),
            total_episodes=number + 1,
            total_frames=info.total_frames + self._length,
            total_tasks=len(tasks),
            splits={"train": f"0:{number + 1}"},
        )
        episodes = self._append_episode(commit, self._row(files, list(dict.fromkeys(self._task_rows)), episode))
        if len(tasks) > len(self._tasks):
            pq.write_table(metadata.tasks_table(list(tasks)), commit.stage(layout.TASKS))
        commit.write_text(layout.STATS, metadata.stats_text(total))
        commit.write_text(layout.INFO, metadata.info_text(info))
        commit.publish()

        self._info, self._tasks, self._stats, self._files, self._episodes = info, tasks, total, files, episodes
        for key, result in recorded.items():
            self.dropped[key] += result.dropped
            if result.dropped:
                logger.warning("episode %d: %d pictures of '%s' dropped", number, result.dropped, key)
        return number

    def _columns(self, tasks: Mapping[str, int], recorded: Mapping[str, Recorded]) -> dict[str, Any]:
        """Every stored column of the episode, in the order of the features."""
        length, info = self._length, self._info
        frame = np.arange(length, dtype=np.int64)
        defaults = {
            "timestamp": (frame / info.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(length, info.total_episodes),
            "index": frame + info.total_frames,
            "task_index": np.array([tasks[task] for task in self._task_rows], dtype=np.int64),
        }
        cells = {key: result.file.cells for key, result in recorded.items() if info.features[key].dtype == "image"}
        rows = {
            key: values if info.features[key].dtype == "string" else np.stack(values)
            for key, values in self._rows.items()
        }
        found = rows | defaults | cells
        return {key: found[key] for key in columns.stored(info.features)}

    def _append_data(self, commit: Commit, values: Mapping[str, Any]) -> _Open:
        features = columns.stored(self._info.features)
        arrays = [columns.to_arrow(values[key], key, feature) for key, feature in features.items()]
        table = pa.Table.from_arrays(arrays, schema=columns.schema(self._info.features))
        current = self._files.get("")
        if current is not None:
            size = (self.root / self._info.data_file(current.place)).stat().st_size / MIB
            if size + size / current.frames * self._length >= self._info.data_files_size_in_mb:
                current = None
        if current is None:
            current = _Open(self._take(""))
            _write_groups(commit.stage(self._info.data_file(current.place)), table)
        else:
            name = self._info.data_file(current.place)
            _write_groups(commit.stage(name), table, after=self.root / name)
        return attrs.evolve(current, frames=current.frames + self._length)

    def _append_video(self, commit: Commit, key: str) -> _Open:
        episode = self.root / STAGING / "episode" / f"{key}.mp4"
        seconds = encode.duration(episode)
        current = self._files.get(key)
        if current is not None:
            name = self._info.video_file(current.place, key)
            size = ((self.root / name).stat().st_size + episode.stat().st_size) / MIB
            if size < self._info.video_files_size_in_mb:
                at = Fraction(current.frames, self._info.fps)
                encode.append(self.root / name, episode, at, commit.stage(name))
                return attrs.evolve(current, frames=current.frames + self._length, end=current.end + seconds)
        place = self._take(key)
        episode.rename(commit.stage(self._info.video_file(place, key)))
        return _Open(place, self._length, seconds)

    def _take(self, key: str) -> Place:
        """The next unused file of the data (`""`) or of a camera."""
        current = self._files.get(key)
        return current.place.next(self._info.chunks_size) if current else self._next[key]

    def _append_episode(self, commit: Commit, row: dict[str, Any]) -> pa.Table:
        place = self._next["episodes"]
        row |= {"meta/episodes/chunk_index": place.chunk, "meta/episodes/file_index": place.file}
        table = pa.Table.from_pydict({key: [value] for key, value in row.items()})
        if self._episodes is not None:
            table = pa.concat_tables([self._episodes, table.cast(self._episodes.schema)])
        pq.write_table(table, commit.stage(place.path(layout.EPISODES_PATH)))
        return table

    def _row(self, files: Mapping[str, _Open], tasks: list[str], episode: stats.Stats) -> dict[str, Any]:
        start = self._info.total_frames
        row: dict[str, Any] = {
            "episode_index": self._info.total_episodes,
            "tasks": tasks,
            "length": self._length,
            "data/chunk_index": files[""].place.chunk,
            "data/file_index": files[""].place.file,
            "dataset_from_index": start,
            "dataset_to_index": start + self._length,
        }
        for key in self._info.video_keys:
            place, before = files[key].place, self._files.get(key)
            row |= {
                f"videos/{key}/chunk_index": place.chunk,
                f"videos/{key}/file_index": place.file,
                f"videos/{key}/from_timestamp": before.end if before and before.place == place else 0.0,
                f"videos/{key}/to_timestamp": files[key].end,
            }
        for key, values in episode.items():
            row |= {f"stats/{key}/{name}": values[name].tolist() for name in stats.NAMES}
        return row

    def _described(self, commit: Commit, files: Mapping[str, _Open]) -> Mapping[str, Feature]:
        """The features; after the first episode those of videos say what their streams are."""
        if self._info.total_episodes:
            return self._info.features
        out = dict(self._info.features)
        for key in self._info.video_keys:
            path = commit.staged(self._info.video_file(files[key].place, key))
            out[key] = attrs.evolve(out[key], info=encode.describe(path, self._encoder))
        return out


def _write_groups(target: Path, table: pa.Table, after: Path | None = None) -> None:
    """Write a table as one row group, after those of an existing file."""
    with pq.ParquetWriter(target, table.schema) as out:
        if after is not None:
            source = pq.ParquetFile(after)
            for group in range(source.num_row_groups):
                out.write_table(source.read_row_group(group).cast(table.schema))
        out.write_table(table)


def _next_places(root: Path, info: Info) -> dict[str, Place]:
    """The first unused file of the data (`""`), each camera and the episodes."""
    keys = ["", *info.video_keys, "episodes"]
    if not info.total_episodes:
        return dict.fromkeys(keys, Place())
    rows = metadata.read_episodes(root, info)
    prefix = {"": "data", "episodes": "meta/episodes"}
    out = {}
    for key in keys:
        name = prefix.get(key, f"videos/{key}")
        used = zip(rows[f"{name}/chunk_index"].tolist(), rows[f"{name}/file_index"].tolist(), strict=True)
        out[key] = Place(*max(used)).next(info.chunks_size)
    return out


def _identity(feature: Feature) -> str:
    names = feature.names if feature.names is None or isinstance(feature.names, Mapping) else list(feature.names)
    return f"{feature} {names or ''}".strip()
