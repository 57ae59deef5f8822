"""Somebody has taken over the bridge, its helper or the monitor: what he tries from within, on the real walls.

The command starts as always, with its interfaces, sockets and files; in place of its main loop runs the attacker.
docs/security.md says of each attempt what stops it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import attacker
from line import Line
from pktmend.host import landlock
from pktmend.testbed.netns import Host
from tools import PATIENCE, ROOT

REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS}
ABSTRACT = "pktmend-prey"

START = """
import os, sys
sys.path.insert(0, {here!r})
import attacker
prey = attacker.enter({folder!r}, {parent}, {port}, {abstract!r})
folder = prey.folder
"""
BRIDGE = """
from pktmend.commands.bridge import run
from pktmend.commands.bridge.options import BridgeOptions
run.main_loop = lambda *a, **k: attacker.attack(prey)
run.run_bridge(BridgeOptions(a="pa", b="pb", {options}))
"""
ISOLATION = """
from pktmend.commands.bridge.sandbox import harden_keeper
assert harden_keeper() == ""
attacker.attack(prey)
"""
SURVEYOR = """
from pktmend.serving.surveyor import harden_surveyor
assert harden_surveyor() == ""
attacker.attack(prey)
"""
MONITOR = """
from pktmend.commands.monitor import run
from pktmend.commands.monitor.options import MonitorOptions, WriteOptions
run.main_loop = lambda *a, **k: attacker.attack(prey)
run.run_monitor(MonitorOptions({options}))
"""
PROGRAMS = {
    "bridge": BRIDGE.format(options=""),
    "bridge as nobody": BRIDGE.format(options="user='nobody', isolate=True, workers=2"),
    "bridge that serves": BRIDGE.format(options="listen='127.0.0.1:0', json=True"),
    "isolation": ISOLATION,
    "monitor": MONITOR.format(options="('pa',), plain=True"),
    "monitor that serves": MONITOR.format(options="('pa', 'pb'), json=True, listen='127.0.0.1:0'"),
    "monitor of patterns": MONITOR.format(options="('p*',), plain=True, expression='udp or tcp port http'"),
    "surveyor": SURVEYOR,
    "monitor that writes": MONITOR.format(
        options="('pa',), plain=True, write=WriteOptions(folder + '/out/x.pcapng', megabytes=1)"
    ),
}
ALLOWED = {  # and nothing else
    "surveyor": {
        *("read a secret", "read a file of others", "list a directory", "read through /proc", "open a device"),
        *("read another's memory", "read another's environment"),
    },
    "monitor of patterns": {"packet socket"},
    # what a path does not matter for; the paths are the attacker's: Landlock refuses them, see below
    "monitor that writes": {"unlink", "rename"},
}


@pytest.fixture
def prey(line: Line, tmp_path: Path) -> Iterator[str]:
    """The beginning of the program: a folder, a server on TCP, an abstract socket, and us as the victim."""
    (tmp_path / "file").write_text("as it was")
    (tmp_path / "out").mkdir()
    line.node.run("ip", "link", "set", "dev", "lo", "up")
    server = line.node.call(lambda: socket.create_server(("127.0.0.1", 0)))
    listener = line.node.call(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    listener.bind("\0" + ABSTRACT)
    with server, listener:
        yield START.format(
            here=str(Path(__file__).parent),
            folder=str(tmp_path),
            parent=os.getpid(),
            port=server.getsockname()[1],
            abstract=ABSTRACT,
        )
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
        with pytest.raises(BlockingIOError):
            listener.recv(1, socket.MSG_DONTWAIT)
    assert (tmp_path / "file").read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]


def run(node: Host, code: str) -> dict[str, Any]:
    """Run it; return what the attempts came to."""
    process = node.spawn(sys.executable, "-P", "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said.decode()
    (line,) = [line for line in out.decode().splitlines() if line.startswith('{"here"')]
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_whoever_takes_it_over_gets_no_further(line: Line, prey: str, program: str) -> None:
    found = run(line.node, prey + PROGRAMS[program])
    for thread in ("here", "there"):
        assert found[thread].keys() == attacker.attempts().keys()
        others = {name: number for name, number in found[thread].items() if number not in REFUSED}
        assert others.keys() == ALLOWED.get(program, set()), others


def test_without_walls_the_attempts_go_through(line: Line, prey: str, tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    harmless = [
        *("map writable and executable", "map executable", "map a file executable", "make memory executable"),
        *("shared memory", "attach shared memory executable", "memfd_create", "write our own text", "userfaultfd"),
        *("read a secret", "read a file of others", "list a directory", "read through /proc", "append to a file"),
        "open a device",
        *("write for the kernel", "openat2", "watch files", "TCP socket", "UDP socket", "IPv6 socket"),
        *("raw IP socket", "packet socket", "netlink of netfilter", "generic netlink", "kill", "socketpair"),
        *("signal by ownership of a pipe", "limit another process", "read another's memory", "pidfd_open", "kcmp"),
        *("setpriority", "read another's environment", "be dumpable", "read the kernel's log"),
        *("a signal when the parent ends", "fast open by an option"),
    ]
    found = run(line.node, f"{prey}attacker.attack(prey, {harmless!r})")
    assert {name: number for name, number in found["here"].items() if number} == {}
    assert len(found["here"]) == len(harmless)


LANDLOCK = """
from pktmend.host import landlock, privileges, seccomp
seccomp.preload()
privileges.drop(privileges.CAP_DAC_OVERRIDE)
assert landlock.restrict([folder + "/out/x.pcapng"]) == landlock.version() > 0
open(folder + "/out/x.pcapng1", "w").write("x")
os.rename(folder + "/out/x.pcapng1", folder + "/out/x.pcapng2")
os.unlink(folder + "/out/x.pcapng2")
import concurrent.futures, email.mime.text, wsgiref.handlers  # Python is read all the same
open("/proc/self/net/snmp").read(), open("/dev/null", "w").write("x")
"""


def test_landlock_alone_keeps_files_ports_and_processes(line: Line, prey: str) -> None:
    """With a filter that lets everything through, or on a machine that has none for its processor."""
    abi = landlock.version()
    if not abi:
        pytest.skip("this kernel has no Landlock")
    files = [
        *("execve", "read a secret", "read a file of others", "list a directory", "read through /proc"),
        *("make a file", "make a file without a name", "append to a file", "write for the kernel", "openat2"),
        *("write our own text", "symlink", "mkdir", "mknod", "socket file", "read another's memory", "ptrace"),
    ]
    files += ["empty a file", "truncate"] if abi >= 3 else []
    others = ["connect"] if abi >= 4 else []
    others += ["abstract socket", "kill", "tkill"] if abi >= 6 else []
    found = run(line.node, f"{prey}{LANDLOCK}attacker.attack(prey, {[*files, *others]!r})")
    assert {name: number for name, number in found["here"].items() if number not in REFUSED} == {}


HELD = """
def held():
    for number in range(3, 100):
        try:
            yield os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
def show(*a, **k):
    os.write(1, (" ".join(held()) + "\\n").encode())
"""


@pytest.mark.parametrize("abi", range(1, 8))
def test_older_kernels_are_asked_for_what_they_know(line: Line, prey: str, abi: int) -> None:
    """As far as a newer one can tell: it takes the smaller request, and keeps files all the same."""
    if abi > landlock.version():
        pytest.skip("this kernel's Landlock is older")
    code = f"""
from pktmend.host import landlock, privileges
privileges.drop()
landlock.version = lambda: {abi}
assert landlock.restrict() == {abi} == landlock.covers(os.getpid())
attacker.attack(prey, ["read a secret", "read a file of others", "make a file", "append to a file"])
"""
    assert set(run(line.node, prey + code)["here"].values()) == {errno.EACCES}


def test_kernel_without_landlock_is_no_error(line: Line, prey: str) -> None:
    """The calls are refused as by a kernel that does not have them."""
    code = "from pktmend.host import landlock, privileges\nassert privileges.harden() == ''\n"
    code += "assert landlock.version() == landlock.restrict() == landlock.covers(os.getpid()) == 0\n"
    assert run(line.node, f"{prey}{code}attacker.attack(prey, ['read a secret'])")["here"] == {"read a secret": 0}


def test_what_was_inherited_is_closed_and_what_was_opened_stays(line: Line, prey: str, tmp_path: Path) -> None:
    inherited = os.open(tmp_path, os.O_RDONLY)
    code = prey + HELD + BRIDGE.format(options="").replace("attacker.attack(prey)", "show()")
    process = line.node.spawn(
        sys.executable, "-P", "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[inherited]
    )
    out, said = process.communicate(timeout=PATIENCE)
    os.close(inherited)
    assert process.returncode == 0, said.decode()
    targets = out.decode().splitlines()[0].split()
    assert str(tmp_path) not in targets
    assert sum(target.startswith("socket:") for target in targets) > 4


def test_the_document_names_every_attempt_and_no_other() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    section = page.split("\n## From within", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|]+?) \| .*\|$", section, re.MULTILINE)
    told = [each for row in rows[1:] for each in row.split("; ")]
    assert sorted(told) == sorted(attacker.attempts())
    assert f"{len(told)} attempts" in section


PLACES = """
from pktmend.host import landlock, privileges
privileges.drop(privileges.CAP_DAC_OVERRIDE)
assert landlock.restrict([sys.argv[1]], patterns=sys.argv[2] == "dated")
def can(path):
    try:
        with open(path, "w"):
            return True
    except OSError:
        return False
os.write(1, "".join("ny"[can(path)] for path in sys.argv[3:]).encode())
"""


@pytest.mark.parametrize(
    ("path", "is_dated", "answers"),
    [
        ("out/x.pcapng", False, "ynnn"),
        ("out/x-%H.pcapng", True, "ynnn"),
        ("out/%Y/x", True, "ynnn"),
        ("links/file", False, "nyny"),  # and beside the link: the next files are made there
        ("/dev/null", False, "nnnn"),
        ("/dev/stdout", False, "nnnn"),
    ],
)
def test_only_the_folder_of_the_output_is_written_to(
    tmp_path: Path, path: str, answers: str, *, is_dated: bool
) -> None:
    """Asked for: beside the output, beside what a link leads to, another folder, beside the link."""
    for name in ("out", "real", "other", "links", "answers"):
        (tmp_path / name).mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "links" / "file").symlink_to("../real/file")
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")
    asked = [str(tmp_path / each) for each in ("out/1", "real/1", "other/1", "links/1")]
    with (tmp_path / "answers" / "1").open("wb") as answer:
        subprocess.run(
            [sys.executable, "-P", "-c", "import os, sys\n" + PLACES, path, "dated" if is_dated else "", *asked],
            cwd=tmp_path,
            stdout=answer,
            check=True,
        )
    assert (tmp_path / "answers" / "1").read_text() == answers
