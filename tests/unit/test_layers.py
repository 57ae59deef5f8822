"""DESIGN section 6: each module imports only from the layers above its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tools import ROOT

LAYERS = [
    {"names", "errors", "include", "wording"},
    {"features"},
    {"_core", "_kernel", "_kernel_build", "interfaces"},
    {"afpacket", "pcap", "stages", "filters", "share"},
    {"counters", "loop"},
    {"report", "signals", "fifo", "outputs", "progress", "privileges", "keeper", "namespaces", "machine", "load",
     "snapshot", "hoststack",
     "trust", "userstages", "stagewatch", "service", "jit"},
    {"live", "metrics", "bridge", "check", "fix", "diagnose", "doctor", "offload", "settings", "schema",
     "stagelist", "lab"},
    {"__init__"},
    {"bench"},
    {"cli"},
    {"__main__"},
]
# what may import others of its own layer: what the commands share, and who uses them whole
SHARED = LAYERS[5] | {"counters", "loop"}
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}


def imports(path: Path) -> set[str]:
    """Return the names of this package's modules that *path* imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "pipeline":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("pipeline.")}
    return {name if name in LEVEL else "__init__" for name in found}


PACKAGE = ROOT / "pipeline"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the module or subpackage right under the package that *path* belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_module_has_a_layer() -> None:
    assert {module_of(path) for path in MODULES} <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_upwards(path: Path) -> None:
    module = module_of(path)
    own = LEVEL[module]
    for name in imports(path) - {module}:
        assert LEVEL[name] < own or (LEVEL[name] == own and name in SHARED), (
            f"{module} (layer {own}) imports {name} (layer {LEVEL[name]})")


def test_sources_and_stages_never_import_each_other() -> None:
    sources_and_stages = next(layer for layer in LAYERS if "stages" in layer)
    for name in sources_and_stages:
        assert not imports(ROOT / "pipeline" / f"{name}.py") & sources_and_stages


def test_loop_does_not_know_packet_sockets() -> None:
    assert "afpacket" not in imports(ROOT / "pipeline" / "loop.py")


def test_engine_knows_no_python() -> None:
    for path in (ROOT / "ext").iterdir():
        assert not re.search(r"#\s*include\s*[<\"]Python.h", path.read_text()), path.name


def test_every_part_of_the_core_is_in_its_table_of_contents() -> None:
    contents = re.findall(r'^include "(core/.*)"', (PACKAGE / "_core.pyx").read_text(), re.M)
    assert sorted(contents) == sorted(f"core/{path.name}" for path in (PACKAGE / "core").iterdir())
