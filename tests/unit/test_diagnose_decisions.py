"""What each family of rules decides, as data: cause, confidence and facts, without a word of their English.

Numbers are counted by hand from the frames; every checksum is scapy's, or damaged by hand from scapy's.
"""

from __future__ import annotations

import dataclasses
import random
import struct
from pathlib import Path

import pytest
from scapy.all import BOOTP, DHCP, ICMP, IP, SCTP, TCP, UDP, VXLAN, Ether, Raw
from scapy.layers.sctp import SCTPChunkData

import frames as f
import tapes as t
from diagnosing import SERVER, A, B, decide, decided, only, tap_of
from pktmend.commands.diagnose import rules
from pktmend.commands.diagnose.facts import capture_point as point
from pktmend.commands.diagnose.facts import flags, partial, protocols, tap, wrong
from pktmend.commands.diagnose.facts.limits import CutOff, Limit, Unchecked
from pktmend.commands.diagnose.finding import in_words

# --- partial checksums ----------------------------------------------------------------------------------------------


def test_leaked(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4)), at_wire=True)
    assert decided([found]) == [("metadata-lost", "likely")]
    assert found.facts == (
        partial.SeedWithoutMetadata({"tcp leaked": 4}),
        partial.MacSources((f.ether.src,), is_outgoing=False),
        point.SentAgain(A, B, 3),
    )
    assert found.limits == (Limit.COMPLETED_TWICE,) and found.counts == {"tcp leaked": 4}
    assert [s.n for s in found.samples] == [1, 2, 3, 4]


def test_pending_and_acknowledged(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", t.conversation(A, SERVER, 1)))
    assert decided([found]) == [("offload-pending", "certain")]
    assert found.facts[:3] == (
        partial.SeedInField({"tcp pending": 3}, is_as_sent=True),
        point.Acked(2),
        point.TakenOn(A),
    )
    assert found.limits == ()


def test_pending_and_sent_again_in_vain(tmp_path: Path) -> None:
    """Certain is nothing; likely with something that passes, else possible."""
    [found] = decide(t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4)))
    assert decided([found]) == [("metadata-lost", "likely")] and found.limits == (Limit.FIREWALL_LOOKS_ALIKE,)
    assert found.facts == (
        partial.SeedInField({"tcp pending": 4}, is_as_sent=False),
        point.SentAgain(A, B, 3, echoes=6),
    )
    [found] = decide(t.pcap(tmp_path / "y", t.syns(A, B, 2, 4)))
    assert decided([found]) == [("metadata-lost", "possible")] and found.facts[1:] == (point.SentAgain(A, B, 3),)


def test_pending_and_nothing_shows_where(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", t.syns(A, B, 1, 1)))
    assert decided([found]) == [("offload-pending", "possible")]
    assert len(found.facts) == 1 and found.limits == (Limit.POINT_UNKNOWN,)


def test_pending_by_the_kernels_mark(tmp_path: Path) -> None:
    path = t.pcapng(tmp_path / "x", [(time, frame, t.PARTIAL) for time, frame in t.syns(A, B, 1, 1)])
    [found] = decide(path)
    assert decided([found]) == [("offload-pending", "certain")] and point.Point.METADATA in found.facts


def test_pending_datagrams_with_answers(tmp_path: Path) -> None:
    packets = []
    for n in range(5):
        packets.append((1 + n, f.leaked(t.udp(A, SERVER, 5353 + n, 53, b"question"))))
        packets.append((1.1 + n, f.raw(t.udp(SERVER, A, 53, 5353 + n, b"the answer to it"))))
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("offload-pending", "likely")] and point.Answered(5) in found.facts


def test_pending_on_loopback(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", [(1, f.leaked(t.tcp("127.0.0.1", "127.0.0.2", 4000, 80, 1, 0, "S")))]))
    assert decided([found]) == [("offload-pending", "certain")]
    assert point.Loopback(("127.0.0.1", "127.0.0.2")) in found.facts


def test_leaked_within_a_tunnel(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        inner = Ether() / IP(src="10.9.0.1", dst="10.9.0.2") / TCP(sport=4000 + n, dport=80, seq=n, flags="S")
        packet = t.ip(A, B) / UDP(sport=9, dport=4789, chksum=0) / VXLAN(vni=7) / inner
        frames.append((n, f.put16(f.raw(packet), 14 + 20 + 16 + 50, f.seed(inner))))
    [found] = decide(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert decided([found]) == [("tunnel-inner-unfinished", "likely")]
    assert only(found, partial.TunnelPackets) == [partial.TunnelPackets(A, B, inside=3, n=3)]


# --- flags ----------------------------------------------------------------------------------------------------------


def test_wrong_and_claimed_valid(tmp_path: Path) -> None:
    frame = t.damaged(f.raw(t.tcp(A, B, 4000, 80, 1, 1, "PA", bytes(100))), 90, 0x5A)
    [found] = decide(t.pcapng(tmp_path / "x", [(n, frame, t.VALID) for n in range(3)]))
    assert decided([found]) == [("vouched-for-bad", "likely")]
    assert found.facts == (flags.WrongThoughVerified({"tcp corrupt": 3}),) and found.limits == (Limit.WRITERS_CLAIM,)


@pytest.mark.parametrize(
    ("offsets", "fact"),
    [
        ((0x0180, 0x0180, 0x0180), flags.SeedOffset(0x0180)),
        ((0x0180, 0x0280, 0x0380), flags.Flags.OFFSETS_VARY),
    ],
)
def test_flagged_without_the_seed(tmp_path: Path, offsets: tuple[int, ...], fact: object) -> None:
    packets = []
    for n, offset in enumerate(offsets):
        packet = t.tcp(A, B, 4000, 80, 1, 1, "PA", bytes([n]) * 100)
        packets.append((n, f.put16(f.raw(packet), 50, (f.seed(packet) + offset) % 0xFFFF), t.PARTIAL))
    [found] = decide(t.pcapng(tmp_path / "x", packets))
    assert decided([found]) == [("bad-seed", "certain")]
    assert found.facts == (flags.FlaggedWithoutSeed({"tcp bad-seed": 3}), fact)
    assert found.limits == (Limit.SEED_OVER_CORRUPT,)


def test_metadata_that_names_no_checksum_field(tmp_path: Path) -> None:
    seen = tap_of(t.pcap(tmp_path / "x", [(n, f.raw(t.tcp(A, B, 4000, 80, 1, 1, "PA", b"x"))) for n in range(3)]))
    seen.counted = seen.counters._replace(stray_csum_metadata=2)
    [found] = rules.decide(seen)
    assert decided([found]) == [("misplaced-completion", "certain")]
    assert found.facts == (flags.MarkElsewhere(2),) and found.counts == {"stray-csum-metadata": 2}
    assert not any("tx off" in remedy.command for remedy in found.remedies)  # the kernel would do the damage


@pytest.mark.parametrize(("times", "bridge"), [(1, False), (3, True)])
def test_what_signs_every_packet_is_advised_where_contents_are_proven(tmp_path: Path, times: int, bridge: bool) -> None:
    """A sum without its complement proves what it was made of, in several packets; a zero proves nothing, ever."""
    whole = [t.tcp(A, B, 4000, 80, n, 1, "PA", bytes([n]) * 40) for n in range(times)]
    swapped = [f.put16(f.raw(p), 50, ~f.get16(f.raw(p), 50) & 0xFFFF) for p in whole]
    empty = [f.put16(f.raw(p), 50, 0) for p in whole]
    [found] = decide(t.pcap(tmp_path / "swapped", list(enumerate(swapped))), at_wire=True)
    assert found.cause == "wrong-arithmetic" and (found.bridge is not None) == bridge
    [found] = decide(t.pcap(tmp_path / "empty", list(enumerate(empty))), at_wire=True)
    assert found.cause == "never-filled" and found.bridge is None


# --- SCTP, DHCP, ICMP -----------------------------------------------------------------------------------------------


def test_sctp_fields_without_a_crc(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        chunk = SCTPChunkData(data=random.Random(n).randbytes(40))
        frame = f.raw(t.ip(A, B) / SCTP(sport=3868, dport=3868, tag=7) / chunk)
        frames.append((n, frame[:42] + bytes(4) + frame[46:]))
    [found] = decide(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert decided([found]) == [("sctp-wrong-sum", "certain")]
    assert found.facts == (protocols.SctpFields(protocols.SctpMistake.EMPTY, 3),)


def test_dhcp_client_that_asks_again(tmp_path: Path) -> None:
    frames = []
    for n, (kind, is_reply) in enumerate([("discover", False), ("offer", True)] * 3):
        source, target = (B, "255.255.255.255") if is_reply else ("0.0.0.0", "255.255.255.255")
        packet = (
            t.ip(source, target)
            / UDP(sport=67 if is_reply else 68, dport=68 if is_reply else 67)
            / BOOTP(op=2 if is_reply else 1, chaddr=b"\x02\0\0\0\0\1", xid=7)
            / DHCP(options=[("message-type", kind), "end"])
        )
        frames.append((n, f.leaked(packet) if is_reply else f.raw(packet)))
    [found] = decide(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert decided([found]) == [("dhcp-raw-client", "certain")]
    assert found.facts == (protocols.PartialAnswers(3), protocols.Dhcp.METADATA_UNKNOWN, protocols.AskedAgain(2))


def test_icmp_errors_that_quote_another(tmp_path: Path) -> None:
    inside = f.raw((t.udp("203.0.113.9", SERVER, 61000, 53, bytes(20)))[IP])
    right = f.raw((t.udp(A, SERVER, 4000, 53, bytes(20)))[IP])
    frames = [
        (n, f.raw(t.ip(SERVER, A) / ICMP(type=3, code=3) / Raw(q))) for n, q in enumerate((inside, inside, right))
    ]
    path = t.pcap(tmp_path / "x", frames)
    [found] = decide(path)  # one error quotes as it should: no file whose addresses were replaced
    assert decided([found]) == [("icmp-stale-inner", "likely")] and found.limits == (Limit.REWRITTEN_LOOKS_ALIKE,)
    [found] = decide(path, live="eth0")
    assert decided([found]) == [("icmp-stale-inner", "certain")]
    assert found.facts == (protocols.QuotesAnother(2, 3, A, ("203.0.113.9", SERVER)),)


# --- as a whole -----------------------------------------------------------------------------------------------------


def test_nothing_wrong_and_nothing_seen(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", t.echo(A, B, 1)))
    assert decided([found]) == [("nothing-wrong", "certain")]
    assert found.facts == (tap.Totals(6, {"good": 12}),)
    empty = t.pcap(tmp_path / "y", [])
    [found] = decide(empty)
    assert decided([found]) == [("nothing-seen", "certain")] and found.facts == (tap.NoPacket(str(empty)),)


def test_healthy_results_are_merged_and_as_sure_as_their_parts(tmp_path: Path) -> None:
    """What A sent was acknowledged; what another host left to its card, header and all, was not."""
    other = [f.put16(f.leaked(t.tcp("10.7.0.9", B, 4000, 80, n, 1, "PA", bytes(9))), 24, 0) for n in range(3)]
    packets = t.conversation(A, SERVER, 1) + [(9 + n, frame) for n, frame in enumerate(other)]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("offload-pending", "likely")]
    assert only(found, point.Acked, wrong.EmptyOverPartial) == [
        point.Acked(2),
        wrong.EmptyOverPartial({"ip never-filled": 3}),
    ]
    assert found.counts == {"tcp pending": 6, "ip never-filled": 3}


def test_packets_of_several_flows_are_shown(tmp_path: Path) -> None:
    frames = [
        (n, f.leaked(t.tcp(A, B, port, 80, n, 0, "S"))) for n, port in enumerate((4000, 4000, 4000, 4000, 4001, 4002))
    ]
    [found] = decide(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert [s.ports[0] for s in in_words(found).packets] == [4000, 4001, 4002]


def test_what_could_not_be_checked_is_a_limit(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", [])
    for n in range(4):
        frame = f.raw(t.udp(A, B, 4000, 9, bytes([n]) * 50))
        path.write_bytes(path.read_bytes() + struct.pack("=IIII", 1, 0, 60, len(frame)) + frame[:60])
    [found] = decide(path)
    assert decided([found]) == [("nothing-wrong", "possible")] and found.limits == (Unchecked(4),)


def test_a_decision_is_frozen_and_so_are_its_facts(tmp_path: Path) -> None:
    [found] = decide(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.confidence = found.confidence  # type: ignore[misc]
    with pytest.raises(AttributeError):
        found.facts[1].n = 7  # type: ignore[attr-defined]


def test_facts_are_equal_by_kind_and_value() -> None:
    assert point.Acked(3) == point.Acked(n=3) != point.Acked(4)
    assert point.Acked(3) != partial.AckedAllTheSame(3)
    assert point.SentAgain(A, B, 3) == point.SentAgain(A, B, 3, echoes=0) != point.SentAgain(A, B, 3, 1)
    assert repr(CutOff(3)) == "CutOff(packets=3)"
    for wrongly in (lambda: CutOff(), lambda: CutOff(1, 2), lambda: CutOff(packet=1)):
        with pytest.raises(TypeError):
            wrongly()
