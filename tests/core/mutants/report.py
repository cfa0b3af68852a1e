"""The kit's proof as a table: `python tests/core/mutants/report.py [--json FILE]`.

Every good part must pass its suite, and every mutant must fail in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

#: share of mutants that must be noticed
WANTED = 0.95


def findings() -> dict[str, list[dict[str, Any]]]:
    """A row for each good part and each mutant."""
    import torch  # noqa: F401  its first import is no suite's time

    from core.mutants.kinds import GOODS
    from core.mutants.runner import MUTANTS, run_good, run_mutant

    with tempfile.TemporaryDirectory() as folder:
        goods, mutants = [], []
        for name in GOODS:
            verdict = run_good(name, Path(folder))
            goods.append({"name": name, "role": name, **verdict._asdict()})
        for name, mutant in MUTANTS.items():
            verdict = run_mutant(name, Path(folder))
            mutants.append({"name": name, "role": mutant.good, **verdict._asdict()})
    return {"goods": goods, "mutants": mutants}


def totals(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Counts of what was found."""
    goods, mutants = found["goods"], found["mutants"]
    return {
        "goods": len(goods),
        "goods_passed": sum(not row["failed"] for row in goods),
        "mutants": len(mutants),
        "mutants_killed": sum(bool(row["failed"]) for row in mutants),
        "slowest_seconds": round(max(row["seconds"] for row in goods + mutants), 2),
    }


@click.command()
@click.option("--json", "file", type=click.Path(path_type=Path), help="write rows and totals to this file too")
def main(file: Path | None) -> None:
    """Run every suite on good parts and on mutants, and print who noticed what."""
    found = findings()
    table = Table("part", "role", "noticed by", "seconds", box=None)
    for row in found["goods"]:
        table.add_row("good", row["role"], row["failed"] or f"- ({row['passed']} checks pass)", f"{row['seconds']:.2f}")
    for row in found["mutants"]:
        table.add_row(row["name"], row["role"], row["failed"] or "NOBODY", f"{row['seconds']:.2f}")
    Console(width=150).print(table)
    counts = totals(found)
    print(
        f"{counts['goods_passed']} of {counts['goods']} good parts pass; {counts['mutants_killed']} of "
        f"{counts['mutants']} mutants are noticed; the slowest took {counts['slowest_seconds']} s"
    )
    if file is not None:
        file.write_text(json.dumps({**found, "totals": counts}, indent=1))
    kept = counts["goods_passed"] == counts["goods"] and counts["mutants_killed"] >= WANTED * counts["mutants"]
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
