"""What is written down more than once says the same everywhere: the words and columns of the public headers."""

from __future__ import annotations

import ast
import ctypes
import enum
import re
import subprocess
import sys

import pytest

from pktmend import Batch, Frames, _core, enums
from tools import ROOT

PACKAGE = ROOT / "pipeline" / "pktmend"
_SIZE, MEMBERS = _core.batch_layout()
COLUMNS = {name: width for name, _, width, is_column in MEMBERS if is_column}
HIDDEN = {"data", "drop"}  # Batch.frame(i) shows the one, the other follows from the verdict
NOT_PER_PACKET = {"capacity", "checks"}
ENDPOINTS = {"src", "dst", "sport", "dport"}  # not of pp_batch: worked out when they are asked for


@pytest.mark.parametrize(
    ("kind", "python"),
    [
        ("STATUS", enums.Status),
        ("CAUSE", enums.Cause),
        ("REASON", enums.Reason),
        ("PROTO", enums.Proto),
        ("VERDICT", enums.Verdict),
        ("DROP", enums.Drop),
        ("PKT", enums.PacketFlag),
        ("CHECK", enums.CheckFlag),
        ("UNREAD", enums.Unread),
    ],
)
def test_words_have_the_numbers_that_c_gives_them(kind: str, python: type[enum.IntEnum]) -> None:
    assert {member.name: member.value for member in python} == _core.words()[kind]


def test_every_kind_of_word_has_its_enumeration() -> None:
    assert set(_core.words()) == {"STATUS", "CAUSE", "REASON", "PROTO", "VERDICT", "DROP", "PKT", "CHECK", "UNREAD"}


def test_words_are_there_without_the_engine() -> None:
    """`pktmend --version`, completion and type checkers need the words and nothing else."""
    program = "import sys; import pktmend.enums; print([m for m in sys.modules if m.startswith('pktmend._core')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_batch_has_an_attribute_for_every_column_and_for_no_other() -> None:
    batch = Frames([bytes(60)]).batch()
    views = {name for name in dir(Batch) if isinstance(getattr(batch, name, None), memoryview)}
    assert views - NOT_PER_PACKET - ENDPOINTS == set(COLUMNS) - HIDDEN
    for name in set(COLUMNS) - HIDDEN:
        assert getattr(batch, name).itemsize == COLUMNS[name] and len(getattr(batch, name)) == 1


def test_stub_declares_every_column() -> None:
    tree = ast.parse((PACKAGE / "_core" / "batch.pyi").read_text())
    (batch,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Batch")
    properties = {node.name for node in batch.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    assert properties - NOT_PER_PACKET - ENDPOINTS == set(COLUMNS) - HIDDEN


def test_cython_declares_every_member_with_its_size() -> None:
    """A stage in Cython sees pp_batch as stage.pxd has it; the C compiler takes names from there and types from C."""
    (struct,) = re.findall(r"ctypedef struct pp_batch:\n((?: {8}.*\n)+)", (PACKAGE / "stage.pxd").read_text())
    declared: dict[str, tuple[str, bool]] = {}
    for line in struct.split("\n"):
        kind, _, names = line.strip().partition(" ")
        for name in filter(None, names.split(", ")):
            declared[name.lstrip("*")] = (kind, name.startswith("*"))
    assert set(declared) == {name for name, *_ in MEMBERS}
    for name, width in COLUMNS.items():
        kind, is_pointer = declared[name]
        assert is_pointer
        assert width == (ctypes.sizeof(ctypes.c_void_p) if name == "data" else int(kind.strip("uint_")) // 8)


def test_document_names_every_column() -> None:
    table = (ROOT / "docs" / "stages.md").read_text().partition("## Columns")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.M))))
    assert (set(COLUMNS) - HIDDEN) | ENDPOINTS <= named
