"""Public captures: none that others find good may be called unhealthy, and those of senders are known as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, TCP, IPv6, PcapReader
from test_captures import verdicts

from pipeline import Capture, Pipeline
from pipeline.diagnose import rules
from pipeline.diagnose.evidence import Tap
from pipeline.diagnose.finding import Finding

FINE = ("good", "unverified", "not_present")


@pytest.fixture(scope="module")
def diagnosed(captures: Path) -> dict[str, list[Finding]]:
    """The findings on every capture."""
    found = {}
    for name in verdicts(captures):
        tap = Tap(name, is_live=False)
        with Capture(captures / name) as source:
            pipeline = Pipeline(source, tap.stages())
            pipeline.run()
            tap.close(pipeline.counters())
        found[name] = rules.findings_of(tap)
    return found


def own_checks(packets: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """What tshark says of a capture's checks, those quoted in ICMP errors left out."""
    return [check for packet in packets.values() for check in packet["c"] if not check.get("inner")]


def test_good_captures_are_healthy(captures: Path, diagnosed: dict[str, list[Finding]]) -> None:
    examined = 0
    for name, packets in verdicts(captures).items():
        if all(check["s"] in FINE for check in own_checks(packets)):
            assert all(f.cause.is_healthy for f in diagnosed[name]), (name, [f.name for f in diagnosed[name]])
            examined += 1
    assert examined > 200


def test_bad_captures_are_not_called_right(captures: Path, diagnosed: dict[str, list[Finding]]) -> None:
    """Those with a check that tshark finds bad, and neither unfinished nor at odds with the headers' lengths."""
    examined = 0
    for name, packets in verdicts(captures).items():
        bad = [check for n, packet in packets.items() for check in packet["c"]
               if check["s"] == "bad" and not check.get("inner") and check.get("x") not in ("partial", "inner")
               and not packet.get("malformed")]
        if bad and diagnosed[name][0].name == "nothing-wrong":
            assert "cannot be checked" in diagnosed[name][0].limits, name
        examined += bool(bad)
    assert examined > 50


def acknowledged(path: Path, numbers: set[int]) -> bool:
    """Is one of these TCP segments acknowledged later in the capture?  Found by scapy, packet by packet."""
    waiting: dict[tuple[Any, ...], int] = {}
    for n, packet in enumerate(PcapReader(str(path)), 1):
        ip = packet.getlayer(IP) or packet.getlayer(IPv6)
        if ip is None or TCP not in ip:
            continue
        tcp = ip[TCP]
        back = (ip.dst, ip.src, tcp.dport, tcp.sport)
        if tcp.flags & 0x10 and back in waiting and 0 < (tcp.ack - waiting[back]) % (1 << 32) < 1 << 24:
            return True
        length = ip.len - ip.ihl * 4 if ip.version == 4 else ip.plen
        if n in numbers and (length > tcp.dataofs * 4 or tcp.flags & 3):
            waiting.setdefault((ip.src, ip.dst, tcp.sport, tcp.dport), tcp.seq)
    return False


def test_senders_captures_with_acknowledged_segments_are_offload_pending(
    captures: Path, diagnosed: dict[str, list[Finding]]
) -> None:
    examined = 0
    for name, packets in verdicts(captures).items():
        partial = {n for n, packet in packets.items() for check in packet["c"]
                   if check.get("x") == "partial" and check["p"] == "tcp" and not check.get("inner")}
        if partial and acknowledged(captures / name, partial):
            found = {f.name: f for f in diagnosed[name]}
            assert "metadata-lost" not in found and found["offload-pending"].confidence == "certain", name
            examined += 1
    assert examined >= 5
