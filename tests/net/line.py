"""Two hosts with a bridge between them, in namespaces of their own:   a(eth0) -- (pa) node (pb) -- (eth0)b"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pktmend._kernel import lib
from pktmend.testbed.netns import Host, Testbed, end
from running import RunningBridge
from tools import PATIENCE, until

TAP, TUN, NO_PI, VNET_HDR, TUN_F_CSUM = lib.IFF_TAP, lib.IFF_TUN, lib.IFF_NO_PI, lib.IFF_VNET_HDR, lib.TUN_F_CSUM
ADDRESSES = {"a": ("10.7.0.1", "fd07::1"), "b": ("10.7.0.2", "fd07::2")}


class Line:
    """Hosts a and b, joined through node by pairs of veth, or of netkit: OSFailure where the kernel has none."""

    def __init__(self, testbed: Testbed, mtu: int = 1500, *, is_netkit: bool = False) -> None:
        self.testbed = testbed
        self.a, self.b, self.node = testbed.host("a"), testbed.host("b"), testbed.host("node")
        join = testbed.netkit if is_netkit else testbed.veth
        join(self.a, "eth0", self.node, "pa", mtu=mtu)
        join(self.b, "eth0", self.node, "pb", mtu=mtu)
        self.node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("0"))  # inherited from this machine
        for host in (self.a, self.b):
            v4, v6 = ADDRESSES[host.name]
            host.address("eth0", f"{v4}/24", f"{v6}/64")

    def silence(self) -> None:
        """No frame but those of the test: IPv6 off, and with it what the kernels say of themselves."""
        for host in (self.a, self.b, self.node):
            host.call(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))

    def cross(self, name: str = "pb") -> None:
        """Make b's link again, with the addresses that it had."""
        self.testbed.veth(self.b, "eth0", self.node, name)
        self.b.address("eth0", *(f"{address}/{bits}" for address, bits in zip(ADDRESSES["b"], (24, 64), strict=True)))

    @contextmanager
    def bridged(self, *argv: str, **options: Any) -> Iterator[RunningBridge]:
        """Run the bridge between pa and pb; options of subprocess.Popen."""
        bridge = RunningBridge(self.node, "-i", "pa", "-I", "pb", *argv, **options)
        assert "bridging" in bridge.first_line, bridge.first_line
        try:
            yield bridge
        finally:
            end(bridge.process)

    def assert_no_checksum_error(self) -> None:
        """Neither host's kernel has counted one."""
        time.sleep(0.05)
        assert self.a.checksum_errors() == {} and self.b.checksum_errors() == {}


def transfer(
    source: Host, target: Host, size: int, *, version: int = 4, seconds: float = 60, address: str = ""
) -> None:
    """Send *size* random bytes over TCP; equal hashes or an AssertionError."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    address = address or ADDRESSES[target.name][0 if version == 4 else 1]
    server = target.call(lambda: socket.create_server((address, 0), family=family))
    server.settimeout(seconds)
    block = os.urandom(1 << 20)
    sent, got = hashlib.sha256(), hashlib.sha256()
    faults: list[BaseException] = []

    def receive() -> None:
        try:
            connection, _ = server.accept()
            connection.settimeout(seconds)
            with connection:
                while data := connection.recv(1 << 18):
                    got.update(data)
        except OSError as error:
            faults.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        port = server.getsockname()[1]
        client = source.call(lambda: socket.create_connection((address, port), timeout=seconds))
        with client:
            for at in range(0, size, len(block)):
                chunk = block[: min(len(block), size - at)]
                sent.update(chunk)
                client.sendall(chunk)
    finally:
        thread.join(seconds)
        server.close()
    assert not faults, faults
    assert sent.digest() == got.digest(), f"{source.name} -> {target.name} over IPv{version}: {size} bytes differ"


def datagrams(source: Host, target: Host, sizes: list[int], *, version: int = 4) -> None:
    """Send one datagram of each size, a few at a time; all arrive as sent, in order."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    address = ADDRESSES[target.name][0 if version == 4 else 1]

    def bind(where: str) -> socket.socket:
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.bind((where, 0))
        s.settimeout(PATIENCE)
        return s

    receiver = target.call(lambda: bind(address))
    sender = source.call(lambda: bind("::" if version == 6 else "0.0.0.0"))
    with receiver, sender:
        for size in sizes:
            payload = os.urandom(size)
            sender.sendto(payload, receiver.getsockname())
            got = receiver.recv(1 << 16)
            assert got == payload, f"datagram of {size} bytes over IPv{version}"


def open_tap(host: Host, interface: str, *, vnet: bool = False) -> socket.socket:
    """Return a packet socket on *interface* of *host*, for sending and for seeing what arrives."""

    def make() -> socket.socket:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.setsockopt(lib.SOL_PACKET, lib.PACKET_IGNORE_OUTGOING, 1)
        if vnet:
            s.setsockopt(lib.SOL_PACKET, lib.PACKET_VNET_HDR, 1)
        s.setsockopt(lib.SOL_PACKET, lib.PACKET_AUXDATA, 1)  # the VLAN tag, which the kernel strips
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        s.bind((interface, lib.ETH_P_ALL))
        return s

    return host.call(make)


def open_tap_device(host: Host, name: str, flags: int, offloads: int = 0) -> int:
    """Make a TUN/TAP device and return its descriptor.  offloads: TUN_F_* of TUNSETOFFLOAD."""

    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, lib.TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        if offloads:
            fcntl.ioctl(fd, lib.TUNSETOFFLOAD, offloads)
        return fd

    try:
        fd = host.call(make)
    except OSError as error:
        pytest.skip(f"no TUN/TAP here: {error}")
    host.link(name, state="up")
    return fd


def inode(path: str | Path) -> int:
    """Return the inode of a namespace file: the namespace's identity."""
    return Path(path).stat().st_ino


def put(tap: socket.socket, frame: bytes) -> None:
    """Put a frame on the wire, when there is room for it."""
    while True:
        try:
            tap.send(frame)
            return
        except BlockingIOError:
            time.sleep(0.001)


def seen(tap: socket.socket, wanted: Callable[[bytes], bool], seconds: float = PATIENCE) -> bytes:
    """Return the first frame that *wanted* accepts."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([tap], [], [], left)[0]:
            frame = tap.recv(1 << 17)
            if wanted(frame):
                return frame
    raise AssertionError("the frame did not arrive")


def everything(tap: socket.socket, quiet: float = 0.2) -> list[bytes]:
    """Return the frames that have arrived, once none has for *quiet* seconds."""
    found = []
    while select.select([tap], [], [], quiet)[0]:
        found.append(tap.recv(1 << 17))
    return found


def await_reader(host: Host, interface: str, count: int = 1) -> None:
    """Wait until *count* packet sockets read from that interface of *host*."""
    number = str(host.index(interface))
    listed = Path("/proc/thread-self/net/packet")

    def readers() -> int:
        rows = [line.split() for line in host.call(listed.read_text).splitlines()[1:]]
        return sum(row[4] == number and row[3] != "0000" for row in rows)  # a protocol of 0: for sending

    until(lambda: readers() >= count, f"a reader of {interface}")


def states(pid: int) -> list[dict[str, str]]:
    """The status file of every thread."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (task / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        found.append(dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line))
    return found
