"""Conversations as the engine's table has them, in Python's words."""

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
KINDS: Final = {  # what a packet carried: the engine's name
    "good": "good",
    "absent": "absent",
    "unchecked": "unchecked",
    "noted": "pending_flagged",
    "bare": "pending_unknown",
    "leaked": "leaked",
    "blank": "never_filled",
    "bad": "bad",
}
UNFINISHED: Final = ("noted", "bare", "leaked", "blank")


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a conversation; the numbers are those of pp_direction in ext/observe/conversation.h.

    kinds: packets by what they carried: KINDS.      replies: packets the other way.
    """

    version: int
    protocol: int
    source: str
    source_port: int
    target: str
    target_port: int
    replies: int
    packets: int
    kinds: dict[str, int]
    outgoing: int
    short_frames: int
    accepted: int
    again: int
    target_mac: str
    source_mac: str
    largest: int

    @property
    def unfinished(self) -> int:
        """Packets whose checksum was left to do, by whatever sign."""
        return sum(self.kinds[kind] for kind in UNFINISHED)

    @property
    def is_dead(self) -> bool:
        """TCP: unfinished segments were sent again, and never was one acknowledged."""
        return self.protocol == TCP and self.again > 0 and self.accepted == 0

    @property
    def flow(self) -> str:
        """`TCP 10.0.0.1:1234 > 10.0.0.2:80`."""
        name = PROTOCOLS.get(self.protocol, f"protocol {self.protocol}")
        ports = (0, 0) if self.protocol in ICMP else (self.source_port, self.target_port)
        return f"{name} {end_text(self.source, ports[0])} > {end_text(self.target, ports[1])}"


def ways_of(table: _core.Conversations) -> list[Direction]:
    """Return both directions of every conversation, those with packets only."""
    found = []
    for version, protocol, ends, both in table.rows():
        named = [dict(zip(_core.DIRECTION_FIELDS, values, strict=True)) for values in both]
        for i, way in enumerate(named):
            if way["packets"]:
                found.append(_way(version, protocol, ends[i], ends[1 - i], way, named[1 - i]["packets"]))
    return found


def _way(
    version: int, protocol: int, source: tuple[bytes, int], target: tuple[bytes, int], way: dict[str, Any], replies: int
) -> Direction:
    same = (
        "packets",
        "outgoing",
        "short_frames",
        "largest",
    )
    return Direction(
        version=version,
        protocol=protocol,
        source=address_text(source[0]),
        source_port=source[1],
        target=address_text(target[0]),
        target_port=target[1],
        replies=replies,
        kinds={kind: way[name] for kind, name in KINDS.items()},
        target_mac=mac_text(way["target_mac"]),
        source_mac=mac_text(way["source_mac"]),
        accepted=way["acked"],
        again=way["retransmitted"],
        **{name: way[name] for name in same},
    )


def passing_pairs(ways: Iterable[Direction]) -> Counter[frozenset[str]]:
    """Return {two hosts: echo messages} of those between whom ICMP echo passes both ways, its sums right."""
    found: Counter[frozenset[str]] = Counter()
    for way in ways:
        if way.protocol in ICMP and way.source_port and way.replies and way.kinds["good"]:
            found[frozenset((way.source, way.target))] += way.kinds["good"]
    return found
