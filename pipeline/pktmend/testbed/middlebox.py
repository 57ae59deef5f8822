"""Middleboxes made of BPF programs: they hand frames from port to port in the kernel, and change some of them."""

from __future__ import annotations

import socket

from pktmend._kernel import lib
from pktmend.testbed import bpf
from pktmend.testbed.bpf import R0, R1, R7, R8, Code
from pktmend.testbed.netns import Host

IP = 14  # behind an Ethernet header
IP_SUM, IP_SOURCE, IP_TARGET, TRANSPORT = IP + 10, IP + 12, IP + 16, IP + 20
SUM = {socket.IPPROTO_TCP: TRANSPORT + 16, socket.IPPROTO_UDP: TRANSPORT + 6}


class Middlebox:
    """Two ports of a host, joined by programs.

    kind: BPF_PROG_TYPE_SCHED_CLS keeps all that the kernel knows of a frame; BPF_PROG_TYPE_XDP cannot.
    """

    def __init__(
        self,
        host: Host,
        a: str,
        b: str,
        there: Code | None = None,
        back: Code | None = None,
        *,
        kind: int = lib.BPF_PROG_TYPE_SCHED_CLS,
    ) -> None:
        self.host = host
        self.kind = kind
        self.ports: tuple[str, ...] = ()
        self.connect(a, b, there, back)

    def connect(self, a: str, b: str, there: Code | None = None, back: Code | None = None) -> None:
        """Hand frames from *a* to *b* and back from now on, after *there* or *back* was done to them."""
        self.disconnect(*{*self.ports} - {a, b})
        self.ports = (a, b)
        for source, target, code in ((a, b, there), (b, a, back)):
            bpf.attach(self.host, source, self.kind, [*(code or []), *bpf.redirect(self.host.index(target))])

    def disconnect(self, *ports: str) -> None:
        """Hand over nothing more that comes in at *ports*."""
        for port in ports:
            bpf.detach(self.host, port, self.kind)


def flip_bits(*, one_in: int) -> Code:
    """Return code that flips a bit, anywhere in 1,024 bytes of payload, of one in so many long frames (a power of 2).

    The checksums in the frame, and what the kernel thinks of them, stay as they are.
    """
    flip = [
        bpf.copy(R8, R7),
        bpf.compute(lib.BPF_RSH, R8, 16),
        bpf.compute(lib.BPF_AND, R8, 1023),
        bpf.compute(lib.BPF_RSH, R7, 28),
        bpf.compute(lib.BPF_AND, R7, 7),
        bpf.packet_byte(100, beyond=R8),
        bpf.move(R1, 1),
        bpf.compute_by(lib.BPF_LSH, R1, R7),
        bpf.compute_by(lib.BPF_XOR, R0, R1),
        bpf.compute(lib.BPF_ADD, R8, 100),
        *bpf.store(lambda register: bpf.copy(register, R8)),
    ]
    chance = [
        bpf.call(lib.BPF_FUNC_get_prandom_u32),
        bpf.copy(R7, R0),
        bpf.compute(lib.BPF_AND, R0, one_in - 1),
        *bpf.unless(lib.BPF_JNE, R0, 0, flip),
    ]
    return [bpf.packet_length(R7), *bpf.unless(lib.BPF_JLT, R7, 1200, chance)]


def where_partial(ip: int, body: Code) -> Code:
    """Return *body*, done where the TCP checksum behind the IPv4 header at *ip* holds the pseudo-header sum (F = S)."""
    fold = [
        bpf.copy(R8, R7),
        bpf.compute(lib.BPF_RSH, R8, 16),
        bpf.compute(lib.BPF_AND, R7, 0xFFFF),
        bpf.compute_by(lib.BPF_ADD, R7, R8),
    ]
    seed = [bpf.packet_half(ip + 2), bpf.copy(R7, R0), bpf.compute(lib.BPF_ADD, R7, socket.IPPROTO_TCP - 20)]
    for at in range(ip + 12, ip + 20, 2):
        seed += [bpf.packet_half(at), bpf.compute_by(lib.BPF_ADD, R7, R0)]
    is_seed = [*seed, *fold, *fold, bpf.packet_half(ip + 20 + 16), *bpf.unless_equal(R0, R7, body)]
    return [bpf.packet_byte(ip + 9), *bpf.unless(lib.BPF_JNE, R0, socket.IPPROTO_TCP, is_seed)]


def rewrite(at: int, old: str, new: str, *, also: Code | None = None) -> Code:
    """Return code that changes the IPv4 address at IP_SOURCE or IP_TARGET and the header's own sum, where it is *old*.

    also: what else is done then, such as update().
    """
    before, after = socket.inet_aton(old), socket.inet_aton(new)
    body = [
        *bpf.store(lambda register: bpf.move(register, at), after),
        *bpf.replace_sum(lib.BPF_FUNC_l3_csum_replace, IP_SUM, before, after, 0),
        *(also or []),
    ]
    return [bpf.packet_word(at), *bpf.unless(lib.BPF_JNE, R0, int.from_bytes(before, "big"), body)]


def update(protocol: int, old: str, new: str, *, flags: int = 0) -> Code:
    """Return code that updates the checksum of TCP or UDP (IPPROTO_*) for a changed address, as NAT must."""
    body = bpf.replace_sum(
        lib.BPF_FUNC_l4_csum_replace,
        SUM[protocol],
        socket.inet_aton(old),
        socket.inet_aton(new),
        lib.BPF_F_PSEUDO_HDR | flags,
    )
    return [bpf.packet_byte(IP + 9), *bpf.unless(lib.BPF_JNE, R0, protocol, body)]
