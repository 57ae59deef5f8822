"""The floors of docs/architecture.md, from the ground: each folder includes or imports only what lies below it.

Both directions are checked: nothing imports upward, and every folder that exists has its floor here.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools import ROOT

PACKAGE = ROOT / "pipeline" / "pktmend"
EXT = ROOT / "ext"

# Python: from the ground.  Folders of one floor do not know each other.
FLOORS = (
    {"_version", "enums", "errors"},
    {"records"},
    {"_core", "_kernel", "_kernel_build", "include"},
    {"host"},
    {"packetio", "runtime", "testbed"},
    {"console"},
    {  # advice: one Finding and one Remedy for diagnose and doctor, who must not import each other
        "advice",
        "reading",
        "serving",
    },
    {"report"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}
LAZY = "__init__"  # the public names: from every floor below the commands, imported at their first use
COMMANDS_THAT_KNOW_OTHERS = {("bench", "bridge")}  # bench measures the bridge

# C: from the ground.
C_FLOORS = (
    {"include"},
    {"sum"},
    {"parse"},
    {"bpf", "offload"},
    {"check", "observe"},
    {"run"},
    {"io"},
    {"bench"},
)
C_LEVEL = {name: level for level, floor in enumerate(C_FLOORS) for name in floor}

# Cython: from the ground.
CORE = PACKAGE / "_core"
CORE_FLOORS = (
    {"engine"},
    {"clearing", "sums", "views"},
    {"batch"},
    {"python_stage", "sources", "stages"},
    {"bridge_loop", "conversations", "frames", "results", "samples", "sinks"},
    {"loop"},
    {"pool"},
)
CORE_LEVEL = {name: level for level, floor in enumerate(CORE_FLOORS) for name in floor}

MODULES = sorted(PACKAGE.rglob("*.py"))
C_FILES = sorted(path for path in EXT.rglob("*.[ch]"))


def imports(path: Path) -> set[tuple[str, ...]]:
    """Return the modules of this package that *path* imports, as paths from the package: ("host", "netlink")."""
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pktmend":
            base = tuple(node.module.split(".")[1:])
            found |= {base} if base else {(alias.name,) for alias in node.names}
            if base:
                found |= {(*base, alias.name) for alias in node.names if is_module((*base, alias.name))}
        elif isinstance(node, ast.Import):
            found |= {tuple(a.name.split(".")[1:]) or (LAZY,) for a in node.names if a.name.split(".")[0] == "pktmend"}
    return {each if each[0] in LEVEL else (LAZY,) for each in found}


def is_module(parts: tuple[str, ...]) -> bool:
    where = PACKAGE.joinpath(*parts)
    return where.is_dir() or where.with_suffix(".py").exists()


def room(path: Path) -> str:
    """Return the module or folder right under the package that *path* belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_module_has_a_floor() -> None:
    there = {
        path.name
        for path in PACKAGE.iterdir()
        if path.is_dir() and path.name != "__pycache__" and any(path.rglob("*.p*"))
    } | {path.stem for path in PACKAGE.glob("*.py")}
    assert there - {LAZY} <= set(LEVEL)
    assert {name for floor in FLOORS for name in floor if not name.startswith("_")} <= there, "a floor without a room"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_from_floors_below(path: Path) -> None:
    own = room(path)
    level = LEVEL.get(own, LEVEL["commands"])  # the package itself: below the commands
    for name, *_ in imports(path):
        if name == own:
            continue
        below = LEVEL["commands"] if name == LAZY else LEVEL[name]
        assert below < level or (name == LAZY and level == below), (
            f"{own} (floor {level}) imports {name} (floor {below})"
        )


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "commands").rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE / "commands"))
)
def test_no_command_imports_another(path: Path) -> None:
    own = path.relative_to(PACKAGE / "commands").with_suffix("").parts[0]
    others = {each[1] for each in imports(path) if each[0] == "commands" and len(each) > 1} - {own}
    assert all((own, other) in COMMANDS_THAT_KNOW_OTHERS for other in others), f"{own} imports {others}"


def test_sources_do_not_know_each_other() -> None:
    for own, other in (("ring", "capture"), ("capture", "ring")):
        assert ("packetio", other) not in imports(PACKAGE / "packetio" / f"{own}.py")


def test_every_folder_of_the_engine_has_a_floor() -> None:
    assert {path.name for path in EXT.iterdir() if path.is_dir()} == set(C_LEVEL)


@pytest.mark.parametrize("path", C_FILES, ids=lambda p: str(p.relative_to(EXT)))
def test_engine_includes_only_from_floors_below(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"#\s*include\s*[<\"]Python.h", text)
    own = path.relative_to(EXT).parts[0]
    for included in re.findall(r'#\s*include\s*"([^"]+)"', text):
        where = EXT / included
        if not where.exists():
            where = path.parent / included  # ext/bench is built on its own
        assert where.exists(), f"{included} is not in ext/"
        folder = where.relative_to(EXT).parts[0]
        assert folder == own or C_LEVEL[folder] < C_LEVEL[own], f"{own} includes {included}"


def test_every_part_of_the_core_has_a_floor_and_a_stub() -> None:
    parts = {path.stem for path in CORE.glob("*.pyx")}
    assert parts == set(CORE_LEVEL)
    assert {path.stem for path in CORE.glob("*.pyi")} == parts
    assert {path.stem for path in CORE.glob("*.pxd")} <= parts


@pytest.mark.parametrize("path", sorted(CORE.glob("*.p[yx][xdi]")), ids=lambda p: p.name)
def test_core_takes_only_from_parts_below(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"^include\b", text, re.M), "a part is compiled on its own"
    taken = re.findall(r"^from pktmend\._core(?:\.(\w+))? c?import (\w+)", text, re.M)
    for name in {part or first for part, first in taken} - {path.stem}:
        assert CORE_LEVEL[name] < CORE_LEVEL[path.stem], f"{path.name} takes from {name}"
