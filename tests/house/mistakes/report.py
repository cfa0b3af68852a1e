"""Every mistake with its answer, as a table and as JSON: `python tests/house/mistakes/report.py [WORDS OF A NAME]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from house.mistakes.answers import Answer, Asker
from house.mistakes.table import MISTAKES


def shown(answer: Answer) -> str:
    lines = len(answer.stderr.splitlines())
    held = "yes" if not answer.wrong else "NO: " + "; ".join(answer.wrong)
    return f"{answer.mistake.name:58} {lines:5} {answer.code!s:>4} {answer.seconds:7.2f}  {held}"


def main(words: str) -> int:
    answers = []
    print(f"{'mistake':58} {'lines':>5} {'exit':>4} {'seconds':>7}  held")
    with Asker() as asker:
        for mistake in MISTAKES:
            if words in mistake.name:
                answers.append(asker.ask(mistake))
                print(shown(answers[-1]), flush=True)
                if words or answers[-1].wrong:
                    print("".join(f"    | {line}\n" for line in answers[-1].stderr.splitlines()[:12]), end="")
    held = sum(not answer.wrong for answer in answers)
    seconds = round(sum(answer.seconds for answer in answers), 1)
    print(json.dumps({"mistakes": len(answers), "held": held, "seconds": seconds}))
    return 0 if held == len(answers) else 1


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
