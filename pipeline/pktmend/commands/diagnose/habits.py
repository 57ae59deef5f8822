"""Habits of a hop: what it rewrites, it rewrites in every packet of a kind.

Where others of the same flow and kind came through with a header as it was, one whose header differs and whose checksum
does not fit was damaged there.  Nobody signs that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pktmend.commands.diagnose.case import SURE
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.companions import key_of
from pktmend.commands.diagnose.decision import Confidence
from pktmend.commands.diagnose.pairs import IP4, IP6, Change

Kind = tuple[object, ...]
Changes = Mapping[tuple[str, str], list[Change]]
TCP: Final = {
    "source port": slice(0, 2),
    "target port": slice(2, 4),
    "TCP window": slice(14, 16),
}
OPTIONS: Final = "TCP options"
HEALTHY: Final = ("good", "pending", "absent")


def told_from_damage(changes: Changes) -> dict[tuple[str, str], list[Change]]:
    """Return the same changes, headers that differ in bad packets alone being differing bits of theirs."""
    habits: dict[Kind, list[set[str]]] = defaultdict(list)
    spoilt = Counter[tuple[Kind, int]]()
    for (before, behind), some in changes.items():
        for change in some:
            if before in HEALTHY and behind in HEALTHY:
                for kind in _kinds(change):
                    habits[kind].append(set(change.rewrote))
            elif change.behind.inner is not None:
                spoilt.update((kind, change.behind.inner.delta) for kind in _kinds(change))
    return {
        outcome: some
        if outcome[1] in HEALTHY or outcome[0] not in HEALTHY
        else [_settled(change, habits, spoilt) for change in some]
        for outcome, some in changes.items()
    }


def _kinds(change: Change) -> list[Kind]:
    """Of the flow, and of any flow."""
    inner = change.before.inner
    if inner is None:
        return []
    proto, *ends, kind = key_of(inner)
    return [(proto, *ends, kind), (proto, kind)]


def _settled(change: Change, habits: Mapping[Kind, list[set[str]]], spoilt: Mapping[tuple[Kind, int], int]) -> Change:
    kinds = _kinds(change)
    if not kinds or change.behind.inner is None:
        return change
    own, any_flow = kinds
    usual = habits.get(own, [])
    if not usual:  # other flows are less of a witness: this one's may be rewritten alone, but then all alike
        alike = spoilt[any_flow, change.behind.inner.delta]
        others = sum(n for (kind, _), n in spoilt.items() if kind == any_flow)
        usual = habits.get(any_flow, []) if alike == 1 and others > 1 else []
    if not usual:
        return change
    novel = [name for name in change.rewrote if not any(name in names for names in usual)]
    bits = list(_bits(change, novel))
    if not bits:
        return change
    rewrote = [name for name in change.rewrote if name not in novel]
    return replace(change, rewrote=rewrote, bits=sorted([*change.bits, *bits]))


def _bits(change: Change, names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """What differs in those fields, as (offset in the transport, xor); an IP header lies before it."""
    if not change.before.layers or not change.behind.layers:
        return
    (a, start, version, _), (b, _, other, _) = change.before.layers[-1], change.behind.layers[-1]
    one, two = change.before.transport, change.behind.transport
    if version != other or len(one) != len(two):
        return
    fields = {name: slice(i, j) for name, i, j in (IP4 if version == 4 else IP6)}
    end = max(20, (one[12] >> 4) * 4) if len(one) > 12 else 20
    transport = {**TCP, OPTIONS: slice(20, end)}
    for name in names:
        if name in fields:
            part, shift = fields[name], a - start
            x, y = change.before.frame[a:][part], change.behind.frame[b:][part]
        elif name in transport:
            part, shift = transport[name], 0
            x, y = one[part], two[part]
        else:
            continue
        yield from ((part.start + i + shift, p ^ q) for i, (p, q) in enumerate(zip(x, y, strict=False)) if p != q)


def surely_changed(cause: RootCause, changes: Sequence[Change]) -> Confidence:
    """Two packets prove what a hop does; a header that differs, unless an address does, only if by one difference."""
    differences = {change.behind.inner.delta for change in changes if change.behind.inner is not None}
    is_address = any(change.is_translated for change in changes)
    if cause is RootCause.NAT_WITHOUT_UPDATE and len(differences) == len(changes) and not is_address:
        return Confidence.LIKELY
    return Confidence.CERTAIN if len(changes) >= SURE else Confidence.LIKELY


def may_sign(cause: RootCause, confidence: Confidence) -> bool:
    """A header that is perhaps damaged is not signed."""
    return cause is not RootCause.NAT_WITHOUT_UPDATE or confidence is Confidence.CERTAIN
