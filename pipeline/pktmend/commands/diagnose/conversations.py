"""Conversations as the engine's table has them, in Python's words.  The engine's names occur in this file only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pktmend import _core
from pktmend.commands.diagnose.samples import address_text, end_text, mac_text

ICMP: Final = (1, 58)
TCP: Final = 6
PROTOCOLS: Final = {1: "ICMP", 6: "TCP", 17: "UDP", 33: "DCCP", 58: "ICMPv6", 132: "SCTP", 136: "UDP-Lite"}

FIELDS: Final = _core.DIRECTION_FIELDS
KINDS: Final = ("good", "unchecked", "pending_flagged", "pending_unknown", "leaked", "never_filled")
NUMBERS: Final = (
    "packets",
    "outgoing",
    "short_frames",
    "acked",
    "retransmitted",
    "largest",
    "duplicates",
    "in_vain",
    "again_shortest",
    "passed_longest",
)
PARTIAL: Final = ("pending_flagged", "pending_unknown", "leaked", "never_filled")


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a conversation.

    kinds:         packets by what they carried: KINDS.       replies: packets of the other direction.
    outgoing:      sent by the host of the tap.               short_frames: below Ethernet's 60 bytes.
    acked:         TCP: partial segments that were acknowledged, SACK included; others: partial packets with an answer.
    retransmitted: TCP: partial segments sent again unacknowledged.       largest: bytes of the longest frame.
    duplicates:    TCP: partial segments after which the other end repeated an acknowledgment: they arrived.
    in_vain:       TCP: partial segments sent again since something last arrived.
    again_shortest, passed_longest: TCP: bytes of the shortest partial frame that was sent again, and of the longest
                   that arrived; 0: none.
    """

    protocol: int
    source: str
    source_port: int
    target: str
    target_port: int
    source_mac: str
    replies: int
    kinds: dict[str, int]
    packets: int
    outgoing: int
    short_frames: int
    acked: int
    retransmitted: int
    largest: int
    duplicates: int = 0
    in_vain: int = 0
    again_shortest: int = 0
    passed_longest: int = 0

    @property
    def partial(self) -> int:
        """Packets whose checksum was left to do, by whatever sign."""
        return sum(self.kinds[kind] for kind in PARTIAL)

    @property
    def is_dead(self) -> bool:
        """TCP: partial segments were sent again, and nothing shows that one ever arrived."""
        return self.protocol == TCP and self.retransmitted > 0 and self.acked == 0 and self.duplicates == 0

    @property
    def is_stuck(self) -> bool:
        """TCP: partial segments arrived, and then some were sent again and again in vain."""
        return self.protocol == TCP and self.in_vain >= 2 and (self.acked > 0 or self.duplicates > 0)

    @property
    def is_too_long(self) -> bool:
        """Those sent in vain are longer than all that arrived: as if the path had a smaller MTU than its ends know."""
        return self.is_stuck and 0 < self.passed_longest < self.again_shortest

    @property
    def flow(self) -> str:
        """`TCP 10.0.0.1:1234 > 10.0.0.2:80`."""
        name = PROTOCOLS.get(self.protocol, f"protocol {self.protocol}")
        ports = (0, 0) if self.protocol in ICMP else (self.source_port, self.target_port)
        return f"{name} {end_text(self.source, ports[0])} > {end_text(self.target, ports[1])}"


def directions_of(table: _core.Conversations) -> list[Direction]:
    """Return both directions of every conversation, those with packets only."""
    found = []
    for _, protocol, ends, both in table.rows():
        counted = [dict(zip(FIELDS, values, strict=True)) for values in both]
        for i, one in enumerate(counted):
            if one["packets"]:
                found.append(_direction(protocol, ends[i], ends[1 - i], one, counted[1 - i]["packets"]))
    return found


def _direction(
    protocol: int, source: tuple[bytes, int], target: tuple[bytes, int], counted: dict[str, Any], replies: int
) -> Direction:
    return Direction(
        protocol=protocol,
        source=address_text(source[0]),
        source_port=source[1],
        target=address_text(target[0]),
        target_port=target[1],
        source_mac=mac_text(counted["source_mac"]),
        replies=replies,
        kinds={kind: counted[kind] for kind in KINDS},
        **{name: counted[name] for name in NUMBERS},
    )


def echoes_between(directions: Iterable[Direction]) -> Counter[frozenset[str]]:
    """Return {two hosts: echo messages} of the pairs whose ICMP echo passes in both directions with right sums."""
    found: Counter[frozenset[str]] = Counter()
    for d in directions:
        if d.protocol in ICMP and d.source_port and d.replies and d.kinds["good"]:
            found[frozenset((d.source, d.target))] += d.kinds["good"]
    return found
