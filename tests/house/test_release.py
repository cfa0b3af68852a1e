"""What keeps a distribution from being released is told before it is built, and what was built is looked into."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from house import release, source

FOLDERS = sorted(source.ROOT.glob("lerobot-*"))
PYPROJECT = """[project]
name = "my-arm"
version = "0.2.0"
dependencies = ["lerobot-core>=0.1,<0.2"]
entry-points."lerobot".my_arm = "my_arm.plugin"
"""
CHANGES = "# Changelog of my-arm\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-21\n\n### Added\n- An arm.\n"
METADATA = "Metadata-Version: 2.4\nName: my-arm\nVersion: 0.2.0\nLicense-Expression: Apache-2.0\n\nAn arm.\n"


def git(folder: Path, *words: str) -> None:
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *author, *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A distribution in a repository of its own, ready to be released."""
    (tmp_path / "src" / "my_arm").mkdir(parents=True)
    (tmp_path / "src" / "my_arm" / "__init__.py").write_text('__version__ = "0.2.0"\n')
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "An arm")
    return tmp_path


def written(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def tagged_before(folder: Path) -> None:
    git(folder, "tag", "my-arm-v0.2.0")
    git(folder, "commit", "--allow-empty", "-m", "More")


def test_what_agrees_is_ready(project: Path) -> None:
    assert not list(release.ready(project))
    git(project, "tag", "my-arm-v0.2.0")
    assert not list(release.ready(project))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (written("src/my_arm/__init__.py", "0.2.0", "0.1.0"), "another __version__"),
        (written("CHANGELOG.md", "[0.2.0] - 2026-11-21", "[0.2.0]"), "no heading"),
        (written("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n- A hand.\n"), "under [Unreleased]"),
        (tagged_before, "released already"),
        (lambda folder: git(folder, "tag", "my-arm-v0.3.0"), "tagged my-arm-v0.3.0, the version is 0.2.0"),
    ],
    ids=["version", "heading", "unreleased", "old tag", "other tag"],
)
def test_what_does_not_agree_is_told(project: Path, change: Callable[[Path], None], said: str) -> None:
    change(project)
    (problem,) = release.ready(project)
    assert said in problem


def make_wheel(folder: Path, **files: str | None) -> Path:
    """A wheel of the project; `files` replaces files by their last name, None leaves one out."""
    info = "my_arm-0.2.0.dist-info"
    contents: dict[str, str | None] = {
        "my_arm/__init__.py": "",
        "my_arm/py.typed": "",
        f"{info}/METADATA": METADATA,
        f"{info}/entry_points.txt": "[lerobot]\nmy_arm = my_arm.plugin\n",
        f"{info}/licenses/LICENSE": "Apache",
    }
    contents |= {next((name for name in contents if name.endswith(key)), key): text for key, text in files.items()}
    with zipfile.ZipFile(folder / "my_arm.whl", "w") as opened:
        for name, text in contents.items():
            if text is not None:
                opened.writestr(name, text)
    return folder / "my_arm.whl"


def test_a_whole_wheel_passes(project: Path) -> None:
    assert not list(release.wheel(make_wheel(project), project))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"LICENSE": None}, "LICENSE is not there"),
        ({"py.typed": None}, "py.typed is not there"),
        ({"__init__.py": None}, "__init__.py is not there"),
        ({"tests/test_arm.py": ""}, "'tests' does not belong there"),
        ({"METADATA": METADATA.replace("0.2.0", "0.1.0")}, "it says it is my-arm 0.1.0"),
        ({"METADATA": METADATA.replace("License-Expression: Apache-2.0\n", "")}, "lack the license"),
        ({"entry_points.txt": "[lerobot]\n"}, "lack the plugin"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_what_a_wheel_lacks_is_told(project: Path, files: dict[str, str | None], said: str) -> None:
    (problem,) = release.wheel(make_wheel(project, **files), project)
    assert said in problem


def test_a_link_in_an_sdist_is_no_file(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "my_arm.tar.gz", "w:gz") as opened:
        for name in release.IN_SDIST:
            member = tarfile.TarInfo(f"my_arm-0.2.0/{name}")
            if name == "LICENSE":
                member.type, member.linkname = tarfile.SYMTYPE, "../LICENSE"
            opened.addfile(member, io.BytesIO())
    assert list(release.sdist(tmp_path / "my_arm.tar.gz")) == ["LICENSE is not there"]


def test_every_distribution_has_the_license() -> None:
    assert all((folder / "LICENSE").read_bytes() == (source.ROOT / "LICENSE").read_bytes() for folder in FOLDERS)


def test_siblings_take_the_core_beside_them() -> None:
    assert not list(release.fits(FOLDERS))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_changelogs_have_one_form(folder: Path) -> None:
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    lines = (folder / "CHANGELOG.md").read_text().splitlines()
    assert lines[0] == f"# Changelog of {folder.name}"
    assert {line.removeprefix("### ") for line in lines if line.startswith("### ")} <= kinds
    assert next(line for line in lines if line.startswith("## ")) == "## [Unreleased]"
