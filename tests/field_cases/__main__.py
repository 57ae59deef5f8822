"""Print the cases that fail: `PYTHONPATH=tests python -m field_cases [-v] [-w FOLDER] [WORDS OF NAMES]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from field_cases.all import CASES
from field_cases.case import judge


def main() -> int:
    """Exit 0 if all are right; -w: write the captures there."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if "-w" in sys.argv:
        folder = Path(words.pop(0))
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="field-cases-"))
    chosen = [one for one in CASES if not words or any(word in one.name for word in words)]
    right = 0
    for one in chosen:
        faults, said = judge(one, folder)
        right += not faults
        if faults or "-v" in sys.argv:
            answer = ", ".join(f"{cause} ({confidence})" for cause, confidence in said) or "nothing"
            print(f"{one.name}: said {answer}; {'; '.join(faults) or 'right'}; {one.why}")
    print(f"{right} of {len(chosen)} cases right")
    return right != len(chosen)


sys.exit(main())
