"""What is imported when: listing imports nothing heavy, picking imports a config, building imports the implementation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from house.distributions import environment, install_many

OFFERS = Path(__file__).with_name("offers.py")
WATCH = """
import sys
from lerobot_core.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("\\nMODULES", code, *sys.modules)
"""


def run(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False, timeout=60, env=env)


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "300 distributions"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str] | None:
    """Environment of this machine, and with many distributions whose implementations end the process when imported."""
    if not request.param:
        return None
    folder = tmp_path_factory.mktemp("site")
    install_many(folder)
    return environment(folder)


def watched(*args: str, env: Mapping[str, str] | None = None) -> tuple[str, set[str]]:
    """(output, imported modules) of one `lr` call."""
    done = run("-c", WATCH, *args, env=env)
    assert done.returncode == 0, done.stderr
    text, _, names = done.stdout.rpartition("MODULES ")
    code, *found = names.split()
    assert code == "0", done.stderr
    return text, set(found)


LIGHT = {"torch", "numpy", "cattrs", "yaml", "attrs", "attr", "rich", "email", "json", "importlib.metadata"}
HOST = {
    f"lerobot_core.{name}"
    for name in (
        "cli",
        "cli.program",
        "components",
        "containment",
        "errors",
        "hookspecs",
        "imports",
        "installed",
        "offers",
    )
} | {"lerobot_core", "lerobot_core.plugins", "lerobot_core.preferences"}


def imported_of(found: set[str]) -> set[str]:
    """What a call imported of the toolkit and of generated plugins, without plugin modules."""
    return {name for name in found if name.startswith(("lerobot_", "plug")) and name != "pluggy"} - {
        name for name in found if name.endswith((".plugin", "_plugin")) or name.startswith("pluggy.") or "." not in name
    }


def test_help_imports_nothing_heavy(installed: Mapping[str, str] | None) -> None:
    text, found = watched("--help", env=installed)
    assert "plugins" in text
    assert ("plug49-work" in text) == (installed is not None)
    assert not found & LIGHT
    assert imported_of(found) <= HOST


def test_plugins_imports_no_implementation(installed: Mapping[str, str] | None) -> None:
    text, found = watched("plugins", env=installed)
    assert ("plug49_arm" in text) == (installed is not None)
    assert not found & LIGHT
    assert imported_of(found) <= HOST | {"lerobot_core.cli.listing"}


def test_help_of_a_picked_policy_imports_no_torch(installed: Mapping[str, str] | None) -> None:
    text, found = watched("train", "--policy.type=act", "--help", env=installed)
    assert "--policy.chunk_size" in text
    assert not found & {"torch", "cattrs", "cv2", "pyarrow", "av", "rich"}
    assert not any(name.startswith("plug") and name.endswith("_parts") for name in found)


@pytest.mark.parametrize("what", ["configs", "builds"])
def test_offers(what: str) -> None:
    done = run(str(OFFERS), what)
    assert done.returncode == 0, done.stderr
    problems = json.loads(done.stdout)["problems"]
    assert not problems, "\n".join(problems)


def test_importing_core_is_free() -> None:
    done = run("-c", "import sys; before = set(sys.modules); import lerobot_core; print(*set(sys.modules) - before)")
    assert done.stdout.split() == ["lerobot_core"]
