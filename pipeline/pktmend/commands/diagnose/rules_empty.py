"""The rule on empty fields: left to hardware, which is healthy where they are filled in later, or forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container

from pktmend._core import inspect
from pktmend.commands.diagnose.capture_point import stays_on_host
from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.conversations import TCP
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.wrong import (
    Empty,
    EmptyOverPartial,
    FilledLater,
    IllegalZeros,
    LeftToCard,
    Wrong,
)
from pktmend.commands.diagnose.remedies import fill_header, miscomputed_at
from pktmend.commands.diagnose.samples import Sample, bits
from pktmend.enums import Cause, CheckFlag, Proto, Status

EMPTY = (Cause.NEVER_FILLED, Cause.ILLEGAL_ZERO)


def empty(case: Case) -> list[Decision]:
    """0 where a sum is mandatory: sort them by what became of their packets."""
    zero = [s for s in case.unexplained if s.cause in EMPTY]
    if all(s.expected is not None and s.width == 2 and bits(s.delta) == 1 for s in zero):
        return []  # 0 is a right sum too, once in 65,536: where each is one bit away from it, bits were damaged
    directions = [d for d in case.tap.directions if d.kinds["never_filled"]]
    answered = {(d.source, d.target) for d in directions if d.acked}
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for s in case.take_causes(*EMPTY):
        kinds[_kind_of(case, s, answered)].append(s)
    found = []
    if kinds["answered"]:
        replied = [d for d in directions if d.acked]
        sure = all(d.protocol == TCP for d in replied)  # others may talk without listening
        facts: tuple[Fact, ...] = (
            LeftToCard(case.total(kinds["answered"])),
            FilledLater(sum(d.acked for d in replied)),
        )
        confidence = Confidence.CERTAIN if sure else Confidence.LIKELY
        found.append(_left_to_card(case, kinds["answered"], confidence, *facts))
    if kinds["local"]:
        local = kinds["local"]
        facts = (LeftToCard(case.total(local)), *stays_on_host((s.source, s.target) for s in local))
        found.append(_left_to_card(case, local, Confidence.LIKELY, *facts))
    if kinds["over partial"]:
        both = EmptyOverPartial(case.total(kinds["over partial"]))
        found.append(_left_to_card(case, kinds["over partial"], Confidence.LIKELY, both))
    if kinds["header"]:
        found.append(_never_filled(case, RootCause.IP_HEADER_NEVER_FILLED, kinds["header"]))
    if kinds["other"]:
        found.append(_never_filled(case, RootCause.NEVER_FILLED, kinds["other"]))
    for decision in found:
        if decision.cause is RootCause.OFFLOAD_PENDING:
            case.reject(RootCause.IP_HEADER_NEVER_FILLED, decision.facts[-1])
    return found


def _kind_of(case: Case, s: Sample, answered: Container[tuple[str, str]]) -> str:
    """What became of a packet with an empty field; beyond the sender nothing fills it in any more.

    An IPv4 header that arrives at an interface of this machine is beyond its sender: no card is to come.
    """
    has_arrived = case.tap.is_live and s.proto == Proto.IP and not s.is_outgoing
    if not case.tap.at_wire and not has_arrived:
        if (s.source, s.target) in answered and not _is_reply(s):
            return "answered"
        if stays_on_host([(s.source, s.target)]):
            return "local"
        if s.proto == Proto.IP and s.n in case.tap.seeded:
            return "over partial"
    return "header" if s.proto == Proto.IP else "other"


def _left_to_card(case: Case, samples: list[Sample], confidence: Confidence, *facts: Fact) -> Decision:
    return Decision(
        cause=RootCause.OFFLOAD_PENDING,
        confidence=confidence,
        facts=facts,
        samples=tuple(samples),
        counts=case.total(samples),
    )


def _never_filled(case: Case, cause: RootCause, samples: list[Sample]) -> Decision:
    counts, sender = case.total(samples), case.sender(samples[0])
    is_live = case.tap.is_live
    facts: list[Fact] = [Empty(counts)]
    illegal = sum(s.cause == Cause.ILLEGAL_ZERO for s in samples)
    if illegal:
        facts.append(IllegalZeros(illegal))
    if is_live and cause is RootCause.IP_HEADER_NEVER_FILLED:
        facts.append(Wrong.LINUX_FILLS)
    from_file = Confidence.LIKELY if case.tap.at_wire else Confidence.POSSIBLE
    return Decision(
        cause=cause,
        confidence=surely(samples) if is_live else from_file,
        facts=tuple(facts),
        samples=tuple(samples),
        counts=counts,
        remedies=(
            fill_header(sender, samples)
            if cause is RootCause.IP_HEADER_NEVER_FILLED
            else miscomputed_at(sender.address),
        ),
        limits=() if is_live or case.tap.at_wire else (Limit.CARD_MAY_FILL,),
        bridge=case.bridge(cause, samples) if all(map(_is_otherwise_right, samples)) else None,
    )


def _is_otherwise_right(s: Sample) -> bool:
    """Is an IPv4 header proven by a sum that covers its addresses?  Else signing it would vouch for anything."""
    if s.proto != Proto.IP or len(s.frame) < s.wirelen:
        return False
    return any(k.status == Status.GOOD and k.flags & CheckFlag.HAS_PSEUDO for k in inspect(s.frame, link=s.link)[2])


def _is_reply(s: Sample) -> bool:
    """Is it an answer to a ping?  What comes after it is the next ping, whatever became of this one."""
    at = s.start
    if s.proto == Proto.IP:
        is_icmp = s.frame[at + 9 : at + 10] == b"\x01"
        return is_icmp and s.frame[at + s.length : at + s.length + 1] == b"\x00"
    return s.proto in (Proto.ICMP, Proto.ICMPV6) and s.frame[at : at + 1] in (b"\x00", b"\x81")
