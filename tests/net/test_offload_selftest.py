"""What Linux's own selftest of checksum offload asks of a device, asked of the bridge.

Its cases (tools/testing/selftests/net/lib/csum.c, remade by their meaning): a sender that finishes sums, one that
leaves them to the device; TCP and UDP over IPv4 and IPv6, payloads of random length, random ports; payloads whose sum
comes out as zero, sums that are wrong, UDP without a sum, all of it in UDP without a sum.  Packets arrive one by one at
a packet socket with ports and payload as sent, and at a socket of the kernel's unless they are wrong.
"""

from __future__ import annotations

import itertools
import random
import signal
import socket
import struct
from dataclasses import dataclass

import pytest

import frames as f
from line import ADDRESSES, Line, await_reader, everything, open_tap

VNET = struct.Struct("=BBHHHH")
COUNT = 24
OUTER_PORT = 34000  # of encapsulation; no tunnel that anyone knows
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True)
class Kind:
    """How packets are sent.

    offload: sums are left to the device, by the virtio-net header.    zero: payloads whose sum computes to zero.
    wrong:   sums that are off.     without: UDP without a sum.         encap: in UDP without a sum.
    """

    version: int
    protocol: int
    offload: bool = False
    zero: bool = False
    wrong: bool = False
    without: bool = False
    encap: bool = False

    def __str__(self) -> str:
        flags = [name for name in ("offload", "zero", "wrong", "without", "encap") if getattr(self, name)]
        return "-".join([f"{'tcp' if self.protocol == 6 else 'udp'}{self.version}", *flags])


KINDS = [
    Kind(version, protocol, offload=offload, **dict.fromkeys((*what, *encap), True))
    for version, protocol, offload, what, encap in itertools.product(
        (4, 6), (6, 17), (False, True), ((), ("zero",), ("wrong",), ("without",)), ((), ("encap",))
    )
    if not ("without" in what and (protocol == 6 or version == 6 or offload)) and not ("wrong" in what and offload)
]


@dataclass(frozen=True)
class Sent:
    """A packet: the frame and its virtio-net header as sent, the transport datagram as it has to arrive."""

    frame: bytes
    vnet: bytes
    start: int
    datagram: bytes


def pseudo(kind: Kind, protocol: int, length: int) -> bytes:
    """RFC 793 section 3.1, RFC 8200 section 8.1."""
    pack = [socket.inet_pton(FAMILIES[kind.version], ADDRESSES[host][kind.version == 6]) for host in "ab"]
    if kind.version == 4:
        return b"".join(pack) + struct.pack("!HH", protocol, length)
    return b"".join(pack) + struct.pack("!II", length, protocol)


def transport(kind: Kind, ports: tuple[int, int], payload: bytes) -> bytes:
    """A datagram, or a segment, whose field is empty."""
    if kind.protocol == 17:
        return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    return struct.pack("!HHIIHHHH", *ports, 1, 0, 5 << 12 | 0x18, 1000, 0, 0) + payload


def network(kind: Kind, protocol: int, datagram: bytes) -> bytes:
    """The IP packet around it."""
    source, target = (socket.inet_pton(FAMILIES[kind.version], ADDRESSES[host][kind.version == 6]) for host in "ab")
    if kind.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(datagram), protocol, 8) + source + target + datagram
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 8, protocol, 0) + source + target
    return f.put16(head, 10, ~f.total(head) & 0xFFFF) + datagram


def make(kind: Kind, rng: random.Random, macs: bytes, *, port: int) -> Sent:
    """One packet of the kind, to *port*."""
    ports = (rng.randrange(1024, 65536), port)
    payload = rng.randbytes(2 * rng.randrange(1, 100)) + (b"" if kind.zero else rng.randbytes(rng.randrange(2)))
    datagram, field = transport(kind, ports, payload), 16 if kind.protocol == 6 else 6
    head = pseudo(kind, kind.protocol, len(datagram))
    if kind.zero:  # the last word is what is missing to ffff
        datagram = datagram[:-2] + struct.pack("!H", 0)
        datagram = datagram[:-2] + struct.pack("!H", ~f.total(head + datagram) & 0xFFFF)
    right = ~f.total(head + datagram) & 0xFFFF
    assert not kind.zero or right == 0
    if right == 0 and kind.protocol == 17:
        right = 0xFFFF  # RFC 768
    finished = f.put16(datagram, field, 0 if kind.without else right ^ (0x0101 if kind.wrong else 0))
    sent = f.put16(datagram, field, f.total(head)) if kind.offload else finished
    start = 14 + (20 if kind.version == 4 else 40)
    body = network(kind, kind.protocol, sent)
    if kind.encap:
        outer = struct.pack("!HHHH", rng.randrange(1024, 65536), OUTER_PORT, 8 + len(body), 0)
        start += 8 + start - 14
        body = network(kind, 17, outer + body)
    vnet = VNET.pack(1, 0, 0, 0, start, field) if kind.offload else bytes(VNET.size)
    return Sent(macs + struct.pack("!H", 0x0800 if kind.version == 4 else 0x86DD) + body, vnet, start, finished)


def finished(got: bytes) -> bytes:
    """A frame as the device finishes it: what the virtio-net header asks for is done."""
    flags, gso, _, _, start, offset = VNET.unpack_from(got)
    frame = got[VNET.size :]
    assert gso == 0, "joined with others"
    if flags & f.NEEDS_CSUM:
        value = ~f.total(frame[start:]) & 0xFFFF
        frame = f.put16(frame, start + offset, 0xFFFF if value == 0 and offset == 6 else value)
    return frame


RING_ONLY = ("--cut-through", "off")


def without_two_zeros(datagram: bytes, offset: int) -> bytes:
    """The kernel writes FFFF for every sum of 0 that it computes, of TCP as well, where both say the same."""
    return f.put16(datagram, offset, f.get16(datagram, offset) % 0xFFFF)


@pytest.mark.parametrize(
    "options",
    [RING_ONLY, (*RING_ONLY, "--finish", "pb"), (*RING_ONLY, "--ring", "v3"), (), ("--finish", "pb")],
    ids=["plain", "finish", "v3", "cut-through", "finished by the kernel"],
)
def test_checksum_offload(line: Line, options: tuple[str, ...]) -> None:
    """All kinds, in turn, through one bridge."""
    line.silence()
    rng = random.Random(29)
    macs = bytes.fromhex(line.b.hardware_address("eth0").replace(":", "")) + b"\x06\x0d\0\0\0\1"
    with (
        line.bridged(*options) as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
        open_tap(line.b, "eth0", vnet=True) as back,
    ):
        await_reader(line.node, "pa")
        for kind in KINDS:
            packets = [make(kind, rng, macs, port=40000 + n) for n in range(COUNT)]
            bridge.pause()  # so that they are one batch
            for packet in packets:
                out.send(packet.vnet + packet.frame)
            bridge.process.send_signal(signal.SIGCONT)
            arrived = [got for got in everything(back, 0.15) if got[VNET.size :][:12] == macs]
            assert len(arrived) == COUNT, f"{kind}: {len(arrived)} packets"
            for packet, got in zip(packets, arrived, strict=True):
                assert got[VNET.size :][: packet.start] == packet.frame[: packet.start], kind
                came, wanted = finished(got)[packet.start :], packet.datagram
                if options == ("--finish", "pb"):
                    offset = 16 if kind.protocol == 6 else 6
                    came, wanted = without_two_zeros(came, offset), without_two_zeros(wanted, offset)
                assert came == wanted, f"{kind}: {got.hex()}"
                if not kind.offload or "--finish" in options:
                    assert not got[0] & f.NEEDS_CSUM, f"{kind}: came finished, or had to leave so"
        there, _ = bridge.stop()
    assert there["dropped"] == {} and there["tx_error"] == {} and there["stray_csum_metadata"] == 0, there


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_takes_what_is_right_and_drops_what_is_not(line: Line, version: int) -> None:
    """UDP at a socket of b's, finished or left to the device."""
    rng = random.Random(31)
    macs = bytes.fromhex((line.b.hardware_address("eth0") + line.a.hardware_address("eth0")).replace(":", ""))

    def bind() -> socket.socket:
        s = socket.socket(FAMILIES[version], socket.SOCK_DGRAM)
        s.bind((ADDRESSES["b"][version == 6], 40000))
        s.settimeout(0.3)
        return s

    with (
        line.b.call(bind) as application,
        line.bridged() as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
    ):
        await_reader(line.node, "pa")
        for kind in (kind for kind in KINDS if kind.version == version and kind.protocol == 17 and not kind.encap):
            packets = [make(kind, rng, macs, port=40000) for _ in range(COUNT)]
            for packet in packets:
                out.send(packet.vnet + packet.frame)
            if kind.wrong:
                with pytest.raises(TimeoutError):
                    application.recv(1 << 16)
                continue
            assert [application.recv(1 << 16) for _ in packets] == [packet.datagram[8:] for packet in packets], kind
        bridge.stop()
    assert line.b.checksum_errors() == {"UdpInCsumErrors" if version == 4 else "Udp6InCsumErrors": COUNT}
