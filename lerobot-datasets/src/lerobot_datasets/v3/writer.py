"""Records into a v3.0 folder. After every `save_episode` the folder is a whole, valid dataset; numpy, no torch.

Pictures are encoded while recording, in a process per camera. What an episode changes is written beside the dataset and
takes its place at once (`committed`), so a killed recording loses the running episode only. In the end the small files of
the episodes are joined (`compact`).
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import compact, journal, layout, metadata, running
from lerobot_datasets.v3.committed import Committed, Episode
from lerobot_datasets.v3.frame import checked, complete
from lerobot_datasets.v3.journal import STAGING, Commit
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.v3.stamps import Stamps, names, of_frame
from lerobot_datasets.video import depth, encode
from lerobot_datasets.video.stream import PictureStream, Recorded

logger = logging.getLogger(__name__)


class Writer:
    """Adds episodes to a dataset. Made by `create` or `resume`; no other can be made until it is finalized.

    Args:
        root: folder of the dataset.
        encoder: how to encode pictures.
    """

    def __init__(self, root: Path, encoder: EncoderConfig) -> None:
        self.root = root
        self._encoder = encoder
        self._claim = journal.Claim(root)
        self._closed = self._failed = False
        self._delay: Mapping[str, int] = {}
        self._streams: dict[str, PictureStream] = {}
        try:
            journal.recover(root)
            self._committed = Committed(root, metadata.read_info(root), encoder)
            complete({key: f for key, f in self.features.items() if key not in DEFAULT_COLUMNS})
            left = running.left(root, self._committed.info)
            self._names = names(self.features)
            for key in self._committed.info.camera_keys:
                camera = running.camera(key, self._committed.info, encoder)
                self._streams[key] = PictureStream(camera, holds=self._claim.handle)
        except BaseException:
            self._claim.release()
            raise
        if left:
            logger.warning("'%s' holds %d unfinished episodes; `lr dataset repair` offers them", root, len(left))
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
            DataError: it is a file, or a folder that is not empty; or fps is not above 0.
            FeatureError: a feature cannot be stored.
        """
        if root.is_file():
            raise DataError(f"'{root}' is a file, not a folder", path=root, hint="choose another root")
        files = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
        if any(path.parts[0] != STAGING.name for path in files):  # folders alone are of a recording killed at once
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
        shutil.rmtree(root / STAGING, ignore_errors=True)  # of a recording killed before there was a dataset
        commit = Commit(root)
        commit.write_text(layout.INFO, metadata.info_text(info))
        commit.publish()
        return cls(root, encoder)

    @classmethod
    def resume(cls, root: Path, *, encoder: EncoderConfig | None = None) -> Writer:
        """More episodes for an existing dataset; they go to new files.

        Raises:
            DataError: no such dataset, or it is incomplete.
        """
        encoder = encoder or EncoderConfig()
        encode.encoder_name(encoder.vcodec)
        metadata.read_info(root)
        return cls(root, encoder)

    def require(self, features: Mapping[str, Feature], fps: int, robot_type: str | None) -> None:
        """Check that what will be recorded is what the dataset holds; a robot without a name passes.

        Raises:
            DataError: lists every difference.
        """
        info, problems = self._committed.info, []
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
        return self._committed.info.features

    @property
    def num_episodes(self) -> int:
        return self._committed.info.total_episodes

    @property
    def dropped(self) -> Mapping[str, int]:
        """Camera → pictures dropped by a full queue, in all episodes that this writer committed and kept."""
        return self._committed.dropped

    @property
    def delay(self) -> Mapping[str, int]:
        """Camera → pictures that its encoder at most had taken and not given out, in the episode committed last."""
        return self._delay

    # --- the running episode ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """An empty episode. Encoders start now: opening one takes longer than a tick of the control loop."""
        self._rows: dict[str, list[Any]] = {key: [] for key in running.row_keys(self.features)}
        self._tasks: list[str] = []
        self._stamps: list[Stamps] = []
        self._stamped = False
        self._units: dict[str, depth.Unit] = {}
        with self._writing():
            self._journal = running.Rows(self._folder, self.features, self._encoder)
        for stream in self._streams.values():
            stream.begin(self._folder)

    @property
    def _folder(self) -> Path:
        return self.root / journal.EPISODE

    def add(self, frame: Mapping[str, Any], *, task: str, stamps: Mapping[str, int] | None = None) -> None:
        """One frame in dataset names. Never waits for an encoder: see `dropped`.

        Args:
            frame: every feature but the default ones; pictures (H, W, C) or (C, H, W), uint8 or floats in [0, 1]; depth
                (H, W, 1) uint16 [mm] or float32 [m].
            task: what is done, in a sentence.
            stamps: when values were measured, by feature, the robot's name of a part, or any other name: monotonic [ns];
                `timestamp` is the time of the frame itself. Kept beside the frames (`v3.stamps`).

        Raises:
            DataError: a key is missing, unknown, or holds the wrong dtype or shape; or an encoder failed, and
                `lr dataset repair` offers the episode once the recording is finalized.
        """
        now = time.monotonic_ns()
        if self._closed:
            raise DataError(f"the recording in '{self.root}' is finalized", path=self.root, hint="resume it")
        if not isinstance(task, str):
            raise DataError(f"the task is a sentence, got {task!r}")
        values = checked(frame, self.features)
        for key, stream in self._streams.items():
            if stream.camera.depth is not None:
                self._measured_in(key, values[key].dtype)
        index = len(self._tasks)
        with self._writing():
            kept = {key: stream.add(index, values[key]) for key, stream in self._streams.items()}
            times = of_frame(stamps, now, kept, self._names)
            self._journal.add(values, task, times)
        for key, column in self._rows.items():
            column.append(values[key])
        self._tasks.append(task)
        self._stamps.append(times)
        self._stamped = self._stamped or bool(stamps) or not all(kept.values())

    def _measured_in(self, key: str, dtype: Any) -> None:
        """A depth camera keeps its unit: floats are metres, whole numbers millimetres."""
        unit: depth.Unit = "m" if dtype.kind == "f" else "mm"
        known = self._units.get(key) or (self.features[key].info or {}).get("depth_unit") or unit
        if unit != known:
            raise DataError(f"depth camera '{key}' gives {unit} ({dtype}), before it gave {known}")
        if key not in self._units:
            running.unit_file(self._folder, key).write_text(unit, encoding="utf-8")
            self._units[key] = unit

    def discard(self) -> None:
        """Forget the running episode."""
        self._stop(keep=False)
        self._begin()

    def finalize(self) -> None:
        """Close the dataset and join its small files; idempotent. The running episode is discarded, but one whose
        encoder failed, or that found the disk full, is kept for `lr dataset repair`. Interrupted while it joins, the
        dataset is whole, and joined another time.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._stop(keep=self._failed)
            for stream in self._streams.values():
                stream.close()
            compact.tidy(self.root, self._committed.info)
        finally:
            self._claim.release()

    def _stop(self, *, keep: bool) -> None:
        for stream in self._streams.values():
            stream.cancel()
        self._journal.close()
        if keep:
            journal.set_aside(self.root)
        self._failed = False
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- committing ---------------------------------------------------------------------------------------------------

    def save_episode(self) -> int:
        """Commit the running episode; returns its index.

        Raises:
            DataError: it has no frames; or an encoder failed or the disk is full, and `lr dataset repair` offers it.
                The dataset is then as before.
        """
        if not self._tasks:
            raise DataError("there is no frame to save", hint="add frames before save_episode")
        recorded: dict[str, Recorded] = {}

        def pictures() -> Mapping[str, Recorded]:
            recorded.update({key: stream.finish() for key, stream in self._streams.items()})
            return recorded

        try:
            with self._writing():
                for stream in self._streams.values():
                    stream.ask(len(self._tasks))
                number = self._committed.add(self._episode(pictures))
        finally:
            self._stop(keep=self._failed)
            self._begin()
        self._delay = {key: result.delay for key, result in recorded.items()}
        for key, result in recorded.items():
            if result.dropped:
                logger.warning("episode %d: %d pictures of '%s' dropped", number, result.dropped, key)
        return number

    def _episode(self, pictures: Callable[[], Mapping[str, Recorded]]) -> Episode:
        clips = {key: self._streams[key].camera.file(self._folder) for key in self._committed.info.video_keys}
        times = self._stamps if self._stamped else None
        source = self._folder / journal.ROWS
        return Episode(self._rows, self._tasks, pictures, clips, self._units, times, source)

    def undo(self) -> int:
        """Take back the episode committed last, without a trace; returns the index it had. The running one stays.

        Raises:
            DataError: this writer has committed none since it was made or last took one back.
        """
        return self._committed.undo()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What goes wrong in here ends the episode, which is then kept for `lr dataset repair`."""
        try:
            yield
        except DataError:
            self._failed = True
            raise
        except OSError as error:
            self._failed = True
            kept = f"the {self.num_episodes} episodes committed are intact"
            raise DataError(
                f"'{self.root}' cannot be written: {error.strerror or error}; {kept}",
                path=self.root,
                hint="free space on the disk, then resume",
            ) from error


def _identity(feature: Feature) -> str:
    names = feature.names if feature.names is None or isinstance(feature.names, Mapping) else list(feature.names)
    return f"{feature} {names or ''}".strip()
