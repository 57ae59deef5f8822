"""Single captures in which nothing is wrong, pending sums above all.

Every checksum is scapy's, or damaged by hand from scapy's.
"""

from __future__ import annotations

from pathlib import Path

import frames as f
import tapes as t
from diagnosing import SERVER, A, B, diagnose, evidence, named


def test_nothing_wrong(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", t.echo(A, B, 1)))
    assert named(found) == [("nothing-wrong", "certain")]
    assert found[0]["bridge"] is None and found[0]["remedy"] == [] and found[0]["packets"] == []
    empty = diagnose(t.pcap(tmp_path / "empty", []))
    assert named(empty) == [("nothing-seen", "certain")] and "no packet was seen" in evidence(empty[0])


def test_offload_pending_when_acknowledged(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", t.conversation(A, SERVER, 1)))
    assert named(found) == [("offload-pending", "certain")]
    assert "pending, not bad" in found[0]["title"]
    assert "acknowledged twice" in evidence(found[0]) and f"taken on {A}" in evidence(found[0])
    assert found[0]["counts"] == {"tcp pending": 3}
    syn = t.tcp(A, SERVER, 40000, 80, 1000, 0, "S")
    assert found[0]["packets"][0] == {
        "n": 1,
        "proto": "tcp",
        "offset": 50,
        "stored": f"{f.seed(syn):04x}",
        "seed": f"{f.seed(syn):04x}",
        "expected": f"{f.get16(f.raw(syn), 50):04x}",
        "flow": f"{A}:40000 > {SERVER}:80",
    }


def test_offload_pending_for_an_unanswered_connection_of_a_host_whose_others_are_acknowledged(tmp_path: Path) -> None:
    """A port that a firewall closes looks like a leak, ping and all, at the sender."""
    packets = t.conversation(A, SERVER, 1) + t.echo(A, B, 2) + t.syns(A, B, 3, 4, sport=40001)
    found = diagnose(t.pcap(tmp_path / "x", packets))
    assert named(found) == [("offload-pending", "certain")]
    assert "firewall" in evidence(found[0]) and f"{A}:40001 > {B}:80" in evidence(found[0])


def test_offload_pending_where_the_copy_of_a_second_tap_is_no_retransmission(tmp_path: Path) -> None:
    """`-i any` shows a packet at each interface it passes, some microseconds apart."""
    packets = [(time + delay, frame) for time, frame in t.conversation(A, SERVER, 1) for delay in (0, 0.00002)]
    assert named(diagnose(t.pcap(tmp_path / "x", packets))) == [("offload-pending", "certain")]


def test_offload_pending_is_not_proven_by_an_acknowledgment_of_a_finished_copy(tmp_path: Path) -> None:
    packets = []
    for n, (time, frame) in enumerate(t.conversation(A, B, 1)):
        packets.append((time, frame))
        if n in (0, 2, 3):  # what a bridge on the same machine made of it
            finished = [
                t.tcp(A, B, 40000, 80, 1000, 0, "S"),
                None,
                t.tcp(A, B, 40000, 80, 1001, 5001, "A"),
                t.tcp(A, B, 40000, 80, 1001, 5001, "PA", b"GET / HTTP/1.0\r\n\r\n"),
            ][n]
            packets.append((time + 0.00001, f.raw(finished)))
    found = diagnose(t.pcap(tmp_path / "x", packets))
    assert named(found) == [("offload-pending", "possible")]
    assert "acknowledged" not in evidence(found[0]) and "--at wire" in found[0]["limits"]


def test_offload_pending_udp_with_answers(tmp_path: Path) -> None:
    packets = []
    for n in range(5):
        packets.append((1 + n, f.leaked(t.udp(A, SERVER, 5353 + n, 53, b"question"))))
        packets.append((1.1 + n, f.raw(t.udp(SERVER, A, 53, 5353 + n, b"the answer to it"))))
    found = diagnose(t.pcap(tmp_path / "x", packets))
    assert named(found) == [("offload-pending", "likely")]
    assert "5 partial packets were answered" in evidence(found[0])


def test_offload_pending_by_the_kernels_mark(tmp_path: Path) -> None:
    path = t.pcapng(tmp_path / "x", [(time, frame, t.PARTIAL) for time, frame in t.syns(A, B, 1, 1)])
    for at_wire in (False, True):  # wherever it was taken, the mark is believed
        found = diagnose(path, at_wire=at_wire)
        assert named(found) == [("offload-pending", "certain")] and "kernel's mark" in evidence(found[0])


def test_super_frames(tmp_path: Path) -> None:
    """A receiver's GRO, or a sender's TSO: longer than any link carries; their sum may be that of one part."""
    big = t.tcp(A, SERVER, 40000, 80, 1001, 5001, "A", bytes(30000))
    part = t.tcp(A, SERVER, 40000, 80, 1001, 5001, "A", bytes(1448))
    found = diagnose(t.pcap(tmp_path / "x", [(1, f.leaked(big))]))
    assert sorted(named(found)) == [("offload-pending", "certain"), ("super-frames", "certain")]
    joined = f.put16(f.raw(big), 50, f.get16(f.raw(part), 50))
    found = diagnose(t.pcap(tmp_path / "y", [(1, joined)]))
    assert named(found) == [("super-frames", "certain")]


def test_offload_pending_where_the_fields_are_zero_and_acknowledged(tmp_path: Path) -> None:
    """Systems that leave the IPv4 header, or all of TCP's field, to the card."""
    packets = [
        (time, f.put16(frame, 24, 0) if n in (0, 2, 3) else frame)
        for n, (time, frame) in enumerate(t.conversation(A, SERVER, 1))
    ]
    assert {name for name, _ in named(diagnose(t.pcap(tmp_path / "x", packets)))} == {"offload-pending"}
    packets = [
        (time, f.put16(frame, 50, 0) if n in (0, 2, 3) else frame)
        for n, (time, frame) in enumerate(t.conversation(A, SERVER, 1))
    ]
    assert named(diagnose(t.pcap(tmp_path / "y", packets))) == [("offload-pending", "certain")]
