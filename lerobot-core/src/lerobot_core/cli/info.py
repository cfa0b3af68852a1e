"""`lr info`: what is installed and found on this machine. Each probe runs in a subprocess of its own with a time-out, so
that a library that crashes natively or hangs costs one line."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from importlib import metadata
from typing import Any

import click

from lerobot_core import plugins
from lerobot_core.cli.listing import plugin_rows
from lerobot_core.containment import seconds_of
from lerobot_core.errors import printable

#: time a probe may take [s], unless `LR_PROBE_SECONDS` says otherwise
PROBE_SECONDS = 30.0
_PROBE = "import json, sys; from lerobot_core.plugins import resolve; json.dump(resolve(sys.argv[1])(), sys.stdout)"
_LIBRARIES = ("numpy", "attrs", "click", "pluggy", "pyarrow", "av", "torch", "torchcodec", "safetensors", "pynng")


def machine() -> dict[str, Any]:
    """Python, platform and the versions of the libraries that matter, absent ones as None."""
    versions: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def probe(target: str) -> dict[str, Any]:
    """The findings of one "module:function", or {"error": …} if it crashed or took too long."""
    command = [sys.executable, "-c", _PROBE, target]
    seconds = seconds_of("LR_PROBE_SECONDS", PROBE_SECONDS)
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {seconds:g} s"}
    if done.returncode < 0:
        return {"error": f"crashed natively by signal {-done.returncode} ({signal.strsignal(-done.returncode)})"}
    if done.returncode > 0:
        last = (done.stderr.decode(errors="replace").strip() or f"ended with status {done.returncode}").splitlines()[-1]
        return {"error": last}
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        found = None
    return found if isinstance(found, dict) else {"error": "it printed no JSON object"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Versions, plugins, codecs and devices found on this machine."""
    findings: dict[str, Any] = {}
    for status, target in list(plugins.host().call("lr_info")):
        found = probe(target)
        if "error" in found:
            fix = f"`lr plugins disable {status.name}` leaves it out"
            found = {"error": f"'{target}' of {status.distribution}: {found['error']}; {fix}"}
        findings.setdefault(status.name, {}).update(found)
    if as_json:
        click.echo(json.dumps({"plugins": plugin_rows(), "findings": findings}, indent=2))
        return
    for row in plugin_rows():
        click.echo(f"plugin {row['name']}: {row['distribution']} {row['version']}, {row['state']}")
    for name, found in findings.items():
        click.echo(f"{name}:")
        for key, value in found.items():
            click.echo(f"    {key}: {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none found"
    return "not installed" if value is None else printable(str(value))
