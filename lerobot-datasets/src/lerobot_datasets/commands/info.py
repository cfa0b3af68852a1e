"""`lr dataset info`: what a dataset holds, from its metadata alone. Knows no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from lerobot_core.features import to_info
from lerobot_datasets.hub import locate
from lerobot_datasets.v3 import layout, stamps
from lerobot_datasets.v3.layout import MIB
from lerobot_datasets.v3.reader import Reader


@click.command()
@click.argument("dataset", metavar="PATH_OR_REPO")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(dataset: str, as_json: bool) -> None:
    """Show what a dataset holds: episodes, rate, robot, tasks, features, sizes, and pictures lost or late.

    PATH_OR_REPO is a dataset's folder, or its user/name.
    """
    folder = Path(dataset).expanduser()
    root = folder if folder.is_dir() else locate(dataset, patterns=["meta/*", "stamps/*"])
    found = describe(Reader(root))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else render(found))


def describe(reader: Reader) -> dict[str, Any]:
    """Everything the command shows, as plain data."""
    lengths = np.asarray(reader.episodes["length"], dtype=np.int64)
    seconds = lengths / reader.fps
    return {
        "root": str(reader.root),
        "version": reader.info.codebase_version,
        "robot_type": reader.info.robot_type,
        "fps": reader.fps,
        "episodes": reader.num_episodes,
        "frames": reader.num_frames,
        "seconds": float(seconds.sum()),
        "episode_seconds": {name: float(f(seconds)) for name, f in _SPREAD.items()} if len(seconds) else None,
        "tasks": reader.tasks,
        "features": {key: to_info(feature) for key, feature in reader.features.items()},
        "stats": reader.stats is not None,
        "cameras": cameras(reader),
        "size_mb": {name: _size(reader.root / name) for name in ("data", "videos", "meta")},
    }


def cameras(reader: Reader) -> dict[str, dict[str, dict[str, float]]] | None:
    """Camera → episode → how its pictures came; None when the dataset has no stamps."""
    out: dict[str, dict[str, dict[str, float]]] = {key: {} for key in reader.info.camera_keys}
    if not (reader.root / "stamps").is_dir():
        return None
    for row in reader.episodes:
        found = stamps.read(reader.root, reader.info, row)
        if found is not None:
            keys = [key for key in out if key in found]
            for key, figures in stamps.summary(found, keys, reader.fps).items():
                out[key][str(row["episode_index"])] = figures
    return out


_SHOWN = 20  # episodes with lost pictures shown by name


def _pictures(found: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """A line per camera, and one per episode that lost pictures."""
    lines = ["pictures"]
    for key, episodes in found.items():
        if not episodes:
            continue
        values = list(episodes.values())
        total = {name: sum(figures[name] for figures in values) for name in ("dropped", "late", "repeated")}
        jitter = [float(np.mean([v["jitter_ms"] for v in values])), max(v["jitter_p99_ms"] for v in values)]
        lines.append(f"  {key}: {_lost(total)}, jitter {jitter[0]:.1f} ms mean, {jitter[1]:.1f} ms at 99 %")
        bad = [(number, figures) for number, figures in episodes.items() if figures["dropped"] or figures["late"]]
        lines += [f"    episode {number}: {_lost(figures)}" for number, figures in bad[:_SHOWN]]
        if len(bad) > _SHOWN:
            lines.append(f"    and {len(bad) - _SHOWN} more; --json has all")
    return lines


def _lost(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{figures[name]:.0f} {name}" for name in ("dropped", "late", "repeated"))


_SPREAD = {"min": np.min, "median": np.median, "max": np.max}


def _size(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB, 3)


def render(found: dict[str, Any]) -> str:
    """The text shown to people."""
    spread = found["episode_seconds"]
    lengths = (
        f", {spread['min']:.1f} / {spread['median']:.1f} / {spread['max']:.1f} s min / median / max" if spread else ""
    )
    lines = [
        f"{found['root']}  ({found['version']})",
        f"robot     {found['robot_type'] or 'not named'}",
        f"rate      {found['fps']} fps",
        f"episodes  {found['episodes']}{lengths}",
        f"frames    {found['frames']}  ({found['seconds'] / 60:.1f} min)",
        "size      " + ", ".join(f"{name} {size:.1f} MiB" for name, size in found["size_mb"].items()),
        f"stats     {'yes' if found['stats'] else 'none: ' + str(layout.STATS) + ' is missing'}",
        *(_pictures(found["cameras"]) if found["cameras"] else []),
        "tasks",
        *(f"  {i}  {task}" for i, task in enumerate(found["tasks"])),
        "features",
    ]
    width = max(len(key) for key in found["features"])
    for key, feature in found["features"].items():
        lines.append(f"  {key:<{width}}  {feature['dtype']:<8} {feature['shape']!s:<14} {_names(feature)}".rstrip())
    return "\n".join(lines)


def _names(feature: dict[str, Any]) -> str:
    codec = (feature.get("info") or {}).get("video.codec")
    if codec:
        return codec
    names = feature["names"]
    return ", ".join(map(str, names)) if names else ""
