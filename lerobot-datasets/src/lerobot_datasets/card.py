"""The README of a dataset on the Hub. Knows text, no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lerobot_core.errors import few
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.reader import Reader

LICENSE = "apache-2.0"

_CARD = """\
---
license: {license}
task_categories:
- robotics
tags:
{tags}
configs:
- config_name: default
  data_files: data/*/*.parquet
---

This dataset was created using [LeRobot](https://github.com/huggingface/lerobot).

[Visualize this dataset](https://huggingface.co/spaces/lerobot/visualize_dataset?path={repo_id})

## Dataset Description

{description}

## Dataset Structure

[meta/info.json](meta/info.json):
```json
{info}
```
"""


def card(reader: Reader, repo_id: str, license: str = LICENSE, tags: Sequence[str] = ()) -> str:
    """The text of the README: what the Hub needs to list the dataset, what it holds, and its info.json.

    Args:
        reader: the dataset.
        repo_id: `owner/name` on the Hub.
        license: its licence, by the Hub's short name.
        tags: further tags; `LeRobot` is always one.
    """
    return _CARD.format(
        license=json.dumps(license),  # JSON is YAML, and nothing in it can end the front matter
        tags="\n".join(f"- {json.dumps(tag, ensure_ascii=False)}" for tag in dict.fromkeys(["LeRobot", *tags])),
        repo_id=repo_id,
        description=_described(reader),
        info=(reader.root / layout.INFO).read_text(encoding="utf-8").strip(),
    )


def _described(reader: Reader) -> str:
    minutes = reader.num_frames / reader.fps / 60 if len(reader.episodes) else 0
    lines = [
        f"- **Robot:** {reader.info.robot_type or 'not named'}",
        f"- **Episodes:** {reader.num_episodes}, {reader.info.total_frames} frames at {reader.fps} fps ({minutes:.1f} min)",
        f"- **Cameras:** {few(reader.info.camera_keys) or 'none'}",
        f"- **Tasks:** {few([' '.join(task.split()) for task in reader.tasks], between='; ') or 'none'}",
    ]
    return "\n".join(lines)


def own_card(root: Path) -> str | None:
    """The README that lies in a dataset's folder already; None when there is none."""
    path = root / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else None
