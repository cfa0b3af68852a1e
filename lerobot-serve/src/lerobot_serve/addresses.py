"""Addresses of policy servers as users write them. *Pure.*"""

from __future__ import annotations

from urllib.parse import urlsplit

SCHEMES = ("tcp", "ipc")


def check_address(option: str, address: str) -> None:
    """
    Raises:
        ValueError: the text is no address of a server.
    """
    try:
        parts = urlsplit(address)
        complete = parts.scheme == "ipc" or (parts.hostname and parts.port is not None)
    except ValueError as failure:  # a port that is no number, or beyond 65535
        raise ValueError(f"{option} '{address}': {failure}; write tcp://host:port") from failure
    if parts.scheme not in SCHEMES or not complete:
        raise ValueError(f"{option} is tcp://host:port or ipc://path, got '{address}'")


def is_local(address: str) -> bool:
    """Whether only this machine can reach an address."""
    parts = urlsplit(address)
    return parts.scheme in ("ipc", "inproc", "abstract", "unix") or (
        (parts.hostname or "") in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
    )
