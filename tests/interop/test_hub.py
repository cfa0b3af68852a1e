"""Datasets pass between the published lerobot package and ours through a Hub on this machine, both ways.

Runs in that package's environment; our side is called by the interpreter that `produce.py` ran in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("lerobot", reason="needs the published package: nox -s interop")
sys.path.insert(0, str(Path(__file__).parents[1]))
import hub_emulator

PRODUCED = Path(os.environ.get("LR_PRODUCED", ""))
DATASET = Path(__file__).parents[1] / "data" / "datasets" / "video2"

#: Prints what a dataset by name holds: its frames, tasks, actions and the mean of every picture. Any of the two reads it.
READ = """
import json, sys
import numpy as np
d = Dataset("{name}", episodes={episodes}, video_backend="pyav")
items = [d[i] for i in range(len(d))]
keys = sorted(k for k in items[0] if k != "task")
print(json.dumps([len(d), [i["task"] for i in items],
                  {{k: [float(np.asarray(i[k], dtype=np.float64).mean()) for i in items] for k in keys}}]))
"""
THEIRS = "from lerobot.datasets.lerobot_dataset import LeRobotDataset as Dataset\n"
OURS = "from lerobot_datasets import LeRobotDataset as Dataset\n"
#: It asks the public address whether a card is well-formed, whichever Hub is set.
PUSH = """
import huggingface_hub.repocard as cards
cards.RepoCard.validate = lambda self, **options: None
Dataset("them/set", root={root!r}).push_to_hub()
"""

Call = Callable[[str, str], str]


@pytest.fixture
def call(tmp_path: Path) -> Iterator[tuple[hub_emulator.Hub, Call]]:
    """A Hub, and a function that runs code on one side; each side has a cache of its own."""
    here = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_TOKEN": "writer", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with hub_emulator.serving() as (hub, address):

        def run(side: str, code: str) -> str:
            ours = side == "ours"
            home = {"HF_HOME": str(tmp_path / side), "HF_LEROBOT_HOME": str(tmp_path / side / "lerobot")}
            env = {**os.environ, **here, **home, "HF_ENDPOINT": address}
            if not ours:
                env.pop("PYTHONPATH", None)
            python = (PRODUCED / "python").read_text() if ours else sys.executable
            done = subprocess.run(
                [python, "-W", "ignore", "-c", (OURS if ours else THEIRS) + code],
                env=env, capture_output=True, text=True, check=False, timeout=240,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
            return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""

        yield hub, run


@pytest.mark.parametrize("episodes", [None, [1]])
@pytest.mark.parametrize("pusher", ["theirs", "ours"])
def test_what_one_side_pushes_the_other_reads(
    call: tuple[hub_emulator.Hub, Call], tmp_path: Path, pusher: str, episodes: list[int] | None
) -> None:
    hub, run = call
    root = tmp_path / "set"
    shutil.copytree(DATASET, root, ignore=shutil.ignore_patterns("expected*"))
    if pusher == "ours":
        run(pusher, f"Dataset('them/set', root={str(root)!r}).push_to_hub()")
    else:
        run(pusher, PUSH.format(root=str(root)))
    repository = hub.repositories["them/set"]
    assert repository.tags["v3.0"] == repository.branches["main"]
    assert {path for path in repository.at("v3.0") if path.startswith("meta/")}
    read = READ.format(name="them/set", episodes=episodes)
    shutil.rmtree(root)
    found = [run(side, read) for side in ("ours", "theirs")]
    assert found[0] == found[1]
    assert found[0].startswith("[25," if episodes else "[98,")
