"""What happened between two taps: findings from packets that were seen before and behind a hop.

Rules of this file:
1. The hop is blamed for what was all right before it and is wrong behind it, and for nothing else.
2. What was wrong at the first tap already is that tap's finding.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pktmend.commands.diagnose import rules, rules_unfinished
from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import Finding, Remedy
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.match import Matched
from pktmend.commands.diagnose.pairs import Change
from pktmend.commands.diagnose.remedies import NAT_REMEDIES, ZERO_REMEDIES
from pktmend.commands.diagnose.samples import Sample
from pktmend.console.plural import quantity
from pktmend.enums import Cause, Proto, Status

HEALTHY: Final = ("good", "pending", "absent", "unchecked", "none")


@dataclass
class Two:
    """Two taps and what became of the packets between them.

    changes: {(outcome before, outcome behind): compared pairs}.      around: the machine at A, None offline.
    """

    a: Tap
    b: Tap
    matched: Matched
    changes: dict[tuple[str, str], list[Change]]
    around: HostContext | None


def is_notable(kind: tuple[str, str]) -> bool:
    """Did the hop change what a packet's checksums are, or is it bad?"""
    return kind[0] != kind[1] or kind[1] not in HEALTHY


def findings_of(two: Two) -> list[Finding]:
    """What the hop did comes first; then what was wrong before it."""
    found: list[Finding] = []
    for (before, behind), changes in two.changes.items():
        if behind not in HEALTHY and before != behind:
            found += _made(two, before, behind, changes)
    found = _join(found)
    names = {f.name for f in found}
    for tap, around in ((two.a, two.around), (two.b, two.around)):
        for f in rules.findings_of(tap, around):
            if f.cause.is_healthy or f.name in names or (tap is two.b and found):
                continue
            if tap is two.b and f.name == "metadata-lost" and f.confidence == "possible":
                continue
            f.evidence.insert(0, f"seen at {tap.name}")
            found.append(f)
            names.add(f.name)
    if not found:
        found = _healthy(two)
    found.sort(key=lambda f: f.weight)
    found[0].evidence += _journey(two)
    return found


def _join(found: list[Finding]) -> list[Finding]:
    """One finding for each root cause."""
    by_name: dict[str, Finding] = {}
    for f in found:
        if f.name not in by_name:
            by_name[f.name] = f
            continue
        mine = by_name[f.name]
        mine.evidence += [line for line in f.evidence if line not in mine.evidence]
        mine.samples += f.samples
        for key, n in f.counts.items():
            mine.counts[key] = mine.counts.get(key, 0) + n
    return list(by_name.values())


def _made(two: Two, before: str, behind: str, changes: list[Change]) -> list[Finding]:
    """Name what turned a packet that was all right before into one that is bad behind."""
    by_cause: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_cause[_cause_of(change)].append(change)
    total = two.matched.counts[before, behind]
    return [
        _finding(two, name, before, behind, some, total if len(by_cause) == 1 else len(some))
        for name, some in by_cause.items()
        if name
    ]


def _cause_of(c: Change) -> str:
    """One pair's root cause; empty if it was bad before."""
    spoilt = _spoilt(c)
    if spoilt is None:
        return ""
    first, then = spoilt
    if c.bit_count:
        return "bit-errors" if c.bit_count <= 2 else "corruption"
    if then.cause in (Cause.LEAKED, Cause.INNER_PENDING):
        if first is not None and _was_finished(first):
            return "double-completion"
        return "tunnel-inner-unfinished" if then.depth else "metadata-lost"
    if then.stored == 0:
        return "ip-header-never-filled" if then.proto == Proto.IP else "never-filled"
    if first is not None and first.status == Status.ABSENT:
        return "nat-on-zero"
    if (
        c.is_translated
        or then.cause in (Cause.HEADER_DELTA, Cause.NAT_DELTA)
        or (first is not None and c.rewrote and first.stored == then.stored)
    ):
        return "nat-without-update"
    named = {
        Cause.LENGTH: "length-fault",
        Cause.BAD_SEED: "bad-seed",
        Cause.NOT_COMPLEMENTED: "wrong-arithmetic",
        Cause.BYTE_SWAPPED: "wrong-arithmetic",
    }
    return "sctp-wrong-sum" if then.proto == Proto.SCTP else named.get(then.cause, "corruption")


def _was_finished(s: Sample) -> bool:
    return s.status == Status.GOOD or (s.cause == Cause.BAD_SEED and s.stored == s.expected)


def _spoilt(c: Change) -> tuple[Sample | None, Sample] | None:
    """Return the check that is bad behind and was not before, with what it was; the innermost one first."""
    for then in reversed(c.behind.checks):
        if then.status != Status.BAD:
            continue
        alike = [s for s in c.before.checks if s.proto == then.proto]
        first = alike[-1] if alike else None
        if first is None or first.status != Status.BAD or _was_finished(first):
            return first, then
    return None


def _finding(two: Two, name: str, before: str, behind: str, changes: list[Change], total: int) -> Finding:
    pairs = [(c, *spoilt) for c in changes if (spoilt := _spoilt(c))]
    samples = [then for _, _, then in pairs]
    kinds = Counter((str(then.proto), _word(first), _word(then)) for _, first, then in pairs)
    evidence = [
        f"{quantity(total, 'packet was')} spoilt by the hop: "
        + ", ".join(f"{proto} checksums {a} before it are {b} behind it" for proto, a, b in kinds)
    ]
    evidence += [
        f"packet {c.before.n} before it is packet {c.behind.n} behind it: the field was "
        f"{first.hex(first.stored) if first else '-'} and is {then.hex(then.stored)}, right would be "
        f"{then.hex(then.expected)}"
        for c, first, then in pairs[:2]
    ]
    if name in _EXPLAIN:
        evidence += _EXPLAIN[name](changes)
    case = Case(two.b, two.around)
    if name in ("metadata-lost", "tunnel-inner-unfinished"):
        noted = before == "pending" and two.a.has_metadata
        finding = rules_unfinished.lost(
            case, samples, {f"{before} to {behind}": total}, evidence, "likely", was_pending=True
        )
        finding.limits = "" if noted else "the first capture does not hold the kernel's note"
        finding.confidence = "certain" if noted else finding.confidence
        return finding
    return Finding(
        name,
        surely(samples),
        evidence,
        samples,
        {f"{before} to {behind}": total},
        _REMEDIES.get(name, []),
        bridge=case.bridge(name, samples),
    )


def _word(s: Sample | None) -> str:
    return "missing" if s is None else str(s.cause) if s.status == Status.BAD else str(s.status)


def _explain_bits(changes: list[Change]) -> list[str]:
    flips = sum(c.bit_count for c in changes)
    octets = sum(c.lengths[0] for c in changes)
    where = ", ".join(f"octet {i} of the transport, bits {x:02x}" for c in changes[:2] for i, x in c.bits[:2])
    return [f"{quantity(flips, 'bit')} of {octets * 8} in {quantity(len(changes), 'damaged packet')} changed: {where}"]


def _explain_contents(changes: list[Change]) -> list[str]:
    spoilt = [c for c in changes if c.bits]
    if not spoilt:
        return ["headers and contents are the same on both sides; the checksum alone was written over"]
    c = spoilt[0]
    return [
        f"their contents differ, in packet {c.behind.n} {quantity(len(c.bits), 'octet')} from {c.bits[0][0]} to "
        f"{c.bits[-1][0]} of the transport"
    ]


def _explain_rewritten(changes: list[Change]) -> list[str]:
    names = Counter(name for c in changes for name in c.rewrote)
    words = ", ".join(f"{name} ({n})" for name, n in names.most_common(5)) or "no header that is compared"
    return [f"in these packets the hop rewrote {words}; the contents are the same"]


_COMPLETES: Final = Remedy(
    "tc filter show dev IFACE egress; nft list ruleset",
    "look for what completes checksums blindly: tc `action csum`, iptables CHECKSUM, a switch's own checksum setting",
)
_REMEDIES: Final = {
    "nat-without-update": NAT_REMEDIES,
    "nat-on-zero": ZERO_REMEDIES,
    "double-completion": [_COMPLETES],
}
_EXPLAIN: Final[dict[str, Callable[[list[Change]], list[str]]]] = {
    "bit-errors": _explain_bits,
    "corruption": _explain_contents,
    "nat-without-update": _explain_rewritten,
    "nat-on-zero": _explain_rewritten,
    "double-completion": lambda changes: ["they were finished and right before the hop, which finished them again"],
}


def _healthy(two: Two) -> list[Finding]:
    """Nothing was spoilt: say what the second tap shows, which is what a receiver gets."""
    found = rules.findings_of(two.b, two.around)
    if any(not f.cause.is_healthy for f in found):
        return found
    if not two.b.counters.packets:
        found = rules.findings_of(two.a, two.around)
    return [f for f in found if f.cause.is_healthy]


def _journey(two: Two) -> list[str]:
    """What the hop did with packets in general."""
    m = two.matched
    sampled = f" (one in {m.sampled} was looked for)" if m.sampled > 1 else ""
    kinds = "".join(f", {n} {a} then {b}" for (a, b), n in m.counts.most_common(5))
    if not two.a.counters.packets and not two.b.counters.packets:
        return []
    lines = [f"{quantity(m.pairs, 'packet was')} seen at both taps{sampled}{kinds}"]
    rewrote = Counter(name for changes in two.changes.values() for c in changes for name in c.rewrote)
    looked = sum(len(changes) for changes in two.changes.values())
    if rewrote:
        lines.append(
            f"of {looked} that were compared the hop rewrote "
            + ", ".join(f"{name} ({n})" for name, n in rewrote.most_common(6))
        )
    split = sum(c.lengths[0] != c.lengths[1] for changes in two.changes.values() for c in changes)
    if split:
        lines.append(f"{split} of them left with another length: super-frames that were split or joined")
    drops = [tap for tap in (two.a, two.b) if tap.counters.kernel_drops]
    for tap, other, missing in ((two.a, two.b, m.missing[0]), (two.b, two.a, m.missing[1])):
        if missing and not split and not drops:
            lines.append(
                f"{quantity(len(missing), 'packet')} of {tap.name} did not show at {other.name}, the first is "
                f"packet {min(missing)}"
            )
    if drops:
        lines.append(
            "what did not arrive cannot be told: the kernel dropped packets of "
            + " and ".join(f"{tap.name} ({tap.counters.kernel_drops})" for tap in drops)
        )
    if m.clock_ns:
        lines.append(
            f"the clocks of the captures differ by {abs(m.clock_ns) / 1e9:.3f} s: all packets are taken as "
            "going from the first to the second"
        )
    return lines
