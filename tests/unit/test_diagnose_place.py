"""Where captures were taken, by what became of partial segments: kinds of public reports, made by scapy."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from scapy.all import ICMP, TCP, Dot1AD, Dot1Q, Ether, Raw

import frames as f
import tapes as t
from diagnosing import A, B, decide, decided, only, tap_of
from pktmend.commands.diagnose import rules_dhcp, rules_misplaced, rules_partial
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.facts.capture_point import (
    Acked,
    Loopback,
    Repeated,
    SentAgain,
    TakenOn,
    ToItself,
    TooLong,
    WentSilent,
)
from pktmend.commands.diagnose.facts.partial import SeedWithoutMetadata
from pktmend.commands.diagnose.facts.protocols import AskedAgain
from pktmend.commands.diagnose.facts.wrong import FilledLater

NOISE = random.Random(13)
FULL = 1448


def segment(source: str, target: str, seq: int, ack: int, size: int, sack: tuple[int, int] | None = None) -> Any:
    """Return an established segment; ports 80 at A, 40000 at B."""
    ports = (80, 40000) if source == A else (40000, 80)
    options = [("NOP", None), ("NOP", None), ("SAck", sack)] if sack else []
    header = TCP(sport=ports[0], dport=ports[1], seq=seq, ack=ack, flags="PA" if size else "A", options=options)
    return t.ip(source, target) / header / Raw(NOISE.randbytes(size))


def tape(tmp_path: Path, packets: list[tuple[float, Any, bool]]) -> Path:
    """Write packets of (time, packet, is partial)."""
    return t.pcap(tmp_path / "x", [(at, f.leaked(p) if left else f.raw(p)) for at, p, left in packets])


def stalled(
    tmp_path: Path, answers: list[tuple[float, Any, bool]], first: int = FULL, again: int = 4
) -> list[Decision]:
    """A server (A) sends a long segment and a short one; the long one alone is sent again and again."""
    long, short = segment(A, B, 5000, 100, first), segment(A, B, 5000 + first, 100, 300)
    packets = [(1.0, segment(B, A, 50, 5000, 50), False), (1.01, long, True), (1.02, short, True), *answers]
    packets += [(1.2 + 2**n, long, True) for n in range(again)]
    return decide(tape(tmp_path, packets))


def test_selectively_acknowledged_beyond_a_long_one_is_a_path_mtu(tmp_path: Path) -> None:
    answer = segment(B, A, 100, 5000, 0, sack=(5000 + FULL, 5300 + FULL))
    [found] = stalled(tmp_path, [(1.03, answer, False)])
    assert decided([found]) == [("offload-pending", "likely")]
    assert only(found, Acked) == [Acked(1)] and only(found, TakenOn) == [TakenOn(A)]
    [fact] = only(found, TooLong)
    assert isinstance(fact, TooLong) and (fact.n, fact.shortest, fact.passed) == (4, 54 + FULL, 354)
    assert "black hole" in fact.text


def test_repeated_acknowledgment_without_sack(tmp_path: Path) -> None:
    [found] = stalled(tmp_path, [(1.03, segment(B, A, 100, 5000, 0), False)])
    assert decided([found]) == [("offload-pending", "likely")]
    assert only(found, Repeated) == [Repeated(1)] and only(found, TooLong)


def test_lost_if_the_receiver_says_nothing_of_the_short_one(tmp_path: Path) -> None:
    """No answer after the two: whether long or short, nothing got through, and the other end goes on."""
    later = [(20.0, segment(B, A, 100, 5000, 50), False)]
    [found] = stalled(tmp_path, later)
    assert decided([found]) == [("metadata-lost", "likely")]


def test_one_segment_of_many_left_partial_is_lost(tmp_path: Path) -> None:
    """A driver completes all but one: SACK covers the complete ones behind it, and not that one."""
    packets = [(1.0, segment(B, A, 50, 5000, 50), False)]
    bad = segment(A, B, 5000, 100, FULL)
    packets += [(1.01, bad, True)]
    for n in range(1, 5):
        packets += [(1.01 + n / 100, segment(A, B, 5000 + n * FULL, 100, FULL), False)]
        block = (5000 + FULL, 5000 + (n + 1) * FULL)
        packets += [(1.015 + n / 100, segment(B, A, 100, 5000, 0, sack=block), False)]
    packets += [(1.3 + 2**n, bad, True) for n in range(4)]
    packets += [(1.301 + 2**n, segment(B, A, 100, 5000, 0, sack=block), False) for n in range(4)]
    [found] = decide(tape(tmp_path, sorted(packets, key=lambda p: p[0])))
    assert decided([found]) == [("metadata-lost", "likely")]


def test_acknowledged_and_then_silent_is_not_certain(tmp_path: Path) -> None:
    packets = t.conversation(A, B, 1)
    last = t.tcp(A, B, 40000, 80, 1019, 5020, "PA", bytes(18))
    packets += [(2 + 2**n, f.leaked(last)) for n in range(4)]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("offload-pending", "likely")] and only(found, WentSilent)


def test_one_direction_alone(tmp_path: Path) -> None:
    """A client that goes on after its SYN was answered, whoever was heard."""
    packets = [(time, frame) for time, frame in t.conversation(A, B, 1) if frame[26:30] == bytes([10, 7, 0, 1])]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("offload-pending", "certain")]
    [alone] = decide(t.pcap(tmp_path / "y", packets[1:]))
    assert decided([alone]) == [("offload-pending", "possible")]


@pytest.mark.parametrize("tags", [Dot1Q(vlan=5), Dot1AD(vlan=7) / Dot1Q(vlan=5)], ids=["802.1Q", "QinQ"])
def test_behind_tags(tmp_path: Path, tags: Any) -> None:
    packets = []
    for time, frame in t.conversation(A, B, 1):
        ether = Ether(frame)
        packets.append((time, bytes(Ether(src=ether.src, dst=ether.dst) / tags.copy() / ether.payload)))
    assert decided(decide(t.pcap(tmp_path / "x", packets))) == [("offload-pending", "certain")]


def test_over_ip6(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", t.conversation("fd07::1", "fd07::2", 1)))
    assert decided([found]) == [("offload-pending", "certain")] and only(found, TakenOn) == [TakenOn("fd07::1")]


def test_several_clients_of_one_server(tmp_path: Path) -> None:
    """On the server: one client has gone, the others are acknowledged."""
    packets = []
    for n in range(3):
        for time, frame in t.conversation(A, f"10.7.0.{10 + n}", 1 + n, sport=41000 + n):
            packets.append((time, frame))
    gone = t.tcp(A, "10.7.0.20", 42000, 80, 1, 0, "S")
    packets += [(10 + 2**n, f.leaked(gone)) for n in range(4)]
    packets += t.echo(A, "10.7.0.20", 30)
    assert decided(decide(t.pcap(tmp_path / "x", packets))) == [("offload-pending", "certain")]


def test_a_mirror_that_shows_each_packet_twice(tmp_path: Path) -> None:
    packets = [(time + late, frame) for time, frame in t.conversation(A, B, 1) for late in (0, 0.00001)]
    assert decided(decide(t.pcap(tmp_path / "x", packets))) == [("offload-pending", "certain")]


def cooked(frame: bytes, kind: int) -> bytes:
    """Return an Ethernet frame as `any` shows it (LINKTYPE_LINUX_SLL): 0 received, 4 sent."""
    return struct.pack("!HHH8s", kind, 1, 6, frame[6:12] + bytes(2)) + frame[12:]


def test_any_shows_three_copies_of_one_syn(tmp_path: Path) -> None:
    """Through a node: in, out of the bridge, out of the wire; ping passes, and nobody sent anything again."""
    packets = [
        (1 + n / 100000, cooked(f.leaked(t.tcp(A, B, 40000, 80, 7, 0, "S")), kind)) for n, kind in enumerate((0, 4, 4))
    ]
    packets = [(time, cooked(frame, 0)) for time, frame in t.echo(A, B, 0.5)] + packets
    [found] = decide(t.pcap(tmp_path / "x", packets, link=113))
    assert decided([found]) == [("offload-pending", "possible")]


def test_a_router_that_forwards_both_ways(tmp_path: Path) -> None:
    """On `any` of a host that routes for its containers: partial where it comes in and where it leaves."""
    packets = [
        (time + late, cooked(frame, kind))
        for time, frame in t.conversation(A, B, 1)
        for late, kind in ((0, 0), (0.00002, 4))
    ]
    assert decided(decide(t.pcap(tmp_path / "x", packets, link=113))) == [("offload-pending", "certain")]


def test_copies_where_the_second_is_complete(tmp_path: Path) -> None:
    """On `any` with a card that is behind: its copy is complete, so that the acknowledgments are of that one."""
    packets = []
    for time, frame in t.conversation(A, B, 1):
        packets.append((time, frame))
        whole = Ether(frame)
        del whole[TCP].chksum
        packets.append((time + 0.00002, bytes(whole)))
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert found.cause is RootCause.OFFLOAD_PENDING and found.confidence is not Confidence.CERTAIN


@pytest.mark.parametrize("answers", [True, False])
def test_datagrams(tmp_path: Path, answers: bool) -> None:
    packets = []
    for n in range(4):
        packets.append((1 + n, f.leaked(t.udp(A, B, 40000, 53, NOISE.randbytes(30)))))
        if answers:
            packets.append((1.01 + n, f.raw(t.udp(B, A, 53, 40000, NOISE.randbytes(60)))))
    found = decide(t.pcap(tmp_path / "x", packets))
    assert decided(found) == [("offload-pending", "likely" if answers else "possible")]


# --- empty fields ------------------------------------------------------------------------------------------


def unsummed(packet: Any) -> bytes:
    return f.put16(f.raw(packet), 24, 0)


@pytest.mark.parametrize(("ends", "kind"), [(("127.0.0.1", "127.0.0.1"), Loopback), ((A, A), ToItself)])
def test_empty_headers_that_never_leave_their_host(tmp_path: Path, ends: tuple[str, str], kind: type) -> None:
    packets = [
        (n, unsummed(t.ip(*ends) / ICMP(type=8 if n % 2 == 0 else 0, id=1, seq=n // 2) / Raw(bytes(32))))
        for n in range(8)
    ]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("offload-pending", "likely")] and only(found, kind)
    [found] = decide(tmp_path / "x", at_wire=True)
    assert decided([found]) == [("ip-header-never-filled", "likely")] and not found.limits


def test_empty_headers_with_answers_of_icmp(tmp_path: Path) -> None:
    packets = [(time, frame if frame[34] == 0 else f.put16(frame, 24, 0)) for time, frame in t.echo(A, B, 1, 4)]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert found.cause is RootCause.OFFLOAD_PENDING and only(found, FilledLater) == [FilledLater(4)]
    [found] = decide(tmp_path / "x", at_wire=True)
    assert found.cause is RootCause.IP_HEADER_NEVER_FILLED and not only(found, FilledLater)


def test_empty_answers_are_not_answered_by_the_next_question(tmp_path: Path) -> None:
    packets = [(time, frame if frame[34] == 8 else f.put16(frame, 36, 0)) for time, frame in t.echo(A, B, 1, 4)]
    assert decided(decide(t.pcap(tmp_path / "x", packets))) == [("never-filled", "possible")]


def test_signing_is_advised_only_where_a_sum_covers_the_addresses(tmp_path: Path) -> None:
    echo = [(n, unsummed(t.ip(A, B) / ICMP(id=1, seq=n) / Raw(bytes(32)))) for n in range(3)]
    [found] = decide(t.pcap(tmp_path / "x", echo))
    assert found.bridge is None
    udp = [(n, unsummed(t.udp(A, B, 5000, 5001, NOISE.randbytes(160)))) for n in range(3)]
    [found] = decide(t.pcap(tmp_path / "y", udp))
    assert found.bridge and "--repair all" in found.bridge
    assert not any(remedy.command for remedy in found.remedies) and "-txcsum" in found.remedies[0].effect


# --- DHCP ---------------------------------------------------------------------------------------------------


def bootp(op: int, kind: int) -> bytes:
    head = bytes([op, 1, 6, 0]) + bytes(24) + bytes.fromhex("02000000000b") + bytes(10 + 192)
    return head + b"\x63\x82\x53\x63" + bytes([53, 1, kind, 255]) + bytes(60)


def test_partial_answers_that_a_client_does_not_take(tmp_path: Path) -> None:
    """Requests again after each partial ACK: not healthy, and not said to be as well."""
    packets = []
    for n in range(3):
        ask = t.udp("0.0.0.0", "255.255.255.255", 68, 67, bootp(1, 3))
        packets += [(4 * n, f.raw(ask)), (4 * n + 0.01, f.leaked(t.udp(A, "10.7.0.9", 67, 68, bootp(2, 5))))]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("dhcp-raw-client", "likely")] and only(found, AskedAgain) == [AskedAgain(2)]
    others = packets + t.conversation(A, B, 20)
    found, healthy = decide(t.pcap(tmp_path / "y", others))
    assert found.cause is RootCause.DHCP_RAW_CLIENT
    assert decided([healthy]) == [("offload-pending", "certain")] and healthy.counts == {"tcp pending": 3}


def rejected(path: Path, *, at_wire: bool = False) -> list[tuple[RootCause, type]]:
    case = Case(tap_of(path, at_wire=at_wire), None)
    for rule in (rules_misplaced.misplaced, rules_dhcp.dhcp, rules_partial.leaked, rules_partial.pending):
        rule(case)
    return [(each.cause, type(each.why)) for each in case.rejected]


def test_what_was_considered_and_dropped(tmp_path: Path) -> None:
    acknowledged = t.pcap(tmp_path / "x", t.conversation(A, B, 1))
    assert rejected(acknowledged) == [(RootCause.METADATA_LOST, Acked)]
    assert rejected(acknowledged, at_wire=True) == [(RootCause.OFFLOAD_PENDING, SeedWithoutMetadata)]
    in_vain = t.pcap(tmp_path / "y", t.echo(A, B, 1) + t.syns(A, B, 2, 4))
    assert rejected(in_vain) == [(RootCause.OFFLOAD_PENDING, SentAgain)]
