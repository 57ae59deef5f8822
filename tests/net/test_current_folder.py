"""Run in a hostile folder, no command imports what lies there: neither its own process nor a child that it starts.

The folder holds modules of the names that pktmend and its children import; each leaves a mark when it is executed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pktmend.testbed.netns import Testbed
from tools import ROOT, need

COMMAND = str(Path(sys.executable).with_name("pktmend"))
DEMO = str(ROOT / "examples" / "demo.py")
LEAKED = str(ROOT / "examples" / "leaked.pcap")
OUR_OWN = ("pktmend",)
OTHERS = (
    "click",
    "cffi",
    "_cffi_backend",
    "msgspec",
    "pyroute2",
    "rich",
    "prometheus_client",
    "http",
    "numba",
    "cryptography",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mark = "print(__name__, *sys.orig_argv, file=file)"
    trap = f"import sys\nwith open({str(tmp_path / 'marks')!r}, 'a') as file:\n    {mark}\n"
    hostile = tmp_path / "hostile"
    for name in (*OUR_OWN, *OTHERS):
        (hostile / name).mkdir(parents=True)
        (hostile / name / "__init__.py").write_text(trap)
        (hostile / f"{name}.py").write_text(trap)
    (hostile / "pktmend" / "__main__.py").write_text(trap)
    return hostile


def marks(folder: Path) -> str:
    """Return what was executed there."""
    path = folder.parent / "marks"
    return path.read_text() if path.exists() else ""


def run(folder: Path, *argv: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, errors="replace", timeout=300, check=False)
    assert done.returncode in codes, done.stderr
    return done


def test_the_folder_is_a_trap(folder: Path) -> None:
    """What these tests are about: python -m without -P executes it."""
    run(folder, sys.executable, "-m", "pktmend", "kernels")
    assert "pktmend" in marks(folder)


@pytest.mark.parametrize(
    ("argv", "codes"),
    [
        (("kernels",), (0,)),
        (("stages", "--json"), (0,)),
        (("schema", "monitor"), (0,)),
        (("check", "-r", LEAKED, "--json"), (0,)),
        (("fix", "-r", LEAKED, "-w", "-", "--json"), (0,)),
        (("diagnose", "-r", LEAKED), (0, 1)),
        (("doctor",), (0, 1)),
        (("monitor", "-i", "lo", "--duration", "0.3", "--json"), (0,)),
        (("monitor", "-i", "lo", "--duration", "0.3", "--listen", ":0", "--picture", "../view.svg"), (0,)),
        (("offload", "-i", "lo"), (0,)),
        (("bench", "sum", "--quick"), (0,)),
        (("bench", "read", "--quick"), (0,)),
        (("bench", "monitor", "--quick"), (0,)),
        (("bench", "bridge", "--quick", "--only", "pktmend --no-coalesce"), (0,)),
        (("bench", "ring", "--quick", "--scenario", "tso-off"), (0,)),
        (("bench", "stage", "--quick"), (0,)),
        (("lab", "list"), (0,)),
        (("lab", "run", "relay"), (0,)),
        (("lab", "run", "tap"), (0,)),
    ],
    ids=lambda words: " ".join(words[:3]) if isinstance(words[0], str) else "",
)
def test_command_imports_nothing_from_there(folder: Path, argv: tuple[str, ...], codes: tuple[int, ...]) -> None:
    if argv[0] in ("bench", "lab"):
        need("iperf3", "ping", "curl")
    run(folder, COMMAND, *argv, codes=codes)
    assert marks(folder) == ""


@pytest.mark.parametrize("more", [(), ("--isolate",), ("-Z", "nobody")], ids=lambda more: " ".join(more) or "plain")
def test_bridge_imports_nothing_from_there(folder: Path, more: tuple[str, ...]) -> None:
    with Testbed() as testbed:
        node = testbed.host("node")
        for name, port in (("a", "pa"), ("b", "pb")):
            testbed.veth(testbed.host(name), "eth0", node, port)
        bridge = (COMMAND, "bridge", "-i", "pa", "-I", "pb", "--duration", "0.5", "--json", *more)
        done = run(folder, *node.argv(bridge))
    assert json.loads(done.stdout.splitlines()[-1])["snapshot"]
    assert marks(folder) == ""


def test_demo_imports_nothing_from_there(folder: Path) -> None:
    need("curl", "ping")
    run(folder, sys.executable, DEMO, "--switch", "relay")
    assert marks(folder) == ""


def test_module_form_takes_only_the_package_itself_from_the_current_folder(folder: Path) -> None:
    """python -m pktmend finds the package before a line of ours runs; from then on the folder is out of the path."""
    for name in OUR_OWN:
        (folder / f"{name}.py").unlink()
        for file in (folder / name).iterdir():
            file.unlink()
        (folder / name).rmdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    for words in (("check", "-r", LEAKED, "--json"), ("stages",)):
        done = subprocess.run(
            [sys.executable, "-m", "pktmend", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert marks(folder) == ""
