"""Public captures: none that others find good may be called unhealthy, and those of senders are known as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, TCP, IPv6, PcapReader
from test_captures import verdicts

from pktmend import Capture, Pipeline
from pktmend.commands.diagnose import rules
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import Diagnosis, in_words

FINE = ("good", "unverified", "not_present")


@pytest.fixture(scope="module")
def diagnosed(captures: Path) -> dict[str, list[Diagnosis]]:
    """The findings on every capture."""
    found = {}
    for name in verdicts(captures):
        tap = Tap(name, is_live=False)
        with Capture(captures / name) as source:
            pipeline = Pipeline(source, tap.stages())
            pipeline.run()
            tap.close(pipeline.counters())
        found[name] = [in_words(decision) for decision in rules.decide(tap)]
    return found


def own_checks(packets: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """What tshark says of a capture's checks, those quoted in ICMP errors left out."""
    return [check for packet in packets.values() for check in packet["c"] if not check.get("inner")]


def test_good_captures_are_healthy(captures: Path, diagnosed: dict[str, list[Diagnosis]]) -> None:
    examined = 0
    for name, packets in verdicts(captures).items():
        if all(check["s"] in FINE for check in own_checks(packets)):
            assert not any(f.is_problem for f in diagnosed[name]), (name, [f.name for f in diagnosed[name]])
            examined += 1
    assert examined > 200


def test_bad_captures_are_not_called_right(captures: Path, diagnosed: dict[str, list[Diagnosis]]) -> None:
    """Those with a check that tshark finds bad, and neither partial nor at odds with the headers' lengths."""
    examined = 0
    for name, packets in verdicts(captures).items():
        bad = [
            check
            for n, packet in packets.items()
            for check in packet["c"]
            if check["s"] == "bad"
            and not check.get("inner")
            and check.get("x") not in ("partial", "inner")
            and not packet.get("malformed")
        ]
        if bad and diagnosed[name][0].name == "nothing-wrong":
            assert "cannot be checked" in diagnosed[name][0].limits, name
        examined += bool(bad)
    assert examined > 50


def acknowledged(path: Path, numbers: set[int]) -> bool:
    """Is one of these TCP segments acknowledged later in the capture?  Found by scapy, packet by packet."""
    waiting: dict[tuple[Any, ...], int] = {}
    with PcapReader(str(path)) as packets:
        for n, packet in enumerate(packets, 1):
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
    captures: Path, diagnosed: dict[str, list[Diagnosis]]
) -> None:
    examined = 0
    for name, packets in verdicts(captures).items():
        partial = {
            n
            for n, packet in packets.items()
            for check in packet["c"]
            if check.get("x") == "partial" and check["p"] == "tcp" and not check.get("inner")
        }
        if partial and acknowledged(captures / name, partial):
            found = {f.name: f for f in diagnosed[name]}
            assert "metadata-lost" not in found and found["offload-pending"].confidence == "certain", name
            examined += 1
    assert examined >= 5


def test_certainty_needs_every_check_to_be_verified(captures: Path, diagnosed: dict[str, list[Diagnosis]]) -> None:
    """`nothing-wrong, certain` only where tshark verified each check and found it good."""
    examined = 0
    for name, packets in verdicts(captures).items():
        first = diagnosed[name][0]
        if (first.name, first.confidence) == ("nothing-wrong", "certain"):
            left = [check for check in own_checks(packets) if check["s"] not in ("good", "not_present")]
            assert not left, (name, left[:2])
            examined += 1
    assert examined > 150


def test_a_mark_of_the_kernel_is_claimed_only_where_a_file_can_hold_one(
    captures: Path, diagnosed: dict[str, list[Diagnosis]]
) -> None:
    for name, found in diagnosed.items():
        if (captures / name).read_bytes()[:4] != b"\x0a\x0d\x0d\x0a":
            assert not any("the kernel's mark that they" in line for f in found for line in f.evidence), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scapy/doip_ack.pcap", [("nat-without-update", "likely")]),  # both sums are off by 01b1
        ("scapy/http_compressed.pcap", [("offload-pending", "likely")]),  # Windows: header 0, TCP partial
        ("snabb/src__apps__packet_filter__samples__v4-tcp-udp.pcap", [("offload-pending", "certain")]),  # on 127.0.0.1
        ("tcpreplay/test_fragroute.pcap", [("bit-errors", "likely")]),  # a length that lost a bit, too
        (
            "snabb/ipfix__tests__sanitized4k_truncated128.pcap",
            [("nothing-wrong", "possible")],
        ),  # 20 of 2185 TCP checked
    ],
)
def test_what_an_engineer_would_say(
    captures: Path, diagnosed: dict[str, list[Diagnosis]], name: str, expected: list[tuple[str, str]]
) -> None:
    assert [(f.name, f.confidence) for f in diagnosed[name]] == expected
