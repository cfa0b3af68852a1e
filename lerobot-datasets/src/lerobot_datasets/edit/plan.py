"""What an edit does, as data: which frames of which episodes become which episodes of the new dataset. *Pure.*"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from lerobot_core.errors import DataError, did_you_mean, few
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns, config
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.v3.reader import Reader

#: How a video was encoded, as opposed to what it is: may differ between datasets that are merged.
_ENCODER = ("g", "crf", "preset", "fast_decode", "extra_options", "video_backend")

#: How files of the sources become files of the new dataset: episodes fill one after the other, whole files are joined
#: while they fit together, or each stays a file of its own.
Filling = Literal["filled", "joined", "kept"]

#: Columns that say where an episode is, not what is in it: their statistics rarely outlive an edit.
POSITIONS = frozenset({"index", "episode_index", "task_index"})


@attrs.frozen(kw_only=True)
class Source:
    """What planning needs of a dataset.

    Attributes:
        root: its folder.
        info: its info.json.
        tasks: its task texts, by index.
        lengths: frames of each episode.
        reader: the dataset where it is open, so that it is not opened again.
    """

    root: Path
    info: Info
    tasks: tuple[str, ...]
    lengths: tuple[int, ...]
    reader: Reader | None = attrs.field(default=None, eq=False, repr=False)

    @classmethod
    def of(cls, reader: Reader) -> Source:
        """The metadata of a dataset that is open."""
        lengths = tuple(int(length) for length in reader.all_episodes["length"])
        return cls(root=reader.root, info=reader.info, tasks=tuple(reader.tasks), lengths=lengths, reader=reader)

    @property
    def frames(self) -> int:
        return sum(self.lengths)


@attrs.frozen(kw_only=True)
class Piece:
    """An episode of the new dataset: frames `start` up to, but not including, `stop` of a source's episode.

    Attributes:
        source: which of the plan's sources.
        episode: number in that source.
        start: first frame.
        stop: the frame after the last.
        tasks: task text → the text that takes its place; others stay.
    """

    source: int = 0
    episode: int
    start: int = 0
    stop: int
    tasks: Mapping[str, str] = attrs.Factory(dict)

    @property
    def length(self) -> int:
        return self.stop - self.start


@attrs.frozen(kw_only=True)
class Relative:
    """Statistics of actions relative to the state at the first frame of a chunk, over all whole chunks of an episode.

    Attributes:
        exclude: words in the names of joints whose actions stay absolute.
        chunk_size: frames in a chunk.
    """

    exclude: tuple[str, ...] = ("gripper",)
    chunk_size: int = 50


@attrs.frozen(kw_only=True)
class Plan:
    """A dataset to be written.

    Attributes:
        info: rate, robot, features and file sizes of the new dataset; its counts are those of the pieces.
        sources: the datasets the pieces are of.
        pieces: its episodes, in order.
        added: feature that no source has → its values (frames of the new dataset, …).
        anew: features whose statistics are computed from the frames, although the source has them.
        encoders: camera → how its pictures are encoded, of videos again or of tables for the first time.
        data: how tables of the sources become tables of the new dataset.
        videos: the same of videos.
        rates: features that are no videos name the rate, as the ecosystem's converter leaves them.
        relative: statistics of the actions are those of actions relative to the state.
    """

    info: Info
    sources: tuple[Source, ...]
    pieces: tuple[Piece, ...]
    added: Mapping[str, Any] = attrs.Factory(dict)
    anew: frozenset[str] = POSITIONS
    encoders: Mapping[str, EncoderConfig] = attrs.Factory(dict)
    data: Filling = "filled"
    videos: Filling = "filled"
    rates: bool = False
    relative: Relative | None = None

    @property
    def frames(self) -> int:
        return sum(piece.length for piece in self.pieces)

    def is_whole(self, piece: Piece) -> bool:
        """Whether a piece is an episode with nothing cut off."""
        return piece.length == self.sources[piece.source].lengths[piece.episode]

    def lines(self) -> list[str]:
        """The plan in words: a line on the whole, one per feature that comes or goes, and one per episode."""
        out = [f"{len(self.pieces)} episodes, {self.frames} frames at {self.info.fps} fps"]
        before = self.sources[0].info.features
        out += [f"feature '{key}' is removed" for key in before if key not in self.info.features]
        out += [f"feature '{key}' is added: {self.info.features[key]}" for key in self.added]
        if self.anew > POSITIONS:
            out += [f"statistics of '{key}' are computed anew" for key in self.info.features if key in self.anew]
        out += [
            f"'{key}' is encoded by {how.vcodec}, g={how.g}, crf={how.crf}, {how.pix_fmt}"
            for key, how in self.encoders.items()
        ]
        if self.relative:
            kept = f", but for {few(self.relative.exclude)}" if self.relative.exclude else ""
            out.append(f"statistics of 'action' are relative to the state{kept}, chunks of {self.relative.chunk_size}")
        for number, piece in enumerate(self.pieces):
            cut = "" if self.is_whole(piece) else f", frames {piece.start} to {piece.stop - 1}"
            tasks = "".join(f", task '{old}' becomes '{new}'" for old, new in piece.tasks.items())
            root = self.sources[piece.source].root
            out.append(f"episode {number}: {root.name} episode {piece.episode}{cut} ({piece.length} frames){tasks}")
        return out


def _plan(source: Source, pieces: Iterable[Piece], **changes: Any) -> Plan:
    """A plan of one source; `changes` are attributes of the plan."""
    info = changes.pop("info", source.info)
    return Plan(info=info, sources=(source,), pieces=tuple(pieces), **changes)


def _whole(source: Source, episode: int, number: int = 0) -> Piece:
    return Piece(source=number, episode=episode, stop=source.lengths[episode])


def _every(source: Source) -> list[Piece]:
    return [_whole(source, episode) for episode in range(len(source.lengths))]


def _require(source: Source, episodes: Iterable[int]) -> None:
    total = len(source.lengths)
    if unknown := [number for number in episodes if not 0 <= number < total]:
        raise DataError(
            f"no episode {few(str(number) for number in unknown)} in '{source.root}'",
            path=source.root,
            episode=unknown[0],
            hint=f"its {total} episodes are 0 to {total - 1}" if total else "it has no episodes",
        )


# --- episodes ---------------------------------------------------------------------------------------------------------


def delete(source: Source, episodes: Iterable[int]) -> Plan:
    """All but these episodes.

    Raises:
        DataError: no such episode, or none would be left.
    """
    gone = set(episodes)
    _require(source, sorted(gone))
    kept = [piece for piece in _every(source) if piece.episode not in gone]
    if not kept:
        raise DataError(
            f"no episode of '{source.root}' would be left", path=source.root, hint="to be rid of it, delete the folder"
        )
    return _plan(source, kept)


def split(source: Source, parts: Mapping[str, float | Sequence[int]]) -> dict[str, Plan]:
    """One plan per part. Fractions take consecutive episodes in order, the last of them what remains; lists take theirs.

    A part whose fraction comes to no episode is left out.

    Raises:
        DataError: fractions that are not above 0 or exceed 1 together, both kinds at once, an unknown episode, or one
            in two parts.
    """
    lists = {name: list(part) for name, part in parts.items() if not isinstance(part, (int, float))}
    if lists and len(lists) < len(parts):
        raise DataError("parts are fractions or lists of episodes, not both", hint="give all parts the same way")
    if not lists:
        lists = _fractions(len(source.lengths), {name: float(part) for name, part in parts.items()})  # type: ignore[arg-type]
    seen: dict[int, str] = {}
    for name, episodes in lists.items():
        _require(source, episodes)
        for episode in episodes:
            if episode in seen:
                raise DataError(
                    f"episode {episode} is in part '{seen[episode]}' and again in '{name}'",
                    episode=episode,
                    hint="an episode goes to one part",
                )
            seen[episode] = name
    return {name: _plan(source, [_whole(source, n) for n in numbers]) for name, numbers in lists.items() if numbers}


def _fractions(total: int, fractions: Mapping[str, float]) -> dict[str, list[int]]:
    if min(fractions.values(), default=0) <= 0 or sum(fractions.values()) > 1 + 1e-9:
        given = ", ".join(f"{name}={fraction:g}" for name, fraction in fractions.items())
        raise DataError(f"fractions are above 0 and at most 1 together, got {given or 'none'}", hint="e.g. train=0.8")
    out, start = {}, 0
    for i, (name, fraction) in enumerate(fractions.items()):
        stop = total if i == len(fractions) - 1 else start + int(total * fraction)
        out[name], start = list(range(start, stop)), stop
    return out


def trim(source: Source, drop_first: int = 0, drop_last: int = 0, episodes: Iterable[int] | None = None) -> Plan:
    """Episodes without their first and last frames; all of them, or these.

    Raises:
        DataError: no such episode, or one would be left without frames.
    """
    if drop_first < 0 or drop_last < 0 or drop_first + drop_last == 0:
        raise DataError(
            f"{drop_first} first and {drop_last} last frames to drop",
            hint="give drop_first or drop_last, 1 frame or more",
        )
    chosen = set(range(len(source.lengths)) if episodes is None else episodes)
    _require(source, sorted(chosen))
    pieces = []
    for piece in _every(source):
        if piece.episode in chosen:
            if piece.length <= drop_first + drop_last:
                raise DataError(
                    f"episode {piece.episode} of '{source.root}' has {piece.length} frames, "
                    f"none would be left of them without {drop_first + drop_last}",
                    path=source.root,
                    episode=piece.episode,
                    hint="delete the episode first",
                )
            piece = attrs.evolve(piece, start=drop_first, stop=piece.stop - drop_last)
        pieces.append(piece)
    return _plan(source, pieces)


def retask(
    source: Source,
    new: str | None = None,
    episodes: Mapping[int, str] | None = None,
    replacements: Mapping[str, str] | None = None,
) -> Plan:
    """Other task texts: that of an episode goes before a replacement, and this before `new` for all the rest.

    Raises:
        DataError: no such episode or task, or nothing to change.
    """
    episodes, replacements = episodes or {}, replacements or {}
    _require(source, sorted(episodes))
    if unknown := [task for task in replacements if task not in source.tasks]:
        raise DataError(
            f"no task '{unknown[0]}' in '{source.root}'{did_you_mean(unknown[0], source.tasks)}",
            path=source.root,
            hint="its tasks are " + few(f"'{task}'" for task in source.tasks),
        )
    texts = [*episodes.values(), *replacements.values(), *([] if new is None else [new])]
    if not texts or not all(text.strip() for text in texts):
        raise DataError("no new task text is given" if not texts else "a task text is empty", hint="give a sentence")

    def becomes(episode: int, task: str) -> str:
        return episodes.get(episode, replacements.get(task, task if new is None else new))

    def changed(episode: int) -> dict[str, str]:
        found = {task: becomes(episode, task) for task in source.tasks}
        return {old: text for old, text in found.items() if old != text}

    return _plan(source, [attrs.evolve(piece, tasks=changed(piece.episode)) for piece in _every(source)])


# --- datasets ---------------------------------------------------------------------------------------------------------


def merge(sources: Sequence[Source], *, concatenate_videos: bool = True, concatenate_data: bool = True) -> Plan:
    """The episodes of several datasets, one after the other; equal task texts become one task.

    Files are joined while they fit together, or where `concatenate_…` is false each stays a file of its own.

    Raises:
        DataError: lists in what they differ: rate, robot or features.
    """
    if len(sources) < 2:
        raise DataError(f"{len(sources)} dataset given to merge", hint="give two or more")
    first = sources[0]
    for source in sources:
        problems = [] if source.lengths else ["it has no episodes"]
        problems += [] if source is first else _differences(first.info, source.info)
        if problems:
            raise DataError(
                f"'{source.root}' cannot be merged with '{first.root}': " + "; ".join(problems),
                path=source.root,
                hint="merge datasets of the same robot, rate and features",
            )
    features = {
        key: _settled(feature, [source.info.features[key] for source in sources])
        for key, feature in first.info.features.items()
    }
    pieces = [_whole(source, n, i) for i, source in enumerate(sources) for n in range(len(source.lengths))]
    return Plan(
        info=attrs.evolve(first.info, features=features),
        sources=tuple(sources),
        pieces=tuple(pieces),
        data="joined" if concatenate_data else "kept",
        videos="joined" if concatenate_videos else "kept",
    )


def _differences(first: Info, other: Info) -> list[str]:
    out = []
    for name in ("fps", "robot_type"):
        if (mine := getattr(first, name)) != (found := getattr(other, name)):
            out.append(f"{name} is {found}, not {mine}")
    for key in dict.fromkeys([*first.features, *other.features]):
        if key not in first.features or key not in other.features:
            out.append(f"feature '{key}' is in one of them only")
            continue
        mine, found = _identity(first.features[key]), _identity(other.features[key])
        out += [f"'{key}' has {part} {found[part]}, not {mine[part]}" for part in mine if mine[part] != found[part]]
    return out


def _identity(feature: Feature) -> dict[str, str]:
    """What features to be merged agree in, as comparable text."""
    info = {key: value for key, value in (feature.info or {}).items() if not key.endswith("is_depth_map")}
    info = {key: value for key, value in info.items() if key.removeprefix("video.") not in _ENCODER}
    parts = {"dtype": feature.dtype, "shape": list(feature.shape), "names": feature.names, "info": info}
    parts["depth"] = feature.is_depth
    return {part: json.dumps(value, sort_keys=True, default=list) for part, value in parts.items()}


def _settled(feature: Feature, all_of_them: Sequence[Feature]) -> Feature:
    """The feature after a merge: what the encoders were told is kept where they agree."""
    if feature.dtype != "video" or not feature.info:
        return feature
    info = dict(feature.info)
    for name in _ENCODER:
        key = f"video.{name}"
        found = [(other.info or {}).get(key) for other in all_of_them]
        if any(value != found[0] for value in found):
            info[key] = {} if name == "extra_options" else None
    return attrs.evolve(feature, info=info | {"video.video_backend": "pyav"})


# --- features and statistics ------------------------------------------------------------------------------------------


def modify_features(
    source: Source, add: Mapping[str, tuple[np.ndarray, Sequence[str] | None]], remove: Sequence[str] = ()
) -> Plan:
    """With some features more and others less.

    Args:
        source: the dataset.
        add: name → values (frames, …) in the order of the frames, and names of the elements of a row or None.
        remove: features to leave out; one of them may come again with other values.

    Raises:
        DataError: no such feature, a default column, none would be left, or there is not a value per frame.
        FeatureError: a feature cannot be stored.
    """
    own = {key: feature for key, feature in source.info.features.items() if key not in DEFAULT_COLUMNS}
    for key in remove:
        if key in DEFAULT_COLUMNS:
            raise DataError(f"'{key}' is a column of every dataset and stays", hint="its own are " + few(own))
        if key not in own:
            raise DataError(
                f"no feature '{key}' in '{source.root}'{did_you_mean(key, own)}",
                path=source.root,
                hint="its own are " + few(own),
            )
    features = {key: feature for key, feature in own.items() if key not in remove}
    for key, (values, names) in add.items():
        if key in features or key in DEFAULT_COLUMNS:
            raise DataError(f"'{source.root}' has a feature '{key}'", path=source.root, hint="remove it first")
        features[key] = _described(source, key, values, names)
    if not features:
        raise DataError(f"no feature of '{source.root}' would be left", path=source.root, hint="keep one")
    has_video = any(feature.dtype == "video" for feature in features.values())
    features |= {key: feature for key, feature in source.info.features.items() if key in DEFAULT_COLUMNS}
    path = source.info.video_path if has_video else None
    info = attrs.evolve(source.info, features=features, video_path=path)
    return _plan(source, _every(source), info=info, added={key: values for key, (values, _) in add.items()})


def _described(source: Source, key: str, values: np.ndarray, names: Sequence[str] | None) -> Feature:
    """The feature that an array is of."""
    total = sum(source.lengths)
    if values.ndim == 0 or len(values) != total:
        raise DataError(
            f"'{key}' has {len(values) if values.ndim else 'no'} values, '{source.root}' has {total} frames",
            path=source.root,
            hint="give an array with one row per frame",
        )
    dtype = "string" if values.dtype.kind == "U" else values.dtype.name
    feature = Feature(dtype=dtype, shape=values.shape[1:] or (1,), names=list(names) if names else None)
    columns.check(key, feature)
    if names and (len(feature.shape) != 1 or len(names) != feature.shape[0]):
        raise DataError(f"{len(names)} names for {feature}", hint="give one name per element of a row")
    return feature


def remove_features(source: Source, keys: Sequence[str]) -> Plan:
    """Without these features; see `modify_features`."""
    return modify_features(source, {}, keys)


def add_feature(source: Source, key: str, values: np.ndarray, names: Sequence[str] | None = None) -> Plan:
    """With a feature more; see `modify_features`."""
    return modify_features(source, {key: (values, names)})


def restate(source: Source, *, pictures: bool = False, relative: Relative | None = None) -> Plan:
    """The same frames with statistics computed anew: of the numbers, and on request of the pictures.

    Raises:
        DataError: relative actions are asked for, and there is no action or state, or they differ in size.
    """
    features = source.info.features
    if relative is not None:
        _require_relative(source, relative)
    anew = [
        key
        for key, feature in features.items()
        if feature.dtype not in ("string", "language") and (pictures or not feature.is_picture)
    ]
    return _plan(source, _every(source), anew=POSITIONS.union(anew), relative=relative)


def _require_relative(source: Source, relative: Relative) -> None:
    found = {key: source.info.features.get(key) for key in ("action", "observation.state")}
    shapes = {key: "missing" if feature is None else str(feature) for key, feature in found.items()}
    if len({feature and feature.shape for feature in found.values()}) > 1 or None in found.values():
        raise DataError(
            f"actions of '{source.root}' are not relative to its state: "
            + few(f"{k} is {v}" for k, v in shapes.items()),
            path=source.root,
            hint="actions and state of the same size are needed",
        )
    if relative.chunk_size < 1 or not any(length >= relative.chunk_size for length in source.lengths):
        raise DataError(
            f"no episode of '{source.root}' has {relative.chunk_size} frames",
            path=source.root,
            hint="a smaller chunk_size",
        )
    feature = found["action"]
    if relative.exclude and feature is not None and feature.elements is None:
        raise DataError(
            f"the elements of 'action' in '{source.root}' have no names to exclude {few(relative.exclude)} by",
            path=source.root,
            hint="exclude nothing",
        )


# --- encoding ---------------------------------------------------------------------------------------------------------


def reencode(source: Source, encoder: EncoderConfig) -> Plan:
    """Every video encoded again; depth without loss, by the codec of depth with this `g`.

    Raises:
        DataError: it has no videos.
    """
    if not source.info.video_keys:
        raise DataError(
            f"'{source.root}' has no videos", path=source.root, hint="lr dataset to-video makes some of images"
        )
    return _plan(source, _every(source), encoders=_encoders(source, source.info.video_keys, encoder))


def to_video(source: Source, encoder: EncoderConfig, episodes: Iterable[int] | None = None) -> Plan:
    """The images in the tables as videos; of these episodes, or of all.

    Raises:
        DataError: it has no images, or no such episode.
    """
    keys = [key for key, feature in source.info.features.items() if feature.dtype == "image"]
    if not keys:
        raise DataError(f"'{source.root}' has no images in its tables", path=source.root, hint="its cameras are videos")
    pieces = _every(source)
    if episodes is not None:
        wanted = sorted(set(episodes))
        _require(source, wanted)
        pieces = [pieces[number] for number in wanted]
    features = {
        key: attrs.evolve(feature, dtype="video") if key in keys else feature
        for key, feature in source.info.features.items()
    }
    info = attrs.evolve(source.info, features=features, video_path=layout.VIDEO_PATH)
    return _plan(source, pieces, info=info, encoders=_encoders(source, keys, encoder))


def _encoders(source: Source, keys: Iterable[str], encoder: EncoderConfig) -> dict[str, EncoderConfig]:
    is_depth = {key: source.info.features[key].is_depth for key in keys}
    return {key: attrs.evolve(config.DEPTH, g=encoder.g) if depth else encoder for key, depth in is_depth.items()}
