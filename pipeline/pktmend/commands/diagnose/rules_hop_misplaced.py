"""The rule on a hop that writes completed checksums to the wrong place, with a tap on either side of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pktmend.commands.diagnose.case import SURE
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.misplaced import OtherEachTime, SumOfOtherBytes, WrittenOver
from pktmend.commands.diagnose.misplaced import FIELDS, SYN, over
from pktmend.commands.diagnose.pairs import Change
from pktmend.commands.diagnose.remedies import misplaced_at
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Proto, Status


def misplaced(changes: Iterable[Change]) -> list[Decision]:
    """Pending before, still the bare pseudo-header sum behind, and a place in between overwritten with a checksum."""
    left = [(change, s) for change in changes if (s := _left(change)) is not None]
    proven = [(change, s, found) for change, s in left if (found := over(change.before.transport, s))]
    if proven:
        change, s, (place, shift) = proven[0]
        was = int.from_bytes(change.before.transport[place : place + 2], "big")
        facts: tuple[Fact, ...] = (
            WrittenOver(len(proven), len(left), s.proto, place),
            SumOfOtherBytes(s.proto, place, shift, was),
        )
        confidence = Confidence.CERTAIN if len(proven) >= SURE else Confidence.LIKELY
        return [_decision(facts, [s for _, s, _ in proven], confidence)]
    for some in _ports_that_vary(left).values():
        ports = tuple(s.ports[1] for s in some)
        if len(set(ports)) > 1:
            facts = (OtherEachTime(len(some), some[0].flow, some[0].proto, 2, ports),)
            return [_decision(facts, some, Confidence.LIKELY)]
    return []


def _left(change: Change) -> Sample | None:
    """The innermost check behind, if it was left to do before and holds S on both sides."""
    before, behind = change.before.inner, change.behind.inner
    if before is None or behind is None or before.proto != behind.proto or before.proto not in FIELDS:
        return None
    is_left = before.status == Status.PENDING and behind.seed is not None and behind.stored == behind.seed
    return behind if is_left and before.stored == before.seed else None


def _ports_that_vary(left: Iterable[tuple[Change, Sample]]) -> dict[tuple[object, ...], list[Sample]]:
    """SYNs of one number that went to one port before, and to another behind."""
    found: dict[tuple[object, ...], list[Sample]] = defaultdict(list)
    for change, s in left:
        first = change.before.inner
        transport = change.behind.transport
        if first is not None and s.proto == Proto.TCP and transport[13] & SYN and first.ports[1] != s.ports[1]:
            found[first.source, first.target, first.ports, transport[4:8]].append(s)
    return found


def _decision(facts: tuple[Fact, ...], samples: list[Sample], confidence: Confidence) -> Decision:
    return Decision(
        cause=RootCause.MISPLACED_COMPLETION,
        confidence=confidence,
        facts=facts,
        samples=tuple(samples),
        counts={"packets": len(samples)},
        remedies=misplaced_at(samples[0].source),
    )
