"""From evidence to findings.

Rules of this file:
1. Each rule claims the bad packets that it explains; what is claimed is not explained twice.
2. `certain` needs a proof that nothing else makes, `likely` a good reason, `possible` says what would prove it.
3. A healthy result is never claimed over packets that are bad for another reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from pktmend.commands.diagnose import rules_protocols, rules_rewritten, rules_unfinished, rules_wrong
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import CONFIDENCE, Finding
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.console.plural import quantity

# in this order: what is more special first
RULES: Final[tuple[Callable[[Case], list[Finding]], ...]] = (
    rules_protocols.vouched,
    rules_protocols.flagged,
    rules_protocols.sctp,
    rules_protocols.dhcp,
    rules_protocols.icmp,
    rules_unfinished.leaked,
    rules_unfinished.pending,
    rules_wrong.empty,
    rules_rewritten.rewritten,
    rules_wrong.arithmetic,
    rules_wrong.length,
    rules_wrong.super_frames,
    rules_rewritten.alike,
    rules_rewritten.systematic,
    rules_wrong.random,
)


def findings_of(tap: Tap, around: HostContext | None = None) -> list[Finding]:
    """Return what was found, the most important first; never empty."""
    case = Case(tap, around)
    found = [finding for rule in RULES for finding in rule(case)]
    found = _join_healthy(found) or [nothing(tap)]
    if tap.is_cut:
        for finding in found:
            _cut(finding, tap)
    return sorted(found, key=lambda finding: finding.weight)


def _join_healthy(found: list[Finding]) -> list[Finding]:
    """One finding for each healthy result, as sure as the least sure of its parts."""
    joined: dict[str, Finding] = {}
    for finding in found:
        first = joined.setdefault(finding.name if finding.cause.is_healthy else f"{len(joined)}", finding)
        if first is not finding:
            first.confidence = max(first.confidence, finding.confidence, key=CONFIDENCE.index)
            first.evidence += finding.evidence
            first.samples += finding.samples
            first.counts |= finding.counts
            first.limits = first.limits or finding.limits
    return list(joined.values())


def _cut(finding: Finding, tap: Tap) -> None:
    """Nothing that is healthy is sure of a file that could not be read to its end."""
    if finding.cause.is_healthy:
        finding.confidence = "possible"
    after = (
        f"the capture is cut off or broken after {quantity(tap.counters.packets, 'packet')}; what followed is unknown"
    )
    finding.limits = f"{finding.limits}; {after}" if finding.limits else after


def nothing(tap: Tap) -> Finding:
    """No check is bad or pending.  It is sure if nothing that could be checked was left out."""
    packets = tap.counters.packets
    if not packets:
        return Finding("nothing-seen", "certain", [f"no packet was seen on {tap.name}"])
    total = Counter[str]()
    for outcomes in tap.checks.values():
        total.update(outcomes)
    seen = ", ".join(f"{quantity(n, 'checksum')} {word}" for word, n in total.items())
    evidence = [f"{quantity(packets, 'packet')}; " + (seen or "none carries a checksum that is known here")]
    limits = ""
    if total["unchecked"]:
        limits = (
            f"{quantity(total['unchecked'], 'checksum')} cannot be checked: truncated by the capture, "
            "fragments, quoted in ICMP errors, or lengths that contradict each other"
        )
    unchecked, good = (sum(way.kinds[kind] for way in tap.ways) for kind in ("unchecked", "good"))
    quoted = 2 * len(tap.icmp_errors)  # the headers that one quotes are never judged
    confidence = (
        "possible"
        if unchecked > good or not total["good"]
        else "likely"
        if unchecked or total["unchecked"] > quoted or tap.counters.malformed
        else "certain"
    )
    return Finding("nothing-wrong", confidence, evidence, counts=dict(total), limits=limits)
