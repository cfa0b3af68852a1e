"""Code on a page is code: every block runs, or is checked where it says why not, and every `lr` command exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from house import pages, source
from lerobot_core import plugins

#: but those of a project that is yet to be made
PAGES = [page for page in source.documents() if "{{" not in str(page)]
#: those with code on them
CODE = [page for page in PAGES if any(pages.blocks(page.read_text()))]
#: blocks that need what a test has not; each says why on its page
NOT_RUN = 3


def lr_commands(script: str) -> list[list[str]]:
    """Leading plain words of every `lr …` line, as ["dataset", "info"], but of those that bring a plugin."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] == ["lr"] and "--plugin" not in words:
            plain = [word for word in words[1:3] if re.fullmatch(r"[a-z][a-z-]*", word)]
            found.append(plain if words[1:2] == plain[:1] else [])
    return found


def name(file: Path) -> str:
    return str(file.relative_to(source.ROOT))


def run(page: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LR_STRICT_PLUGINS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, pages.__file__, str(page)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[Path, Future[subprocess.CompletedProcess[str]]]]:
    """The pages that are asked for, two at a time: much of a page is waiting."""
    here = [item for item in request.session.items if item.parent is request.node and "runs" in item.fixturenames]
    asked = [item.callspec.params["page"] for item in here]
    with ThreadPoolExecutor(2) as pool:
        yield {page: pool.submit(run, page) for page in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("page", CODE, ids=name)
def test_every_block_runs(page: Path, runs: dict[Path, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = runs[page].result()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", CODE, ids=name)
def test_blocks_say_what_they_are(page: Path) -> None:
    for block in pages.blocks(page.read_text()):
        assert block.kind in pages.KINDS, f"line {block.line}: '{block.kind}' (known: {', '.join(pages.KINDS)})"
        if block.kind == "python":
            compile(block.text, str(page), "exec")
        elif block.kind == "sh":
            done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
            assert done.returncode == 0, f"line {block.line}: {done.stderr}"


def test_commands_exist() -> None:
    host = plugins.Host()
    host.discover()
    known = {command.name for _, command in host.call("lr_commands")}
    groups = {name.split(" ")[0] for name in known}
    unknown = []
    for page in PAGES:
        for block in pages.blocks(page.read_text()):
            for words in lr_commands(block.text) if block.kind == "sh" and not block.title else []:
                if words and words[0] not in known and not (words[0] in groups and " ".join(words) in known):
                    unknown.append(f"{name(page)}: lr {' '.join(words)}")
    assert not unknown, "\n".join(unknown)


@pytest.mark.parametrize("page", [page for page in PAGES if source.ROOT / "docs" not in page.parents], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """The build of the site asks the same of the pages in docs."""
    local = [link for link in pages.links(page.read_text()) if not link.startswith("https://")]
    assert not [link for link in local if not (page.parent / link).exists()]


def test_few_blocks_are_not_run() -> None:
    found = [
        f"{name(page)}:{block.line}: {block.not_run}"
        for page in PAGES
        for block in pages.blocks(page.read_text())
        if block.not_run
    ]
    assert len(found) <= NOT_RUN, "\n".join(found)


def test_links_are_found() -> None:
    text = "[a](docs/a.md#part) and ![b](b.png), `[c](c)`, [d](#here)\n"
    assert list(pages.links(text)) == ["docs/a.md", "b.png"]


def test_blocks_are_found() -> None:
    text = (
        "x\n```python\na = 1\n```\n\n- item\n\n  ```sh\n  lr dataset info PATH \\\n    --json\n  lr --help\n  ```\n\n"
        '<!-- not run: needs an arm -->\n```toml title="a.toml"\n```\n\nand\n\n    lr info\n'
    )
    python, fenced, toml, indented = pages.blocks(text)
    assert (python.kind, python.line, python.text) == ("python", 2, "a = 1\n")
    assert lr_commands(fenced.text) == [["dataset", "info"], []]
    assert (toml.title, toml.not_run) == ("a.toml", "needs an arm")
    assert (indented.kind, indented.text) == ("sh", "lr info\n")


def test_a_block_that_needs_what_is_not_here_is_not_run() -> None:
    needs, lacks = pages.blocks(
        "<!-- needs json -->\n```sh\nfalse\n```\n\n<!-- needs json, no_such_part -->\n```sh\nfalse\n```\n"
    )
    assert (needs.not_run, lacks.not_run) == ("", "no_such_part not found")


@pytest.mark.parametrize(
    "block",
    [
        "```python\n1 / 0\n```",
        "    false\n",
        "    lr teleoperat --fps=1\n",
        "    pip install ./lerobot-motors[cv]\n",
        "    pip install ./lerobot-arms\n",
        "    nox -s nothing\n",
        "```toml\na =\n```",
    ],
)
def test_a_block_that_fails_fails_its_page(block: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{block}")
    done = subprocess.run([sys.executable, pages.__file__, str(page)], capture_output=True, check=False)
    assert done.returncode != 0
