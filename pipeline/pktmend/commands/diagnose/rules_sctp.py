"""Rules on SCTP: fields that are empty, hold a 16-bit sum, a CRC32c written wrongly, or that of other ports."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from pktmend import _core
from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.facts.protocols import SctpFields, SctpMistake, SctpWords
from pktmend.commands.diagnose.remedies import sctp_off
from pktmend.commands.diagnose.rules_rewritten import not_updated
from pktmend.commands.diagnose.samples import Sample, address_words
from pktmend.enums import Cause, Proto

PORTS: Final = 0  # where the ports are in the common header, and the verification tag
TAG: Final = 4
CRC32C: Final = 0x82F63B78  # reflected (RFC 9260 appendix A)
COMMON_HEADER: Final = 12  # bytes (RFC 9260 section 3)


def sctp(case: Case) -> list[Decision]:
    """Mistakes; damage is not meant here."""
    kinds: dict[SctpMistake, list[Sample]] = defaultdict(list)

    def is_mistake(s: Sample) -> bool:
        mistake = _mistake_of(s) if s.proto == Proto.SCTP else None
        if mistake is not None:
            kinds[mistake].append(s)
        return mistake is not None

    samples = case.take(is_mistake)
    if not samples:
        return []
    cure = RootCause.SCTP_WRONG_SUM if SctpMistake.EMPTY in kinds else RootCause.WRONG_ARITHMETIC
    return [
        Decision(
            cause=RootCause.SCTP_WRONG_SUM,
            confidence=surely(samples),
            facts=tuple(SctpFields(mistake, len(some)) for mistake, some in kinds.items()),
            samples=tuple(samples),
            counts=case.total(samples),
            remedies=tuple(sctp_off(end) for end in case.senders(samples)),
            bridge=case.bridge(cure, samples),
        )
    ]


def sctp_rewritten(case: Case) -> list[Decision]:
    """Ports or a tag that were rewritten: the same words, in every packet of a flow, make the CRCs what they are."""
    flows: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for s in case.unexplained:
        if s.proto == Proto.SCTP and s.cause in (Cause.CORRUPT, Cause.NAT_DELTA):
            flows[s.source, s.target].append(s)
    samples: list[Sample] = []
    for some in flows.values():
        for words in (PORTS, TAG):
            changed = {changed_words(s, words) for s in some}
            is_one = len(changed) == 1 and all(_is_one_port(change) for change in changed)
            is_anywhere = len({s.length for s in some}) > 1  # else constant damage at one place looks the same
            if len(changed) == 1 and None not in changed and (is_one or is_anywhere):
                samples += some
                break
    if not samples:
        return []
    case.take_these(samples)
    is_sure = len(samples) > 1
    fact = SctpWords(len(samples))
    return [not_updated(case, samples, [fact], Confidence.LIKELY if is_sure else Confidence.POSSIBLE)]


def _is_one_port(change: int | None) -> bool:
    return change is not None and (change >> 16 == 0) != (change & 0xFFFF == 0)


def changed_words(s: Sample, at: int) -> int | None:
    """Return how the four bytes at *at* of an SCTP packet differ from those that its CRC was made for; None if unknown.

    A CRC is linear: what it is off by comes from the bytes that differ alone, and four of them make each value once.
    """
    if s.expected is None or s.width != 4 or s.length < COMMON_HEADER:
        return None
    crc = int.from_bytes((s.stored ^ s.expected).to_bytes(4, "big"), "little")
    for _ in range(s.length - at):  # back over the zeros behind the words, then over the words
        for _bit in range(8):
            crc = (crc ^ CRC32C) << 1 | 1 if crc >> 31 else crc << 1
    return int.from_bytes(crc.to_bytes(4, "little"), "big")


def _mistake_of(s: Sample) -> SctpMistake | None:
    if s.stored == 0:
        return SctpMistake.EMPTY
    if s.cause in (Cause.BYTE_SWAPPED, Cause.NOT_COMPLEMENTED):
        return SctpMistake.WRITTEN
    packet = bytearray(s.frame[s.start : s.start + s.length])
    if len(packet) < max(s.length, COMMON_HEADER):
        return None
    packet[8:12] = bytes(4)
    pseudo = 132 + s.length + sum(address_words(s.source)) + sum(address_words(s.target))
    sums = {_core.checksum(packet), _core.checksum(packet, pseudo)}
    upper, lower = s.stored >> 16, s.stored & 0xFFFF
    is_16_bits = (upper in sums and lower == 0) or (lower in sums and upper == 0)
    return SctpMistake.SIXTEEN_BITS if is_16_bits else None
