"""The kernel's part broken in a few places: tests of its judgement notice.  All of them: tests/kernel_mutations.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_mutations import MUTATIONS, compiled, verdict
from tools import need

SOME = (  # of each sort
    "fragments",
    "UDP length",
    "what the metadata names",
    "the pseudo header",
    "order: no mark",
    "the tail's padding",
)


@pytest.fixture(autouse=True)
def compiler() -> None:
    need("clang-14", "llvm-strip-14", "make")
    if not Path("/usr/include/bpf/bpf_helpers.h").exists():
        pytest.skip("needs libbpf-dev")


def test_unbroken_program_passes(tmp_path: Path) -> None:
    assert verdict(compiled(tmp_path), 1.0) == ""


@pytest.mark.parametrize("name", SOME)
def test_broken_program_is_noticed(tmp_path: Path, name: str) -> None:
    assert verdict(compiled(tmp_path, *MUTATIONS[name]), 1.0)
