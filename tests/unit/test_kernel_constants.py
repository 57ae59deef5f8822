"""The kernel's constants come out of its headers: what is compiled is used, and what is used is compiled.

mypy cannot tell: the stub of pktmend._kernel says of every name that it is an int.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pktmend._kernel import lib
from tools import ROOT

FOLDERS = ("pipeline", "tests", "bench", "examples")


def names_used(path: Path) -> Iterator[str]:
    """Yield what a module takes from pktmend._kernel.lib, whatever it calls that."""
    tree = ast.parse(path.read_text())
    aliases = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "pktmend._kernel"
        for alias in node.names
        if alias.name == "lib"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield node.attr


def test_every_compiled_name_is_used_and_every_used_one_compiled() -> None:
    used = {name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") for name in names_used(path)}
    compiled = set(dir(lib))
    assert sorted(used - compiled) == []
    by_name = {name for name in compiled if name.startswith("__NR_")}  # seccomp looks them up as strings
    assert sorted(compiled - used - by_name) == []
