"""From where users' stages are loaded, with which arguments, and what is refused."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import marshal
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import pktmend
from pktmend.runtime.stage_loader import load
from tools import PKTMEND, ROOT

STAGE = """
from dataclasses import dataclass
def plain(batch): pass
class Counter:
    def __init__(self, n=0, name="x", **more):
        self.n, self.name, self.more = n, name, more
    def __call__(self, batch): pass
number = 7
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(STAGE)
    return path


def test_function_is_the_stage_and_a_class_makes_one_for_each_worker(module: Path) -> None:
    plain, counter = load(f"{module}:plain"), load(f"{module}:Counter")
    assert plain() is plain()
    one, two = counter(), counter()
    assert one is not two and type(one) is type(two)


def test_arguments_are_json_or_text(module: Path) -> None:
    made: Any = load(f'{module}:Counter,n=3,name="a,b",address=10.0.0.1:80,on=true,ratio=0.5,empty=')()
    assert (made.n, made.name) == (3, "a,b")
    assert MappingProxyType(made.more) == {"address": "10.0.0.1:80", "on": True, "ratio": 0.5, "empty": ""}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}:nothing", "there are: Counter, dataclass, number, plain"),
        ("{}:number", "7 cannot be called with a batch"),
        ("{}:plain,n=1", "TypeError"),
        ("{}:Counter,n", "'n' is no argument"),
        ("{}:Counter,n=1,n=2", "'n' is given twice"),
        ("nosuch.module:f", "no module 'nosuch' is installed"),
        ("json.nosuch:f", "no module 'json.nosuch' is installed"),
        ("no-such-entry-point", "no installed package offers"),
        (":f", "neither a file nor a module"),
    ],
)
def test_what_cannot_be_loaded_says_why(module: Path, text: str, words: str) -> None:
    with pytest.raises(pktmend.ConfigError, match="--stage") as caught:
        load(text.format(module))()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:", "SyntaxError"),
        ("import nosuch_module", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("1/0", "ZeroDivisionError: division by zero"),
    ],
)
def test_module_that_fails_names_its_line(tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(f"\n{source}\n")
    with pytest.raises(pktmend.ConfigError) as caught:
        load(f"{path}:f")
    assert words in str(caught.value)


def test_missing_file_is_exit_4(tmp_path: Path) -> None:
    with pytest.raises(pktmend.OSFailure, match=r"nosuch\.py: No such file") as caught:
        load(f"{tmp_path}/nosuch.py:f")
    assert caught.value.exit_code == 4


def test_what_everybody_can_write_to_is_not_loaded(module: Path) -> None:
    module.chmod(0o666)
    with pytest.raises(pktmend.ConfigError, match=r"everybody may write to .*mine\.py \(mode 0666\)"):
        load(f"{module}:plain")
    module.chmod(0o644)
    module.parent.chmod(0o777)
    with pytest.raises(pktmend.ConfigError, match="everybody may write to"):
        load(f"{module}:plain")
    link = module.parent.parent / "link.py"
    link.symlink_to(module)
    with pytest.raises(pktmend.ConfigError, match="everybody may write to"):
        load(f"{link}:plain")
    module.parent.chmod(0o1777)  # as /tmp: what is ours in there, only we can replace
    load(f"{module}:plain")


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of other users")


@as_root
@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_another_user_can_swap_is_not_loaded(module: Path, what: str) -> None:
    """Of each path on the way to it: in a folder like /tmp, an owner can still replace what is his."""
    shared = module.parent / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    folder = shared / "folder"
    folder.mkdir()
    copy = folder / "copy.py"
    copy.write_bytes(module.read_bytes())
    link = shared / "link.py"
    link.symlink_to(copy)
    load(f"{link}:plain")
    os.chown({"file": copy, "folder": folder, "link": link}[what], 12345, 12345, follow_symlinks=False)
    with pytest.raises(pktmend.ConfigError, match=f"{what if what != 'file' else 'copy'}.* belongs to user 12345"):
        load(f"{link}:plain")


def test_link_in_a_folder_that_everybody_can_write_to_is_not_followed(module: Path) -> None:
    """What it leads to is trusted, but anybody can make it lead to something else."""
    folder = module.parent / "open"
    folder.mkdir()
    (folder / "link.py").symlink_to(module)
    folder.chmod(0o777)
    with pytest.raises(pktmend.ConfigError, match=r"everybody may write to .*open "):
        load(f"{folder}/link.py:plain")


@as_root
def test_group_that_may_write_is_not_trusted_and_who_called_sudo_is(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(module, 0, 12345)
    module.chmod(0o664)
    with pytest.raises(pktmend.ConfigError, match=r"group 12345 may write to .*mine\.py \(mode 0664\)"):
        load(f"{module}:plain")
    module.chmod(0o644)
    os.chown(module, 12345, 12345)
    monkeypatch.setenv("SUDO_UID", "12345")
    load(f"{module}:plain")
    monkeypatch.setenv("SUDO_UID", "12346")
    with pytest.raises(pktmend.ConfigError, match="belongs to user 12345"):
        load(f"{module}:plain")


def test_loops_and_folders_are_errors(module: Path) -> None:
    loop = module.parent / "loop.py"
    loop.symlink_to(loop)
    with pytest.raises(pktmend.OSFailure, match="Too many levels"):
        load(f"{loop}:plain")
    for path in (module.parent, module.parent / "."):
        with pytest.raises(pktmend.PktmendError):
            load(f"{path}/:plain")
    fifo = module.parent / "fifo.py"
    os.mkfifo(fifo)
    with pytest.raises(pktmend.OSFailure, match="no regular file"):
        load(f"{fifo}:plain")


def test_compiled_code_that_lies_beside_a_file_is_not_run(module: Path) -> None:
    """A planted __pycache__ with the right time and size in its header."""
    planted = module.parent / "planted.py"
    source = b"def stage(batch): pass\nwho = 'source'\n"
    planted.write_bytes(source)
    status = planted.stat()
    cached = Path(importlib.util.cache_from_source(str(planted)))
    cached.parent.mkdir(exist_ok=True)
    code = compile("def stage(batch): pass\nwho = 'planted'\n", "x", "exec")
    header = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(status.st_mtime), len(source))
    cached.write_bytes(header + marshal.dumps(code))
    stage: Any = load(f"{planted}:stage")()
    assert sys.modules[stage.__module__].who == "source"
    spec = importlib.util.spec_from_file_location("trap", planted)
    assert spec is not None and spec.loader is not None
    trap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trap)
    assert trap.who == "planted"


def bridge(*argv: str, cwd: Path, **environment: str) -> str:
    """Run `pktmend bridge` on interfaces that are not there; what it says."""
    command = [*PKTMEND, "bridge", "-i", "nosuch0", "-I", "nosuch1", *argv]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_current_directory_is_no_place_to_load_from(module: Path) -> None:
    """python -m puts the current directory first: a stage, and whatever it imports, must not come from there."""
    marker = module.parent / "ran"
    trap = f"open({str(marker)!r}, 'w')\ndef f(batch): pass\n"
    for name in ("trap.py", "numpy.py", "decimal.py"):
        (module.parent / name).write_text(trap)
    module.write_text("import decimal, numpy\ndef plain(batch): pass\n")
    assert "no module 'trap' is installed" in bridge("--stage", "trap:f", cwd=module.parent)
    assert "nosuch0" in bridge("--stage", "./mine.py:plain", cwd=module.parent)  # loaded; no interface
    assert not marker.exists()
    assert "nosuch0" in bridge("--stage", "./trap.py:f", cwd=module.parent)  # said so
    assert marker.exists()


def test_stages_command_lists_builtin_ones_and_entry_points(tmp_path: Path) -> None:
    info = tmp_path / "some-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pktmend.stages]\nnothing = some_module:f\n")
    (tmp_path / "some_module.py").write_text('def f(batch):\n    """Do nothing."""\n')
    done = subprocess.run(
        [*PKTMEND, "stages", "--json"],
        cwd="/",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        timeout=60,
        check=True,
    )
    rows = {row["stage"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) >= {"verify", "classify", "count", "repair", "drop_corrupt", "nothing"}
    assert all(rows[name]["ns_per_packet"]["1500"] >= 0 and rows[name]["writes"] for name in ("verify", "repair"))
    assert rows["nothing"]["from"] == "some 1.0" and rows["nothing"]["loads"] == "some_module:f"
    assert "nosuch0" in bridge("--stage", "nothing", cwd=Path("/"), PYTHONPATH=f"{ROOT}:{tmp_path}")
