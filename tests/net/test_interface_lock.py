"""The lock on an interface: one holds it, whoever comes at once; only who may bridge can; it goes with its holder."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.errors import OSFailure, PrivilegeError
from pktmend.packetio.interface_lock import InterfaceLock, holder
from pktmend.testbed.netns import Host, Testbed
from tools import PATIENCE, until

HOLDS = """
import socket, sys, time
from pktmend.packetio.interface_lock import InterfaceLock
lock = InterfaceLock("bridge", socket.if_nametoindex(sys.argv[1]), sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Testbed() as testbed:
        made = testbed.host("locks")
        for name in ("p0", "p2"):
            made.run("ip", "link", "add", "dev", name, "type", "veth", "peer", "name", f"{name}x")
            made.link(name, state="up")
        yield made


def test_second_is_refused_and_told_who_holds_it(host: Host) -> None:
    process = host.spawn(sys.executable, "-P", "-c", HOLDS, "p0", stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    index = host.index("p0")

    def take() -> InterfaceLock:
        return InterfaceLock("bridge", index, "p0")

    with pytest.raises(OSFailure, match=rf"'p0' is bridged already by process {process.pid}") as caught:
        host.call(take)
    assert caught.value.errno == errno.EBUSY
    host.call(lambda: InterfaceLock("isolation", index, "p0")).close()  # another purpose
    host.call(lambda: InterfaceLock("bridge", host.index("p2"), "p2")).close()  # another interface
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    until(lambda: host.call(lambda: holder("bridge", index)) == 0, "the kernel has taken it back")
    host.call(take).close()


def test_of_many_that_begin_at_once_at_most_one_holds_it(host: Host) -> None:
    """And mostly one does: both giving up is allowed, for the next try."""
    index, won = host.index("p0"), 0
    for _ in range(20):
        held: list[InterfaceLock] = []
        start = threading.Barrier(6)

        def contend(start: threading.Barrier = start, held: list[InterfaceLock] = held) -> None:
            start.wait()
            try:
                held.append(host.call(lambda: InterfaceLock("bridge", index, "p0")))
            except OSFailure:
                return

        threads = [threading.Thread(target=contend) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(held) <= 1
        won += len(held)
        for lock in held:
            lock.close()
    assert won >= 15


def test_it_moves_to_another_number_unless_that_is_taken(host: Host) -> None:
    def play() -> None:
        first = InterfaceLock("bridge", host.index("p0"), "p0")
        second = InterfaceLock("bridge", host.index("p2"), "p2")
        assert not first.move(host.index("p2"))
        second.close()
        assert first.move(host.index("p2")) and first.move(host.index("p2"))
        InterfaceLock("bridge", host.index("p0"), "p0").close()
        with pytest.raises(OSFailure):
            InterfaceLock("bridge", host.index("p2"), "p2")
        first.close()

    host.call(play)


def test_who_may_not_bridge_cannot_keep_a_bridge_away(host: Host) -> None:
    """Neither by the lock, which takes CAP_NET_RAW, nor by names of unix sockets."""
    index = host.index("p0")
    done = host.run("setpriv", "--bounding-set=-all", sys.executable, "-P", "-c", HOLDS, "p0", check=False)
    assert done.returncode and PrivilegeError.__name__ in done.stderr

    def squat() -> socket.socket:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.bind(f"\0pktmend.bridge.{index}".encode())
        s.listen()
        return s

    with host.call(squat):
        host.call(lambda: InterfaceLock("bridge", index, "p0")).close()


def test_nothing_is_received_by_it(host: Host) -> None:
    """/proc/net/packet: no memory is taken by frames that wait, of whatever type."""

    def play() -> None:
        with InterfaceLock("bridge", host.index("p0"), "p0"), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
            s.bind(("p0x", 0))
            for kind in (0x05B0, 0x05B1, 0x0800):
                s.send(b"\xff" * 6 + b"\x02" * 6 + kind.to_bytes(2, "big") + bytes(50))
            rows = [line.split() for line in Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]]
            assert {row[3]: row[6] for row in rows if row[3] in ("05b0", "05b1")} == {"05b0": "0", "05b1": "0"}

    host.link("p0x", state="up")
    host.call(play)
