"""What is decided of two captures around a hop, as data: what it changed, how sure that is, what it did besides."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from scapy.all import UDP, VXLAN, Ether

import frames as f
import tapes as t
from diagnosing import A, B, decided, only
from pktmend.commands.diagnose.decision import Decision
from pktmend.commands.diagnose.examine import examine
from pktmend.commands.diagnose.facts import hop
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.tap import SeenAt
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.taps import Hooks
from pktmend.commands.diagnose.two_taps import PLAIN

NOISE = random.Random(5)


def between(tmp_path: Path, before: list[bytes], behind: list[bytes], *, at_wire: bool = False) -> list[Decision]:
    """Decide on frames before and behind a hop that takes 0.1 ms."""
    paths = [
        t.pcap(tmp_path / name, [(1 + n / 100 + delay, frame) for n, frame in enumerate(frames)])
        for name, frames, delay in (("before", before, 0.0), ("behind", behind, 0.0001))
    ]
    return list(examine(Options(str(paths[0]), str(paths[1]), is_live=False, at_wire=at_wire), Hooks()).decisions)


def stream(count: int = 4) -> list[Any]:
    return [t.tcp(A, B, 4000, 80, 1000 + n * 100, 1, "PA", NOISE.randbytes(100)) for n in range(count)]


def hexed(*values: int) -> tuple[str, ...]:
    return tuple(f"{value:04x}" for value in values)


def test_mark_was_lost(tmp_path: Path) -> None:
    packets = stream()
    frames = [f.leaked(p) for p in packets]
    [found] = between(tmp_path, frames, frames, at_wire=True)
    assert decided([found]) == [("metadata-lost", "likely")] and found.limits == (Limit.NO_METADATA_BEFORE,)
    assert found.counts == {"pending to leaked": 4}
    seed, right = f.seed(packets[0]), f.get16(f.raw(packets[0]), 50)
    assert found.facts[:2] == (
        hop.ChangedChecks(4, (("tcp", "pending", "leaked"),)),
        hop.ChangedField(1, 1, hexed(seed, seed, right)),  # type: ignore[arg-type]
    )
    assert found.facts[-1] == hop.SeenAtBoth(4, 1, (("pending", "leaked", 4),))


def test_completed_twice(tmp_path: Path) -> None:
    packets = stream()
    [found] = between(tmp_path, [f.raw(p) for p in packets], [f.leaked(p) for p in packets], at_wire=True)
    assert decided([found]) == [("double-completion", "certain")]
    assert hop.Hop.COMPLETED_AGAIN in found.facts and found.limits == ()


def test_bits_and_contents(tmp_path: Path) -> None:
    """One bit in two packets, 12 bytes in another: two causes, the rarer kind keeps its own count."""
    packets = [f.raw(p) for p in stream(6)]
    behind = list(packets)
    behind[1] = t.damaged(packets[1], 60, 0x01)
    behind[2] = t.damaged(packets[2], 61, 0x10)
    behind[4] = packets[4][:70] + bytes(x ^ 0xFF for x in packets[4][70:82]) + packets[4][82:]
    found = {str(one.cause): one for one in between(tmp_path, packets, behind)}
    assert found.keys() == {"bit-errors", "corruption"}
    size = 20 + 100  # of TCP; it begins at byte 34
    assert only(found["bit-errors"], hop.ChangedBits) == [
        hop.ChangedBits(2, 2 * size * 8, 2, ((60 - 34, 0x01), (61 - 34, 0x10)))
    ]
    assert only(found["corruption"], hop.ChangedContents) == [hop.ChangedContents(5, 12, 70 - 34, 81 - 34)]
    assert (str(found["bit-errors"].confidence), str(found["corruption"].confidence)) == ("certain", "likely")


def test_address_without_its_sum(tmp_path: Path) -> None:
    packets, behind = stream(), []
    for packet in packets:
        new = packet.copy()
        new["IP"].src = "203.0.113.9"
        behind.append(f.put16(f.raw(new), 50, f.get16(f.raw(packet), 50)))
    [found] = between(tmp_path, [f.raw(p) for p in packets], behind)
    assert decided([found]) == [("nat-without-update", "certain")]
    assert only(found, hop.Rewrote) == [hop.Rewrote((("source address", 4),))]


def test_update_of_nothing(tmp_path: Path) -> None:
    """Alone, what is behind looks corrupt; what was before tells."""
    before, behind = [], []
    for n in range(3):
        inner = Ether() / t.tcp("10.9.0.1", "10.9.0.2", 4000, 80, n, 0, "S")["IP"]
        tunnel = UDP(sport=9, dport=4789, chksum=0) / VXLAN(vni=7) / inner
        before.append(f.raw(t.ip(A, B) / tunnel))
        behind.append(f.put16(f.raw(t.ip("203.0.113.9", B) / tunnel), 40, 0xFF9D))
    [found] = between(tmp_path, before, behind)
    assert decided([found]) == [("nat-on-zero", "certain")] and found.counts == {"absent to corrupt": 3}
    assert found.facts[0] == hop.ChangedChecks(3, (("udp", "absent", "corrupt"),))


def test_two_causes_of_one_kind_have_their_own_counts(tmp_path: Path) -> None:
    """Two bits of one byte and twelve bytes both look corrupt behind the hop."""
    packets = [f.raw(p) for p in stream()]
    behind = [t.damaged(packets[0], 60, 0x11), packets[1], packets[2], packets[3][:70] + bytes(12) + packets[3][82:]]
    found = {str(one.cause): one.counts for one in between(tmp_path, packets, behind)}
    assert found == {"bit-errors": {"good to corrupt": 1}, "corruption": {"good to corrupt": 1}}


def test_mark_of_a_tunnels_inner_checksum_was_lost(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        inner = Ether() / t.tcp("10.9.0.1", "10.9.0.2", 4000, 80, n, 0, "S")["IP"]
        packet = (
            t.ip(A, B) / UDP(sport=9, dport=4789) / VXLAN(vni=7) / inner
        )  # the outer sum as if the inner were right
        frames.append(f.put16(f.raw(packet), 14 + 20 + 16 + 50, f.seed(inner)))
    [found] = between(tmp_path, frames, frames, at_wire=True)
    assert decided([found]) == [("tunnel-inner-unfinished", "likely")]


def test_split_frames_are_not_missing(tmp_path: Path) -> None:
    segments = stream(4)
    whole = t.tcp(A, B, 4000, 80, 1000, 1, "PA", b"".join(f.raw(p["TCP"].payload) for p in segments))
    others = [f.raw(t.udp(A, B, 4000, 9, NOISE.randbytes(60))) for _ in range(11)]
    before = [others[0], f.raw(whole), *others[1:]]
    [found] = between(tmp_path, before, [others[0], *(f.raw(p) for p in segments), *others[1:]])
    assert only(found, hop.OtherLengths, hop.Missing) == [hop.OtherLengths(1)]


@pytest.mark.parametrize(
    ("offset", "value", "cause"),
    [(24, 0, "ip-header-never-filled"), (50, 0, "never-filled")],
)
def test_field_was_emptied(tmp_path: Path, offset: int, value: int, cause: str) -> None:
    packets = [f.raw(p) for p in stream()]
    [found] = between(tmp_path, packets, [f.put16(p, offset, value) for p in packets])
    assert decided([found]) == [(cause, "certain")]


def test_wrong_before_is_not_the_hops_doing(tmp_path: Path) -> None:
    packets = [t.damaged(f.raw(p), 60, 0x5A) for p in stream()]
    [found] = between(tmp_path, packets, packets)
    assert decided([found]) == [("corruption", "likely")] and only(found, hop.ChangedChecks) == []
    assert only(found, SeenAt) == [SeenAt(str(tmp_path / "before"))]


def test_what_the_hop_did_besides(tmp_path: Path) -> None:
    packets, behind = stream(20), []
    for packet in packets:
        routed = packet.copy()
        routed["IP"].ttl -= 1
        behind.append(f.raw(routed))
    [found] = between(tmp_path, [f.raw(p) for p in packets], behind[:10] + behind[11:])
    assert decided([found]) == [("nothing-wrong", "certain")]
    before, after = str(tmp_path / "before"), str(tmp_path / "behind")
    assert found.facts[1:] == (
        hop.SeenAtBoth(19, 1, (("good", "good", 19),)),
        hop.RewroteInGeneral(PLAIN, (("TTL", PLAIN),)),
        hop.Missing(1, before, after, first=11),
    )
