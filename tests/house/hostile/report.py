"""Every hostile plugin against the host: a table and a line of JSON. `python tests/house/hostile/report.py [PART_OF_A_NAME]`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from house.hostile import trial
from house.hostile.table import CASES


def main() -> None:
    wanted = sys.argv[1] if sys.argv[1:] else ""
    outcomes = [trial.run(case) for case in CASES if wanted in case.name]
    width = max(len(outcome.name) for outcome in outcomes)
    print(f"{'plugin':{width}}  survived  named  seconds")
    for outcome in outcomes:
        survived, named = ("yes" if yes else "NO" for yes in outcome[1:3])
        print(f"{outcome.name:{width}}  {survived:8}  {named:5}  {outcome.seconds:7.2f}")
        if not (outcome.survived and outcome.named):
            print(outcome.said)
    print(
        json.dumps(
            {
                "plugins": len(outcomes),
                "survived": sum(outcome.survived for outcome in outcomes),
                "named": sum(outcome.named for outcome in outcomes),
                "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
                "not": [outcome.name for outcome in outcomes if not (outcome.survived and outcome.named)],
            }
        )
    )


if __name__ == "__main__":
    main()
