"""Completions that were written to the wrong place, made as a kernel makes them: a sum from where it is told to start,
written where it is told to.  The sums are scapy's.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from scapy.all import IP, TCP
from scapy.utils import checksum

import frames as f
import tapes as t
from diagnosing import A, B, decide, decided, only
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Decision
from pktmend.commands.diagnose.examine import examine
from pktmend.commands.diagnose.facts.misplaced import OtherEachTime, SumOfOtherBytes, WrittenOver
from pktmend.commands.diagnose.facts.tap import SeenAt
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.taps import Hooks
from pktmend.enums import Proto

PORT = 3030


def completed_at(frame: bytes, shift: int, field: int = 16) -> bytes:
    """Do what skb_checksum_help() does with a csum_start that is off by *shift* bytes."""
    start = f.transport_start(frame) + shift
    return f.put16(frame, start + field, checksum(frame[start:]))


def syns(count: int = 3, *, sport: int = 40000, version: int = 4) -> list[bytes]:
    """Return a SYN and its retransmissions, partial, each with a later timestamp and IPv4 identification."""
    ends = (A, B) if version == 4 else ("fd07::1", "fd07::2")
    found = []
    for n in range(count):
        options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (9000 + 1000 * n, 0)), ("NOP", None), ("WScale", 7)]
        packet = t.ip(*ends) / TCP(sport=sport, dport=PORT, seq=0x11223344, flags="S", options=options)
        if version == 4:
            packet[IP].id = 256 + n
        found.append(f.leaked(packet))
    return found


def timed(frames: list[bytes]) -> list[t.Timed]:
    return [(1 + 2**n, frame) for n, frame in enumerate(frames)]


@pytest.mark.parametrize("version", [4, 6])
def test_one_syn_to_another_port_each_time(tmp_path: Path, version: int) -> None:
    frames = [completed_at(frame, -14) for frame in syns(version=version)]
    ports = tuple(f.get16(frame, f.transport_start(frame) + 2) for frame in frames)
    assert len({PORT, *ports}) == 4
    [found] = decide(t.pcap(tmp_path / "x", timed(frames)))
    assert decided([found]) == [("misplaced-completion", "certain")]
    [each] = only(found, OtherEachTime)
    assert isinstance(each, OtherEachTime) and each.place == 2 and each.values == ports
    assert only(found, SumOfOtherBytes) == [SumOfOtherBytes(Proto.TCP, 2, -14, PORT)]
    assert not any("tx off" in remedy.command for remedy in found.remedies)
    assert decided(decide(tmp_path / "x", at_wire=True)) == [("misplaced-completion", "certain")]


@pytest.mark.parametrize(
    ("shift", "place", "was"),
    [(-12, 4, 0x1122), (-10, 6, 0x3344), (18, 34, 0)],
    ids=["a virtio-net header of 12", "of 10", "a tagged header twice"],
)
def test_other_places(tmp_path: Path, shift: int, place: int, was: int) -> None:
    """Parts of the sequence number, and of the timestamps (the echoed one, which is 0 in a SYN)."""
    frames = [completed_at(frame, shift) for frame in syns()]
    [found] = decide(t.pcap(tmp_path / "x", timed(frames)))
    assert decided([found]) == [("misplaced-completion", "certain")]
    [fact] = only(found, SumOfOtherBytes)
    assert isinstance(fact, SumOfOtherBytes)
    assert (fact.place, fact.shift, fact.was % 0xFFFF) == (place, shift, was)


def test_datagrams(tmp_path: Path) -> None:
    """A VLAN tag of four bytes that the sender left out of its count: the target port again."""
    frames = []
    for n in range(3):
        packet = t.udp(A, B, 40000, PORT, bytes([n]) * 20)
        frames.append(completed_at(f.leaked(packet), -4, 6))
    [found] = decide(t.pcap(tmp_path / "x", timed(frames)))
    assert decided([found]) == [("misplaced-completion", "certain")]
    assert only(found, SumOfOtherBytes) == [SumOfOtherBytes(Proto.UDP, 2, -4, PORT)]


def test_ports_that_no_sum_explains_are_likely_only(tmp_path: Path) -> None:
    frames = [f.put16(frame, 36, 1000 + 7 * n) for n, frame in enumerate(syns())]
    assert decided(decide(t.pcap(tmp_path / "x", timed(frames)))) == [("misplaced-completion", "likely")]


def test_a_scan_is_none(tmp_path: Path) -> None:
    """One SYN for each port, each with a number of its own, as the kernel sends them."""
    packets = [t.tcp(A, B, 40000 + n, 20 + n, 1000 * n, 0, "S") for n in range(8)]
    packets += [t.tcp(A, B, 39999, 20 + n, 1000 * n, 0, "S") for n in range(8)]
    found = decide(t.pcap(tmp_path / "x", [(n, f.leaked(p)) for n, p in enumerate(packets)]))
    assert [cause for cause, _ in decided(found)] == ["offload-pending"]


def test_others_stay_healthy(tmp_path: Path) -> None:
    """What is acknowledged beside it is pending, and counted without the misplaced ones."""
    frames = [completed_at(frame, -14) for frame in syns(sport=41000)]
    packets = t.conversation(A, "10.7.0.9", 20) + timed(frames)
    found = decide(t.pcap(tmp_path / "x", sorted(packets)))
    assert decided(found) == [("misplaced-completion", "certain"), ("offload-pending", "certain")]
    assert found[1].counts == {"tcp pending": 3}


def between(tmp_path: Path, before: list[bytes], behind: list[bytes]) -> list[Decision]:
    a = t.pcap(tmp_path / "before", timed(before))
    b = t.pcap(tmp_path / "behind", [(time + 0.0001, frame) for time, frame in timed(behind)])
    return list(examine(Options(str(a), str(b), is_live=False), Hooks()).decisions)


def test_behind_a_hop(tmp_path: Path) -> None:
    """What was sent again at the first tap is not told a second time."""
    before = syns()
    [found] = between(tmp_path, before, [completed_at(frame, -14) for frame in before])
    assert decided([found]) == [("misplaced-completion", "certain")]
    assert found.facts[:2] == (WrittenOver(3, 3, Proto.TCP, 2), SumOfOtherBytes(Proto.TCP, 2, -14, PORT))


def test_a_datagram_completed_as_if_it_were_tcp(tmp_path: Path) -> None:
    """16 bytes into UDP lies payload: contents change, the field stays."""
    noise = random.Random(3)
    before = [f.leaked(t.udp(A, B, 40000, PORT, noise.randbytes(60))) for _ in range(6)]
    [found] = between(tmp_path, before, [completed_at(frame, 0, 16) for frame in before])
    assert decided([found]) == [("misplaced-completion", "certain")]
    assert found.facts[0] == WrittenOver(4, 4, Proto.UDP, 16)  # of the first and last the other tap may know nothing


def test_behind_a_hop_without_proof(tmp_path: Path) -> None:
    before = syns()
    [found] = between(tmp_path, before, [f.put16(frame, 36, 1000 + 7 * n) for n, frame in enumerate(before)])
    assert decided([found]) == [("misplaced-completion", "likely")]


def test_a_nat_to_one_port_is_none(tmp_path: Path) -> None:
    """The kernel's NAT of partial packets: another port, and S stays, as S has no ports in it."""
    before = syns()
    found = between(tmp_path, before, [f.put16(frame, 36, 8080) for frame in before])
    assert all(one.cause is not RootCause.MISPLACED_COMPLETION for one in found)


def test_frames_cut_short_are_left_alone(tmp_path: Path) -> None:
    whole = completed_at(syns()[0], -14)
    for kept in range(34, len(whole)):
        assert decide(t.pcap(tmp_path / "x", [(n, whole[:kept]) for n in range(3)]))


def test_first_taps_own_fault_is_still_said(tmp_path: Path) -> None:
    """A packet that was bad before the hop is that tap's, misplaced completions or not."""
    before = [*syns(), t.damaged(f.raw(t.tcp(A, B, 5, 6, 7, 8, "PA", bytes(range(80)))), 60, 0x15)]
    found = between(tmp_path, before, [*(completed_at(frame, -14) for frame in before[:3]), before[3]])
    assert found[0].cause is RootCause.MISPLACED_COMPLETION
    assert any(only(one, SeenAt) for one in found[1:])
