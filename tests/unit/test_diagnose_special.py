"""Single captures with faults of one protocol, tunnel or flag.

Every checksum is scapy's, or damaged by hand from scapy's.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

from scapy.all import BOOTP, DHCP, ICMP, IP, SCTP, UDP, Raw
from scapy.layers.sctp import SCTPChunkData
from scapy.utils import checksum

import frames as f
import tapes as t
from diagnosing import SERVER, A, B, diagnose, evidence, named
from pktmend import Capture, Cause, Frames, PacketFlag, Pipeline
from pktmend.commands.diagnose import rules_flags
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.evidence import Tap


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
    found = diagnose(t.pcapng(tmp_path / "x", [(n, wrong, t.PARTIAL) for n in range(3)]))
    assert named(found) == [("bad-seed", "certain")]
    assert "the same mistake each time" in evidence(found[0]) and "cannot be told" in found[0]["limits"]
    corrupt = t.damaged(f.leaked(packet), 90, 0x5A)  # the seed does not cover the payload
    assert named(diagnose(t.pcapng(tmp_path / "y", [(1, corrupt, t.PARTIAL)]))) == [("offload-pending", "certain")]


def test_double_completion_is_about_to_happen(tmp_path: Path) -> None:
    """As a ring hands it over: the virtio-net header says which field is partial, and it is not."""
    packet = t.tcp(A, B, 4000, 80, 1, 1, "PA", bytes(100))
    batch = Frames(
        [f.raw(packet)] * 3, flags=int(PacketFlag.METADATA | PacketFlag.NOT_READY), vnet=f.vnet(packet)
    ).batch()
    tap = Tap("eth0", is_live=True)
    for stage in tap.stages():
        stage(batch)
    assert [k.cause for k in batch.checks_of(0)] == [0, int(Cause.BAD_SEED)]
    with Capture(t.pcap(tmp_path / "empty", [])) as source:
        pipeline = Pipeline(source)
        pipeline.run()
        tap.close(pipeline.counters())
    found = rules_flags.flagged(Case(tap, None))
    assert [(one.cause, one.confidence) for one in found] == [("double-completion", "certain")]
    assert "complete and right, and still flagged" in found[0].facts[0].text


def sctp(n: int, field: bytes | None = None) -> bytes:
    frame = f.raw(t.ip(A, B) / SCTP(sport=3868, dport=3868, tag=7) / SCTPChunkData(data=random.Random(n).randbytes(40)))
    return frame if field is None else frame[:42] + field + frame[46:]


def test_sctp_wrong_sum(tmp_path: Path) -> None:
    assert named(diagnose(t.pcap(tmp_path / "good", [(1, sctp(1))]))) == [("nothing-wrong", "certain")]
    found = diagnose(t.pcap(tmp_path / "zero", [(n, sctp(n, bytes(4))) for n in range(3)]), at_wire=True)
    assert named(found) == [("sctp-wrong-sum", "certain")] and "tx-checksum-sctp off" in str(found[0]["remedy"])
    frames = []
    for n in range(3):
        data = bytearray(sctp(n, bytes(4))[34:])
        frames.append((n, sctp(n, struct.pack("!H", checksum(bytes(data))) + bytes(2))))
    found = diagnose(t.pcap(tmp_path / "sixteen", frames))
    assert named(found) == [("sctp-wrong-sum", "certain")] and "16-bit" in evidence(found[0])
    other = [(n, t.damaged(sctp(n), 60, 0xFF)) for n in range(3)]
    assert named(diagnose(t.pcap(tmp_path / "damaged", other)))[0][0] == "corruption"


def dhcp(kind: str, *, reply: bool) -> Any:
    ends = (B, "255.255.255.255", 67, 68) if reply else ("0.0.0.0", "255.255.255.255", 68, 67)
    return (
        t.ip(*ends[:2])
        / UDP(sport=ends[2], dport=ends[3])
        / BOOTP(op=2 if reply else 1, chaddr=b"\x02\0\0\0\0\1", xid=7)
        / DHCP(options=[("message-type", kind), "end"])
    )


def lease(kinds: list[tuple[str, bool]]) -> list[t.Timed]:
    return [(n, (f.leaked if reply else f.raw)(dhcp(kind, reply=reply))) for n, (kind, reply) in enumerate(kinds)]


def test_dhcp_raw_client(tmp_path: Path) -> None:
    refused = t.pcap(tmp_path / "x", lease([("discover", False), ("offer", True)] * 3))
    found = diagnose(refused, at_wire=True)
    assert named(found) == [("dhcp-raw-client", "certain")] and "asked again twice after" in evidence(found[0])
    assert any("--checksum-fill" in each["command"] for each in found[0]["remedy"])
    assert named(diagnose(refused))[0] == ("dhcp-raw-client", "likely")  # marked or not, it does not take them
    taken = t.pcap(tmp_path / "y", lease([("discover", False), ("offer", True), ("request", False), ("ack", True)]))
    assert named(diagnose(taken))[0][0] == "offload-pending"


def test_icmp_stale_inner(tmp_path: Path) -> None:
    quoted = f.raw((t.udp(A, SERVER, 4000, 53, bytes(20)))[IP])
    inside = f.raw((t.udp("203.0.113.9", SERVER, 61000, 53, bytes(20)))[IP])
    right = [(n, f.raw(t.ip(SERVER, A) / ICMP(type=3, code=3) / Raw(quoted))) for n in range(3)]
    assert named(diagnose(t.pcap(tmp_path / "good", right))) == [("nothing-wrong", "certain")]
    stale = [(n, f.raw(t.ip(SERVER, A) / ICMP(type=3, code=3) / Raw(inside))) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "stale", stale))
    assert named(found) == [("icmp-stale-inner", "likely"), ("rewritten-capture", "possible")]
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


def test_sctp_ports_that_were_rewritten(tmp_path: Path) -> None:
    """scapy's CRCs are those of other ports, whatever the length; damage at one place is none of that."""
    frames = []
    for n in range(3):
        chunk = SCTPChunkData(data=random.Random(n).randbytes(20 + 8 * n))
        frame = f.raw(t.ip(A, B) / SCTP(sport=47606, dport=3868, tag=7) / chunk)
        frames.append((n, f.put16(frame, 36, 1000)))
    assert named(diagnose(t.pcap(tmp_path / "x", frames))) == [("nat-without-update", "likely")]
    assert named(diagnose(t.pcap(tmp_path / "y", frames[:1]))) == [("nat-without-update", "possible")]
    damaged = [(n, t.damaged(sctp(n), 60, 0xFF)) for n in range(3)]
    assert [cause for cause, _ in named(diagnose(t.pcap(tmp_path / "z", damaged)))] == ["corruption"]


def test_errors_of_several_routers_off_by_the_same(tmp_path: Path) -> None:
    """What each quotes was rewritten behind them, its identifier say; ping itself is right."""
    packets = t.echo(A, SERVER, 1)
    for n in range(5):
        quoted = f.raw((t.ip(A, SERVER, ttl=1) / ICMP(id=0x1111, seq=7))[IP])
        error = f.raw(t.ip(f"198.51.100.{n + 10}", A) / ICMP(type=11) / Raw(quoted))
        packets.append((2 + n, f.put16(error, 14 + 20 + 8 + 20 + 4, 0x5432)))  # the identifier of the quoted echo
    found = diagnose(t.pcap(tmp_path / "x", packets))
    assert named(found) == [("nat-without-update", "likely")] and "icmp" in next(iter(found[0]["counts"]))
