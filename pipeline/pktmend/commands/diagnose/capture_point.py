"""Where was the capture taken?  What became of unfinished packets tells.

A field that holds the pseudo-header sum looks the same at the sender, where it is healthy, and beyond a hop that lost
the kernel's note.  The difference is what happens next:

| seen                                                                       | so                                   |
|----------------------------------------------------------------------------|--------------------------------------|
| unfinished segments are acknowledged, and no finished copy went by         | somebody finished them later: healthy|
| unfinished datagrams get answers                                           | likewise, less surely                |
| frames longer than any link carries                                        | seen on a host, before they are split|
| unfinished segments are sent again and never acknowledged, ICMP passes     | nobody finished them                 |
| one host's are unfinished, the others' are good                            | taken on that host                   |

What is never claimed: that a connection without an answer has lost its checksum, unless something else shows that its
path works, or of a host whose other unfinished segments are acknowledged.  A firewall and a dead host look the same.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pktmend.commands.diagnose.conversations import PROTOCOLS, TCP, UNFINISHED, Direction, passing_pairs
from pktmend.commands.diagnose.finding import times
from pktmend.console.plural import quantity

LARGEST_FRAME: Final = 9234  # jumbo frames with tags; longer ones exist in hosts only
ETHERNET_SHORTEST: Final = 60


@dataclass
class Path:
    """Unfinished packets from one host to another and what became of them.

    accepted: acknowledged segments.   answered: other packets with an answer.
    dead:     TCP ways that were never acknowledged although sent again.     again: how often that was.
    works:    what else shows that packets pass between the two, for people; empty if nothing does.
    """

    source: str
    target: str
    unfinished: int = 0
    accepted: int = 0
    answered: int = 0
    dead: list[Direction] = field(default_factory=list)
    works: str = ""

    @property
    def again(self) -> int:
        """Segments sent again in vain."""
        return sum(way.again for way in self.dead)

    @property
    def is_lost(self) -> bool:
        """Nothing that is unfinished gets through, and something shows that the path itself works."""
        return bool(self.dead) and not self.accepted and bool(self.works)


@dataclass
class CapturePoint:
    """What was inferred; evidence is for people.

    verdict:    "finished-later" (healthy), "lost" (beyond a hop that loses the note, or before it and nothing gets
                through), "silent" (sent again without an answer, and nothing shows that the path works) or "open".
    confidence: certain, likely or possible.
    """

    verdict: str
    confidence: str
    evidence: list[str]
    lost: list[Path] = field(default_factory=list)


def paths_of(ways: Iterable[Direction]) -> list[Path]:
    """Return the paths between hosts on which something unfinished was seen."""
    paths: dict[tuple[str, str], Path] = {}
    ways = list(ways)
    passing = passing_pairs(ways)
    for way in ways:
        if not way.unfinished:
            continue
        path = paths.setdefault((way.source, way.target), Path(way.source, way.target))
        path.unfinished += way.unfinished
        if way.protocol == TCP:
            path.accepted += way.accepted
        else:
            path.answered += way.accepted
        if way.is_dead:
            path.dead.append(way)
    for path in paths.values():
        echo = passing[frozenset((path.source, path.target))]
        back = sum(way.replies for way in path.dead)
        if echo:
            path.works = f"ICMP between the two passes ({quantity(echo, 'echo message')})"
        elif back:
            path.works = f"{path.target} went on sending ({quantity(back, 'packet')}) and acknowledged none of them"
    return list(paths.values())


def infer(ways: list[Direction], *, is_noted: bool) -> CapturePoint:
    """Infer the place of a capture from its conversations.

    is_noted: the source itself says which are unfinished, so that at this tap they are healthy for certain.
    """
    paths = paths_of(ways)
    proven = {path.source for path in paths if path.accepted}  # what these leave unfinished is finished after this tap
    lost = [path for path in paths if path.is_lost and path.source not in proven]
    accepted = sum(path.accepted for path in paths)
    evidence = _lost_lines(lost)
    if lost:
        return CapturePoint("lost", "likely", evidence, lost)
    if accepted:
        return CapturePoint(
            "finished-later",
            "certain",
            [
                f"unfinished segments were acknowledged {times(accepted)}, and no finished copy of them went by: "
                "somebody finished them after this tap",
                *_host_lines(ways),
                *_dead_lines(paths),
            ],
        )
    silent = [path for path in paths if path.again >= 2]
    if silent and not any(path.answered for path in paths):
        return CapturePoint("silent", "possible", _lost_lines(silent), silent)
    host = _host_lines(ways)
    if is_noted:
        return CapturePoint("finished-later", "certain", ["the kernel's note that they are unfinished is there", *host])
    answered = sum(path.answered for path in paths)
    if answered:
        host.insert(0, f"{quantity(answered, 'unfinished packet was')} answered: whoever answered took them as right")
    is_certain = (
        bool(_never_leaves(ways)) or max((way.largest for way in ways if way.unfinished), default=0) > LARGEST_FRAME
    )
    return CapturePoint(
        "finished-later" if host else "open", "certain" if is_certain else "likely" if host else "possible", host
    )


def _lost_lines(lost: list[Path]) -> list[str]:
    lines = []
    for path in lost[:4]:
        why = f"; {path.works}" if path.works else "; nothing shows that the path works at all"
        lines.append(
            f"unfinished segments {path.source} > {path.target} were sent again {times(path.again)} and "
            f"never acknowledged{why}"
        )
    return lines


def _dead_lines(paths: list[Path]) -> list[str]:
    dead = [path for path in paths if path.dead]
    if not dead:
        return []
    flows = ", ".join(way.flow for path in dead[:3] for way in path.dead[:1])
    count = sum(len(path.dead) for path in dead)
    return [
        f"{quantity(count, 'connection')} had no answer ({flows}); the checksums are unfinished like "
        "those that were acknowledged, so that a closed port or a firewall explains it, or a hop "
        "further on: tap behind it to know"
    ]


def _host_lines(ways: list[Direction]) -> list[str]:
    """What shows that the tap sits on a host, before frames are finished."""
    lines = _never_leaves(ways)
    longest = max((way.largest for way in ways if way.unfinished), default=0)
    if longest > LARGEST_FRAME:
        lines.append(
            f"frames of up to {longest} octets, longer than any link carries: seen on a host, before they are split"
        )
    sources = _by_source(ways)
    mine = {source for source, counts in sources.items() if counts["unfinished"] and not counts["good"]}
    others = {source for source, counts in sources.items() if counts["good"] and not counts["unfinished"]}
    if len(mine) == 1 and others:
        (host,) = mine
        lines.append(
            f"all that {host} sent is unfinished and all that the others sent is good: taken on {host}, or "
            "next to it on the same machine"
        )
        short = sum(way.short_frames for way in ways if way.source == host)
        if short and not any(way.short_frames for way in ways if way.source in others):
            lines.append(f"only frames of {host} are shorter than the {ETHERNET_SHORTEST} octets that a wire carries")
    return lines


def _never_leaves(ways: list[Direction]) -> list[str]:
    """All that is unfinished is between loopback addresses (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3)."""
    ends = {end for way in ways if way.unfinished for end in (way.source, way.target)}
    if ends and all(ipaddress.ip_address(end).is_loopback for end in ends):
        return [f"{' and '.join(sorted(ends))}: loopback addresses, whose packets never leave their host"]
    return []


def _by_source(ways: list[Direction]) -> dict[str, dict[str, int]]:
    """{host: {"good": packets, "unfinished": packets}} of protocols that senders leave unfinished."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"good": 0, "unfinished": 0})
    for way in ways:
        if way.protocol in PROTOCOLS and PROTOCOLS[way.protocol] in ("TCP", "UDP"):
            found[way.source]["good"] += way.kinds["good"]
            found[way.source]["unfinished"] += sum(way.kinds[kind] for kind in UNFINISHED)
    return found
