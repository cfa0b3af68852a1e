"""Which of a repository's tags and branches holds a format version that can be read. Pure; knows no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lerobot_core.errors import DataError, did_you_mean, few

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?|v(\d+)")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def parse(name: str) -> Version | None:
    """Major, minor and patch of a name like `v3.0`; None for one that is no version."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return None
    major, minor, patch, alone = found.groups()
    return int(major or alone), int(minor or 0), int(patch or 0)


def choose(repo_id: str, revision: str, names: Sequence[str]) -> str:
    """The tag, branch or commit to read for `revision`.

    A version means that version, else the highest of the same major and no higher minor number; any other name means
    itself.

    Args:
        repo_id: the repository, for messages.
        revision: what is asked for.
        names: its tags and branches.

    Raises:
        DataError: it has only older or only newer versions or none, or no branch or tag of that name.
    """
    wanted, known = parse(revision), {name: version for name in names if (version := parse(name))}
    if wanted is None:
        if revision in names or _COMMIT.fullmatch(revision):
            return revision
        raise DataError(
            f"'{repo_id}' has no revision '{revision}'{did_you_mean(revision, names)}",
            hint=f"it has {few(names)}" if names else "it has no branch and no tag: nothing was uploaded yet",
        )
    exact = [name for name, version in known.items() if version == wanted]
    fitting = exact or [
        name for name, version in known.items() if version[0] == wanted[0] and version[:2] <= wanted[:2]
    ]
    if not fitting:
        raise _refused(repo_id, revision, wanted, known, names)
    return max(fitting, key=lambda name: (known[name], name))  # of v3.0 and 3.0, the first


def _refused(
    repo_id: str, revision: str, wanted: Version, known: Mapping[str, Version], names: Sequence[str]
) -> DataError:
    asked = f"asked for '{repo_id}' in format {revision}"
    if not known:
        return DataError(
            f"{asked}: it has no version tag, found {few(names) or 'no branch either'}",
            hint="its owner pushes it again with `lr dataset push`; or name a branch or commit as revision",
        )
    found = few(sorted(known, key=lambda name: known[name]))
    if any(version[0] < wanted[0] for version in known.values()):
        return DataError(
            f"{asked}: it is in the older {found}",
            hint=f"convert it to {revision} and push that, or name what it has as revision",
        )
    return DataError(
        f"{asked}: it is in the newer {found}", hint="update lerobot-datasets, or name what it has as revision"
    )
