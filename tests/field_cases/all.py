"""Every case of every kind."""

from __future__ import annotations

import importlib
from pathlib import Path

from field_cases.case import CASES

NO_CASES = {"__init__", "__main__", "all", "captures", "case", "hops", "packets", "repairs", "repairs_formats"} | {
    "talk", "tunnelled", "verdicts", "wires",
}  # fmt: skip
KINDS = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_CASES)
for kind in KINDS:
    importlib.import_module(f"field_cases.{kind}")

__all__ = ["CASES", "KINDS"]
