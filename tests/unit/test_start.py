"""What the start of a command loads: held by names, because time is another on every machine."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pktmend.commands.check
import pktmend.commands.fix
from pktmend._core import code_flags
from pktmend.cli.app import invoke
from pktmend.cli.plain import plain_call
from tools import ROOT, run_inside

LEAKED = str(ROOT / "examples" / "leaked.pcap")
START = "from pktmend.cli import main; main()"
# Each takes as long to load as a small capture to check, or longer.
LARGE = (
    *("argparse", "asyncio", "click", "concurrent.futures", "dataclasses", "datetime", "difflib", "inspect"),
    *("ipaddress", "json", "logging", "msgspec", "multiprocessing", "platform", "pyarrow", "rich", "shutil"),
    *("socket", "subprocess", "tempfile", "textwrap", "tokenize", "traceback", "urllib", "uuid"),
)
FOR_LIVE = ["pktmend.advice", "pktmend.host.netlink", "pktmend.packetio.ring", "pktmend.runtime.native_stages"]


def loaded(program: str, *words: str) -> set[str]:
    """Return the modules that a new interpreter loads for *program*, those of packages by the packages' names too."""
    argv = [sys.executable, "-X", "importtime", "-c", program, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(lines) > 10 and lines[0].endswith("imported package") and len(lines) == done.stderr.count("\n"), done
    assert done.returncode == 0, done
    return {line.rpartition("|")[2].strip() for line in lines}


def test_version_loads_next_to_nothing() -> None:
    more = loaded(START, "--version") - loaded("pass")
    assert more - {"__future__", "gc"} == {"pktmend", "pktmend._version", "pktmend.cli", "pktmend.host"} | {
        "pktmend.host.own_command"
    }


@pytest.mark.parametrize(
    ("words", "may_write"),
    [(["check", LEAKED], False), (["check", "-r", LEAKED], False), (["fix", "-r", LEAKED, "-w", "OUT"], True)],
    ids=["check FILE", "check -r FILE", "fix"],
)
def test_plain_command_loads_nothing_large(words: list[str], may_write: bool, tmp_path: Path) -> None:
    words = [str(tmp_path / "out.pcap") if word == "OUT" else word for word in words]
    more = loaded(START, *words) - loaded("pass")
    assert "pktmend._core.loop" in more  # it did run
    refused = {*LARGE, *FOR_LIVE, *(() if may_write else ("pathlib", "pktmend.host.output_file"))}
    refused -= {"ipaddress", "urllib"} if may_write else set()  # what pathlib needs
    assert not {name for name in more for large in refused if name == large or name.startswith(f"{large}.")}


def test_flags_of_code_objects_are_those_of_inspect() -> None:
    """Cython's modules ask for them by these names."""
    names = [name for name in dir(code_flags) if name.startswith("CO_")]
    assert len(names) == 7
    assert [getattr(code_flags, name) for name in names] == [getattr(inspect, name) for name in names]


# --- the plain forms, which click does not see


@pytest.mark.parametrize(
    "words",
    [
        ["check", "-r", "x.pcap"],
        ["check", "-r", "x.pcap", "--jobs", "2"],
        ["fix", "-r", "x.pcap", "-w", "y.pcap"],
        ["fix", "--repair", "all", "-r", "x.pcap", "-w", "y.pcap"],
        ["fix", "--repair", "leaked", "-r", "x.pcap", "-w", "y.pcap"],
    ],
    ids=" ".join,
)
def test_plain_form_calls_what_click_calls(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, object]] = []
    for module, name in ((pktmend.commands.check, "run_check"), (pktmend.commands.fix, "fix_one")):
        signature = inspect.signature(getattr(module, name))

        def record(*args: object, signature: inspect.Signature = signature, **more: object) -> int:
            bound = signature.bind(*args, **more)
            bound.apply_defaults()
            called.append(bound.arguments)
            return 7

        monkeypatch.setattr(module, name, record)
    plain = plain_call(words)
    assert plain is not None
    for call in (plain, lambda: invoke(words)):
        with pytest.raises(SystemExit, match="7"):
            call()
    ours, of_click = called
    assert ours == of_click and ours["path"] == "x.pcap"


def test_file_alone_gives_what_its_option_gives(tmp_path: Path) -> None:
    """Also where its name looks like a pattern, and is a link."""
    for name in ("plain.pcap", "[a]*.pcap"):
        shutil.copy(LEAKED, tmp_path / name)
    (tmp_path / "link").symlink_to("plain.pcap")
    for path in (str(tmp_path / name) for name in ("plain.pcap", "[a]*.pcap", "link")):
        assert plain_call(["check", path]) is not None
        alone, by_click, by_option = (
            run_inside("check", *words) for words in ([path], [path, "--at", "sender"], ["-r", path])
        )
        for done in (by_click, by_option):
            assert (done.stdout, done.stderr, done.returncode) == (alone.stdout, alone.stderr, alone.returncode)
        assert b"11 packets" in alone.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["check"],
        ["check", "-"],
        ["check", "--help"],
        ["check", "nosuch.pcap"],
        ["check", str(ROOT)],
        ["check", "a\0b"],
        ["check", "-r"],
        ["check", "-r", "-"],
        ["check", "-r", "--json"],
        ["check", "-r", LEAKED, "tcp"],
        ["check", "-r", LEAKED, "--jobs", "0"],
        ["check", "-r", LEAKED, "--jobs", "1025"],
        ["check", "-r", LEAKED, "--jobs", "\u0662"],
        ["check", LEAKED, LEAKED],
        ["fix", "-r", LEAKED],
        ["fix", "-r", LEAKED, "-w", "-"],
        ["fix", "--repair", "none", "-r", LEAKED, "-w", "out.pcap"],
        ["doctor"],
    ],
    ids=lambda words: " ".join(words).encode("unicode_escape").decode() or "nothing",
)
def test_all_other_words_are_left_to_click(words: list[str]) -> None:
    assert plain_call(words) is None
