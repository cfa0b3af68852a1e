"""Windows of frames around a frame, clamped to its episode. Knows indices only. *Pure.*"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from lerobot_core.errors import DataError, did_you_mean


def frame_deltas(
    delta_timestamps: Mapping[str, Sequence[float]], features: Collection[str], fps: float, tolerance_s: float = 1e-4
) -> dict[str, np.ndarray]:
    """Offsets in frames (T,) int64 of the offsets in seconds.

    Raises:
        DataError: a key is none of the features, or an offset is not a whole number of frames within the tolerance.
    """
    out = {}
    for key, seconds in delta_timestamps.items():
        if key not in features:
            raise DataError(f"delta_timestamps names '{key}'{did_you_mean(key, features)}")
        wanted = np.asarray(seconds, dtype=np.float64).reshape(-1)
        frames = np.round(wanted * fps).astype(np.int64)
        wrong = np.abs(frames / fps - wanted) > tolerance_s
        if wrong.any():
            raise DataError(
                f"delta_timestamps['{key}'] holds {wanted[wrong][0]} s, which is no multiple of 1/{fps} s",
                hint="give offsets as frames / fps, or raise tolerance_s",
            )
        out[key] = frames
    return out


def window(rows: np.ndarray, first: np.ndarray, stop: np.ndarray, deltas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the frames around some rows, and which of them had to be clamped.

    Args:
        rows: the frames asked for (B,).
        first: row at which the episode of each begins (B,).
        stop: row after the episode's last (B,).
        deltas: offsets in frames (T,).

    Returns:
        rows (B, T) within the episode, and a mask (B, T) that is True where the unclamped row was outside.
    """
    wanted = rows[:, None] + deltas[None, :]  # (B, T)
    low, high = first[:, None], stop[:, None] - 1
    return np.clip(wanted, low, high), (wanted < low) | (wanted > high)
