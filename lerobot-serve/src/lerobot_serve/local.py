"""A policy server of one's own: `lr serve` in a subprocess, for a policy on the robot's machine.

A process, not a thread: inference must not take the control loop's time. Its socket is a file that only this user can reach.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lerobot_core import plugins
from lerobot_core.config import to_data
from lerobot_core.errors import WireError
from lerobot_core.registry import Choice
from lerobot_core.roles import Policy

log = logging.getLogger(__name__)


@contextmanager
def local_server(policy: Choice[Policy]) -> Iterator[str]:
    """Start a server for the policy, give its address once it is ready, stop it at the end.

    Raises:
        WireError: the server ended before it was ready; its own words stand on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="lr-run-") as folder:
        address = f"ipc://{folder}/policy"
        process = subprocess.Popen(
            _command(policy, address), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        try:
            if not process.stdout or not process.stdout.readline().startswith("ready:"):
                raise WireError(
                    f"the server for policy '{policy.type}' ended with status {process.wait()} before it was ready",
                    hint="its own error stands above",
                )
            yield address
        finally:
            _stop(process)


def _command(policy: Choice[Policy], address: str) -> list[str]:
    options = [f"--policy.{key}={_text(value)}" for key, value in to_data(policy).items()]
    given = [f"--plugin={place}" for place in plugins.host().given]
    start = "from lerobot_core.cli import main; main()"
    return [sys.executable, "-c", start, "serve", *options, *given, f"--address={address}", "--until_eof"]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _stop(process: subprocess.Popen[str]) -> None:
    """Its standard input ends, so it stops; also if this process is killed."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(timeout=3.0)
    except subprocess.TimeoutExpired:
        log.warning("the policy server does not stop by itself; killing it")
        process.kill()
        process.wait()
