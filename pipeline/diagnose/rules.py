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

from pipeline.diagnose import damage, leaks, special
from pipeline.diagnose.case import Case
from pipeline.diagnose.evidence import Tap
from pipeline.diagnose.finding import Finding
from pipeline.diagnose.surroundings import Surroundings
from pipeline.wording import quantity

# in this order: what is more special first
RULES: Final[tuple[Callable[[Case], list[Finding]], ...]] = (
    special.vouched,
    special.flagged,
    special.sctp,
    special.dhcp,
    special.icmp,
    leaks.leaked,
    leaks.pending,
    damage.empty,
    damage.rewritten,
    damage.arithmetic,
    damage.length,
    damage.super_frames,
    damage.systematic,
    damage.random,
)


def findings_of(tap: Tap, around: Surroundings | None = None) -> list[Finding]:
    """Return what was found, the most important first; never empty."""
    case = Case(tap, around)
    found = [finding for rule in RULES for finding in rule(case)]
    if not found:
        found = [nothing(tap)]
    return sorted(found, key=lambda finding: finding.weight)


def nothing(tap: Tap) -> Finding:
    """No check is bad or pending."""
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
        limits = (f"{quantity(total['unchecked'], 'checksum')} cannot be checked: truncated by the capture, "
                  "fragments, quoted in ICMP errors, or lengths that contradict each other")
    confidence = "certain" if total["good"] else "possible"
    return Finding("nothing-wrong", confidence, evidence, counts=dict(total), limits=limits)
