"""What a hop did with packets in general."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pktmend.commands.diagnose.decision import Fact
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.facts.hop import (
    ClocksDiffer,
    KernelDropped,
    Missing,
    OtherLengths,
    RewroteInGeneral,
    SeenAtBoth,
)
from pktmend.commands.diagnose.match import Matched
from pktmend.commands.diagnose.pairs import Change


def journey(a: Tap, b: Tap, matched: Matched, changes: Mapping[tuple[str, str], list[Change]]) -> list[Fact]:
    """Return what was seen at both taps, what was rewritten, what did not arrive."""
    if not a.counters.packets and not b.counters.packets:
        return []
    kinds = tuple((before, behind, n) for (before, behind), n in matched.counts.most_common(5))
    facts: list[Fact] = [SeenAtBoth(matched.pairs, matched.sampled, kinds)]
    compared = [change for some in changes.values() for change in some]
    rewrote = Counter(name for change in compared for name in change.rewrote)
    if rewrote:
        facts.append(RewroteInGeneral(len(compared), tuple(rewrote.most_common(6))))
    other_lengths = sum(change.lengths[0] != change.lengths[1] for change in compared)
    if other_lengths:
        facts.append(OtherLengths(other_lengths))
    drops = tuple((tap.name, tap.counters.kernel_drops) for tap in (a, b) if tap.counters.kernel_drops)
    if drops:
        facts.append(KernelDropped(drops))
    elif not other_lengths:
        sides = ((a, b, matched.missing[0]), (b, a, matched.missing[1]))
        facts += [Missing(len(gone), tap.name, other.name, min(gone)) for tap, other, gone in sides if gone]
    if matched.clock_ns:
        facts.append(ClocksDiffer(abs(matched.clock_ns)))
    return facts
