"""A virtual machine monitor (VMM): what it does between its guest's card and the host's TAP, and what some do wrong.

    python -m pktmend.testbed.vmm GUEST_FD HOST_FD FAULT

Both are open TAPs.  The guest's has the virtio-net header, as a virtio-net card has; the host's has it, but for
`headless`.  FAULT is one of

    none      frames and headers go on as they are
    headless  the host's TAP has no header: the mark of what the guest left to its card is dropped, and what the host
              left to the TAP gets none
    split     large sends are cut as a card would cut them; each segment keeps the seed that Windows leaves for that
              card, the pseudo header without a length, and has no mark
    ip-zero   the IPv4 header of a large send holds 0, as guests leave it to a card that makes one for each segment

Source: VIRTIO 1.2 section 5.1.6; Windows' NDIS, "Offloading the Segmentation of Large TCP Packets".
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pktmend._core import checksum
from pktmend._kernel import lib
from pktmend.host.own_command import own_module
from pktmend.testbed.netns import Host, Testbed, end
from pktmend.testbed.tap import Change, open_tap, run, same
from pktmend.testbed.topology import CLIENT, SERVER, Topology, serve

HEADER = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
EMPTY = bytes(HEADER.size)
GSO_TYPE, IP, IP_LENGTH, IP_ID, IP_SUM, ADDRESSES = 1, 14, 16, 18, 24, slice(26, 34)  # without VLAN tags
TCP_NUMBER, TCP_LENGTH, TCP_FLAGS, TCP_SUM = 4, 12, 13, 16
LAST_ONLY = 0x09  # FIN and PSH


def microvm(testbed: Testbed) -> Topology:
    """Make container a, a port of the node's bridge br0, and the guest b without its card."""
    a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
    testbed.veth(a, "eth0", node, "port-a")
    a.address("eth0", f"{CLIENT}/24")
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.link("br0", state="up")
    node.link("port-a", master=node.index("br0"))
    node.call(keep_out)
    return Topology(a, b, node, serve(b))


def keep_out() -> None:
    """Keep the bridge's packets out of this namespace's IP rules, where br_netfilter takes them by default."""
    setting = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if setting.exists():
        setting.write_text("0")  # it would drop what has no header checksum before the receiver does


class VMM:
    """A running VMM: b's card eth0, and tap0, a port of br0.

    guest:      what the guest may leave undone in what it sends (TUN_F_*).
    persistent: tap0 was there before, made by a VMM that let the host leave checksums undone (TUN_F_CSUM).
    """

    def __init__(self, topology: Topology, fault: str, *, guest: int, persistent: bool = False) -> None:
        if persistent:
            leave(topology.node)
        node = topology.node
        card = open_tap(topology.b, "eth0", header=True, offload=guest)
        topology.b.run("ip", "link", "set", "dev", "eth0", "address", address_of(topology.b))
        topology.b.address("eth0", f"{SERVER}/24")
        tap = open_tap(node, "tap0", header=fault != "headless", offload=None if persistent else 0)
        argv = own_module("pktmend.testbed.vmm", str(card), str(tap), fault)
        self._program: subprocess.Popen[bytes] = node.spawn(*argv, pass_fds=(card, tap))
        for fd in (card, tap):
            os.close(fd)
        node.link("tap0", master=node.index("br0"))

    def close(self) -> None:
        """End it, and its TAPs with it."""
        end(self._program)


@contextmanager
def unbridged(topology: Topology) -> Iterator[None]:
    """Take tap0 and port-a out of br0 meanwhile: something else joins them."""
    for port in ("tap0", "port-a"):
        topology.node.link(port, master=0)
    try:
        yield
    finally:
        for port in ("tap0", "port-a"):
            topology.node.link(port, master=topology.node.index("br0"))


def address_of(guest: Host) -> str:
    """Return the MAC address of its card: no other's, and the same whenever its VMM is started anew."""
    return ":".join(f"{byte:02x}" for byte in (2, *hashlib.sha256(guest.namespace.encode()).digest()[:5]))


def leave(node: Host) -> None:
    """Leave tap0 behind, as a VMM does that takes checksum offload and has made its TAP persistent."""
    fd = open_tap(node, "tap0", header=True, offload=lib.TUN_F_CSUM)
    fcntl.ioctl(fd, lib.TUNSETPERSIST, 1)
    os.close(fd)


def cut(frame: bytes) -> Iterator[bytes]:
    """Yield the segments of a large send (TCP over IPv4), their checksums as their guest seeded them."""
    _, _, _, size, start, _ = HEADER.unpack_from(frame)
    packet = frame[HEADER.size :]
    behind = start + (packet[start + TCP_LENGTH] >> 4) * 4
    head, payload = packet[:behind], packet[behind:]
    identification = int.from_bytes(head[IP_ID : IP_ID + 2], "big")
    number = int.from_bytes(head[start + TCP_NUMBER : start + TCP_NUMBER + 4], "big")
    seed = ~checksum(head[ADDRESSES] + bytes((0, 6))) & 0xFFFF
    for n, at in enumerate(range(0, len(payload), size)):
        segment = bytearray(head + payload[at : at + size])
        struct.pack_into("!H", segment, IP_LENGTH, len(segment) - IP)
        struct.pack_into("!H", segment, IP_ID, (identification + n) & 0xFFFF)
        struct.pack_into("!H", segment, IP_SUM, 0)
        struct.pack_into("!H", segment, IP_SUM, checksum(segment[IP:start]))
        struct.pack_into("!I", segment, start + TCP_NUMBER, (number + at) & 0xFFFFFFFF)
        struct.pack_into("!H", segment, start + TCP_SUM, seed)
        if at + size < len(payload):
            segment[start + TCP_FLAGS] &= ~LAST_ONLY
        yield EMPTY + segment


def split(frame: bytes) -> Iterator[bytes]:
    """Cut what is a large send, and hand on the rest."""
    return cut(frame) if frame[GSO_TYPE] else iter([frame])


def zero(frame: bytes) -> Iterator[bytes]:
    """Take the header's sum out of a large send."""
    at = HEADER.size + IP_SUM
    yield frame[:at] + bytes(2) + frame[at + 2 :] if frame[GSO_TYPE] else frame


FAULTS: dict[str, tuple[Change, Change]] = {  # what becomes of the guest's frames, and of the host's
    "none": (same, same),
    "headless": (lambda frame: iter([frame[HEADER.size :]]), lambda frame: iter([EMPTY + frame])),
    "split": (split, same),
    "ip-zero": (zero, same),
}


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), *FAULTS[sys.argv[3]])
