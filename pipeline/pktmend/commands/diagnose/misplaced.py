"""Completions that were written over something that is no checksum field.

A completion is asked for by two numbers: where the sum starts, and how far behind that its field lies.  If the start is
off by a header (14 bytes without the Ethernet header, 4 with a VLAN tag, 10 or 12 with a virtio-net header, ...), the
sum goes over other bytes and lands on another place: a port, a sequence number, an option, payload.  The checksum field
keeps the bare pseudo-header sum.

Such a sum gives itself away: it makes the bytes that it covers add up to the opposite of what it wrote over (RFC 1071).
So what was there before can be told from what is there now, and it is the same in every copy of a packet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final

from pktmend._core import checksum
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Proto

FIELDS: Final = {Proto.TCP: 16, Proto.UDP: 6}  # the checksum's offset in its header
SHIFTS: Final = (-14, -12, -10, -8, -4, 4, 8, 12, 18, 20, 22, 10, 14)  # bytes that a start may be off by
# 10 and 14 come last: there timestamps lie as a rule, which differ from copy to copy without being written over, and
# where one start makes the sums agree, so does another with nothing but constant bytes between the two.
SYN: Final = 0x02
PORT: Final = 2  # the destination port's offset: datagrams to one service agree in it, whatever else they hold


@dataclass(frozen=True)
class Misplaced:
    """Copies of one packet, each with another value at the same place.

    place: offset in the transport.     shift: bytes that the start was off by, 0 if that is not proven.
    was:   what was there before, -1 if that is not known.      values: what is there now, in the samples' order.
    """

    samples: tuple[Sample, ...]
    place: int
    values: tuple[int, ...]
    shift: int = 0
    was: int = -1

    @property
    def is_proven(self) -> bool:
        """The values are sums from a start that is off."""
        return self.was >= 0


def is_seed(s: Sample) -> bool:
    """Does its field hold the bare pseudo-header sum, and is the frame here whole?"""
    end = s.start + s.length
    return s.proto in FIELDS and s.seed is not None and s.stored == s.seed and end <= len(s.frame)


def written_over(s: Sample, shift: int, field: int = 0) -> tuple[int, int, int]:
    """Return (offset in the frame, value now, value before) of a completion that was off by *shift*; 0: none."""
    start, end = s.start + shift, s.start + s.length
    at = start + (field or FIELDS[s.proto])
    if start < 0 or at < s.start or at + 2 > end:
        return 0, 0, 0
    return at, int.from_bytes(s.frame[at : at + 2], "big"), checksum(s.frame[start:end])


def find(samples: Iterable[Sample]) -> list[Misplaced]:
    """Return what is proven, else segments of one number that went to different ports."""
    copies: dict[tuple[str, str, int, int, int], list[Sample]] = defaultdict(list)
    datagrams: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    syns: dict[tuple[str, str, int, bytes], list[Sample]] = defaultdict(list)
    for s in filter(is_seed, samples):
        copies[s.source, s.target, s.proto, s.length, s.ports[0]].append(s)
        if s.proto == Proto.UDP:
            datagrams[s.source, s.target].append(s)
        if s.proto == Proto.TCP and s.frame[s.start + 13] & SYN:
            syns[s.source, s.target, s.ports[0], s.frame[s.start + 4 : s.start + 8]].append(s)
    proven = [found for some in copies.values() if len(some) > 1 and (found := _proven(some))]
    known = {s for found in proven for s in found.samples}
    proven += [
        found
        for some in datagrams.values()
        if len(some) > 2 and not known & set(some) and (found := _proven(some)) and found.place == PORT
    ]
    known |= {s for found in proven for s in found.samples}
    ports = [
        Misplaced(tuple(some), PORT, tuple(s.ports[1] for s in some))
        for some in syns.values()
        if len({s.ports[1] for s in some}) > 1 and not known & set(some)
    ]
    return proven + ports


def _proven(some: list[Sample]) -> Misplaced | None:
    """Find the shift by which each of them had the same value before, and has another one now."""
    for shift in SHIFTS:
        told = [written_over(s, shift) for s in some]
        values = {value for _, value, _ in told}
        if told[0][0] and len({was for _, _, was in told}) == 1 and len(values) > 1:
            place = told[0][0] - some[0].start
            return Misplaced(tuple(some), place, tuple(value for _, value, _ in told), shift, told[0][2])
    return None


def over(before: bytes, s: Sample) -> tuple[int, int] | None:
    """Return (place, shift) of the completion that turned this transport into that of *s*; None if none did.

    It may also have been made as if for the other protocol: UDP completed at TCP's place.
    """
    now = s.frame[s.start : s.start + s.length]
    if s.proto not in FIELDS or len(now) != len(before):
        return None
    differ = {i for i, (x, y) in enumerate(zip(before, now, strict=True)) if x != y}
    for shift, field in product((0, *SHIFTS), FIELDS.values()) if differ else ():
        at, _, was = written_over(s, shift, field)
        place = at - s.start
        if at and differ <= {place, place + 1} and before[place : place + 2] == was.to_bytes(2, "big"):
            return place, shift
    return None
