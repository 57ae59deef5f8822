"""Single captures behind a hop that lost the kernel's mark.  Every checksum is scapy's, or damaged by hand from it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from scapy.all import IP, TCP, UDP, VXLAN, Ether

import frames as f
import tapes as t
from diagnosing import SERVER, A, B, diagnose, evidence, named


def test_metadata_lost_when_sent_again_in_vain_while_icmp_passes(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4)))
    assert named(found) == [("metadata-lost", "likely")]
    text = evidence(found[0])
    assert "sent again 3 times" in text and "ICMP between the two passes (6 echo messages)" in text
    assert (
        found[0]["remedy"][0]["command"] == "pktmend offload -i IFACE set tx off"
        and A in found[0]["remedy"][0]["effect"]
    )
    assert "TSO" in found[0]["remedy"][0]["side_effect"]
    assert "--finish" in found[0]["bridge"] and "firewall" in found[0]["limits"]


def test_metadata_lost_on_the_way_back(tmp_path: Path) -> None:
    """tx off at A only: SYN good, SYN/ACK leaked; A sends its SYN again although the SYN/ACK went by."""
    answer = t.tcp(B, A, 80, 40000, 5000, 1001, "SA")
    packets = t.syns(A, B, 1, 4, good=True) + [(time + 0.01, f.leaked(answer)) for time, _ in t.syns(A, B, 1, 4)]
    found = diagnose(t.pcap(tmp_path / "x", sorted(packets)))
    assert named(found) == [("metadata-lost", "likely")]
    assert f"{A} went on sending (4 packets) and acknowledged none of them" in evidence(found[0])


def test_metadata_lost_is_only_possible_without_anything_that_passes(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4)))
    assert named(found) == [("metadata-lost", "possible")]
    assert named(diagnose(t.pcap(tmp_path / "y", t.syns(A, B, 1, 1)))) == [("offload-pending", "possible")]


PUBLISHED = [  # field, source, target, bytes of TCP; from public reports
    ("dc5f", "10.18.100.6", "10.18.100.7", 40),
    ("0181", "192.168.128.0", "192.168.0.1", 40),
    ("da2f", "10.86.247.137", "10.86.205.211", 32),
]


@pytest.mark.parametrize(("field", "source", "target", "size"), PUBLISHED)
def test_metadata_lost_published_values(tmp_path: Path, field: str, source: str, target: str, size: int) -> None:
    packets = [t.tcp(source, target, 4000 + n, 80, n << 16, 0, "PA", bytes(size - 20)) for n in range(3)]
    frames = [(n, f.put16(f.raw(packet), 50, int(field, 16))) for n, packet in enumerate(packets)]
    found = diagnose(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert named(found) == [("metadata-lost", "likely")]
    assert all(one["stored"] == one["seed"] == field for one in found[0]["packets"])
    assert named(diagnose(tmp_path / "x"))[0][0] == "offload-pending"


def test_metadata_lost_and_translated_afterwards(tmp_path: Path) -> None:
    """A NAT behind the leak updates the seed as if it were a sum: F - S is constant, whatever the payload."""
    frames = []
    for n in range(4):
        behind = t.udp("203.0.113.9", SERVER, 40000, 5000, random.Random(n).randbytes(64))
        change = sum(struct.unpack("!2H", bytes([203, 0, 113, 9]))) - sum(struct.unpack("!2H", bytes([10, 7, 0, 1])))
        frames.append((n, f.put16(f.raw(behind), 40, (f.seed(behind) - 2 * change) % 0xFFFF)))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("metadata-lost", "likely")] and "translated" in evidence(found[0])


def tunnelled(n: int, *, outer: bool) -> bytes:
    inner = Ether() / IP(src="10.9.0.1", dst="10.9.0.2") / TCP(sport=4000 + n, dport=80, seq=n, flags="S")
    packet = t.ip(A, B) / UDP(sport=9, dport=4789, **({} if outer else {"chksum": 0})) / VXLAN(vni=7) / inner
    return f.put16(f.raw(packet), 14 + 20 + 16 + 50, f.seed(inner))


@pytest.mark.parametrize("outer", [True, False], ids=["local offload", "no outer sum"])
def test_tunnel_inner_unfinished(tmp_path: Path, outer: bool) -> None:
    frames = [(n, tunnelled(n, outer=outer)) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert named(found) == [("tunnel-inner-unfinished", "likely")]
    assert f"a tunnel, {A} > {B}" in evidence(found[0])
    assert found[0]["packets"][0]["flow"] == "10.9.0.1:4000 > 10.9.0.2:80"
