"""`LeRobotDataset`: a v3.0 or v2.x folder as a map-style torch dataset that can also be recorded to. Torch begins here.

A batch is made at once: windows are sliced from columns in memory, and the frames of each video are decoded in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch

from lerobot_core.errors import DataError
from lerobot_core.features import Feature, from_info
from lerobot_datasets import card, hub, publish, windows
from lerobot_datasets.batches import Batches, Items, collate, from_start
from lerobot_datasets.cache import Cache
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.meta import Described, LeRobotDatasetMetadata
from lerobot_datasets.sampler import EpisodeAwareSampler
from lerobot_datasets.transforms import change
from lerobot_datasets.v3.layout import local_root
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.rows import Rows
from lerobot_datasets.video import decode, depth
from lerobot_datasets.video.packets import PacketTable, Tables

if TYPE_CHECKING:
    from lerobot_datasets.v3.writer import Writer

#: What a dataset reads of its folder, once.
_READ = ("_reader", "meta", "_deltas", "_rows", "_batches")


class LeRobotDataset(Described, torch.utils.data.Dataset):
    """Frames of a dataset with windows of neighbouring frames, by row.

    An item holds videos, then the table's columns, each in the order of the features, then `<key>_is_pad` for every key
    of `delta_timestamps`, then `task`. Vectors are float32 (D,), scalars have no axes, pictures are float32 (C, H, W) in
    [0, 1], depth is float32 (1, H, W); a key of `delta_timestamps` has the window as first axis, except for a picture
    with a single offset.

    Args:
        repo_id: name of the dataset.
        root: its folder; the one of `repo_id` under $HF_LEROBOT_HOME when not given.
        episodes: which episodes; all when not given.
        image_transforms: applied to the pictures of each camera of an item, depth excepted; `ImageTransforms` to a batch.
        delta_timestamps: key → offsets of the window [s], multiples of 1 / fps.
        tolerance_s: how far an offset may be from a multiple, and a video's frame from its time [s].
        revision: version tag, branch or commit on the Hub.
        force_cache_sync: fetch the dataset even if it is there.
        download_videos: fetch the videos too.
        video_backend: pyav or torchcodec; pyav when not given.
        return_uint8: give the pictures of videos as uint8, except for depth.
        depth_output_unit: unit of depth pictures and their statistics, mm or m.
        video_cache_mb: what open decoders and recent frames of this process may take together, 128 at first [MiB].

    Raises:
        DataError: no such dataset, it is incomplete, or an argument does not fit it.
    """

    def __init__(
        self,
        repo_id: str,
        root: str | Path | None = None,
        episodes: Sequence[int] | None = None,
        image_transforms: Callable[[torch.Tensor], torch.Tensor] | None = None,
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        tolerance_s: float = 1e-4,
        revision: str | None = None,
        force_cache_sync: bool = False,
        download_videos: bool = True,
        video_backend: str | None = None,
        return_uint8: bool = False,
        depth_output_unit: depth.Unit = "mm",
        video_cache_mb: int | None = None,
    ) -> None:
        patterns = None if download_videos else ["meta/*", "data/*"]
        self.root = hub.locate(repo_id, root, revision, patterns=patterns, episodes=episodes, force=force_cache_sync)
        self.repo_id, self.revision, self.selected = repo_id, revision, episodes
        self.image_transforms, self.tolerance_s, self.return_uint8 = image_transforms, tolerance_s, return_uint8
        self.delta_timestamps = dict(delta_timestamps or {})
        self._video_backend, self._depth_output_unit = video_backend, depth_output_unit
        self._video_cache_mb = video_cache_mb
        self._load()
        if download_videos:
            self._reader.require_videos()
        _ = self._deltas, self._rows  # what is wrong is said now

    def _load(self, writer: Writer | None = None) -> None:
        """What was read is old; it is read again when it is wanted, which a recording seldom does."""
        self._writer = writer
        # What grows with every episode is not worth keeping.
        self._cache = None if writer else Cache(self.root)
        for name in _READ:
            self.__dict__.pop(name, None)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.root, self.selected, self._depth_output_unit, self._cache)

    @cached_property
    def meta(self) -> LeRobotDatasetMetadata:
        """What the dataset says of itself."""
        return LeRobotDatasetMetadata.of(self._reader, self.repo_id, self.revision)

    @cached_property
    def _deltas(self) -> dict[str, np.ndarray]:
        return windows.frame_deltas(self.delta_timestamps, self.features, self.fps, self.tolerance_s)

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self._reader, self._cache, self.tolerance_s)

    @cached_property
    def _batches(self) -> Batches:
        tables = Tables(self._cache) if self._cache else PacketTable.of
        cap = None if self._video_cache_mb is None else self._video_cache_mb << 20
        backend = decode.choose(self._video_backend if self.meta.video_keys else None)
        videos = decode.VideoReader(backend, self.tolerance_s, tables=tables, cap=cap)
        return Batches(self._reader, self._rows, videos, self._deltas, self.return_uint8)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process opens the dataset itself: it maps what the cache holds, and nothing open crosses over.
        return {name: value for name, value in self.__dict__.items() if name not in ("_writer", "_cache", *_READ)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load()

    # --- reading ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return list(self.__getitems__(range(*index.indices(len(self)))))
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Items:
        """The items at these rows, made at once.

        Raises:
            IndexError: a row does not exist.
            DataError: a video is missing or does not fit.
        """
        rows = from_start(indices, len(self))
        batch = self._batches.make(rows)
        if self.image_transforms is not None:
            for key in self.meta.camera_keys:
                if not self._reader.features[key].is_depth:
                    batch[key] = change(
                        self.image_transforms, batch[key], [self.meta.camera_keys.index(key), *rows.tolist()]
                    )
        return Items(batch, len(rows))

    def sampler(
        self,
        seed: int = 0,
        shuffle: bool = True,
        drop_first: int = 0,
        drop_last: int = 0,
        rank: int = 0,
        world: int = 1,
        order: str = "permutation",
    ) -> EpisodeAwareSampler:
        """Order of this dataset's rows; see `EpisodeAwareSampler`."""
        ends = np.cumsum(self.episodes["length"])
        return EpisodeAwareSampler(
            ends - self.episodes["length"],
            ends,
            drop_n_first_frames=drop_first,
            drop_n_last_frames=drop_last,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world=world,
            order=order,
        )

    @staticmethod
    def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch of items: tensors stacked, everything else as lists."""
        return collate(items)

    # --- recording ----------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        repo_id: str,
        fps: int,
        features: Mapping[str, Feature | Mapping[str, Any]],
        root: str | Path | None = None,
        robot_type: str | None = None,
        use_videos: bool = True,
        tolerance_s: float = 1e-4,
        video_backend: str | None = None,
        vcodec: str = "libsvtav1",
        encoder: EncoderConfig | None = None,
    ) -> LeRobotDataset:
        """A new, empty dataset to record to; what is saved can be read at once.

        Args:
            repo_id: name of the dataset.
            fps: frames per second.
            features: what `add_frame` will be given; default columns are added.
            root: folder to make; the one of `repo_id` under $HF_LEROBOT_HOME when not given.
            robot_type: name of the robot.
            use_videos: encode pictures as videos; otherwise they are stored in the tables as PNG, depth as TIFF.
            tolerance_s: as for reading.
            video_backend: decoder for reading.
            vcodec: video encoder.
            encoder: all options of the encoder; `vcodec` is then ignored. Without it, `add_frame` waits when the
                encoder is behind instead of dropping a picture.

        Raises:
            DataError: the folder holds a dataset already.
            FeatureError: a feature cannot be stored.
        """
        known = {key: f if isinstance(f, Feature) else from_info(f) for key, f in features.items()}
        stored_as = "video" if use_videos else "image"
        known = {key: attrs.evolve(f, dtype=stored_as) if f.is_picture else f for key, f in known.items()}
        folder = local_root(repo_id, root)
        encoding = encoder or EncoderConfig(vcodec=vcodec, when_full="wait")
        from lerobot_datasets.v3.writer import Writer  # recording only: the import takes a while

        writer = Writer.create(folder, known, fps, robot_type=robot_type, encoder=encoding)
        return cls._recording(repo_id, folder, writer, tolerance_s, video_backend)

    @classmethod
    def resume(
        cls,
        repo_id: str,
        root: str | Path,
        tolerance_s: float = 1e-4,
        video_backend: str | None = None,
        vcodec: str = "libsvtav1",
        encoder: EncoderConfig | None = None,
    ) -> LeRobotDataset:
        """An existing dataset to record more episodes to.

        Raises:
            DataError: no such dataset, or it cannot be extended.
        """
        folder = local_root(repo_id, root)
        from lerobot_datasets.v3.writer import Writer

        writer = Writer.resume(folder, encoder=encoder or EncoderConfig(vcodec=vcodec, when_full="wait"))
        return cls._recording(repo_id, folder, writer, tolerance_s, video_backend)

    @classmethod
    def _recording(
        cls, repo_id: str, root: Path, writer: Writer, tolerance_s: float, video_backend: str | None
    ) -> LeRobotDataset:
        dataset = cls(repo_id, root, tolerance_s=tolerance_s, video_backend=video_backend)
        dataset._load(writer)
        return dataset

    @property
    def writer(self) -> Writer:
        """What records; DataError when the dataset was opened for reading."""
        if self._writer is None:
            raise DataError(
                f"'{self.repo_id}' is open for reading", hint="use LeRobotDataset.create or LeRobotDataset.resume"
            )
        return self._writer

    def add_frame(self, frame: Mapping[str, Any]) -> None:
        """Add a frame to the running episode: every feature but the default ones, and the `task` text.

        Raises:
            DataError: a key is missing, unknown, or holds the wrong dtype or shape.
        """
        writer, values = self.writer, dict(frame)
        if "task" not in values:
            raise DataError("the frame has no 'task'", hint="add the sentence that says what is done")
        writer.add(values, task=values.pop("task"))

    def save_episode(self) -> int:
        """Commit the running episode; returns its index. It can be read at once."""
        index = self.writer.save_episode()
        self._load(self._writer)
        return index

    def clear_episode_buffer(self) -> None:
        """Forget the running episode."""
        self.writer.discard()

    def finalize(self) -> None:
        """Close the recording and join its small files; idempotent."""
        if self._writer is not None:
            self._writer.finalize()
            self._load(self._writer)

    def push_to_hub(
        self,
        branch: str | None = None,
        tags: Sequence[str] | None = None,
        license: str = card.LICENSE,
        push_videos: bool = True,
        private: bool | None = None,
    ) -> str:
        """Push the dataset as `repo_id` to the Hub and return its address; ends a recording.

        Args:
            branch: branch to push to; the default branch when not given.
            tags: tags named in the card beside `LeRobot`.
            license: licence named in the card.
            push_videos: send the videos too.
            private: who may see a repository that is created: only its owner, everybody, or as the owner has set.

        Raises:
            DataError: the dataset is not whole, the Hub refused, or the connection broke.
        """
        self.finalize()
        what = publish.plan(self.root, self.repo_id, license=license, tags=tags or (), videos=push_videos)
        return publish.push(what, private=private, branch=branch)
