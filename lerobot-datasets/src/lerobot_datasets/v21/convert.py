"""What makes a v2.x dataset one of v3.0: a plan of all its episodes, which the executor of the edits writes. *Pure.*"""

from __future__ import annotations

import attrs

from lerobot_core.errors import DataError
from lerobot_datasets.edit.plan import Piece, Plan, Source


def plan(source: Source, data_files_size_in_mb: int = 100, video_files_size_in_mb: int = 200) -> Plan:
    """Every episode, in files of these sizes [MiB]. Nothing moves, so all statistics hold.

    Raises:
        DataError: it is no v2.x dataset.
    """
    info = source.info
    if not info.codebase_version.startswith("v2."):
        raise DataError(
            f"'{source.root}' is in format {info.codebase_version}", path=source.root, hint="only v2.x is converted"
        )
    info = attrs.evolve(
        info, data_files_size_in_mb=data_files_size_in_mb, video_files_size_in_mb=video_files_size_in_mb
    )
    pieces = tuple(Piece(episode=episode, stop=length) for episode, length in enumerate(source.lengths))
    return Plan(
        info=info, sources=(source,), pieces=pieces, anew=frozenset(), data="joined", videos="joined", rates=True
    )
