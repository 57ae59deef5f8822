"""Companions: packets beside bad ones, whose sums are right or left to do.  A header that was rewritten spoils every
packet of its kind in a flow; a stuck bit or a card that miscalculates leaves others of the same kind good.

Rules of this file:
1. Nothing is looked at until a packet is bad, and so many packets at most from then on.
2. Only what goes between two hosts that also have a bad packet is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import Final

from pktmend import _core
from pktmend.commands.diagnose.samples import Sample, addresses_of, layer_of, ports_of
from pktmend.enums import CheckFlag, Proto, Status

LOOKS: Final = 10_000  # some 30 us each
KEPT: Final = 256  # of each flow and kind
HEAD: Final = 160  # bytes, enough for the headers of a tunnelled packet
ACK: Final = 0x10
ICMP_ERRORS: Final = {Proto.ICMP: (3, 4, 5, 11, 12), Proto.ICMPV6: (1, 2, 3, 4)}

Ends = tuple[str, str, tuple[int, int]]
Key = tuple[Proto, str, str, tuple[int, int], str]


def kind_of(frame: bytes, proto: Proto, start: int, length: int) -> str:
    """Return what a change of headers would spoil alike: SYNs (options), segments with a payload, ICMP errors, ...

    proto, start, length: of the check.  Of an IP header it is the protocol that it carries.
    """
    if proto == Proto.TCP and start + 13 < len(frame):
        if frame[start + 13] & 2:
            return "syn"
        return "data" if length > (frame[start + 12] >> 4) * 4 else "empty"
    if proto in ICMP_ERRORS and start < len(frame):
        return "error" if frame[start] in ICMP_ERRORS[proto] else f"message {frame[start]}"
    if proto == Proto.IP and start + 9 < len(frame):
        return f"protocol {frame[start + 9]}"
    return ""


def key_of(s: Sample) -> Key:
    """Return the flow and kind of a bad check."""
    ports = (0, 0) if s.proto == Proto.IP else s.ports
    return s.proto, s.source, s.target, ports, kind_of(s.frame, s.proto, s.start, s.length)


def ends_of(s: Sample) -> Ends:
    """Return the flow of a bad check."""
    return s.source, s.target, s.ports


class Companions:
    """What was seen beside bad packets.

    good: {flow and kind: numbers of packets whose check is right}.      acks: {flow: [(number, acknowledged)]}.
    """

    def __init__(self) -> None:
        self.good: dict[Key, list[int]] = defaultdict(list)
        self.acks: dict[Ends, list[tuple[int, int]]] = defaultdict(list)
        self._pairs: set[frozenset[str]] = set()
        self._looks = 0

    def watch(self, source: str, target: str) -> None:
        """Look out for packets between these two."""
        self._pairs.add(frozenset((source, target)))

    def collect(self, batch: _core.Batch) -> None:
        """Reads: status, checks, frames.  Writes: nothing."""
        if not self._pairs or self._looks >= LOOKS:
            return
        every = (Status.GOOD, Status.ABSENT, Status.UNCHECKED, Status.PENDING, Status.BAD)
        found = sorted(i for status in every for i in batch.where(status=status))[: LOOKS - self._looks]
        self._looks += len(found)
        for i in found:
            self._look(batch, i)

    def _look(self, batch: _core.Batch, i: int) -> None:
        frame = batch.head(i, HEAD)
        layers = batch.layers_of(i)
        ends = [addresses_of(frame, layer[0], layer[2]) for layer in layers]
        if not any(frozenset(pair) in self._pairs for pair in ends):
            return
        for k in batch.checks_of(i):
            if k.flags & CheckFlag.QUOTED:
                continue
            l3, l4, version, protocol = layer_of(layers, k)
            source, target = addresses_of(frame, l3, version) if version else ("", "")
            ports = ports_of(frame, l4, protocol)
            proto = Proto(k.proto)
            if proto == Proto.TCP:
                self._keep_ack(batch.number[i], (source, target, ports), frame, k.start)
            if k.status != Status.GOOD:
                continue
            kind = kind_of(frame, proto, k.start, k.length)
            kept = self.good[proto, source, target, (0, 0) if proto == Proto.IP else ports, kind]
            kept[KEPT - 1 :] = [batch.number[i]]  # the last one always: from where to where they go is asked for

    def _keep_ack(self, n: int, ends: Ends, frame: bytes, start: int) -> None:
        if start + 14 <= len(frame) and frame[start + 13] & ACK and len(self.acks[ends]) < KEPT:
            self.acks[ends].append((n, int.from_bytes(frame[start + 8 : start + 12], "big")))

    @property
    def is_exhausted(self) -> bool:
        """Not all were looked at."""
        return self._looks >= LOOKS

    def good_of(self, key: Key) -> list[int]:
        """Return the numbers of the packets of that flow and kind that are right."""
        return sorted(self.good.get(key, ()))

    def good_between(self, key: Key) -> list[int]:
        """Return the same of all flows of that kind from the one host to the other, whatever their ports."""
        proto, source, target, _, kind = key
        some = [
            numbers
            for (one, a, b, _, other), numbers in self.good.items()
            if (one, a, b, other) == (proto, source, target, kind)
        ]
        return sorted(n for numbers in some for n in numbers)

    def is_acknowledged(self, s: Sample) -> bool:
        """A later packet of the other side acknowledges all that this TCP segment carries."""
        frame, at = s.frame, s.start
        if s.proto != Proto.TCP or at + 14 > len(frame):
            return False
        header = (frame[at + 12] >> 4) * 4
        length = max(0, s.length - header) + bool(frame[at + 13] & 2) + bool(frame[at + 13] & 1)
        end = int.from_bytes(frame[at + 4 : at + 8], "big") + length
        back = self.acks.get((s.target, s.source, s.ports[::-1]), ())
        return bool(length) and any(n > s.n and (acked - end) % (1 << 32) < 1 << 24 for n, acked in back)


def lie_between(numbers: list[int], first: int, last: int) -> int:
    """How many of these sorted *numbers* lie between the first and the last."""
    return max(0, bisect_left(numbers, last) - bisect_right(numbers, first))
