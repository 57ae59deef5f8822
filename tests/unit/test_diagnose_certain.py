"""`certain` is never wrong: of public captures tshark is the judge, of hand-made ones the hand.

What takes confidence away is tested as well: one packet, many that are damaged, two findings that say the opposite.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scapy.all import UDP
from test_captures import verdicts
from test_diagnose_damage import field_of, flows, get, new_address, put

import damage as d
import frames as f
import tapes as t
from diagnosing import A, B, decide, decided
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.weigh import weigh

SAYS = {"partial": {"metadata-lost", "tunnel-inner-unfinished", "double-completion"}, "zero": {"never-filled"}}


def judged(packets: dict[int, dict[str, Any]], n: int, offset: int) -> dict[str, Any]:
    """What tshark says of one check; nothing if it has none there."""
    return next((check for check in packets[n]["c"] if check["o"] == offset), {})


def test_certain_of_public_captures(captures: Path) -> None:
    """A fault that is certain has bad packets only, and where the bytes prove why, not for another reason.

    A healthy result that is certain has none that is bad for a reason that the bytes do not prove.
    """
    faults = healthy = 0
    for name, packets in verdicts(captures).items():
        for found in decide(captures / name):
            if found.confidence is not Confidence.CERTAIN:
                continue
            checks = [judged(packets, s.n, s.offset) for s in found.samples]
            if found.cause is RootCause.NOTHING_WRONG:
                own = [check for packet in packets.values() for check in packet["c"] if not check.get("inner")]
                assert all(check["s"] != "bad" for check in own), name
                healthy += 1
            elif found.cause.is_healthy:
                assert all(check.get("s") != "good" for check in checks), (name, found.cause)
                healthy += 1
            else:
                assert all(check.get("s", "bad") != "good" for check in checks), (name, found.cause)
                for check in checks:
                    expected = SAYS.get(check.get("x", ""))
                    assert expected is None or str(found.cause) in expected, (name, found.cause, check)
                faults += 1
    assert healthy > 100 and faults >= 0


# --- what takes it away -----------------------------------------------------------------------------------------------


def swapped(n: int) -> list[bytearray]:
    """Return n datagrams whose sum has its bytes swapped: right but for one mistake."""
    frames = flows(random.Random(n), n, 1, d.datagram)
    for frame in frames:
        frame[40:42] = frame[41:39:-1]
    return frames


def of(path: Path, frames: list[bytearray]) -> list[tuple[str, str]]:
    return decided(decide(t.pcap(path, [(n / 100, bytes(frame)) for n, frame in enumerate(frames)])))


def test_one_packet_is_never_certain(tmp_path: Path) -> None:
    assert of(tmp_path / "x", swapped(1)) == [("wrong-arithmetic", "likely")]
    assert of(tmp_path / "y", swapped(2)) == [("wrong-arithmetic", "certain")]


@pytest.mark.parametrize(
    ("mistaken", "damaged", "confidence"),
    # one value of 65,536 / 32 by chance each: of 302 checks C(302, 2) / 2048^2 = 0.01, of 300 + 8 far less
    [(2, 0, "certain"), (2, 300, "possible"), (2, 20, "likely"), (8, 300, "certain"), (1, 300, "possible")],
)
def test_the_more_are_damaged_the_more_it_takes(tmp_path: Path, mistaken: int, damaged: int, confidence: str) -> None:
    rng = random.Random(11)
    others = flows(rng, damaged, max(damaged, 1), d.segment)
    for frame in others:
        d.stale_write(rng, frame)
    assert dict(of(tmp_path / "x", swapped(mistaken) + others))["wrong-arithmetic"] == confidence


def test_a_value_that_repeats_over_one_right_sum_is_no_update_of_zero(tmp_path: Path) -> None:
    """Contents that differ and have the same sum, ffff where fffe is right: folded once.  Others are good."""
    frames = flows(random.Random(12), 60, 1, d.datagram)
    for n, frame in enumerate(frames):
        if n % 10 == 5:
            right = get(frame, 40)
            put(frame, 42, (get(frame, 42) + right - 0xFFFE) % 0xFFFF)
            put(frame, 40, 0xFFFF)
    assert of(tmp_path / "x", frames) == [("wrong-arithmetic", "certain")]


def test_partial_answers_are_not_healthy_too(tmp_path: Path) -> None:
    """The packets that a client refuses are not called pending and fine in the same breath."""
    from test_diagnose_special import lease

    found = decide(t.pcap(tmp_path / "x", lease([("discover", False), ("offer", True)] * 3)))
    assert [str(one.cause) for one in found] == ["dhcp-raw-client"]


def test_a_healthy_result_keeps_what_no_fault_claims(tmp_path: Path) -> None:
    frames = [(n, f.leaked(t.ip(A, B) / UDP(sport=4000 + n, dport=9))) for n in range(4)]
    [pending] = decide(t.pcap(tmp_path / "x", frames))
    assert pending.cause is RootCause.OFFLOAD_PENDING and len(pending.samples) == 4
    fault = Decision(cause=RootCause.DHCP_RAW_CLIENT, confidence=Confidence.LIKELY, samples=pending.samples[:1])
    assert [one.samples for one in weigh([fault, pending])] == [fault.samples, pending.samples[1:]]
    assert weigh([replace(fault, samples=pending.samples), pending]) == [replace(fault, samples=pending.samples)]


def test_the_same_cause_is_one_finding(tmp_path: Path) -> None:
    """An address that was changed in TCP and UDP, IPv4 headers' own sums updated: one translation, not two."""
    rng = random.Random(13)
    frames = flows(rng, 6, 1, d.segment) + flows(rng, 6, 1, d.datagram)
    for frame in frames:
        new_address(rng, frame)
    assert {field_of(frame) for frame in frames} == {40, 50}
    assert of(tmp_path / "x", frames) == [("nat-without-update", "likely")]
