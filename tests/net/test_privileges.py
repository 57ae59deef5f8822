"""What a running bridge may still do: no capability, another user, a filter on system calls, on every thread."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from line import ADDRESSES, Line, states, transfer
from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, until

NOBODY = pwd.getpwnam("nobody")


@pytest.mark.parametrize(
    "options",
    [(), ("--workers", "2"), ("-Z", "nobody"), ("--finish", "pb", "--isolate")],
    ids=["plain", "workers", "nobody", "two threads"],
)
def test_every_thread_has_given_up_everything(line: Line, options: tuple[str, ...]) -> None:
    with line.bridged(*options) as bridge:
        line.a.run("ping", "-c1", "-W9", ADDRESSES["b"][0])
        found = states(bridge.process.pid)
        assert len(found) >= 2
        for state in found:
            assert {state[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}, state
            assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2"
            if "-Z" in options:
                assert state["Uid"].split() == [str(NOBODY.pw_uid)] * 4
                assert state["Gid"].split() == [str(NOBODY.pw_gid)] * 4
                assert set(state["Groups"].split()) <= set(map(str, os.getgrouplist("nobody", NOBODY.pw_gid)))
        bridge.stop()


def test_verbose_shows_what_the_kernel_says(line: Line) -> None:
    with line.bridged("-v", "--workers", "2", "--isolate", "-Z", "nobody") as bridge:
        bridge.await_told(7)
        truth = {
            (task, state["CapEff"], state["NoNewPrivs"], state["Seccomp"])
            for state in states(bridge.process.pid)
            for task in [state["Pid"]]
        }
        told = bridge.told()
    ours = [each.split() for each in told if each.startswith("thread ")]
    assert {
        (
            w[1],
            w[w.index("CapEff") + 1].rstrip(","),
            w[w.index("NoNewPrivs") + 1].rstrip(","),
            w[w.index("Seccomp") + 1],
        )
        for w in ours
    } == truth
    assert len(truth) == 7  # two workers a direction, the main thread, and those that write the output
    assert [each for each in told if each.startswith("port keeper: thread ") and "0000000000001000" in each]


def test_without_seccomp_the_rest_is_given_up_all_the_same(line: Line) -> None:
    with line.bridged("--no-seccomp") as bridge:
        for state in states(bridge.process.pid):
            assert (state["CapEff"], state["NoNewPrivs"], state["Seccomp"]) == ("0" * 16, "1", "0")
        transfer(line.a, line.b, 1 << 20)
        bridge.stop()


def test_everything_works_as_another_user(line: Line) -> None:
    """Traffic, JSON, SIGUSR1, the summary; deletion and re-creation are in test_faults."""
    with line.bridged("-Z", "nobody", "--ring", "v3", "--corrupt", "drop") as bridge:
        transfer(line.a, line.b, 20 << 20)
        transfer(line.b, line.a, 20 << 20, version=6)
        until(lambda: bool(bridge.snapshots), "a snapshot")
        bridge.process.send_signal(signal.SIGUSR1)
        assert bridge.process.stderr is not None
        assert bridge.process.stderr.readline() == b"pa -> pb\n"
        bridge.stop()
    line.assert_no_checksum_error()


def test_summary_for_people_is_printed_as_another_user(line: Line) -> None:
    done = line.node.run(*PKTMEND, "bridge", "-i", "pa", "-I", "pb", "-Z", "nobody", "--duration", "0.5")
    assert "pa -> pb" in done.stdout and "kernel saw" in done.stdout


def test_user_that_does_not_exist_is_exit_2(line: Line) -> None:
    done = line.node.run(*PKTMEND, "bridge", "-i", "pa", "-I", "pb", "-Z", "nosuchuser", check=False)
    assert done.returncode == 2 and "nosuchuser" in done.stderr and done.stderr.count("\n") == 1


def test_changing_the_user_without_the_privilege_is_exit_3(line: Line) -> None:
    raw = "-all,+net_raw"
    done = line.node.run(
        "setpriv",
        f"--bounding-set={raw}",
        f"--inh-caps={raw}",
        *PKTMEND,
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
        "-Z",
        "nobody",
        check=False,
    )
    assert done.returncode == 3 and "CAP_SETUID" in done.stderr and done.stderr.count("\n") == 1, done.stderr


# --- the filter, tried from within ----------------------------------------------------------------

PROBES = """
import ctypes, os, signal, socket, subprocess, sys, threading
from pktmend.host import privileges
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1]
assert privileges.harden(groups=["packets"]) == ""

def call(function, *args):
    ctypes.set_errno(0)
    return 0 if function(*args) != -1 else ctypes.get_errno()

def number(function):
    try:
        function()
    except OSError as error:
        return error.errno
    return 0

PROBES = {
    "fork": lambda: number(os.fork),
    "execve": lambda: number(lambda: os.execv("/bin/true", ["true"])),
    "subprocess": lambda: number(lambda: subprocess.run(["true"])),
    "write a file": lambda: number(lambda: open(path, "w")),
    "append": lambda: number(lambda: os.open(path, os.O_APPEND | os.O_WRONLY)),
    "packet socket": lambda: number(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    "IPv6 socket": lambda: number(lambda: socket.socket(socket.AF_INET6)),
    "connect": lambda: number(lambda: socket.socket().connect(("127.0.0.1", 1))),
    "kill another": lambda: number(lambda: os.kill(os.getppid(), 0)),
    "unlink": lambda: number(lambda: os.unlink(path)),
    "chmod": lambda: number(lambda: os.chmod(path, 0o777)),
    "unshare": lambda: call(libc.unshare, 0x10000000),
    "setns": lambda: call(libc.setns, 0, 0),
    "ptrace": lambda: call(libc.ptrace, 0, 0, 0, 0),
    "mount": lambda: call(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None),
    "bpf": lambda: call(libc.syscall, {"x86_64": 321, "aarch64": 280}[os.uname().machine], 0, 0, 0),
    "io_uring": lambda: call(libc.syscall, 425, 1, 0),
    "a terminal's input": lambda: call(libc.ioctl, 0, 0x5412, b"x"),
    "dumpable": lambda: call(libc.prctl, 4, 1, 0, 0, 0),
    "seccomp off": lambda: call(libc.prctl, 22, 0, 0, 0, 0),
}
found = {name: probe() for name, probe in PROBES.items()}
on_thread = {}
thread = threading.Thread(target=lambda: on_thread.update({name: probe() for name, probe in PROBES.items()}))
thread.start()
thread.join()
assert found == on_thread, (found, on_thread)
os.kill(os.getpid(), 0)
assert socket.if_nameindex() and open(path).read() == "as it was"
print(found)
"""


def test_filter_refuses_what_moving_frames_does_not_need(tmp_path: Path) -> None:
    """Tried as root, in the calls themselves, on the main thread and on a later one."""
    import errno

    file = tmp_path / "file"
    file.write_text("as it was")
    done = subprocess.run([sys.executable, "-c", PROBES, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = eval(done.stdout)
    assert found.pop("io_uring") == errno.ENOSYS  # a new call, which callers know how to do without
    assert set(found.values()) == {errno.EPERM}, found
    assert file.read_text() == "as it was"


def test_another_system_call_table_is_killed(tmp_path: Path) -> None:
    """The 32-bit entry would pass by every number; getpid is number 20 there."""
    source, program = tmp_path / "old.c", tmp_path / "old.so"
    source.write_text('int old(void) { int r; __asm__ volatile ("int $0x80" : "=a"(r) : "a"(20)); return r; }\n')
    if (
        os.uname().machine != "x86_64"
        or subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(program), str(source)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no second table of system calls here, or no compiler")
    code = (
        "import ctypes, sys\nfrom pktmend.host import privileges\nold = ctypes.CDLL(sys.argv[1]).old\n"
        "print(old(), flush=True)\nprivileges.harden()\nold()\nprint('still here')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(program)], capture_output=True, text=True, check=False)
    if done.stdout.split()[:1] == ["-38"]:
        pytest.skip("this kernel has no 32-bit system calls")
    assert done.returncode == -signal.SIGSYS and "still here" not in done.stdout


def test_filter_lets_packet_sockets_be_made_where_it_is_wanted() -> None:
    """For commands that open interfaces as they come: the capability stays, the filter lets it be used."""
    code = (
        "import socket\nfrom pktmend.host import privileges\n"
        "assert privileges.harden(keep=[privileges.CAP_NET_RAW], groups=['capture']) == ''\n"
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)\n"
        "try:\n    socket.socket(socket.AF_INET6)\nexcept PermissionError:\n    print('right')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "right\n", done.stderr


def test_filter_lets_write_where_it_is_wanted(tmp_path: Path) -> None:
    """The group for commands that write files."""
    code = (
        "import os, sys\nfrom pktmend.host import privileges\n"
        "assert privileges.harden(groups=['packets', 'serve', 'write']) == ''\n"
        "with open(sys.argv[1], 'w') as file:\n    file.write('new')\n    os.fsync(file.fileno())\n"
        "os.rename(sys.argv[1], sys.argv[1] + '.1')\n"
        "try:\n    os.fork()\nexcept PermissionError:\n    print('right')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "file")], capture_output=True, text=True, check=False
    )
    assert done.stdout == "right\n", done.stderr
    assert (tmp_path / "file.1").read_text() == "new"


def test_a_ring_that_lost_its_way_is_rebuilt_under_the_filter() -> None:
    """Setting a ring up anew is the rarest thing that a bridge does: see test_ring for how it comes about."""
    import fcntl
    import struct

    from scapy.all import Raw

    import frames as f
    from running import RunningBridge

    with Testbed() as testbed:
        node, b = testbed.host("node"), testbed.host("b")
        testbed.veth(b, "eth0", node, "pb")

        def make() -> int:
            fd = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x0002 | 0x1000 | 0x4000))
            return fd

        try:
            tap = node.call(make)
        except OSError as error:
            pytest.skip(f"no TUN/TAP here: {error}")
        node.link("tap0", state="up")
        plain = f.raw(f.ether / f.ip4 / f.udp / Raw(b"z" * 100))
        ufo = struct.pack("<BBHHHH", 1, 3, 42, 1480, 34, 6)
        bridge = RunningBridge(node, "-i", "tap0", "-I", "pb", "--unidir", "-Z", "nobody", "--cut-through", "off")
        os.write(tap, ufo + f.raw(f.ether / f.ip4 / f.udp / Raw(b"z" * 4000)))
        deadline = time.monotonic() + PATIENCE
        while not (bridge.snapshots and bridge.directions[0]["rebuilds"]) and time.monotonic() < deadline:
            os.write(tap, bytes(10) + plain)
            time.sleep(0.02)
        before = bridge.directions[0]["sent"]
        for _ in range(20):
            os.write(tap, bytes(10) + plain)
        (d,) = bridge.stop()
        os.close(tap)
    assert d["rebuilds"] >= 1 and d["sent"] >= before + 20
