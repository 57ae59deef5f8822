"""Rules on packets that were seen before and behind a hop.

Rules of this file:
1. The hop is blamed for what was all right before it and is wrong behind it, and for nothing else.
2. What was wrong at the first tap already is that tap's decision.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.facts.hop import (
    ChangedBits,
    ChangedChecks,
    ChangedContents,
    ChangedField,
    Hop,
    Rewrote,
)
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.tap import SeenAt
from pktmend.commands.diagnose.habits import may_sign, surely_changed, told_from_damage
from pktmend.commands.diagnose.journey import journey
from pktmend.commands.diagnose.loss import decide_lost
from pktmend.commands.diagnose.match import HEALTHY, Matched
from pktmend.commands.diagnose.pairs import Change
from pktmend.commands.diagnose.remedies import of_hop
from pktmend.commands.diagnose.rules_hop_misplaced import misplaced
from pktmend.commands.diagnose.samples import Sample, minus
from pktmend.enums import Cause, Proto, Reason, Status

if TYPE_CHECKING:
    from pktmend.commands.diagnose.host_context import HostContext

LOSSES: Final = (RootCause.METADATA_LOST, RootCause.TUNNEL_INNER_UNFINISHED)
FEW_BITS: Final = 2
AGAIN: Final = ("good", "pending")
SHOWN: Final = 2


@dataclass(frozen=True)
class TwoTaps:
    """Two taps and what became of the packets between them.

    changes: {(outcome before, outcome behind): compared pairs}.      host: the machine at A, None offline.
    """

    a: Tap
    b: Tap
    matched: Matched
    changes: dict[tuple[str, str], list[Change]]
    host: HostContext | None


@dataclass(frozen=True)
class Damage:
    """A check that is bad behind the hop and was not before, with what it was (None: it was not there)."""

    change: Change
    before: Sample | None
    behind: Sample


def decide(two: TwoTaps, at_a: Sequence[Decision], at_b: Sequence[Decision]) -> list[Decision]:
    """Return what the hop did, then what was wrong before it; at_a, at_b: what each tap shows alone."""
    two = replace(two, changes=told_from_damage(two.changes))
    found = _merge(
        decision
        for (before, behind), changes in two.changes.items()
        if before != behind and (behind not in HEALTHY or (before, behind) == AGAIN)
        for decision in _done(two, (before, behind), changes)
    )
    found += misplaced(change for changes in two.changes.values() for change in changes)
    known = {decision.cause for decision in found}
    for decision in at_a:
        if decision.cause.is_problem and decision.cause not in known and not _is_explained(decision, known):
            found.append(_seen_at(two.a, decision))
            known.add(decision.cause)
    if not found:
        found = [_seen_at(two.b, decision) for decision in at_b if _is_sure_fault(decision)][:1]
    if not found:
        found = _of_receiver(two, at_a, at_b)
    first, *others = sorted(found, key=lambda decision: decision.weight)
    return [replace(first, facts=(*first.facts, *journey(two.a, two.b, two.matched, two.changes))), *others]


def _seen_at(tap: Tap, decision: Decision) -> Decision:
    return replace(decision, facts=(SeenAt(tap.name), *decision.facts))


def _is_explained(decision: Decision, known: Container[RootCause]) -> bool:
    """Packets that were sent again in vain, as the first tap shows, are those that the hop spoilt."""
    is_spoilt = any(cause in known for cause in (*LOSSES, RootCause.MISPLACED_COMPLETION))
    return is_spoilt and all(s.status == Status.PENDING for s in decision.samples)


def _is_sure_fault(decision: Decision) -> bool:
    is_doubtful = decision.cause is RootCause.METADATA_LOST and decision.confidence is Confidence.POSSIBLE
    return decision.cause.is_problem and not is_doubtful


def _of_receiver(two: TwoTaps, at_a: Sequence[Decision], at_b: Sequence[Decision]) -> list[Decision]:
    """The hop changed nothing: say what the second tap shows, which is what a receiver gets."""
    if any(not decision.cause.is_healthy for decision in at_b):
        return list(at_b)
    healthy = [decision for decision in (at_b if two.b.counters.packets else at_a) if decision.cause.is_healthy]
    unread = [_seen_at(two.a, decision) for decision in at_a if decision.cause is RootCause.NOT_UNDERSTOOD]
    return [*unread, *healthy]


def _merge(found: Iterator[Decision]) -> list[Decision]:
    """One decision for each root cause."""
    merged: dict[RootCause, Decision] = {}
    for decision in found:
        first = merged.get(decision.cause)
        if first is not None:
            new = tuple(fact for fact in decision.facts if fact not in first.facts)
            counts = Counter(first.counts) + Counter(decision.counts)
            decision = replace(
                first, facts=first.facts + new, samples=first.samples + decision.samples, counts=dict(counts)
            )
        merged[decision.cause] = decision
    return list(merged.values())


def _done(two: TwoTaps, kind: tuple[str, str], changes: list[Change]) -> Iterator[Decision]:
    """Name what turned a packet that was all right before into one that is bad behind."""
    by_cause: dict[RootCause, list[Damage]] = defaultdict(list)
    is_all = True
    for change in changes:
        damage = damage_of(change)
        if damage is None:  # it was bad before
            is_all = False
        else:
            by_cause[cause_of(damage)].append(damage)
    is_all = is_all and len(by_cause) == 1
    for cause, some in by_cause.items():
        yield _decision(two, cause, kind, some, two.matched.counts[kind] if is_all else len(some))


def damage_of(change: Change) -> Damage | None:
    """Return the check that the hop made bad, the innermost one first; None if it made none bad."""
    for behind in reversed(change.behind.checks):
        if behind.status != Status.BAD and not _is_partial_again(change, behind):
            continue
        alike = [s for s in change.before.checks if s.proto == behind.proto]
        before = alike[-1] if alike else None
        updated = before is not None and _was_none(before) and behind.stored != 0
        if before is None or before.status != Status.BAD or _was_complete(before) or updated:
            return Damage(change, before, behind)
    return None


def cause_of(damage: Damage) -> RootCause:
    """Name one pair's root cause."""
    change, before, behind = damage.change, damage.before, damage.behind
    if before is not None and _was_none(before) and (behind.stored or change.is_translated):
        return RootCause.NAT_ON_ZERO
    if change.bit_count:
        return RootCause.BIT_ERRORS if change.bit_count <= FEW_BITS else RootCause.CORRUPTION
    if behind.cause in (Cause.LEAKED, Cause.INNER_PENDING) or behind.status == Status.PENDING:
        if before is not None and _was_complete(before):
            return RootCause.DOUBLE_COMPLETION
        is_wrapped = before is not None and before.depth < behind.depth
        return RootCause.TUNNEL_INNER_UNFINISHED if behind.depth and not is_wrapped else RootCause.METADATA_LOST
    if before is not None and before.status == Status.PENDING and is_left(before, behind):
        return RootCause.METADATA_LOST
    if behind.stored == 0:
        return RootCause.IP_HEADER_NEVER_FILLED if behind.proto == Proto.IP else RootCause.NEVER_FILLED
    kept = before is not None and bool(change.rewrote) and before.stored == behind.stored
    if change.is_translated or behind.cause in (Cause.HEADER_DELTA, Cause.NAT_DELTA) or kept:
        return RootCause.NAT_WITHOUT_UPDATE
    if behind.proto == Proto.SCTP:
        return RootCause.SCTP_WRONG_SUM
    return {
        Cause.LENGTH: RootCause.LENGTH_FAULT,
        Cause.BAD_SEED: RootCause.BAD_SEED,
        Cause.NOT_COMPLEMENTED: RootCause.WRONG_ARITHMETIC,
        Cause.BYTE_SWAPPED: RootCause.WRONG_ARITHMETIC,
        Cause.PSEUDO_HEADER: RootCause.WRONG_ARITHMETIC,
        Cause.COVERAGE: RootCause.WRONG_ARITHMETIC,
    }.get(behind.cause, RootCause.CORRUPTION)


def _is_partial_again(change: Change, behind: Sample) -> bool:
    """Was it complete before, and holds S behind without a mark?  A stack redoes what it coalesces or splits."""
    alike = [s for s in change.before.checks if s.proto == behind.proto]
    is_unmarked = behind.status == Status.PENDING and behind.reason == Reason.NO_METADATA
    return is_unmarked and bool(alike) and _was_complete(alike[-1]) and change.lengths[0] == change.lengths[1]


def is_left(before: Sample, behind: Sample) -> bool:
    """Is the field behind what was left to do before: as it was, or updated for what was rewritten as if complete?"""
    if before.seed is None or behind.seed is None or before.width != behind.width:
        return False
    moved = minus(behind.stored, before.stored)
    addresses = minus(behind.seed, before.seed)
    updates = [0, addresses, -addresses % 0xFFFF]
    if before.expected is not None and behind.expected is not None:
        all_of_it = minus(behind.expected, before.expected)
        updates += [all_of_it, minus(all_of_it, -addresses % 0xFFFF)]  # or the ports alone
    return moved in updates


def _was_none(s: Sample) -> bool:
    """A UDP checksum of zero: none over IPv4, not allowed over IPv6."""
    return s.status == Status.ABSENT or (s.proto == Proto.UDP and s.stored == 0)


def _was_complete(s: Sample) -> bool:
    return s.status == Status.GOOD or (s.cause == Cause.BAD_SEED and s.stored == s.expected)


def _decision(two: TwoTaps, cause: RootCause, kind: tuple[str, str], damages: list[Damage], total: int) -> Decision:
    samples = tuple(damage.behind for damage in damages)
    kinds = dict.fromkeys((str(d.behind.proto), _outcome(d.before), _outcome(d.behind)) for d in damages)
    fields = [
        ChangedField(d.change.before.n, d.change.behind.n, _field_values(d.before, d.behind)) for d in damages[:SHOWN]
    ]
    explain = EXPLAIN.get(cause)
    explained = [explain([damage.change for damage in damages])] if explain else []
    seen: list[Fact] = [ChangedChecks(total, tuple(kinds)), *fields, *explained]
    counts = {" to ".join(kind): total}
    case = Case(two.b, two.host)
    if cause not in LOSSES:
        confidence = surely_changed(cause, [damage.change for damage in damages])
        return Decision(
            cause=cause,
            confidence=confidence,
            facts=tuple(seen),
            samples=samples,
            counts=counts,
            remedies=of_hop(cause, case.sender(samples[0]), samples),
            bridge=case.bridge(cause, samples) if may_sign(cause, confidence) else None,
        )
    lost = decide_lost(
        case,
        samples,
        counts=counts,
        seen=seen,
        confidence=Confidence.LIKELY,
        was_pending=True,
        before=[damage.before for damage in damages if damage.before is not None],
    )
    moved = [damage for damage in damages if damage.behind.stored != damage.behind.seed]
    limits: tuple[Fact, ...] = (Limit.REPAIRS_BEFORE_NAT,) if moved else ()
    if moved:
        is_updated = all(d.before is not None and d.before.stored != d.behind.stored for d in moved)
        how = (Hop.UPDATED_AS_IF_COMPLETE,) if is_updated else ()
        lost = replace(lost, facts=(_rewrote([damage.change for damage in moved]), *how, *lost.facts))
    if kind[0] == "pending" and two.a.has_metadata:
        return replace(lost, confidence=Confidence.CERTAIN, limits=limits)
    return replace(lost, limits=(Limit.NO_METADATA_BEFORE, *limits))


def _outcome(s: Sample | None) -> str:
    return "missing" if s is None else str(s.cause) if s.status == Status.BAD else str(s.status)


def _field_values(before: Sample | None, behind: Sample) -> tuple[str, str, str]:
    """The field before, behind, and as it should be."""
    return before.hex(before.stored) if before else "-", behind.hex(behind.stored), behind.hex(behind.expected)


def _changed_bits(changes: list[Change]) -> Fact:
    first = tuple(bits for change in changes[:SHOWN] for bits in change.bits[:SHOWN])
    total = sum(change.lengths[0] for change in changes) * 8
    return ChangedBits(sum(change.bit_count for change in changes), total, len(changes), first)


def _changed_contents(changes: list[Change]) -> Fact:
    change = next((change for change in changes if change.bits), None)
    if change is None:
        return Hop.SUM_ALONE
    return ChangedContents(change.behind.n, len(change.bits), change.bits[0][0], change.bits[-1][0])


def _rewrote(changes: list[Change]) -> Fact:
    return Rewrote(tuple(Counter(name for change in changes for name in change.rewrote).most_common(5)))


EXPLAIN: Final[dict[RootCause, Callable[[list[Change]], Fact]]] = {
    RootCause.BIT_ERRORS: _changed_bits,
    RootCause.CORRUPTION: _changed_contents,
    RootCause.NAT_WITHOUT_UPDATE: _rewrote,
    RootCause.NAT_ON_ZERO: _rewrote,
    RootCause.DOUBLE_COMPLETION: lambda _: Hop.COMPLETED_AGAIN,
}
