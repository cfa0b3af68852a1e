"""Removes what belongs to roles that were not asked for: each role has its own files, named after it."""

import sys
from pathlib import Path

asked = "{{ cookiecutter.roles }}".replace("-", "_").split()
tests = {file.stem.removeprefix("test_"): file for file in Path("tests").glob("test_*.py")}

if unknown := sorted(set(asked) - set(tests)) or not asked:
    print(f"unknown roles: {unknown}; the roles are {', '.join(sorted(tests)).replace('_', '-')}", file=sys.stderr)
    sys.exit(1)
for role in set(tests) - set(asked):
    for file in (tests[role], *Path("src", "{{ cookiecutter.name }}").glob(f"{role}*.py")):
        file.unlink()
if asked == ["command"]:
    Path("src", "{{ cookiecutter.name }}", "conformance.py").unlink()
