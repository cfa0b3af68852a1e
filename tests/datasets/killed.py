"""Recordings that are killed: `python killed.py FOLDER CHAINS KILLS SEED` records into FOLDER/0, FOLDER/1, … and kills each
recording after a random time, KILLS times, the next one resuming what the last one left. What a recording was about to do
and had done stands in FOLDER/0.log, one word per line.

Every attempt has a serial number that all its values are made from.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import recordings

from lerobot_datasets.video import stream

FPS = 10


def length(serial: int) -> int:
    return 2 + serial * 7 % 5


def frame(serial: int, i: int) -> dict[str, Any]:
    values = recordings.frame(serial, i)
    noise = np.random.default_rng([serial, i]).normal(size=2).astype(np.float32)
    return values | {"action": noise, recordings.CAMERA: recordings.picture(serial + i)}


def record(root: Path, log: Path, seed: int) -> None:
    """Record, and take back every third attempt, until killed."""
    words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    resume = (root / "meta/info.json").exists()
    writer = recordings.backend(root).create(recordings.features(), FPS, robot_type="arm", resume=resume)
    os.write(words, f"begun {writer.num_episodes}\n".encode())
    for serial in itertools.count(1000 * seed):
        if serial % 5 == 4:  # joins what there is, and goes on
            writer.finalize()
            os.write(words, b"joined\n")
            writer = recordings.backend(root).create(recordings.features(), FPS, robot_type="arm", resume=True)
        for i in range(length(serial)):
            writer.add(frame(serial, i), task=f"task {serial}")
        os.write(words, f"saving {serial}\n".encode())
        writer.save_episode()
        os.write(words, b"saved\n")
        if serial % 3 == 2:
            os.write(words, b"undoing\n")
            writer.undo()
            os.write(words, b"undone\n")


def committed(log: Path) -> tuple[list[int], list[int]]:
    """What must be there by the log, as serial numbers: before and after the step that was cut off."""
    sure: list[int] = []
    after: list[int] = []
    for line in log.read_text().splitlines():
        word, _, number = line.partition(" ")
        if word == "joined":
            continue
        if word == "begun":
            assert int(number) in (len(sure), len(after)), "resuming found another number of episodes"
            sure = after = sure if int(number) == len(sure) else after
        elif word == "saving":
            after = [*sure, int(number)]
        elif word == "undoing":
            after = sure[:-1]
        else:
            sure = after
    return sure, after


def kill(folder: Path, chains: Iterable[int], kills: int, seed: int) -> None:
    for chain, kill in itertools.product(chains, range(kills)):
        chance = random.Random(f"{seed} {chain} {kill}")
        pid = os.fork()
        if pid == 0:
            stream.PROCESSES = chain % 3 == 0  # they take longer to start: fewer episodes to a kill
            record(folder / str(chain), folder / f"{chain}.log", kill)
        time.sleep(chance.uniform(0.0, 0.5) + (0.4 if chain % 3 == 0 else 0.0))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def main(folder: Path, chains: int, kills: int, seed: int) -> None:
    """Half of the chains beside the other half: most of the time is waiting."""
    other = os.fork()
    kill(folder, range(not other, chains, 2), kills, seed)
    if not other:
        os._exit(0)
    assert os.waitpid(other, 0)[1] == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
