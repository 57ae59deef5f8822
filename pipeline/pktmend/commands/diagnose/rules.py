"""From evidence to decisions.

Rules of this file:
1. Each rule claims the bad packets that it explains; what is claimed is not explained twice.
2. `certain` needs a proof that nothing else makes, `likely` a good reason, `possible` says what would prove it.
3. A healthy result is never claimed over packets that are bad for another reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pktmend.commands.diagnose import (
    rules_arithmetic,
    rules_crc,
    rules_datagrams,
    rules_dhcp,
    rules_empty,
    rules_engine,
    rules_file,
    rules_flags,
    rules_icmp,
    rules_malformed,
    rules_misplaced,
    rules_partial,
    rules_rewritten,
    rules_same,
    rules_sctp,
    rules_unread,
    rules_wrong,
)
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import CAUSES, SIGN, RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Rejected, least_sure
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.facts.limits import CutOff, Unchecked
from pktmend.commands.diagnose.facts.tap import NoPacket, Totals
from pktmend.commands.diagnose.weigh import weigh

if TYPE_CHECKING:
    from pktmend.commands.diagnose.host_context import HostContext

# in this order: what is more special first
RULES: Final[tuple[Callable[[Case], list[Decision]], ...]] = (
    rules_flags.stray,
    rules_flags.verified,
    rules_file.rewritten_capture,
    rules_flags.flagged,
    rules_flags.finished,
    rules_crc.other_sums,
    rules_crc.rewritten,
    rules_sctp.sctp,
    rules_misplaced.misplaced,
    rules_dhcp.dhcp,
    rules_arithmetic.several,
    rules_wrong.coalesced,
    rules_file.replaced_contents,
    rules_icmp.icmp,
    rules_partial.leaked,
    rules_datagrams.unanswered,
    rules_partial.pending,
    rules_arithmetic.computed_zero,
    rules_empty.empty,
    rules_engine.summed_twice,
    rules_rewritten.nat_on_zero,
    rules_rewritten.rewritten,
    rules_arithmetic.arithmetic,
    rules_arithmetic.length,
    rules_malformed.changed_length,
    rules_wrong.super_frames,
    rules_same.unproven,
    rules_same.same_value,
    rules_same.seeds,
    rules_same.both_sums,
    rules_same.same_difference,
    rules_engine.engine,
    rules_malformed.malformed,
    rules_wrong.random,
)


def decide(tap: Tap, host: HostContext | None = None, rejected: list[Rejected] | None = None) -> list[Decision]:
    """Return what was found, the most important first; never empty.  Append to *rejected* what was not the cause."""
    case = Case(tap, host)
    found = _merge_healthy(weigh(decision for rule in RULES for decision in rule(case)))
    found = [*found, *rules_unread.mostly_unread(tap, found)] or [nothing(tap)]
    found = [_unsigned(decision) for decision in found]
    if rejected is not None:
        rejected += case.rejected
    if tap.unread:
        found = [rules_unread.limited(decision, tap) for decision in found]
    if tap.is_cut:
        found = [_cut(decision, tap.counters.packets) for decision in found]
    return sorted(found, key=lambda decision: decision.weight)


def _merge_healthy(found: Iterable[Decision]) -> list[Decision]:
    """One decision for each healthy result, as sure as the least sure of its parts."""
    unhealthy: list[Decision] = []
    healthy: dict[RootCause, Decision] = {}
    for decision in found:
        first = healthy.get(decision.cause)
        if not decision.cause.is_healthy:
            unhealthy.append(decision)
        elif first is None:
            healthy[decision.cause] = decision
        else:
            healthy[decision.cause] = replace(
                first,
                confidence=least_sure((first.confidence, decision.confidence)),
                facts=first.facts + decision.facts,
                samples=first.samples + decision.samples,
                counts={**first.counts, **decision.counts},
                limits=first.limits or decision.limits,
            )
    return [*unhealthy, *healthy.values()]


def _unsigned(decision: Decision) -> Decision:
    """What would sign every packet is advised only where it is certain that their contents are intact.

    A header without a sum is one such thing where a sum of what follows covers its addresses: its rule knows.
    """
    signs = CAUSES[decision.cause].bridge == SIGN and decision.cause is not RootCause.IP_HEADER_NEVER_FILLED
    return replace(decision, bridge=None) if signs and decision.confidence is not Confidence.CERTAIN else decision


def _cut(decision: Decision, packets: int) -> Decision:
    """Nothing that is healthy is sure of a file that could not be read to its end."""
    confidence = Confidence.POSSIBLE if decision.cause.is_healthy else decision.confidence
    return replace(decision, confidence=confidence, limits=(*decision.limits, CutOff(packets)))


def nothing(tap: Tap) -> Decision:
    """No check is bad or pending.  It is sure if nothing that could be checked was left out."""
    packets = tap.counters.packets
    if not packets:
        facts = (NoPacket(tap.name),)
        return Decision(cause=RootCause.NOTHING_SEEN, confidence=Confidence.CERTAIN, facts=facts)
    total = Counter[str]()
    for outcomes in tap.checks.values():
        total.update(outcomes)
    unchecked, good = (sum(d.kinds[kind] for d in tap.directions) for kind in ("unchecked", "good"))
    quoted = 2 * len(tap.icmp_errors)  # the headers that one quotes are never judged
    if unchecked > good or not total["good"]:
        confidence = Confidence.POSSIBLE
    elif unchecked or total["unchecked"] > quoted or tap.counters.malformed or tap.unread:
        confidence = Confidence.LIKELY
    else:
        confidence = Confidence.CERTAIN
    return Decision(
        cause=RootCause.NOTHING_WRONG,
        confidence=confidence,
        facts=(Totals(packets, dict(total)),),
        counts=dict(total),
        limits=(Unchecked(total["unchecked"]),) if total["unchecked"] else (),
    )
