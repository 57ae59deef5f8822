"""Share an interface's frames among several rings, flow by flow: a classic BPF program for each.

Every ring sees every frame and its program keeps one of *count* parts, by a hash over addresses and ports.  What a
kernel's fanout group (PACKET_FANOUT) does, but for one thing: the kernel never binds a socket of a group again, so when
its interface is deleted and made again, such a reader receives nothing any more; these rings go on.  The price: every
program runs on every frame, so this is for a few rings.

Rules of this file:
1. Each frame is kept by exactly one program, whatever its bytes and its length: a load beyond the end of a frame
   would make every program refuse it.
2. Frames of one flow have one hash, or they would overtake each other.  Only protocols that put things in order by
   themselves go by their ports too: fragments have none, and UDP is whole at one time and fragmented at another (what
   ethtool calls `rx-flow-hash udp4 sd`).  What is not IP goes by its Ethernet addresses.

Source: Linux Documentation/networking/filter.rst.
"""

from __future__ import annotations

from typing import Final

from pktmend._kernel import lib
from pktmend.host.bpf_asm import Assembler, encode

MACS, ETHERTYPE = 12, 12  # bytes of addresses; offset of the type
IPV4, IPV4_END, IPV4_FRAGMENT, IPV4_PROTOCOL, IPV4_ADDRESSES = 14, 34, 20, 23, (26, 30)
IPV6_END, IPV6_NEXT, IPV6_ADDRESSES = 54, 20, tuple(range(22, 54, 4))
WITH_PORTS: Final = (6, 132)  # TCP, SCTP
IS_FRAGMENT: Final = 0x3FFF  # more to come, or not the first
GOLDEN: Final = 0x9E3779B1  # spreads what differs in few bits over the upper ones
WHOLE: Final = 0xFFFFFFFF
NEGATIVE: Final = 0x80000000


WORD, HALF, BYTE = (lib.BPF_LD | size | lib.BPF_ABS for size in (lib.BPF_W, lib.BPF_H, lib.BPF_B))
LENGTH: Final = lib.BPF_LD | lib.BPF_W | lib.BPF_LEN
TO_X, XOR = lib.BPF_MISC | lib.BPF_TAX, lib.BPF_ALU | lib.BPF_XOR | lib.BPF_X
KEEP_HASH, LOAD_HASH = lib.BPF_ST, lib.BPF_LDX | lib.BPF_MEM


def part(number: int, count: int) -> bytes:
    """Return the program (struct sock_filter after struct sock_filter) that keeps part *number* of *count*."""
    a = Assembler()
    a.emit(lib.BPF_LD | lib.BPF_K)
    a.emit(KEEP_HASH)
    a.emit(LENGTH)
    a.jump_if(lib.BPF_JGE, IPV4_END, false="other")
    a.emit(HALF, ETHERTYPE)
    a.jump_if(lib.BPF_JEQ, 0x86DD, "ipv6")
    a.jump_if(lib.BPF_JEQ, 0x0800, false="other")
    _hash_ipv4(a)
    _hash_ipv6(a)

    a.label("other")
    a.emit(LENGTH)
    a.jump_if(lib.BPF_JGE, MACS, false="done")
    _mix(a, (0, 4, 8))
    a.jump("done")

    a.label("add")  # A holds the ports
    a.emit(LOAD_HASH)
    a.emit(XOR)
    a.emit(KEEP_HASH)
    a.label("done")
    a.emit(lib.BPF_LD | lib.BPF_MEM)
    a.emit(lib.BPF_ALU | lib.BPF_MUL | lib.BPF_K, GOLDEN)
    a.emit(lib.BPF_ALU | lib.BPF_RSH | lib.BPF_K, 16)
    a.emit(lib.BPF_ALU | lib.BPF_MOD | lib.BPF_K, count)
    a.jump_if(lib.BPF_JEQ, number, false="not ours")
    a.ret(WHOLE)
    a.label("not ours")
    a.ret(0)
    return encode(a.instructions())


def _mix(a: Assembler, offsets: tuple[int, ...]) -> None:
    """Store the exclusive or of the words at *offsets*."""
    for i, offset in enumerate(offsets):
        if i:
            a.emit(TO_X)
        a.emit(WORD, offset)
        if i:
            a.emit(XOR)
    a.emit(KEEP_HASH)


def _hash_ipv4(a: Assembler) -> None:
    """Follows the jump of IPv4: store the addresses' part and go to "add" with the ports in A, or to "done"."""
    _mix(a, IPV4_ADDRESSES)
    a.emit(HALF, IPV4_FRAGMENT)
    a.jump_if(lib.BPF_JSET, IS_FRAGMENT, "done")
    a.emit(BYTE, IPV4_PROTOCOL)
    for protocol in WITH_PORTS:
        a.jump_if(lib.BPF_JEQ, protocol, "ipv4 ports")
    a.jump("done")
    a.label("ipv4 ports")
    a.emit(lib.BPF_LDX | lib.BPF_B | lib.BPF_MSH, IPV4)  # X: length of the IPv4 header
    a.emit(LENGTH)
    a.emit(lib.BPF_ALU | lib.BPF_SUB | lib.BPF_X)
    a.jump_if(lib.BPF_JGE, NEGATIVE, "done")  # the header says that it is longer than the frame
    a.jump_if(lib.BPF_JGE, IPV4 + 4, false="done")
    a.emit(lib.BPF_LD | lib.BPF_W | lib.BPF_IND, IPV4)
    a.jump("add")


def _hash_ipv6(a: Assembler) -> None:
    """Label "ipv6": store the addresses' part and go to "add" with the ports in A, or to "done" or "other"."""
    a.label("ipv6")
    a.emit(LENGTH)
    a.jump_if(lib.BPF_JGE, IPV6_END, false="other")
    _mix(a, IPV6_ADDRESSES)
    a.emit(BYTE, IPV6_NEXT)
    for protocol in WITH_PORTS:
        a.jump_if(lib.BPF_JEQ, protocol, "ipv6 ports")
    a.jump("done")
    a.label("ipv6 ports")
    a.emit(LENGTH)
    a.jump_if(lib.BPF_JGE, IPV6_END + 4, false="done")
    a.emit(WORD, IPV6_END)
    a.jump("add")
