"""Two captures, before and behind a hop: what the hop did to each packet, by frames that a test damages itself."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from scapy.all import ICMP, TCP, UDP, VXLAN, Dot1Q, Ether, Raw

import frames as f
import tapes as t
from diagnosing import A, B, evidence, named
from pktmend import Frames, verify
from pktmend.commands.diagnose import match
from tools import PKTMEND, ROOT

NOISE = random.Random(11)


def two(tmp_path: Path, before: list[t.Timed], behind: list[t.Timed], *argv: str) -> list[dict[str, Any]]:
    """Return the findings."""
    paths = t.pcap(tmp_path / "before", before), t.pcap(tmp_path / "behind", behind)
    command = [
        *PKTMEND,
        "diagnose",
        "-r",
        str(paths[0]),
        "-R",
        str(paths[1]),
        "--json",
        *argv,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "", done.stderr
    *found, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert summary["summary"]["packets"] == len(before) + len(behind)
    findings = [one["diagnosis"] for one in found]
    assert done.returncode == (0 if all(one["healthy"] for one in findings) else 1)
    return findings


def later(packets: list[t.Timed], seconds: float = 0.0001) -> list[t.Timed]:
    return [(time + seconds, frame) for time, frame in packets]


def stream(count: int = 20) -> list[Any]:
    return [t.tcp(A, B, 4000, 80, 1000 + n * 100, 1, "PA", NOISE.randbytes(100)) for n in range(count)]


def at(packets: list[Any]) -> list[t.Timed]:
    return [(1 + n / 100, packet if isinstance(packet, bytes) else f.raw(packet)) for n, packet in enumerate(packets)]


def test_nothing_wrong_and_what_the_hop_rewrote(tmp_path: Path) -> None:
    before = stream()
    behind = []
    for packet in before:
        routed = packet.copy()
        routed["IP"].ttl -= 1
        routed["Ethernet"].src = "02:00:00:00:00:99"
        behind.append(f.raw(routed))
    found = two(tmp_path, at(before), later(at(behind)))
    assert named(found) == [("nothing-wrong", "certain")]
    assert "20 packets were seen at both taps, 20 good then good" in evidence(found[0])
    assert "source MAC (16), TTL (16)" in evidence(found[0])


def test_metadata_lost_pending_before_and_leaked_behind(tmp_path: Path) -> None:
    packets = stream()
    found = two(tmp_path, at([f.leaked(p) for p in packets]), later(at([f.leaked(p) for p in packets])), "--at", "wire")
    assert named(found) == [("metadata-lost", "likely")]  # the first file does not hold the kernel's mark
    assert "tcp checksums pending before it are leaked behind it" in evidence(found[0])
    assert found[0]["counts"] == {"pending to leaked": 20}


def test_metadata_lost_with_the_mark_in_the_first_capture(tmp_path: Path) -> None:
    packets = stream(3)
    before = t.pcapng(tmp_path / "n", [(time, frame, t.PARTIAL) for time, frame in at([f.leaked(p) for p in packets])])
    behind = t.pcap(tmp_path / "b", later(at([f.leaked(p) for p in packets])))
    done = subprocess.run(
        [
            *PKTMEND,
            "diagnose",
            "-r",
            str(before),
            "-R",
            str(behind),
            "--at",
            "wire",
            "--json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout.splitlines()[0])["diagnosis"]["confidence"] == "certain"


def test_offload_pending_finished_by_the_hop(tmp_path: Path) -> None:
    packets = stream()
    found = two(tmp_path, at([f.leaked(p) for p in packets]), later(at(packets)))
    assert named(found) == [("nothing-wrong", "certain")] and "20 pending then good" in evidence(found[0])


def test_double_completion(tmp_path: Path) -> None:
    packets = stream()
    found = two(tmp_path, at(packets), later(at([f.leaked(p) for p in packets])), "--at", "wire")
    assert named(found) == [("double-completion", "certain")]
    assert "tcp checksums good before it are leaked behind it" in evidence(found[0])


def test_bit_errors_are_counted_exactly(tmp_path: Path) -> None:
    packets = stream()
    behind = [t.damaged(f.raw(p), 60 + n, 1 << n % 8) if n < 5 else f.raw(p) for n, p in enumerate(packets)]
    found = two(tmp_path, at(packets), later(at(behind)))
    assert named(found) == [("bit-errors", "certain")]
    assert "5 bits of 4800 in 5 damaged packets changed" in evidence(found[0])  # 20 + 100 bytes each
    assert "byte 26 of the transport, bits 01" in evidence(found[0])
    assert found[0]["bridge"] is None


def test_corruption_where_a_datagram_is_hardly_known_again(tmp_path: Path) -> None:
    """UDP has no numbers to know it by: what is left over on both sides is compared."""
    packets = [t.udp(A, B, 4000, 9, NOISE.randbytes(200)) for _ in range(10)]
    behind = [f.raw(p) for p in packets]
    behind[3] = behind[3][:60] + bytes(12) + behind[3][72:]
    found = two(tmp_path, at(packets), later(at(behind)))
    assert named(found) == [("corruption", "likely")]
    assert "10 packets were seen at both taps" in evidence(found[0])
    assert "12 bytes from 26 to 37" in evidence(found[0])


def test_nat_without_update(tmp_path: Path) -> None:
    packets, behind = stream(), []
    for packet in packets:
        new = packet.copy()
        new["IP"].src = "203.0.113.9"
        behind.append(f.put16(f.raw(new), 50, f.get16(f.raw(packet), 50)))
    found = two(tmp_path, at(packets), later(at(behind)))
    assert named(found) == [("nat-without-update", "certain")]
    assert "in these packets the hop rewrote source address (20); the contents are the same" in evidence(found[0])


def test_nat_on_zero(tmp_path: Path) -> None:
    before, behind = [], []
    for n in range(4):
        inner = Ether() / t.tcp("10.9.0.1", "10.9.0.2", 4000, 80, n, 0, "S")["IP"]
        tunnel = UDP(sport=9, dport=4789, chksum=0) / VXLAN(vni=7) / inner
        before.append(f.raw(t.ip(A, B) / tunnel))
        behind.append(f.put16(f.raw(t.ip("203.0.113.9", B) / tunnel), 40, 0xFF9D))
    found = two(tmp_path, at(before), later(at(behind)))
    assert named(found) == [("nat-on-zero", "certain")]
    assert "outer source address (4)" in evidence(found[0]) and "udp checksums absent before" in evidence(found[0])


def test_a_tunnel_is_looked_through_and_super_frames_are_split(tmp_path: Path) -> None:
    segments = stream(4)
    whole = t.tcp(A, B, 4000, 80, 1000, 1, "PA", b"".join(f.raw(p[TCP].payload) for p in segments))
    tunnel = t.ip("192.0.2.1", "192.0.2.2") / UDP(sport=9, dport=4789, chksum=0) / VXLAN(vni=7)
    behind = [f.raw(tunnel / p) for p in segments]
    found = two(tmp_path, at([whole]), later(at(behind)))
    assert named(found) == [("nothing-wrong", "certain")]
    assert "tunnel put around (1)" in evidence(found[0]) and "split or coalesced" in evidence(found[0])


def test_what_never_arrived_is_said(tmp_path: Path) -> None:
    packets = stream()
    found = two(tmp_path, at(packets), later(at(packets))[:10] + later(at(packets))[11:])
    assert "1 packet of" in evidence(found[0]) and "packet 11" in evidence(found[0])


def test_other_clocks(tmp_path: Path) -> None:
    packets = stream()
    found = two(tmp_path, at(packets), later(at(packets), 100.0))
    assert "clocks of the captures differ by 100.000 s" in evidence(found[0])


def test_bad_before_the_hop_is_not_the_hops_doing(tmp_path: Path) -> None:
    packets = [t.damaged(f.raw(p), 60, 0x5A) for p in stream()]
    found = two(tmp_path, at(packets), later(at(packets)))
    assert [name for name, _ in named(found)] == ["corruption"]
    assert "seen at" in evidence(found[0]) and "20 corrupt then corrupt" in evidence(found[0])


def test_bad_before_the_hop_and_translated_by_it_is_not_the_hops_doing(tmp_path: Path) -> None:
    """NAT updates a wrong sum as it would a right one (RFC 1624): it stays wrong by as much."""
    before, behind = [], []
    for packet in stream():
        new = packet.copy()
        new["IP"].src = "203.0.113.9"
        wrong = (f.get16(f.raw(packet), 50) + 0x5A5A) % 0xFFFF
        before.append(f.put16(f.raw(packet), 50, wrong))
        behind.append(f.put16(f.raw(new), 50, (f.get16(f.raw(new), 50) + 0x5A5A) % 0xFFFF))
    found = two(tmp_path, at(before), later(at(behind)))
    assert "changed by the hop" not in evidence(found[0]) and "seen at" in evidence(found[0])


# --- fingerprints -------------------------------------------------------------------------------------------------


def prints(*packets: Any) -> list[int]:
    batch = Frames([p if isinstance(p, bytes) else f.raw(p) for p in packets]).batch()
    verify(batch)
    return list(batch.fingerprints())


def test_fingerprint_stays_the_same_over_what_hops_rewrite() -> None:
    tcp, udp = stream(1)[0], t.udp(A, B, 4000, 9, bytes(range(100)))
    for packet in (tcp, udp, t.ip(A, B) / ICMP(id=1, seq=2) / Raw(bytes(40))):
        changed = packet.copy()
        changed["IP"].src, changed["IP"].ttl, changed["Ethernet"].dst = "203.0.113.9", 3, "02:00:00:00:00:77"
        if not packet.haslayer(ICMP):
            changed["IP"].payload.sport = 61000
        tagged = Ether() / Dot1Q(vlan=5) / packet["IP"]
        wrapped = t.ip("192.0.2.1", "192.0.2.2") / UDP(dport=4789) / VXLAN(vni=7) / packet
        assert len(set(prints(packet, changed, tagged, wrapped))) == 1


def test_fingerprint_tells_packets_apart() -> None:
    packets = [
        *stream(50),
        *(t.udp(A, B, 4000, 9, bytes([n]) * 60) for n in range(50)),
        *(t.ip(A, B) / ICMP(id=1, seq=n) for n in range(50)),
    ]
    assert len(set(prints(*packets))) == 150
    assert prints(Ether(type=0x0806) / Raw(bytes(40))) == [0]


def test_both_taps_keep_the_same_part_of_what_is_too_much(monkeypatch: Any) -> None:
    monkeypatch.setattr(match, "LIMIT", 100)
    packets = [f.raw(p) for p in stream(1000)]
    one, other = match.Track(), match.Track()
    for track, chosen in ((one, packets), (other, packets[:300])):
        for first in range(0, len(chosen), 64):
            batch = Frames(chosen[first : first + 64]).batch()
            verify(batch)
            track(batch)
    assert 20 < len(one.prints) <= 100 and one.mask
    matched = match.match(one, other)
    assert matched.sampled == one.mask + 1
    assert matched.pairs == sum(1 for value in prints(*packets[:300]) if not value >> 1 & one.mask)
