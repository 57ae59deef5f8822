"""Root causes from single captures.  Every checksum is scapy's, or damaged by hand from scapy's."""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import frames as f
import pytest
import tapes as t
from scapy.all import BOOTP, DHCP, ICMP, IP, SCTP, TCP, UDP, VXLAN, Ether, IPv6, Raw, in4_chksum
from scapy.layers.sctp import SCTPChunkData
from scapy.utils import checksum

from pipeline import Capture, Cause, PacketFlag, Pipeline, batch_of
from pipeline.diagnose import rules, special
from pipeline.diagnose.case import Case
from pipeline.diagnose.causes import CAUSES
from pipeline.diagnose.evidence import Tap

ROOT = Path(__file__).resolve().parents[2]
A, B = t.A, t.B
SERVER = "198.51.100.7"
Findings = list[dict[str, Any]]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pipeline", "diagnose", *argv], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, check=False)


def diagnose(path: Path, *, at_wire: bool = False) -> Findings:
    """Return the findings on a capture, as `--json` prints them."""
    tap = Tap(str(path), is_live=False, at_wire=at_wire)
    with Capture(path) as source:
        pipeline = Pipeline(source, tap.stages())
        pipeline.run()
        tap.close(pipeline.counters())
    return [finding.as_json()["diagnosis"] for finding in rules.findings_of(tap)]


def named(findings: Findings) -> list[tuple[str, str]]:
    return [(one["cause"], one["confidence"]) for one in findings]


def evidence(finding: dict[str, Any]) -> str:
    return "\n".join(finding["evidence"])


# --- healthy ------------------------------------------------------------------------------------------------------


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
        "n": 1, "proto": "tcp", "offset": 50, "stored": f"{f.seed(syn):04x}", "seed": f"{f.seed(syn):04x}",
        "expected": f"{f.get16(f.raw(syn), 50):04x}", "flow": f"{A}:40000 > {SERVER}:80"}


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
            finished = [t.tcp(A, B, 40000, 80, 1000, 0, "S"), None, t.tcp(A, B, 40000, 80, 1001, 5001, "A"),
                        t.tcp(A, B, 40000, 80, 1001, 5001, "PA", b"GET / HTTP/1.0\r\n\r\n")][n]
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
    assert "5 unfinished packets were answered" in evidence(found[0])


def test_offload_pending_by_the_kernels_note(tmp_path: Path) -> None:
    path = t.pcapng(tmp_path / "x", [(time, frame, t.NOTE) for time, frame in t.syns(A, B, 1, 1)])
    for at_wire in (False, True):  # wherever it was taken, the note is believed
        found = diagnose(path, at_wire=at_wire)
        assert named(found) == [("offload-pending", "certain")] and "note" in evidence(found[0])


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
    packets = [(time, f.put16(frame, 24, 0) if n in (0, 2, 3) else frame)
               for n, (time, frame) in enumerate(t.conversation(A, SERVER, 1))]
    assert {name for name, _ in named(diagnose(t.pcap(tmp_path / "x", packets)))} == {"offload-pending"}
    packets = [(time, f.put16(frame, 50, 0) if n in (0, 2, 3) else frame)
               for n, (time, frame) in enumerate(t.conversation(A, SERVER, 1))]
    assert named(diagnose(t.pcap(tmp_path / "y", packets))) == [("offload-pending", "certain")]


# --- leaked -------------------------------------------------------------------------------------------------------


def test_metadata_lost_when_sent_again_in_vain_while_icmp_passes(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4)))
    assert named(found) == [("metadata-lost", "likely")]
    text = evidence(found[0])
    assert "sent again 3 times" in text and "ICMP between the two passes (6 echo messages)" in text
    assert found[0]["remedy"][0]["command"] == "ethtool -K IFACE tx off" and A in found[0]["remedy"][0]["effect"]
    assert "TSO" in found[0]["remedy"][0]["side_effect"]
    assert "--finish" in found[0]["bridge"] and "firewall" in found[0]["limits"]


def test_metadata_lost_on_the_way_back(tmp_path: Path) -> None:
    """tx off at A only (FACTS 5): SYN good, SYN/ACK leaked; A sends its SYN again although the SYN/ACK went by."""
    answer = t.tcp(B, A, 80, 40000, 5000, 1001, "SA")
    packets = t.syns(A, B, 1, 4, good=True) + [(time + 0.01, f.leaked(answer)) for time, _ in t.syns(A, B, 1, 4)]
    found = diagnose(t.pcap(tmp_path / "x", sorted(packets)))
    assert named(found) == [("metadata-lost", "likely")]
    assert f"{A} went on sending (4 packets) and acknowledged none of them" in evidence(found[0])


def test_metadata_lost_is_only_possible_without_anything_that_passes(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4)))
    assert named(found) == [("metadata-lost", "possible")]
    assert named(diagnose(t.pcap(tmp_path / "y", t.syns(A, B, 1, 1)))) == [("offload-pending", "possible")]


PUBLISHED = [  # field, source, target, octets of TCP (FACTS 3)
    ("dc5f", "10.18.100.6", "10.18.100.7", 40), ("0181", "192.168.128.0", "192.168.0.1", 40),
    ("da2f", "10.86.247.137", "10.86.205.211", 32),
]


@pytest.mark.parametrize(("field", "source", "target", "octets"), PUBLISHED)
def test_metadata_lost_published_values(tmp_path: Path, field: str, source: str, target: str, octets: int) -> None:
    packets = [t.tcp(source, target, 4000 + n, 80, n << 16, 0, "PA", bytes(octets - 20)) for n in range(3)]
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
    assert named(found) == [("metadata-lost", "likely")] and "NAT" in evidence(found[0])


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


# --- special ------------------------------------------------------------------------------------------------------


def test_vouched_for_bad(tmp_path: Path) -> None:
    frame = t.damaged(f.raw(t.tcp(A, B, 4000, 80, 1, 1, "PA", bytes(100))), 90, 0x5A)
    found = diagnose(t.pcapng(tmp_path / "x", [(n, frame, t.VALID) for n in range(3)]))
    assert named(found) == [("vouched-for-bad", "likely")]
    assert "--corrupt drop" in found[0]["bridge"]
    merged = diagnose(t.pcapng(tmp_path / "y", [(1, frame, t.VALID | t.TSO)]))
    assert named(merged) == [("super-frames", "certain")]  # its sum is that of a part


def test_bad_seed_and_what_no_tap_can_see(tmp_path: Path) -> None:
    packet = t.tcp(A, B, 4000, 80, 1, 1, "PA", bytes(100))
    wrong = f.put16(f.raw(packet), 50, f.seed(packet) ^ 0x0180)
    found = diagnose(t.pcapng(tmp_path / "x", [(n, wrong, t.NOTE) for n in range(3)]))
    assert named(found) == [("bad-seed", "certain")]
    assert "the same mistake each time" in evidence(found[0]) and "cannot be told" in found[0]["limits"]
    corrupt = t.damaged(f.leaked(packet), 90, 0x5A)  # the seed does not cover the payload
    assert named(diagnose(t.pcapng(tmp_path / "y", [(1, corrupt, t.NOTE)]))) == [("offload-pending", "certain")]


def test_double_completion_is_about_to_happen(tmp_path: Path) -> None:
    """As a ring hands it over: the virtio-net header says which field is unfinished, and it is not."""
    packet = t.tcp(A, B, 4000, 80, 1, 1, "PA", bytes(100))
    batch = batch_of([f.raw(packet)] * 3, flags=int(PacketFlag.METADATA | PacketFlag.NOT_READY), vnet=f.vnet(packet))
    tap = Tap("eth0", is_live=True)
    for stage in tap.stages():
        stage(batch)
    assert [k.cause for k in batch.checks_of(0)] == [0, int(Cause.BAD_SEED)]
    with Capture(t.pcap(tmp_path / "empty", [])) as source:
        pipeline = Pipeline(source)
        pipeline.run()
        tap.close(pipeline.counters())
    found = special.flagged(Case(tap, None))
    assert [(one.name, one.confidence) for one in found] == [("double-completion", "certain")]
    assert "finished and right, and still flagged" in found[0].evidence[0]


def sctp(n: int, field: bytes | None = None) -> bytes:
    frame = f.raw(t.ip(A, B) / SCTP(sport=3868, dport=3868, tag=7) / SCTPChunkData(data=random.Random(n).randbytes(40)))
    return frame if field is None else frame[:42] + field + frame[46:]


def test_sctp_wrong_sum(tmp_path: Path) -> None:
    assert named(diagnose(t.pcap(tmp_path / "good", [(1, sctp(1))]))) == [("nothing-wrong", "certain")]
    found = diagnose(t.pcap(tmp_path / "zero", [(n, sctp(n, bytes(4))) for n in range(3)]), at_wire=True)
    assert named(found) == [("sctp-wrong-sum", "certain")] and "tx-checksum-sctp off" in str(found[0]["remedy"])
    frames = []
    for n in range(3):
        octets = bytearray(sctp(n, bytes(4))[34:])
        frames.append((n, sctp(n, struct.pack("!H", checksum(bytes(octets))) + bytes(2))))
    found = diagnose(t.pcap(tmp_path / "sixteen", frames))
    assert named(found) == [("sctp-wrong-sum", "certain")] and "16-bit" in evidence(found[0])
    other = [(n, t.damaged(sctp(n), 60, 0xFF)) for n in range(3)]
    assert named(diagnose(t.pcap(tmp_path / "damaged", other)))[0][0] == "corruption"


def dhcp(kind: str, *, reply: bool) -> Any:
    ends = (B, "255.255.255.255", 67, 68) if reply else ("0.0.0.0", "255.255.255.255", 68, 67)
    return t.ip(*ends[:2]) / UDP(sport=ends[2], dport=ends[3]) / BOOTP(
        op=2 if reply else 1, chaddr=b"\x02\0\0\0\0\1", xid=7) / DHCP(options=[("message-type", kind), "end"])


def lease(kinds: list[tuple[str, bool]]) -> list[t.Timed]:
    return [(n, (f.leaked if reply else f.raw)(dhcp(kind, reply=reply))) for n, (kind, reply) in enumerate(kinds)]


def test_dhcp_raw_client(tmp_path: Path) -> None:
    refused = t.pcap(tmp_path / "x", lease([("discover", False), ("offer", True)] * 3))
    found = diagnose(refused, at_wire=True)
    assert named(found) == [("dhcp-raw-client", "certain")] and "asked again twice after" in evidence(found[0])
    assert any("--checksum-fill" in each["command"] for each in found[0]["remedy"])
    assert named(diagnose(refused))[0] == ("dhcp-raw-client", "likely")  # noted or not, it does not take them
    taken = t.pcap(tmp_path / "y", lease([("discover", False), ("offer", True), ("request", False), ("ack", True)]))
    assert named(diagnose(taken))[0][0] == "offload-pending"


def test_icmp_stale_inner(tmp_path: Path) -> None:
    quoted = f.raw((t.udp(A, SERVER, 4000, 53, bytes(20)))[IP])
    inside = f.raw((t.udp("203.0.113.9", SERVER, 61000, 53, bytes(20)))[IP])
    right = [(n, f.raw(t.ip(SERVER, A) / ICMP(type=3, code=3) / Raw(quoted))) for n in range(3)]
    assert named(diagnose(t.pcap(tmp_path / "good", right))) == [("nothing-wrong", "certain")]
    stale = [(n, f.raw(t.ip(SERVER, A) / ICMP(type=3, code=3) / Raw(inside))) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "stale", stale))
    assert named(found) == [("icmp-stale-inner", "certain")]
    assert f"to {A}, quoting 203.0.113.9 > {SERVER}" in evidence(found[0])


def test_icmp_stale_inner_sum_of_the_error_itself(tmp_path: Path) -> None:
    """The quoted address was translated back, the ICMP sum was left as it was."""
    packets = t.echo(A, SERVER, 1) + t.echo("203.0.113.9", SERVER, 2)
    for n in range(3):
        quoted = f.raw((t.udp(A, SERVER, 4000 + n, 53, bytes(20)))[IP])
        before = quoted[:12] + bytes([203, 0, 113, 9]) + quoted[16:]
        error = t.ip(SERVER, A) / ICMP(type=3, code=3)
        old = f.get16(f.raw(error / Raw(before)), 36)
        packets.append((3 + n, f.put16(f.raw(error / Raw(quoted)), 36, old)))
    found = diagnose(t.pcap(tmp_path / "x", packets))
    assert named(found) == [("icmp-stale-inner", "likely")]


# --- wrong --------------------------------------------------------------------------------------------------------


def test_ip_header_never_filled(tmp_path: Path) -> None:
    frames = [(n, f.put16(f.raw(t.udp(A, B, 4000, 9, bytes([n]))), 24, 0)) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("ip-header-never-filled", "possible")] and "network card" in found[0]["limits"]
    assert named(diagnose(tmp_path / "x", at_wire=True)) == [("ip-header-never-filled", "likely")]


def test_never_filled(tmp_path: Path) -> None:
    frames = [(n, f.put16(f.raw(t.udp("fd07::1", "fd07::2", 4000, 9, bytes([n]))), 60, 0)) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("never-filled", "possible")] and "RFC 8200" in evidence(found[0])


def test_nat_without_update_with_a_witness(tmp_path: Path) -> None:
    frames: list[t.Timed] = []
    for n in range(3):
        before = t.tcp(A, SERVER, 4000, 443, 1000 + n, 2000, "PA", bytes([n]) * 40)
        behind = t.tcp("203.0.113.9", SERVER, 4000, 443, 1000 + n, 2000, "PA", bytes([n]) * 40)
        frames += [(n, f.raw(before)), (n + 0.1, f.put16(f.raw(behind), 50, f.get16(f.raw(before), 50)))]
    assert named(diagnose(t.pcap(tmp_path / "x", frames))) == [("nat-without-update", "certain")]


def test_nat_without_update_by_repetition_alone(tmp_path: Path) -> None:
    """No witness: but the difference is the same in each packet, and turned round on the way back."""
    frames: list[t.Timed] = []
    for n in range(4):
        rest = (4000, 443, 1000 + n, 2000, "PA", random.Random(n).randbytes(60))
        old, new = t.tcp(A, SERVER, *rest), t.tcp("203.0.113.9", SERVER, *rest)
        frames.append((n, f.put16(f.raw(new), 50, f.get16(f.raw(old), 50))))
        rest = (443, 4000, 9000 + n, 70000, "PA", random.Random(-n - 1).randbytes(60))
        old, new = t.tcp(SERVER, "203.0.113.9", *rest), t.tcp(SERVER, A, *rest)
        frames.append((n + 0.5, f.put16(f.raw(new), 50, f.get16(f.raw(old), 50))))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("nat-without-update", "likely")]
    assert "same difference in every packet" in evidence(found[0])


def test_nat_without_update_of_the_ttl(tmp_path: Path) -> None:
    before, behind = ([f.raw(t.ip(A, B, ttl=ttl, id=n) / f.udp) for n in range(3)] for ttl in (64, 63))
    frames = [(n, f.put16(behind[n], 24, f.get16(before[n], 24))) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("nat-without-update", "likely")] and "TTL" in evidence(found[0])


def test_nat_on_zero_published(tmp_path: Path) -> None:
    """The SYNs of the Kubernetes VXLAN bug, all with ffff (FACTS 7)."""
    frames = []
    for n in range(3):
        inner = Ether() / IP(src="10.42.1.2", dst="10.42.2.3") / TCP(sport=33000, dport=80, seq=n << 20) / Raw(bytes(n))
        frames.append((n, f.put16(f.raw(t.ip(A, B) / UDP(sport=35133, dport=4789) / VXLAN(vni=1) / inner), 40, 0xFFFF)))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("nat-on-zero", "certain")]
    assert any("5.7" in each["effect"] for each in found[0]["remedy"])


def test_wrong_arithmetic(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        frame = f.raw(t.udp(A, B, 4000, 9, random.Random(n).randbytes(30)))
        frames.append((n, frame[:40] + frame[41:39:-1] + frame[42:]))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("wrong-arithmetic", "certain")] and "octets swapped" in evidence(found[0])


def test_length_fault(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        packet = t.udp(A, B, 4000, 9, b"ping")
        padded = f.raw(packet) + random.Random(n).randbytes(14)
        frames.append((n, f.put16(padded, 40, in4_chksum(17, packet[IP], f.put16(padded, 40, 0)[34:]))))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("length-fault", "certain")] and "padding" in evidence(found[0])


def many(kind: str) -> list[t.Timed]:
    """300 segments of ten connections; of every tenth one bit is wrong, or 30 octets."""
    noise = random.Random(7)
    frames = []
    for n in range(300):
        frame = f.raw(t.tcp(A, B, 4000 + n % 10, 80, n * 400, 1, "A", noise.randbytes(400)))
        if n % 9 == 0:
            at = noise.randrange(60, 400)
            frame = t.damaged(frame, at, 1 << noise.randrange(8)) if kind == "bits" else (
                frame[:at] + noise.randbytes(30) + frame[at + 30 :])
        frames.append((n / 100, frame))
    return frames


def test_bit_errors(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", many("bits")))
    assert named(found) == [("bit-errors", "likely")]
    assert found[0]["bridge"] is None and "spread over 10 conversations" in evidence(found[0])
    assert "about one bit in" in evidence(found[0])


def test_corruption(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", many("octets")))
    assert named(found) == [("corruption", "likely")] and found[0]["bridge"] is None


def test_most_important_finding_comes_first(tmp_path: Path) -> None:
    packets = t.conversation(A, SERVER, 1) + [(2 + time, frame) for time, frame in many("octets")]
    assert [name for name, _ in named(diagnose(t.pcap(tmp_path / "x", packets)))] == ["corruption", "offload-pending"]


# --- the command --------------------------------------------------------------------------------------------------


def test_text_reads_as_the_issue_says(tmp_path: Path) -> None:
    done = run("-r", str(t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4))))
    syn = t.tcp(A, B, 40000, 80, 1000, 0, "S")
    assert done.returncode == 1 and done.stdout.startswith("A hop lost the note that checksums are unfinished.")
    assert "The receiver drops these packets" in done.stdout
    assert f"{f.seed(syn):04x}      {f.seed(syn):04x}      {f.get16(f.raw(syn), 50):04x}" in done.stdout
    assert "$ ethtool -K IFACE tx off" in done.stdout and "side effect: " in done.stdout
    done = run("-r", str(t.pcap(tmp_path / "y", t.conversation(A, SERVER, 1))))
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing is wrong: these checksums are pending, not bad.")


def test_json_finding_has_the_agreed_keys(tmp_path: Path) -> None:
    (finding,) = diagnose(t.pcap(tmp_path / "x", t.syns(A, B, 2, 4)))
    assert {"cause", "title", "healthy", "confidence", "meaning", "evidence", "packets", "remedy", "bridge",
            "counts"} <= set(finding)
    assert set(finding["remedy"][0]) == {"command", "effect", "side_effect"}
    assert set(finding["packets"][0]) == {"n", "proto", "offset", "stored", "seed", "expected", "flow"}


def test_broken_file_reports_what_came_before(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", t.conversation(A, SERVER, 1))
    path.write_bytes(path.read_bytes()[:-3])
    done = run("-r", str(path))
    assert done.returncode == 5 and "octet" in done.stderr and done.stderr.count("\n") == 1
    assert "pending, not bad" in done.stdout


@pytest.mark.parametrize(("argv", "code", "words"), [
    ((), 2, "a capture file or an interface"), (("-r", "x", "-i", "lo"), 2, "not both"),
    (("-r", "x", "-I", "lo"), 2, "second tap"), (("-i", "lo", "-R", "x"), 2, "second tap"),
    (("-i", "lo", "-I", "lo"), 2, "both taps"),
    (("-i", "lo", "--duration", "-1"), 2, "duration"), (("-r", "x", "--duration", "3"), 2, "duration"),
    (("-r", "-", "-R", "x"), 2, "twice"), (("-r", "/nonexistent"), 4, "/nonexistent"),
    (("-i", "nosuch0"), 4, "nosuch0"),
    (("-r", str(ROOT / "README.md")), 5, "octet 0"),
])
def test_misuse(argv: tuple[str, ...], code: int, words: str) -> None:
    done = run(*argv)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr


def test_filter_and_count(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", many("bits"))
    done = run("-r", str(path), "--json", "tcp", "port", "4003")
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["packets"] == 30
    done = run("-r", str(path), "--json", "-c", "1")
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["packets"] == 1


def test_every_root_cause_is_named_in_a_test() -> None:
    """xdp-hop and tap-without-vnet-header need a machine: tests/net/test_diagnose_live.py."""
    here = Path(__file__).read_text() + (ROOT / "tests" / "net" / "test_diagnose_live.py").read_text()
    for name in CAUSES:
        assert f'"{name}"' in here, name
    document = (ROOT / "docs" / "diagnosis.md").read_text()
    for name in CAUSES:
        assert f"`{name}`" in document, name


def test_document_shows_what_the_command_prints() -> None:
    document = (ROOT / "docs" / "diagnosis.md").read_text()
    shown = re.findall(r"<!-- output of: pktmend diagnose (.*?) -->\n```\n(.*?)```", document, re.DOTALL)
    assert shown
    for words, text in shown:
        assert run(*words.split()).stdout == text


def test_ipv6_flows_are_written_with_brackets(tmp_path: Path) -> None:
    frames = [(n, f.leaked(f.ether / IPv6(src="fd07::1", dst="fd07::2") / TCP(sport=4000 + n, dport=80, flags="S")))
              for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert found[0]["packets"][0]["flow"] == "[fd07::1]:4000 > [fd07::2]:80"
