"""What is imported when: listing imports nothing heavy, picking imports a config, building imports the implementation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False, timeout=60)


def watched(*args: str) -> tuple[str, set[str]]:
    """(output, imported modules) of one `lr` call."""
    done = run("-c", WATCH, *args)
    assert done.returncode == 0, done.stderr
    text, _, names = done.stdout.rpartition("MODULES ")
    code, *found = names.split()
    assert code == "0", done.stderr
    return text, set(found)


def test_help_imports_nothing_heavy() -> None:
    text, found = watched("--help")
    assert "train" in text or "plugins" in text
    assert not found & {"torch", "numpy", "cattrs", "yaml", "attrs", "attr", "rich", "email", "json"}
    ours = {name for name in found if name.startswith("lerobot_")}
    allowed = {"lerobot_core", "lerobot_core.cli", "lerobot_core.cli.program"} | {
        f"lerobot_core.{name}"
        for name in (
            "components",
            "containment",
            "errors",
            "hookspecs",
            "installed",
            "offers",
            "plugins",
            "plugin",
            "preferences",
        )
    }
    others = {name for name in ours - allowed if name.count(".") > 0 and not name.endswith(".plugin")}
    assert not others


def test_plugins_imports_no_implementation() -> None:
    _, found = watched("plugins")
    assert not found & {"torch", "cattrs", "cv2", "pyarrow", "av"}


@pytest.mark.parametrize("what", ["configs", "builds"])
def test_offers(what: str) -> None:
    done = run(str(OFFERS), what)
    assert done.returncode == 0, done.stderr
    problems = json.loads(done.stdout)["problems"]
    assert not problems, "\n".join(problems)


def test_importing_core_is_free() -> None:
    done = run("-c", "import sys; before = set(sys.modules); import lerobot_core; print(*set(sys.modules) - before)")
    assert done.stdout.split() == ["lerobot_core"]
