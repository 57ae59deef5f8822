"""Where was the capture taken?  What became of partial checksums tells.

A field that holds the pseudo-header sum looks the same at the sender, where it is healthy, and beyond a hop that lost
the kernel's metadata.  The difference is what happens next:

| seen                                                                       | so                                     |
|----------------------------------------------------------------------------|----------------------------------------|
| partial segments are acknowledged, and no completed copy went by           | they were completed later: healthy     |
| an acknowledgment is repeated right after later partial segments           | likewise, less surely                  |
| only the longest segments are sent again, shorter ones arrive              | the path's MTU, not their checksums    |
| partial datagrams get answers                                              | likewise, less surely                  |
| frames longer than any link carries                                        | seen on a host, before they are split  |
| partial segments are sent again and never acknowledged, ICMP passes        | nobody completed them                  |
| one host's are partial, the others' are good                               | taken on that host                     |

What is never claimed: that a connection without an answer has lost its checksum, unless something else shows that its
path works, or of a host whose other partial segments are acknowledged.  A firewall and a dead host look the same.
"""

from __future__ import annotations

import enum
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pktmend.commands.diagnose.conversations import PARTIAL, PROTOCOLS, TCP, Direction, echoes_between
from pktmend.commands.diagnose.decision import Confidence, Fact
from pktmend.commands.diagnose.facts.capture_point import (
    Acked,
    Answered,
    LongFrames,
    Loopback,
    Point,
    Repeated,
    SentAgain,
    ShortFrames,
    TakenOn,
    ToItself,
    TooLong,
    Unanswered,
    WentSilent,
)

LARGEST_FRAME: Final = 9234  # jumbo frames with tags; longer ones exist in hosts only


class Outcome(enum.Enum):
    """What became of the partial packets."""

    COMPLETED = enum.auto()  # after this tap: healthy
    LOST = enum.auto()  # nothing partial gets through
    SILENT = enum.auto()  # sent again without an answer, and nothing shows that the path works
    OPEN = enum.auto()


@dataclass
class Path:
    """Partial packets from one host to another and what became of them.

    acked: acknowledged segments.         answered: other packets with an answer.
    duplicates: segments that made the receiver repeat an acknowledgment.
    dead:  TCP directions that were never acknowledged although sent again.
    echoes, went_on: what else passes between the two: ICMP echo messages, or packets of the other direction.
    """

    source: str
    target: str
    acked: int = 0
    answered: int = 0
    duplicates: int = 0
    dead: list[Direction] = field(default_factory=list)
    echoes: int = 0

    @property
    def retransmitted(self) -> int:
        """Segments sent again in vain."""
        return sum(d.retransmitted for d in self.dead)

    @property
    def went_on(self) -> int:
        """Packets by which the other host showed that it is there, and acknowledged nothing."""
        return sum(d.replies for d in self.dead)

    @property
    def is_lost(self) -> bool:
        """Nothing that is partial gets through, and something shows that the path itself works."""
        arrives = self.acked or self.duplicates
        return bool(self.dead) and not arrives and bool(self.echoes or self.went_on)

    @property
    def source_mac(self) -> str:
        """Of what was sent again; empty if nothing was."""
        return self.dead[0].source_mac if self.dead else ""


@dataclass(frozen=True)
class CapturePoint:
    """What was inferred; paths: those that are lost or silent."""

    outcome: Outcome
    confidence: Confidence
    facts: tuple[Fact, ...]
    paths: tuple[Path, ...] = ()


def paths_of(directions: Sequence[Direction]) -> list[Path]:
    """Return the paths between hosts on which something partial was seen."""
    paths: dict[tuple[str, str], Path] = {}
    echoes = echoes_between(directions)
    for d in directions:
        if not d.partial:
            continue
        path = paths.setdefault((d.source, d.target), Path(d.source, d.target))
        path.echoes = echoes[frozenset((d.source, d.target))]
        if d.protocol == TCP:
            path.acked += d.acked
            path.duplicates += d.duplicates
        else:
            path.answered += d.acked
        if d.is_dead:
            path.dead.append(d)
    return list(paths.values())


def infer(directions: Sequence[Direction], *, has_metadata: bool) -> CapturePoint:
    """Infer where a capture was taken from its conversations.

    has_metadata: the source itself says which are partial, so that at this tap they are healthy for certain.
    """
    paths = paths_of(directions)
    proven = {path.source for path in paths if path.acked or path.duplicates}  # completed after this tap
    lost = [path for path in paths if path.is_lost and path.source not in proven]
    if lost:
        return CapturePoint(Outcome.LOST, Confidence.LIKELY, _sent_again(lost), tuple(lost))
    on_host = _on_host(directions)
    acked = sum(path.acked for path in paths)
    stuck = _stuck(directions)
    if acked:
        facts = (Acked(acked), *stuck, *on_host, *_unanswered(paths))
        return CapturePoint(Outcome.COMPLETED, Confidence.LIKELY if stuck else Confidence.CERTAIN, facts)
    duplicates = sum(path.duplicates for path in paths)
    if duplicates:
        facts = (Repeated(duplicates), *stuck, *on_host, *_unanswered(paths))
        return CapturePoint(Outcome.COMPLETED, Confidence.LIKELY, facts)
    silent = [path for path in paths if path.retransmitted >= 2]
    answered = sum(path.answered for path in paths)
    if silent and not answered:
        return CapturePoint(Outcome.SILENT, Confidence.POSSIBLE, _sent_again(silent), tuple(silent))
    if has_metadata:
        return CapturePoint(Outcome.COMPLETED, Confidence.CERTAIN, (Point.METADATA, *on_host))
    facts = (Answered(answered), *on_host) if answered else on_host
    if not facts:
        return CapturePoint(Outcome.OPEN, Confidence.POSSIBLE, ())
    is_certain = any(isinstance(fact, Loopback | LongFrames) for fact in facts)
    return CapturePoint(Outcome.COMPLETED, Confidence.CERTAIN if is_certain else Confidence.LIKELY, facts)


def _sent_again(paths: list[Path]) -> tuple[Fact, ...]:
    return tuple(
        SentAgain(path.source, path.target, path.retransmitted, path.echoes, path.went_on) for path in paths[:4]
    )


def _unanswered(paths: list[Path]) -> tuple[Fact, ...]:
    dead = [path.dead for path in paths if path.dead]
    flows = tuple(directions[0].flow for directions in dead[:3])
    return (Unanswered(sum(map(len, dead)), flows),) if dead else ()


def _stuck(directions: Iterable[Direction]) -> tuple[Fact, ...]:
    """Conversations that worked until something was sent again in vain: too long for the path, or the end has gone."""
    stuck = [d for d in directions if d.is_stuck]
    return tuple(
        TooLong(d.flow, d.in_vain, d.again_shortest, d.passed_longest)
        if d.is_too_long
        else WentSilent(d.flow, d.in_vain)
        for d in stuck[:2]
    )


def stays_on_host(flows: Iterable[tuple[str, str]]) -> tuple[Fact, ...]:
    """Say so if the packets of these (source, target) never leave their host: all of loopback, or all to itself."""
    flows = set(flows)
    if not flows or not all(source and target for source, target in flows):
        return ()
    ends = tuple(sorted({end for flow in flows for end in flow}))
    if all(ipaddress.ip_address(end).is_loopback for end in ends):
        return (Loopback(ends),)
    return (ToItself(ends),) if all(source == target for source, target in flows) else ()


def _on_host(directions: Sequence[Direction]) -> tuple[Fact, ...]:
    """What shows that the tap sits on a host, before frames are completed."""
    facts: list[Fact] = []
    facts += stays_on_host((d.source, d.target) for d in directions if d.partial)
    longest = max((d.largest for d in directions if d.partial), default=0)
    if longest > LARGEST_FRAME:
        facts.append(LongFrames(longest))
    sources = _by_source(directions)
    partial = {source for source, (good, left) in sources.items() if left and not good}
    good = {source for source, (good, left) in sources.items() if good and not left}
    if len(partial) == 1 and good:
        (host,) = partial
        facts.append(TakenOn(host))
        if _short_frames(directions, {host}) and not _short_frames(directions, good):
            facts.append(ShortFrames(host))
    return tuple(facts)


def _short_frames(directions: Iterable[Direction], sources: set[str]) -> int:
    return sum(d.short_frames for d in directions if d.source in sources)


def _by_source(directions: Iterable[Direction]) -> dict[str, tuple[int, int]]:
    """{host: (good packets, partial ones)} of protocols that senders leave partial."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for d in directions:
        if PROTOCOLS.get(d.protocol) in ("TCP", "UDP"):
            good, partial = found[d.source]
            found[d.source] = good + d.kinds["good"], partial + sum(d.kinds[kind] for kind in PARTIAL)
    return found
