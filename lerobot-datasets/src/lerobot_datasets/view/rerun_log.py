"""An episode in the rerun viewer, or in a file of its. Knows the names of rerun-sdk, which is imported on use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rich.console
import rich.progress

from lerobot_core.errors import LeRobotError
from lerobot_datasets.view.content import Content

_QUALITY = 90  # of the JPEG pictures logged, of 100


def log(content: Content, episode: int, file: Path | None) -> None:
    """Log the pictures, numbers and texts of an episode.

    Args:
        content: the dataset.
        episode: its number.
        file: where to write; the viewer is started when None.

    Raises:
        LeRobotError: rerun-sdk is not installed, or the folder of the file is not there.
        DataError: the episode cannot be read.
    """
    try:
        import rerun
    except ImportError:
        raise LeRobotError("--rerun needs rerun-sdk", hint='pip install "lerobot-datasets[rerun]"') from None
    if file is not None and not file.absolute().parent.is_dir():
        raise LeRobotError(f"no folder '{file.absolute().parent}'", hint="make it first")
    said = content.episode(episode)
    rerun.init(content.name, recording_id=f"{content.name}-{episode}")
    if file is None:
        rerun.spawn()
    else:
        rerun.save(str(file))
    fps = content.reader.fps
    _log_numbers(rerun, content, episode, said["length"])
    _log_texts(rerun, said, fps)
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for camera in said["cameras"]:
            key = camera["key"]
            task = bar.add_task(key, total=said["length"])
            for frame, picture in enumerate(content.reader.frames(episode, key)):
                _at(rerun, frame, fps)
                rerun.log(key.replace(".", "/"), _picture(rerun, picture, camera["bounds"]))
                bar.advance(task)
    if file is not None:
        rerun.disconnect()  # the file is complete


def _at(rerun: Any, frame: int, fps: float) -> None:
    rerun.set_time("frame", sequence=frame)
    rerun.set_time("time", duration=frame / fps)


def _picture(rerun: Any, picture: np.ndarray, bounds: list[float] | None) -> Any:
    if bounds is None:
        return rerun.Image(picture).compress(jpeg_quality=_QUALITY)
    millimetres = np.clip(np.rint(picture[..., 0]), 0, 65535).astype(np.uint16)
    return rerun.DepthImage(millimetres, meter=1000.0, depth_range=bounds)


def _log_numbers(rerun: Any, content: Content, episode: int, length: int) -> None:
    """Every element of every feature as a curve, in one go each."""
    frames = np.arange(length)
    times = [
        rerun.TimeColumn("frame", sequence=frames),
        rerun.TimeColumn("time", duration=frames / content.reader.fps),
    ]
    for series in content.dataset()["series"]:
        values = content.values(episode, series["key"])
        for name, column in zip(series["names"], values.T, strict=True):
            path = "/".join([*series["key"].split("."), *filter(None, [name.replace("/", "_")])])
            rerun.send_columns(path, indexes=times, columns=rerun.Scalars.columns(scalars=column.astype(np.float64)))


def _log_texts(rerun: Any, said: dict[str, Any], fps: float) -> None:
    """Tasks, texts and utterances at the frames where they begin."""
    for path, pieces in {"task": said["tasks"], **said["texts"]}.items():
        for frame, text in pieces:
            _at(rerun, frame, fps)
            rerun.log(path.replace(".", "/"), rerun.TextLog(text))
    for entry in said["language"]:
        _at(rerun, entry["frame"] if entry["time"] is None else round(entry["time"] * fps), fps)
        rerun.log(f"language/{entry['style'] or entry['role']}", rerun.TextLog(entry["text"]))
