"""Partial checksums, or none, that a hop translates to other addresses, of either family; two taps around it.

What NAT makes of a field is computed by hand after RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from scapy.all import TCP, UDP, VXLAN, Ether, Raw

import frames as f
import tapes as t
from diagnosing import A, B, decide, decided, only
from pktmend.commands.diagnose.decision import Decision
from pktmend.commands.diagnose.examine import examine
from pktmend.commands.diagnose.facts import hop
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.taps import Hooks

NOISE = random.Random(17)
OUTSIDE = "203.0.113.9"
PENDING = 1 << 9  # epb_flags: the checksum is not computed yet


def updated(field: int, old: bytes, new: bytes) -> int:
    """RFC 1624 equation 3, for any even number of bytes."""
    return ~f.total((~field & 0xFFFF).to_bytes(2, "big") + bytes(x ^ 0xFF for x in old) + new) & 0xFFFF


def between(tmp_path: Path, before: list[bytes], behind: list[bytes], *, flags: int = 0) -> list[Decision]:
    """Decide on what is before and behind; flags: epb_flags of what is before."""
    timed = [(1 + n / 100, frame) for n, frame in enumerate(before)]
    a = t.pcapng(tmp_path / "a", [(*each, flags) for each in timed]) if flags else t.pcap(tmp_path / "a", timed)
    b = t.pcap(tmp_path / "b", [(1.0001 + n / 100, frame) for n, frame in enumerate(behind)])
    return list(examine(Options(str(a), str(b), is_live=False), Hooks()).decisions)


def packed(address: str, port: int) -> bytes:
    return bytes(map(int, address.split("."))) + port.to_bytes(2, "big")


@pytest.mark.parametrize(("flags", "confidence"), [(PENDING, "certain"), (0, "likely")])
@pytest.mark.parametrize("updates", ["all", "addresses", "nothing"])
def test_lost_and_then_translated(tmp_path: Path, flags: int, confidence: str, updates: str) -> None:
    """Whatever the hop makes of the seed while it writes other addresses and ports, the mark was lost."""
    before, behind = [], []
    for n in range(4):
        first = t.tcp(A, B, 4000, 80, 1000 + n, 0, "PA", NOISE.randbytes(40))
        then = t.tcp(OUTSIDE, B, 6001, 80, 1000 + n, 0, "PA", bytes(first[Raw].load))
        seed = f.seed(first)
        old, new = packed(A, 4000), packed(OUTSIDE, 6001)
        field = {"all": updated(seed, old, new), "addresses": updated(seed, old[:4], new[:4]), "nothing": seed}[updates]
        before.append(f.leaked(first))
        behind.append(f.put16(f.raw(then), 50, field))
    [found] = between(tmp_path, before, behind, flags=flags)
    assert decided([found]) == [("metadata-lost", confidence)]
    assert (hop.Hop.UPDATED_AS_IF_COMPLETE in found.facts) == (updates != "nothing")
    assert only(found, hop.Rewrote) and Limit.REPAIRS_BEFORE_NAT in found.limits
    assert A in found.remedies[0].effect and OUTSIDE not in found.remedies[0].effect  # the sender, not the NAT


def test_completed_and_then_translated_without_update(tmp_path: Path) -> None:
    """The field behind is the complete sum of the packet before: the mark was kept, the NAT is at fault."""
    before, behind = [], []
    for n in range(4):
        first = t.tcp(A, B, 4000, 80, 1000 + n, 0, "PA", NOISE.randbytes(40))
        then = t.tcp(OUTSIDE, B, 4000, 80, 1000 + n, 0, "PA", bytes(first[Raw].load))
        before.append(f.leaked(first))
        behind.append(f.put16(f.raw(then), 50, f.get16(f.raw(first), 50)))
    [found] = between(tmp_path, before, behind, flags=PENDING)
    assert decided([found]) == [("nat-without-update", "certain")]


def test_lost_by_the_hop_that_wraps(tmp_path: Path) -> None:
    before, behind = [], []
    for n in range(3):
        inner = t.tcp(A, B, 4000, 80, n, 0, "S")
        packet = t.ip("192.0.2.1", "192.0.2.2") / UDP(sport=9, dport=4789, chksum=0) / VXLAN() / Ether() / inner["IP"]
        before.append(f.leaked(inner))
        behind.append(f.put16(f.raw(packet), 14 + 20 + 16 + 50, f.seed(inner)))
    a = t.pcapng(tmp_path / "a", [(1 + n / 100, frame, PENDING) for n, frame in enumerate(before)])
    b = t.pcap(tmp_path / "b", [(1.0001 + n / 100, frame) for n, frame in enumerate(behind)])
    [found] = examine(Options(str(a), str(b), is_live=False, at_wire=True), Hooks()).decisions
    assert decided([found]) == [("metadata-lost", "certain")]
    assert A in found.remedies[0].effect


def other_family(packet: Any) -> Any:
    """Return the same transport in IPv6, as a translator of families sends it."""
    kind = TCP if TCP in packet else UDP
    new = packet[kind].copy()
    del new.chksum
    return t.ip("2001:db8:64::1", "2001:db8::5") / new


def test_to_the_other_family_without_update(tmp_path: Path) -> None:
    before, behind = [], []
    for n in range(4):
        first = t.tcp(A, B, 4000, 80, 1000 + n, 0, "PA", NOISE.randbytes(40))
        before.append(f.raw(first))
        behind.append(f.put16(f.raw(other_family(first)), 14 + 40 + 16, f.get16(f.raw(first), 50)))
    [found] = between(tmp_path, before, behind)
    assert decided([found]) == [("nat-without-update", "certain")]
    [fact] = only(found, hop.Rewrote)
    assert isinstance(fact, hop.Rewrote) and ("IP version", 4) in fact.fields


@pytest.mark.parametrize("towards", [4, 6])
def test_none_to_the_other_family(tmp_path: Path, towards: int) -> None:
    """UDP without a checksum: towards IPv6 it has to be computed, towards IPv4 a zero stays."""
    before, behind = [], []
    for _ in range(4):
        four = t.ip(A, B) / UDP(sport=4500, dport=4500, chksum=0) / Raw(NOISE.randbytes(60))
        six = t.ip("2001:db8:64::1", "2001:db8::5") / UDP(sport=4500, dport=4500, chksum=0) / four[Raw]
        if towards == 6:
            before.append(f.raw(four))
            behind.append(f.put16(f.raw(six), 14 + 40 + 6, 0))
        else:
            before.append(f.put16(f.raw(six), 14 + 40 + 6, 0))
            behind.append(f.put16(f.raw(four), 40, 0x1234))
    found = between(tmp_path, before, behind)
    assert decided(found)[0] == ("nat-on-zero", "certain")
    assert not any("VXLAN" in remedy.command for remedy in found[0].remedies)
    assert "RFC 7915" in found[0].remedies[0].effect


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_completed_twice_without_a_word_on_where_it_was_taken(tmp_path: Path, kind: str) -> None:
    """Right before, the seed behind, no mark in either file: completed once more."""
    packets = [
        t.tcp(A, B, 4000, 80, 1000 + n, 0, "PA", NOISE.randbytes(40))
        if kind == "tcp"
        else t.udp(A, B, 4000, 80, NOISE.randbytes(40))
        for n in range(4)
    ]
    [found] = between(tmp_path, [f.raw(p) for p in packets], [f.leaked(p) for p in packets])
    assert decided([found]) == [("double-completion", "certain")]


def test_outer_sum_alone_was_left(tmp_path: Path) -> None:
    """The outer sum of a tunnel is the seed, what is inside is right: the tunnel's sender lost its mark."""
    frames, pseudo = [], bytes([192, 0, 2, 1, 192, 0, 2, 2, 0, 17])
    for n in range(3):
        inner = Ether() / t.tcp(A, B, 4000, 80, n, 0, "S")["IP"]
        packet = t.ip("192.0.2.1", "192.0.2.2") / UDP(sport=9, dport=4789) / VXLAN(vni=7) / inner
        frames.append((n, f.put16(f.raw(packet), 40, f.total(pseudo + len(packet[UDP]).to_bytes(2, "big")))))
    [found] = decide(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert decided([found]) == [("metadata-lost", "likely")]
    assert "192.0.2.1" in found.remedies[0].effect
