"""The public Python face: its names, options and errors."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import frames as f
import pktmend
from pktmend import (
    Capture,
    Emit,
    Frames,
    NativeStage,
    Null,
    Pipeline,
    Repair,
    Ring,
    Status,
    Verify,
    Writer,
    classify,
    count,
    repair,
    verify,
)
from pktmend.runtime.pipeline import stop_all
from tools import ROOT

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(GOOD, 90, 0x4711)
LEAKED = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)
UDP_RIGHT = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)


# --- names


def stub_names() -> dict[str, str]:
    """Return the module of each name in __init__.pyi."""
    tree = ast.parse((ROOT / "pipeline" / "pktmend" / "__init__.pyi").read_text())
    return {
        alias.asname or "": node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_names_at_run_time_are_those_of_the_stub() -> None:
    stub = stub_names()
    assert sorted(pktmend.__all__) == sorted(stub)
    for name, module in stub.items():
        assert getattr(pktmend, name) is getattr(sys.modules[module], name)


def test_every_name_is_listed_star_imported_and_nothing_else() -> None:
    names: dict[str, object] = {}
    exec("from pktmend import *", names)
    assert set(names) - {"__builtins__"} == set(pktmend.__all__)
    assert {name for name in dir(pktmend) if not name.startswith("__")} == set(pktmend.__all__)
    with pytest.raises(AttributeError, match="no attribute 'verify_with'"):
        getattr(pktmend, "verify_with")  # noqa: B009


def test_import_alone_loads_no_extension() -> None:
    program = "import sys, pktmend; print(sorted(m for m in sys.modules if m.startswith('pktmend')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pktmend', 'pktmend._version']"


def test_public_names_come_from_no_command_but_diagnose() -> None:
    """Which is why it is looked up when it is used: the package stands below its commands."""
    above = {name for name, module in stub_names().items() if ".commands." in module or ".cli" in module}
    assert above == {"Diagnosis", "diagnose"}


# --- stages, options, errors


def test_verify_and_repair_with_options_are_stages_of_their_own() -> None:
    assert isinstance(verify, Verify) and isinstance(repair, Repair) and isinstance(Verify(), NativeStage)
    batch = Frames([LEAKED, CORRUPT]).batch()
    verify(batch)
    assert list(batch.status) == [Status.PENDING, Status.BAD]
    Verify(expected=True, at_wire=True)(batch)
    assert list(batch.status) == [Status.BAD, Status.BAD]
    assert batch.checks_of(0)[1].expected == int.from_bytes(UDP_RIGHT[40:42])
    classify(batch)
    Repair("leaked")(batch)
    assert batch.head(0) == UDP_RIGHT and batch.head(1) == CORRUPT


def test_wrong_words_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(pktmend.ConfigError, match="v2 or v3"):
        Ring("nosuch0", ring="v4")
    with pytest.raises(pktmend.ConfigError, match="pcap or pcapng"):
        Writer(tmp_path / "x", file_format="zip")
    assert not (tmp_path / "x").exists()
    with pytest.raises(pktmend.ConfigError, match="link type"):
        Frames([GOOD], link=1 << 16).batch()


@pytest.mark.parametrize("make", [Ring, Emit, Capture])
def test_oserror_says_what_it_is_about(make: type) -> None:
    with pytest.raises(OSError, match="nosuch0") as caught:
        make("nosuch0")
    assert isinstance(caught.value, pktmend.OSFailure)
    assert (caught.value.subject, caught.value.exit_code) == ("nosuch0", 4)


def test_exit_codes_and_parents_of_all_errors_are_those_of_the_readme() -> None:
    """Exit codes: ... 1 problems found, 2 usage, 3 missing privilege, 4 an interface or file ..., 5 not a capture."""
    assert {
        name: (getattr(pktmend, name).exit_code, parent, issubclass(getattr(pktmend, name), parent))
        for name, parent in {
            "PktmendError": Exception,
            "ConfigError": ValueError,
            "OSFailure": OSError,
            "PrivilegeError": PermissionError,
            "FormatError": ValueError,
            "StageError": pktmend.PktmendError,
            "ViewError": BufferError,
        }.items()
    } == {
        "PktmendError": (1, Exception, True),
        "ConfigError": (2, ValueError, True),
        "OSFailure": (4, OSError, True),
        "PrivilegeError": (3, PermissionError, True),
        "FormatError": (5, ValueError, True),
        "StageError": (1, pktmend.PktmendError, True),
        "ViewError": (1, BufferError, True),
    }


def test_null_counts_and_keeps_nothing() -> None:
    p = Pipeline(Frames([GOOD] * 5), [count], Null())
    p.run()
    assert (p.counters().read, p.counters().dropped) == (5, {"no-sink": 5})


def test_a_thread_that_cannot_be_started_is_an_error_and_is_waited_for_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (Pipeline(Frames([GOOD])) for _ in range(2))
    first.start()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(pktmend.OSFailure, match="cannot start a thread"), second:
        second.start()
    assert first.wait(10)  # its source ends by itself; stopped before, it may have read nothing yet
    stop_all([first, second])
    assert (first.counters().read, second.counters().read) == (1, 0)
