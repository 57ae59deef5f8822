"""The rule on SCTP fields that are empty, hold a 16-bit sum, or a CRC32c written wrongly."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from pktmend import _core
from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Decision
from pktmend.commands.diagnose.facts.protocols import SctpFields, SctpMistake
from pktmend.commands.diagnose.remedies import sctp_off
from pktmend.commands.diagnose.samples import Sample, address_words
from pktmend.enums import Cause, Proto

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
