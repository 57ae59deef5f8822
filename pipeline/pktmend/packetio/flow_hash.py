"""Share an interface's frames among several rings, flow by flow: a classic BPF program for each.

Every ring sees every frame and its program keeps one of *count* parts, by a hash over addresses and ports.  What a
kernel's fanout group (PACKET_FANOUT) does, but for one thing: the kernel never binds a socket of a group again, so when
its interface is deleted and made again, such a reader receives nothing any more; these rings go on.  The price: every
program runs on every frame, so this is for a few rings.

Rules of this file:
1. Each frame is kept by exactly one program, whatever its bytes and its length: a load beyond the end of a frame
   would make every program refuse it.
2. Frames of one flow have one hash.  Fragments have no ports and go by their addresses; what is not IP by its Ethernet
   addresses.

Source: Linux Documentation/networking/filter.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from pktmend._kernel import lib

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k

MACS, ETHERTYPE = 12, 12  # bytes of addresses; offset of the type
IPV4, IPV4_END, IPV4_FRAGMENT, IPV4_PROTOCOL, IPV4_ADDRESSES = 14, 34, 20, 23, (26, 30)
IPV6_END, IPV6_NEXT, IPV6_ADDRESSES = 54, 20, tuple(range(22, 54, 4))
WITH_PORTS: Final = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
IS_FRAGMENT: Final = 0x3FFF  # more to come, or not the first
GOLDEN: Final = 0x9E3779B1  # spreads what differs in few bits over the upper ones
WHOLE: Final = 0xFFFFFFFF


class _Assembler:
    """Instructions with labels to jump to, all of them forwards."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, str, int]] = []
        self._places: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._places[name] = len(self._lines)

    def do(self, code: int, k: int = 0) -> None:
        self._lines.append((code, "", "", k))

    def jump(self, kind: int, k: int, true: str = "", false: str = "") -> None:
        self._lines.append((lib.BPF_JMP | kind | lib.BPF_K, true, false, k))

    def go(self, to: str) -> None:
        self._lines.append((lib.BPF_JMP | lib.BPF_JA, to, "", 0))

    def instructions(self) -> Iterator[Instruction]:
        for at, (code, true, false, k) in enumerate(self._lines):
            if code == lib.BPF_JMP | lib.BPF_JA:
                yield code, 0, 0, self._places[true] - at - 1
            else:
                yield code, self._distance(at, true), self._distance(at, false), k

    def _distance(self, at: int, name: str) -> int:
        return self._places[name] - at - 1 if name else 0


def part(number: int, count: int) -> bytes:
    """Return the program (struct sock_filter after struct sock_filter) that keeps part *number* of *count*."""
    a = _Assembler()
    word, half, byte = (lib.BPF_LD | size | lib.BPF_ABS for size in (lib.BPF_W, lib.BPF_H, lib.BPF_B))
    length, xor = lib.BPF_LD | lib.BPF_W | lib.BPF_LEN, lib.BPF_ALU | lib.BPF_XOR | lib.BPF_X
    keep_hash, load_hash, to_x = lib.BPF_ST, lib.BPF_LDX | lib.BPF_MEM, lib.BPF_MISC | lib.BPF_TAX

    def mix(offsets: tuple[int, ...]) -> None:
        """Store the exclusive or of the words at *offsets*."""
        for i, offset in enumerate(offsets):
            if i:
                a.do(to_x)
            a.do(word, offset)
            if i:
                a.do(xor)
        a.do(keep_hash)

    a.do(lib.BPF_LD | lib.BPF_K)
    a.do(keep_hash)
    a.do(length)
    a.jump(lib.BPF_JGE, IPV4_END, false="other")
    a.do(half, ETHERTYPE)
    a.jump(lib.BPF_JEQ, 0x86DD, "ipv6")
    a.jump(lib.BPF_JEQ, 0x0800, false="other")

    mix(IPV4_ADDRESSES)
    a.do(half, IPV4_FRAGMENT)
    a.jump(lib.BPF_JSET, IS_FRAGMENT, "done")
    a.do(byte, IPV4_PROTOCOL)
    for protocol in WITH_PORTS:
        a.jump(lib.BPF_JEQ, protocol, "ipv4 ports")
    a.go("done")
    a.label("ipv4 ports")
    a.do(lib.BPF_LDX | lib.BPF_B | lib.BPF_MSH, IPV4)  # X: length of the IPv4 header
    a.do(length)
    a.do(lib.BPF_ALU | lib.BPF_SUB | lib.BPF_X)
    a.jump(lib.BPF_JGE, IPV4 + 4, false="done")
    a.do(lib.BPF_LD | lib.BPF_W | lib.BPF_IND, IPV4)
    a.go("add")

    a.label("ipv6")
    a.do(length)
    a.jump(lib.BPF_JGE, IPV6_END, false="other")
    mix(IPV6_ADDRESSES)
    a.do(byte, IPV6_NEXT)
    for protocol in WITH_PORTS:
        a.jump(lib.BPF_JEQ, protocol, "ipv6 ports")
    a.go("done")
    a.label("ipv6 ports")
    a.do(length)
    a.jump(lib.BPF_JGE, IPV6_END + 4, false="done")
    a.do(word, IPV6_END)
    a.go("add")

    a.label("other")
    a.do(length)
    a.jump(lib.BPF_JGE, MACS, false="done")
    mix((0, 4, 8))
    a.go("done")

    a.label("add")  # A holds the ports
    a.do(load_hash)
    a.do(xor)
    a.do(keep_hash)
    a.label("done")
    a.do(lib.BPF_LD | lib.BPF_MEM)
    a.do(lib.BPF_ALU | lib.BPF_MUL | lib.BPF_K, GOLDEN)
    a.do(lib.BPF_ALU | lib.BPF_RSH | lib.BPF_K, 16)
    a.do(lib.BPF_ALU | lib.BPF_MOD | lib.BPF_K, count)
    a.jump(lib.BPF_JEQ, number, false="not ours")
    a.do(lib.BPF_RET | lib.BPF_K, WHOLE)
    a.label("not ours")
    a.do(lib.BPF_RET | lib.BPF_K, 0)
    return b"".join(struct.pack("=HBBI", *each) for each in a.instructions())
