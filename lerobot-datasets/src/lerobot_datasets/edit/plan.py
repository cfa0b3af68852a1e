"""What an edit does, as data: which frames of which episodes become which episodes of the new dataset. *Pure.*"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import DataError, did_you_mean, few
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.v3.reader import Reader

#: How a video was encoded, as opposed to what it is: may differ between datasets that are merged.
_ENCODER = ("g", "crf", "preset", "fast_decode", "extra_options", "video_backend")

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
    """

    root: Path
    info: Info
    tasks: tuple[str, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, reader: Reader) -> Source:
        """The metadata of a dataset that is open."""
        lengths = tuple(int(length) for length in reader.all_episodes["length"])
        return cls(root=reader.root, info=reader.info, tasks=tuple(reader.tasks), lengths=lengths)


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
class Plan:
    """A dataset to be written.

    Attributes:
        info: rate, robot, features and file sizes of the new dataset; its counts are those of the pieces.
        sources: the datasets the pieces are of.
        pieces: its episodes, in order.
        added: feature that no source has → its values (frames of the new dataset, …).
        anew: features whose statistics are computed from the frames, although the source has them.
    """

    info: Info
    sources: tuple[Source, ...]
    pieces: tuple[Piece, ...]
    added: Mapping[str, Any] = attrs.Factory(dict)
    anew: frozenset[str] = POSITIONS

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
        DataError: no such episode, one would be left without frames, or a depth video would have to be cut.
    """
    if drop_first < 0 or drop_last < 0 or drop_first + drop_last == 0:
        raise DataError(
            f"{drop_first} first and {drop_last} last frames to drop",
            hint="give drop_first or drop_last, 1 frame or more",
        )
    chosen = set(range(len(source.lengths)) if episodes is None else episodes)
    _require(source, sorted(chosen))
    if depth := [key for key, feature in source.info.features.items() if feature.is_depth]:
        raise DataError(
            f"camera '{depth[0]}' of '{source.root}' holds depth, which this version cannot cut",
            path=source.root,
            hint=f"remove the feature '{depth[0]}' first",
        )
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


def merge(sources: Sequence[Source]) -> Plan:
    """The episodes of several datasets, one after the other; equal task texts become one task.

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
    return Plan(info=attrs.evolve(first.info, features=features), sources=tuple(sources), pieces=tuple(pieces))


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


def remove_features(source: Source, keys: Sequence[str]) -> Plan:
    """Without these features.

    Raises:
        DataError: no such feature, a default column, or none would be left.
    """
    own = [key for key in source.info.features if key not in DEFAULT_COLUMNS]
    for key in keys:
        if key in DEFAULT_COLUMNS:
            raise DataError(f"'{key}' is a column of every dataset and stays", hint="its own are " + few(own))
        if key not in own:
            raise DataError(
                f"no feature '{key}' in '{source.root}'{did_you_mean(key, own)}",
                path=source.root,
                hint="its own are " + few(own),
            )
    if not set(own) - set(keys):
        raise DataError(f"no feature of '{source.root}' would be left", path=source.root, hint="keep one")
    features = {key: feature for key, feature in source.info.features.items() if key not in keys}
    has_video = any(feature.dtype == "video" for feature in features.values())
    path = source.info.video_path if has_video else None
    return _plan(source, _every(source), info=attrs.evolve(source.info, features=features, video_path=path))


def add_feature(source: Source, key: str, values: np.ndarray, names: Sequence[str] | None = None) -> Plan:
    """With a feature more, from its values (frames, …) in the order of the frames.

    Raises:
        DataError: the dataset has it, or there is not a value per frame.
        FeatureError: it cannot be stored.
    """
    if key in source.info.features:
        raise DataError(f"'{source.root}' has a feature '{key}'", path=source.root, hint="remove it first")
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
    own = {name: f for name, f in source.info.features.items() if name not in DEFAULT_COLUMNS}
    defaults = {name: f for name, f in source.info.features.items() if name in DEFAULT_COLUMNS}
    info = attrs.evolve(source.info, features={**own, key: feature, **defaults})
    return _plan(source, _every(source), info=info, added={key: values})


def restate(source: Source, *, pictures: bool = False) -> Plan:
    """The same frames with statistics computed anew: of the numbers, and on request of the pictures."""
    anew = [
        key
        for key, feature in source.info.features.items()
        if feature.dtype not in ("string", "language") and not feature.is_depth and (pictures or not feature.is_picture)
    ]
    return _plan(source, _every(source), anew=POSITIONS.union(anew))
