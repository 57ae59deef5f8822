"""What all tests share: the SIMD kernels, the public captures, and reasons to skip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tools import CAPTURES

import pipeline


@pytest.fixture(params=[name for name, _, _ in pipeline.kernels()])
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Force each SIMD kernel in turn."""
    name = str(request.param)
    if not {n: supported for n, supported, _ in pipeline.kernels()}[name]:
        pytest.skip(f"this machine has no {name}")
    pipeline.use_kernel(name)
    yield name
    pipeline.use_kernel(None)


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of public captures with independent verdicts."""
    if not (CAPTURES / "verdicts.jsonl.xz").exists():
        pytest.skip(f"no public captures at {CAPTURES} (set PKTMEND_CAPTURES)")
    return CAPTURES
