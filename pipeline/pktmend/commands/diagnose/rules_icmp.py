"""The rule on ICMP errors that NAT translated in part."""

from __future__ import annotations

from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.evidence import IcmpError
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.protocols import QuotesAnother, WrongErrors
from pktmend.commands.diagnose.facts.rewritten_capture import Rewritten
from pktmend.commands.diagnose.remedies import TRANSLATE_ERRORS
from pktmend.commands.diagnose.samples import address_words, minus
from pktmend.enums import Proto, Status

ICMP = (Proto.ICMP, Proto.ICMPV6)


def icmp(case: Case) -> list[Decision]:
    """An error goes to the sender of the packet it quotes: if they differ, NAT translated the one and not the other."""
    errors = [e for e in case.tap.icmp_errors if e.is_whole]
    strangers = [e for e in errors if e.quoted_source != e.target]
    wrong = [e for e in errors if e.sample.status == Status.BAD]
    if not strangers and not _are_wrong_alone(case, wrong):
        return []
    facts: list[Fact] = []
    if strangers:
        first = strangers[0]
        quoted = (first.quoted_source, first.quoted_target)
        facts.append(QuotesAnother(len(strangers), len(errors), first.target, quoted))
    if wrong:
        facts.append(WrongErrors(len(wrong), len(errors)))
    numbers = {e.n for e in wrong}
    case.take(lambda s: s.n in numbers and s.proto in ICMP)
    samples = tuple(e.sample for e in (*wrong, *(e for e in strangers if e.n not in numbers)))
    is_proven = bool(strangers) and case.tap.is_live  # nobody has replaced addresses in what an interface shows
    is_doubtful = bool(strangers) and not case.tap.is_live
    stale = Decision(
        cause=RootCause.ICMP_STALE_INNER,
        confidence=surely(samples) if is_proven else Confidence.LIKELY,
        facts=tuple(facts),
        samples=samples,
        counts={"icmp": len(samples)},
        remedies=(TRANSLATE_ERRORS,),
        limits=(Limit.REWRITTEN_LOOKS_ALIKE,) if is_doubtful else (),
    )
    if not is_doubtful or wrong or len(strangers) < len(errors):
        return [stale]
    rewritten = Decision(
        cause=RootCause.REWRITTEN_CAPTURE,
        confidence=Confidence.POSSIBLE,
        facts=(Rewritten.QUOTES_KEPT,),
        samples=samples,
        counts={"icmp": len(samples)},
    )
    return [stale, rewritten]


def _are_wrong_alone(case: Case, wrong: list[IcmpError]) -> bool:
    """Two at least, each explained by the address of a host that was seen, and no other ICMP message is bad."""
    bad = sum(s.proto in ICMP for s in case.unexplained)
    hosts = {address for d in case.tap.directions for address in (d.source, d.target)}
    sums = {_sum(host) for host in hosts}
    explained = [e for e in wrong if _is_stale(e, sums)]
    return len(explained) >= 2 and len(explained) == len(wrong) == bad


def _is_stale(e: IcmpError, sums: set[int]) -> bool:
    """Is the error's sum right for a quoted packet with another address in it?"""
    now = [_sum(address) for address in (e.quoted_source, e.quoted_target)]
    return any(
        e.sample.delta in (minus(own, other), minus(other, own)) for own in now for other in sums if own != other
    )


def _sum(address: str) -> int:
    return sum(address_words(address)) % 0xFFFF
