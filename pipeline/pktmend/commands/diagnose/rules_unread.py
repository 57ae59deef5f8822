"""What was not looked into: it is neither healthy nor bad, and is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.facts.limits import NotLookedInto
from pktmend.commands.diagnose.facts.tap import Totals
from pktmend.console.unread import ESP
from pktmend.enums import Unread

IN_PART: Final = {(int(Unread.ENCRYPTED), ESP)}  # all of it that a checksum could be in was looked at


def mostly_unread(tap: Tap, found: Iterable[Decision]) -> list[Decision]:
    """If half of the packets or more were not looked into: no conclusion, unless what was *found* says why."""
    packets = tap.counters.packets
    is_said = any(decision.cause is RootCause.LENGTH_FAULT for decision in found)
    if is_said and all(reason == Unread.MALFORMED for reason, _ in tap.unread):
        return []
    unread = sum(n for kind, n in tap.unread.items() if kind not in IN_PART)
    if not unread or 2 * unread < packets:
        return []
    outcomes: dict[str, int] = {}
    for counted in tap.checks.values():
        for outcome, n in counted.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + n
    return [
        Decision(
            cause=RootCause.NOT_UNDERSTOOD,
            confidence=Confidence.CERTAIN,
            facts=(Totals(packets, outcomes),),
            counts={"unread": unread},
            headline=NotLookedInto(dict(tap.unread)),
        )
    ]


def limited(decision: Decision, tap: Tap) -> Decision:
    """Say with what is healthy how much of the capture that is said of."""
    if not decision.cause.is_healthy:
        return decision
    return replace(decision, limits=(*decision.limits, NotLookedInto(dict(tap.unread))))
