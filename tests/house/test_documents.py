"""Code in Markdown is code: Python parses, shell parses, and every `lr` command named there exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from house import source
from lerobot_core import plugins

BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", re.M | re.S)


def blocks(text: str, *languages: str) -> list[str]:
    """Fenced blocks of these languages, without their indent."""
    return [
        "\n".join(line.removeprefix(indent) for line in body.splitlines())
        for indent, language, body in BLOCK.findall(text)
        if language in languages
    ]


def lr_commands(script: str) -> list[list[str]]:
    """Leading plain words of every `lr …` line, as ["dataset", "info"]."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        words = line.removeprefix("$ ").split()
        if words[:1] == ["lr"]:
            plain = [word for word in words[1:3] if re.fullmatch(r"[a-z][a-z-]*", word)]
            found.append(plain if words[1:2] == plain[:1] else [])
    return found


@pytest.fixture(params=source.documents(), ids=lambda file: str(file.relative_to(source.ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_python_parses(document: Path) -> None:
    for block in blocks(document.read_text(), "python", "py"):
        compile(block, str(document), "exec")


def test_shell_parses(document: Path) -> None:
    for block in blocks(document.read_text(), "bash", "sh", "console", "shell"):
        done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{document}: {done.stderr}"


def test_commands_exist() -> None:
    host = plugins.Host()
    host.discover()
    known = {command.name for _, command in host.call("lr_commands")}
    groups = {name.split(" ")[0] for name in known}
    unknown = []
    for document in source.documents():
        for block in blocks(document.read_text(), "bash", "sh", "console", "shell"):
            for words in lr_commands(block):
                if words and words[0] not in known and not (words[0] in groups and " ".join(words) in known):
                    unknown.append(f"{document.relative_to(source.ROOT)}: lr {' '.join(words)}")
    assert not unknown, "\n".join(unknown)


def test_blocks_are_found() -> None:
    text = "x\n```python\na = 1\n```\n  ```bash\n  lr dataset info PATH \\\n    --json\n  lr --help\n  ```\n"
    assert blocks(text, "python") == ["a = 1"]
    assert lr_commands(blocks(text, "bash")[0]) == [["dataset", "info"], []]
