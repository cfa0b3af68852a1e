"""Removes what belongs to roles that were not asked for: each role has its own files, named after it."""

import shutil
import sys
from pathlib import Path

asked = "{{ cookiecutter.roles }}".split()
package, tests = Path("src", "{{ cookiecutter.name }}"), Path("tests")
known = sorted(file.stem.removeprefix("test_").replace("_", "-") for file in tests.glob("test_*.py"))

if not asked or not set(asked) <= set(known):
    sys.exit(f"roles are one or more of {', '.join(known)}; asked was: {' '.join(asked) or 'none'}")
for role in set(known) - set(asked):
    stem = role.replace("-", "_")
    for file in (*package.glob(f"{stem}*.py"), *tests.glob(f"test_{stem}.py")):
        file.unlink()
for compiled in list(Path().rglob("__pycache__")):  # installers compile what they can of an installed template
    shutil.rmtree(compiled)
