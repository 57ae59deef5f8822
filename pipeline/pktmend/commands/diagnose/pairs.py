"""Pairs: the same packet before and behind a hop, compared field by field.

Rules of this file:
1. Files are read a second time for the packets that are wanted, and for no others.
2. A change is named by what it is, never by what may have made it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pktmend import _core
from pktmend.commands.diagnose.samples import Sample, samples_of
from pktmend.enums import CheckFlag, Proto
from pktmend.packetio.capture import Capture
from pktmend.records import Layer
from pktmend.runtime.pipeline import Pipeline
from pktmend.runtime.stages import Verify, classify

WHOLE: Final = 1 << 17
Fields = tuple[tuple[str, int, int], ...]
IP4: Final[Fields] = (
    ("ToS", 1, 2),
    ("IP identification", 4, 6),
    ("IP flags", 6, 8),
    ("TTL", 8, 9),
    ("source address", 12, 16),
    ("target address", 16, 20),
)
IP6: Final[Fields] = (
    ("traffic class or flow label", 0, 4),
    ("hop limit", 7, 8),
    ("source address", 8, 24),
    ("target address", 24, 40),
)
ALIKE: Final = 8  # of two packets that are taken for one although damaged, one bit in so many may differ


@dataclass(frozen=True)
class Packet:
    """One packet with all its own checks, outer first; layers are (l3, l4, version, protocol)."""

    n: int
    link: int
    frame: bytes
    vlan: int
    layers: list[Layer]
    checks: list[Sample]

    @property
    def transport(self) -> bytes:
        """From the innermost transport header on, as long as its check covers."""
        inner = self.inner
        l4 = self.layers[-1][1] if self.layers else 0
        end = inner.start + inner.length if inner and inner.start == l4 else len(self.frame)
        return self.frame[l4:end]

    @property
    def inner(self) -> Sample | None:
        """The innermost check."""
        return self.checks[-1] if self.checks else None


class Fetch:
    """A stage that keeps the packets of these numbers.  Reads: frames, checks.  Writes: nothing."""

    name = "fetch"

    def __init__(self, numbers: Iterable[int]) -> None:
        self._wanted = sorted(set(numbers))
        self.found: dict[int, Packet] = {}

    def __call__(self, batch: _core.Batch) -> None:
        """Keep what is wanted of the batch."""
        if not len(batch):
            return
        numbers = list(batch.number)
        at = bisect_left(self._wanted, numbers[0])
        while at < len(self._wanted) and self._wanted[at] <= numbers[-1]:
            i = bisect_left(numbers, self._wanted[at])
            at += 1
            if numbers[i] != self._wanted[at - 1]:
                continue
            checks = [k for k in batch.checks_of(i) if not k.flags & (CheckFlag.QUOTED | CheckFlag.NO_FIELD)]
            self.found[numbers[i]] = Packet(
                numbers[i],
                batch.link[i],
                batch.head(i),
                batch.vlan_tci[i],
                batch.layers_of(i),
                samples_of(batch, i, checks, WHOLE),
            )


def fetch(path: str, numbers: Iterable[int], *, at_wire: bool) -> dict[int, Packet]:
    """Return the packets of these numbers of a file."""
    stage = Fetch(numbers)
    with Capture(path) as source:
        Pipeline(source, [Verify(expected=True, at_wire=at_wire), classify, stage]).run()
    return stage.found


@dataclass
class Change:
    """What a hop did to one packet.

    rewrote:  names of header fields that differ.        bits: bytes of the payload that differ, as (offset, xor).
    lengths:  transport bytes before and behind.
    """

    before: Packet
    behind: Packet
    rewrote: list[str] = field(default_factory=list)
    bits: list[tuple[int, int]] = field(default_factory=list)
    lengths: tuple[int, int] = (0, 0)

    @property
    def bit_count(self) -> int:
        """How many bits of the payload differ."""
        return sum(xor.bit_count() for _, xor in self.bits)

    @property
    def is_translated(self) -> bool:
        """An address or a port differs, or the family of the addresses."""
        return any(name.endswith((" address", " port", "IP version")) for name in self.rewrote)


def compare(before: Packet, behind: Packet) -> Change:
    """Compare the innermost packets, and say what was put around them."""
    change = Change(before, behind)
    if before.link == behind.link == 1:
        for name, part in (("target MAC", slice(0, 6)), ("source MAC", slice(6, 12))):
            if before.frame[part] != behind.frame[part]:
                change.rewrote.append(name)
    if _tags(before) != _tags(behind):
        change.rewrote.append("VLAN tag")
    if len(before.layers) != len(behind.layers):
        change.rewrote.append("tunnel put around" if len(behind.layers) > len(before.layers) else "tunnel taken off")
    if not before.layers or not behind.layers:
        return change
    if len(before.layers) == len(behind.layers) > 1:
        change.rewrote += [f"outer {name}" for name in _compare_ip(change, 0)]
    change.rewrote += _compare_ip(change, -1)
    _compare_transport(change)
    return change


def _tags(p: Packet) -> list[bytes]:
    at, tags = 12, []
    while p.link == 1 and p.frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        tags.append(p.frame[at : at + 4])
        at += 4
    return tags


def _compare_ip(change: Change, layer: int) -> list[str]:
    """Return what differs in the IP headers of that layer."""
    (a, _, version, _), (b, _, other, _) = change.before.layers[layer], change.behind.layers[layer]
    if version != other:
        return ["IP version"]
    one, two = change.before.frame[a:], change.behind.frame[b:]
    fields = IP4 if version == 4 else IP6
    return [name for name, i, j in fields if one[i:j] != two[i:j]]


def _compare_transport(change: Change) -> None:
    one, two = change.before.transport, change.behind.transport
    change.lengths = len(one), len(two)
    protocol = change.before.layers[-1][3]
    skip = _field_of(change.before)
    head = 4 if protocol in (6, 17, 33, 132, 136) else 0
    if head:
        ports = (("source port", slice(0, 2)), ("target port", slice(2, 4)))
        change.rewrote += [name for name, part in ports if one[part] != two[part]]
    if protocol == 6:
        for name, part in (("TCP window", slice(14, 16)), ("TCP options", slice(20, _header(one)))):
            if one[part] != two[part]:
                change.rewrote.append(name)
        skip |= {12, 13, 14, 15, *range(20, _header(one))}
    if protocol == 6 and len(one) != len(two):
        return  # split or coalesced
    change.bits = [
        (i, x ^ y) for i, (x, y) in enumerate(zip(one, two, strict=False)) if x != y and i >= head and i not in skip
    ]


def _header(tcp: bytes) -> int:
    return max(20, (tcp[12] >> 4) * 4) if len(tcp) > 12 else 20


def _field_of(p: Packet) -> set[int]:
    """The bytes of the transport's checksum field, relative to the transport."""
    inner = p.inner
    if inner is None or inner.proto == Proto.IP:
        return set()
    return set(range(inner.offset - inner.start, inner.offset - inner.start + inner.width))


def pair_damaged(damaged: Sequence[Packet], others: Sequence[Packet]) -> list[tuple[Packet, Packet]]:
    """Pair what was too damaged to be matched: the same protocol and length, and contents that are nearly alike."""
    pairs, used = [], set()
    for p in damaged:
        best: tuple[int, Packet] | None = None
        for q in others:
            if q.n in used or len(q.transport) != len(p.transport) or not p.layers or not q.layers:
                continue
            if p.layers[-1][2:] != q.layers[-1][2:]:
                continue
            differ = (int.from_bytes(p.transport, "big") ^ int.from_bytes(q.transport, "big")).bit_count()
            if differ * ALIKE <= len(p.transport) * 8 and (best is None or differ < best[0]):
                best = differ, q
        if best is not None:
            used.add(best[1].n)
            pairs.append((p, best[1]))
    return pairs
