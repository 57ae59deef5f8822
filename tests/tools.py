"""What test modules share beside fixtures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = Path(os.environ.get("PKTMEND_CAPTURES", ROOT.parent / "shared" / "captures"))


def need(*programs: str) -> None:
    """Skip unless *programs* are installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
