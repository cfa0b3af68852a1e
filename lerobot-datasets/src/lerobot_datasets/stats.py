"""Statistics of features: per episode, running over batches, and their aggregation. Knows numpy only. *Pure.*

Quantiles come from a histogram of 5000 bins per dimension, as the ecosystem computes them; the whole computation runs
in the data's dtype (integers in float64), so that results compare bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lerobot_core.features import Feature

Stats = dict[str, dict[str, np.ndarray]]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)

_BINS = 5000
_MARGIN = 1e-10
_FEW = 1000
_ROUGH = 1e-2  # part of a deviation by which single precision may be off


class RunningStats:
    """Statistics of rows (N, D) that come in batches."""

    def __init__(self) -> None:
        self.count = 0
        self._exact_mean, self._spread = np.zeros(1), np.zeros(1)

    def update(self, rows: np.ndarray) -> None:
        """Add a batch (N, D)."""
        if len(rows) == 0:
            return
        low, high = rows.min(axis=0), rows.max(axis=0)
        mean, square = rows.mean(axis=0), (rows**2).mean(axis=0)
        self._add_spread(rows)
        if self.count == 0:
            self.min, self.max, self._mean, self._square = low, high, mean, square
            self._edges = [np.linspace(a - _MARGIN, b + _MARGIN, _BINS + 1) for a, b in zip(low, high, strict=True)]
            self._bins = [np.zeros(_BINS) for _ in low]
            self.count = len(rows)
        else:
            self.count += len(rows)
            share = len(rows) / self.count
            self._mean = self._mean + (mean - self._mean) * share
            self._square = self._square + (square - self._square) * share
            self._widen(np.minimum(self.min, low), np.maximum(self.max, high))
        for d, bins in enumerate(self._bins):
            bins += _histogram(rows[:, d], self._edges[d])

    def _add_spread(self, rows: np.ndarray) -> None:
        """Sums of squared distances from the mean, in double precision (Chan et al., 1979)."""
        exact = rows.astype(np.float64)
        mean, count = exact.mean(axis=0), len(rows)
        away, total = mean - self._exact_mean, self.count + count
        self._spread = self._spread + ((exact - mean) ** 2).sum(axis=0) + away**2 * (self.count * count / total)
        self._exact_mean = self._exact_mean + away * (count / total)

    def _std(self) -> np.ndarray:
        """In the data's precision, but where that loses the deviation in the square of a large mean."""
        rough, exact = np.sqrt(np.maximum(0, self._square - self._mean**2)), np.sqrt(self._spread / self.count)
        return np.where(np.abs(rough - exact) <= _ROUGH * exact, rough, exact).astype(rough.dtype)

    def _widen(self, low: np.ndarray, high: np.ndarray) -> None:
        """Move the counts to bins over the new range; each old bin goes where its centre is."""
        grown = (low < self.min).any() or (high > self.max).any()
        self.min, self.max = low, high
        if not grown:
            return
        for d, (a, b) in enumerate(zip(low, high, strict=True)):
            old, margin = self._edges[d], (b - a) * _MARGIN
            edges = np.linspace(a - margin, b + margin, _BINS + 1)
            target = np.clip(np.searchsorted(edges, (old[:-1] + old[1:]) / 2) - 1, 0, _BINS - 1)
            self._bins[d] = np.bincount(target, weights=self._bins[d], minlength=_BINS)
            self._edges[d] = edges

    def result(self) -> dict[str, np.ndarray]:
        """The statistics, each (D,), and `count` (1,)."""
        out = {
            "min": self.min,
            "max": self.max,
            "mean": self._mean,
            "std": self._std(),
            "count": np.array([self.count]),
        }
        dimensions = [(bins, np.cumsum(bins), edges) for bins, edges in zip(self._bins, self._edges, strict=True)]
        for name, q in QUANTILES.items():
            if self.count < 2:
                out[name] = self._mean
            else:
                out[name] = np.array([_quantile(q * self.count, *dimension) for dimension in dimensions])
        return out


def _histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many of the values (N,), which lie between the edges, fall in each bin; as `np.histogram`, and sooner for few."""
    if len(values) > _FEW:
        return np.histogram(values, bins=edges)[0]
    found = np.searchsorted(edges, values, side="right") - 1
    return np.bincount(np.minimum(found, _BINS - 1), minlength=_BINS)


def _quantile(target: float, bins: np.ndarray, cumulative: np.ndarray, edges: np.ndarray) -> float:
    i = int(np.searchsorted(cumulative, target))
    if i == 0:
        return float(edges[0])
    i = min(i, len(bins) - 1)
    fraction = (target - cumulative[i - 1]) / bins[i]
    return float(edges[i] + fraction * (edges[i + 1] - edges[i]))


def column_stats(values: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics over the frames of a numeric column (N, …, D); `count` is the number of frames."""
    if values.dtype == np.bool_ or values.dtype == np.uint8:
        values = values.astype(np.float32)
    elif not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    running = RunningStats()
    running.update(values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1))
    return running.result() | {"count": np.array([len(values)])}


# --- pictures ---------------------------------------------------------------------------------------------------------


def sample_indices(length: int) -> np.ndarray:
    """Which frames of an episode of `length` frames are looked at: all up to 100, then sublinearly more, evenly spread."""
    least = min(100, length)
    return np.round(np.linspace(0, length - 1, max(least, min(int(length**0.75), 10_000)))).astype(int)


def thinned(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, …), of a large one only every so many rows and columns."""
    height, width = picture.shape[:2]
    if max(height, width) < 300:
        return picture
    step = int(width / 150) if width > height else int(height / 150)
    return picture[::step, ::step]


def level_counts(picture: np.ndarray) -> np.ndarray:
    """How often each of the 256 levels occurs per channel (C, 256), of a picture (H, W, C) uint8 thinned when large."""
    picture, channels = thinned(picture), picture.shape[2]
    flat = picture.reshape(-1, channels).astype(np.intp) + np.arange(channels) * 256
    return np.bincount(flat.reshape(-1), minlength=256 * channels).reshape(channels, 256).astype(np.uint32)


def sampled_levels(pictures: Iterable[np.ndarray], length: int) -> list[np.ndarray]:
    """Level counts of those of an episode's `length` pictures that are looked at."""
    wanted = set(sample_indices(length).tolist())
    return [level_counts(picture) for i, picture in enumerate(pictures) if i in wanted]


def picture_stats(counted: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Statistics (C, 1, 1) in [0, 1] of pictures, given as level counts (C, 256); `count` is how many they are."""
    counts, frames = np.sum(counted, axis=0, dtype=np.int64), len(counted)
    levels = np.arange(256, dtype=np.float32)
    columns = [_levels_stats(levels, row.astype(np.float64)) for row in counts]
    out = {name: np.array([c[name] for c in columns]).reshape(-1, 1, 1) / 255 for name in NAMES if name != "count"}
    return {name: np.array([frames]) if name == "count" else out[name] for name in NAMES}


def _levels_stats(levels: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    seen, total = levels[weights > 0], weights.sum()
    mean = float(levels @ weights / total)
    low, high = seen.min(), seen.max()
    edges = np.linspace(low - _MARGIN, high + _MARGIN, _BINS + 1)
    bins = np.histogram(levels, bins=edges, weights=weights)[0]
    out = {"min": float(low), "max": float(high), "mean": mean}
    out["std"] = float(np.sqrt(max(0.0, float(levels.astype(np.float64) ** 2 @ weights / total) - mean**2)))
    cumulative = np.cumsum(bins)
    return out | {name: _quantile(q * total, bins, cumulative, edges) for name, q in QUANTILES.items()}


def depth_stats(pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Statistics (1, 1, 1) of pictures of distances (H, W), in their own unit; `count` is how many they are."""
    looked = [thinned(picture).astype(np.float64).ravel() for picture in pictures]
    found = column_stats(np.concatenate(looked)[:, None])
    return {name: np.array([len(looked)]) if name == "count" else found[name].reshape(1, 1, 1) for name in NAMES}


# --- episodes, datasets -----------------------------------------------------------------------------------------------


def episode_stats(
    columns: Mapping[str, np.ndarray], features: Mapping[str, Feature], cameras: Mapping[str, dict[str, np.ndarray]]
) -> Stats:
    """Statistics of one episode in the order of the features; strings have none.

    Args:
        columns: numeric columns (N, …).
        features: every feature of the dataset.
        cameras: statistics of the pictures, made where the pictures passed.
    """
    out: Stats = {}
    for key, feature in features.items():
        if feature.is_picture and key in cameras:
            out[key] = cameras[key]
        elif not feature.is_picture and feature.dtype not in ("string", "language"):
            out[key] = column_stats(columns[key])
    return out


def aggregate(parts: Iterable[Stats]) -> Stats:
    """Statistics of the union of the data behind `parts`.

    Mean and standard deviation are exact; quantiles are the envelope of the inputs' (the least up to q50, the greatest
    above), and only where every input that has the feature has them.
    """
    parts = list(parts)
    keys = dict.fromkeys(key for part in parts for key in part)
    return {key: _aggregate([part[key] for part in parts if key in part]) for key in keys}


def _aggregate(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    means = np.stack([part["mean"] for part in parts])  # (P, …)
    variances = np.stack([part["std"] ** 2 for part in parts])
    counts = np.stack([part["count"] for part in parts])  # (P, 1)
    total = counts.sum(axis=0)
    weights = counts.reshape(len(parts), *[1] * (means.ndim - 1))
    mean = (means * weights).sum(axis=0) / total
    out = {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(((variances + (means - mean) ** 2) * weights).sum(axis=0) / total),
        "count": total,
    }
    quantiles = [key for key in parts[0] if key[0] == "q" and key[1:].isdigit() and all(key in p for p in parts)]
    for key in quantiles:
        envelope = np.min if int(key[1:]) <= 50 else np.max
        out[key] = envelope([part[key] for part in parts], axis=0)
    return out
