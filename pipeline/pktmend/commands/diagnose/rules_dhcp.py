"""The rule on DHCP: answers with a partial sum, and a client that asks again as if it had not got them."""

from __future__ import annotations

from typing import Final

from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.evidence import Dhcp
from pktmend.commands.diagnose.facts.protocols import AskedAgain, PartialAnswers
from pktmend.commands.diagnose.facts.protocols import Dhcp as DhcpFact
from pktmend.commands.diagnose.remedies import FILL_DHCP, for_leak
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Cause, Proto, Status

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
CLIENT_PORT: Final = 68


def dhcp(case: Case) -> list[Decision]:
    """Partial answers that a client refuses, or that alone have leaked."""
    replies = [m for m in case.tap.dhcp if m.is_reply and _is_partial(m.sample)]
    if not replies:
        return []
    refused, taken = _reactions(case.tap.dhcp)
    leaked = [m for m in replies if m.sample.cause == Cause.LEAKED]
    others = any(s.cause == Cause.LEAKED and CLIENT_PORT not in s.ports for s in case.unexplained)
    if taken or (not refused and (others or not leaked)):
        return []
    matched = case.take(lambda s: s.cause == Cause.LEAKED and s.proto == Proto.UDP and CLIENT_PORT in s.ports)
    samples = matched or [m.sample for m in replies]
    case.claim(m.sample for m in replies)
    facts: list[Fact] = [PartialAnswers(len(replies)), _metadata(case, replies)]
    if refused:
        facts.append(AskedAgain(refused))
        case.reject(RootCause.OFFLOAD_PENDING, facts[-1])
    return [
        Decision(
            cause=RootCause.DHCP_RAW_CLIENT,
            confidence=Confidence.CERTAIN if leaked and refused >= 2 else Confidence.LIKELY,
            facts=tuple(facts),
            samples=tuple(samples),
            counts={"udp": len(replies)},
            remedies=(*for_leak([case.sender(samples[0])]), FILL_DHCP),
            bridge=case.bridge(RootCause.DHCP_RAW_CLIENT, samples),
        )
    ]


def _metadata(case: Case, replies: list[Dhcp]) -> DhcpFact:
    """What is known of the kernel's mark."""
    if not (case.tap.is_live or case.tap.has_metadata):
        return DhcpFact.METADATA_UNKNOWN
    is_gone = any(m.sample.cause == Cause.LEAKED for m in replies)
    return DhcpFact.METADATA_GONE if is_gone else DhcpFact.METADATA_UNSEEN


def _is_partial(s: Sample) -> bool:
    return s.status == Status.PENDING or s.cause == Cause.LEAKED


def _reactions(messages: list[Dhcp]) -> tuple[int, int]:
    """How often clients asked again after a partial answer, and how often they went on with it."""
    waiting: dict[bytes, int] = {}
    refused = taken = 0
    for m in messages:
        if m.is_reply and _is_partial(m.sample) and m.kind in (OFFER, ACK):
            waiting[m.client] = m.kind
        elif not m.is_reply and m.client in waiting:
            answer = waiting.pop(m.client)
            if answer == OFFER and m.kind == REQUEST:
                taken += 1
            elif m.kind == (DISCOVER if answer == OFFER else REQUEST):
                refused += 1
    return refused, taken
