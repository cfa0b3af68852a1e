"""`lr serve`: one policy for the robots that connect."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.registry import Choice
from lerobot_core.roles import Policy
from lerobot_serve.addresses import check_address
from lerobot_serve.server import PolicyServer

#: Where the token may stand instead of on the command line, which other users of a machine can read.
TOKEN_VARIABLE = "LR_SERVE_TOKEN"


@attrs.frozen(kw_only=True)
class ServeConfig:
    """Options of `lr serve`.

    Attributes:
        policy: the policy to serve; --policy.path names a checkpoint.
        address: tcp://host:port (port 0 picks a free one) or ipc://path.
        token: what clients must know; LR_SERVE_TOKEN in the environment does the same, out of sight of `ps`.
        fps: control rate the policy was made for; robots at another rate are refused [Hz].
        until_eof: serve until standard input ends; how `lr run` ends the server it started.
    """

    policy: Choice[Policy]
    address: str = "tcp://127.0.0.1:8080"
    token: str = ""
    fps: float | None = None
    until_eof: bool = False

    def __attrs_post_init__(self) -> None:
        check_address("address", self.address)


@config_command(ServeConfig)
def serve(config: ServeConfig) -> None:
    """Serve a policy to robots over the network, until Ctrl-C. Several robots may connect at once."""
    server = PolicyServer(
        config.policy.build(),
        config.address,
        token=config.token or os.environ.get(TOKEN_VARIABLE, ""),
        fps=config.fps,
        name=config.policy.type,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with server:
            click.echo(f"ready: {config.policy.type} at {server.address}")
            sys.stdout.flush()
            sys.stdin.buffer.read() if config.until_eof else threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt
