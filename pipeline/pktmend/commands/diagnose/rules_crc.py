"""The rule on SCTP's CRC32c of headers that were rewritten, and on sums that are no CRC32c.

A CRC is linear: what a changed word does to it depends on the change and on how many bytes follow, not on the contents.
So the change can be solved for.  One packet always gives one; the same from packets of several lengths is no chance.

Source: RFC 9260 appendix A, RFC 3309.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, SURE, Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact, least_sure
from pktmend.commands.diagnose.facts.crc import ChangedWord, OtherSum, OtherSums, SeenBefore
from pktmend.commands.diagnose.remedies import UPDATE_SUM, miscomputed_at
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Cause, Proto

POLYNOMIAL: Final = 0x82F63B78  # reflected
COMMON_HEADER: Final = 12
STARTED: Final = 0xFFFFFFFF


def other_sums(case: Case) -> list[Decision]:
    """Another sum than CRC32c, exactly: one packet in four thousand million has it by chance."""
    kinds: dict[OtherSum, list[Sample]] = defaultdict(list)
    for s in _sctp(case):
        kind = _other_sum(s)
        if kind is not None:
            kinds[kind].append(s)
    samples = [s for some in kinds.values() for s in some]
    if not samples:
        return []
    case.take_these(samples)
    return [
        Decision(
            cause=RootCause.SCTP_WRONG_SUM,
            confidence=surely(samples),
            facts=tuple(OtherSums(kind, len(some)) for kind, some in kinds.items()),
            samples=tuple(samples),
            counts=case.total(samples),
            remedies=(miscomputed_at(samples[0].source),),
            bridge=case.bridge(RootCause.WRONG_ARITHMETIC, samples),
        )
    ]


def rewritten(case: Case) -> list[Decision]:
    """One word of the header, changed by the same bits in every packet of a flow: a port, without its checksum."""
    flows: dict[tuple[str, str, tuple[int, int]], list[Sample]] = defaultdict(list)
    for s in _sctp(case):
        flows[s.source, s.target, s.ports].append(s)
    good = {
        (d.source, d.target, (d.source_port, d.target_port)): d.kinds["good"]
        for d in case.tap.directions
        if d.protocol == 132
    }
    samples: list[Sample] = []
    facts: list[Fact] = []
    sure: list[Confidence] = []
    for flow, some in flows.items():
        changes = {change_of(s) for s in some}
        if len(changes) != 1 or good.get(flow):
            continue
        [change] = changes
        confidence = _confidence(case, some, change, facts)
        if confidence is not None:
            samples += some
            sure.append(confidence)
    if not samples:
        return []
    case.take_these(samples)
    return [
        Decision(
            cause=RootCause.NAT_WITHOUT_UPDATE,
            confidence=least_sure(sure),
            facts=tuple(facts),
            samples=tuple(samples),
            counts=case.total(samples),
            remedies=(case.two_taps(), UPDATE_SUM),
            bridge=case.bridge(RootCause.NAT_WITHOUT_UPDATE, samples),
        )
    ]


def _confidence(case: Case, flow: list[Sample], change: int, facts: list[Fact]) -> Confidence | None:
    """Say how sure it is that a flow's word was changed, and add what shows it; None if it may be chance."""
    now = flow[0].ports
    then = now[0] ^ change >> 16, now[1] ^ change & 0xFFFF
    is_one_port = (then[0] == now[0]) != (then[1] == now[1])
    lengths, contents = len({s.length for s in flow}), len({s.expected for s in flow})
    seen = sum(_is_twin(s, g, then) for s in flow for g in case.tap.good)
    if not is_one_port and not seen and (contents < SURE or any(map(is_byte_of_contents, flow))):
        return None
    is_ports = is_one_port or bool(seen)
    facts.append(ChangedWord(len(flow), lengths, then if is_ports else now, now))
    if seen:
        facts.append(SeenBefore(seen))
    if (contents >= REPEATS and lengths >= SURE) or (seen and len(flow) >= SURE):
        return Confidence.CERTAIN
    return Confidence.LIKELY


def _is_twin(s: Sample, good: Sample, ports: tuple[int, int]) -> bool:
    return (
        good.proto == Proto.SCTP
        and good.ports == ports
        and good.length == s.length
        and _rest(good) == _rest(s)
        and good.frame[good.start : good.start + 4] != s.frame[s.start : s.start + 4]
    )


def _rest(s: Sample) -> bytes:
    """Return what a change of ports leaves alone."""
    return s.frame[s.start + 4 : s.start + 8] + s.frame[s.start + COMMON_HEADER : s.start + s.length]


def _sctp(case: Case) -> list[Sample]:
    return [
        s
        for s in case.unexplained
        if s.proto == Proto.SCTP and s.cause == Cause.CORRUPT and s.expected is not None and s.length >= COMMON_HEADER
    ]


def _other_sum(s: Sample) -> OtherSum | None:
    if change_of(s) == STARTED:
        return OtherSum.START
    packet = bytearray(s.frame[s.start : s.start + s.length])
    if len(packet) < s.length:
        return None
    packet[8:12] = bytes(4)
    orders = (s.stored, int.from_bytes(s.stored.to_bytes(4), "little"))
    if zlib.adler32(packet) in orders or zlib.adler32(packet, 0) in orders:
        return OtherSum.ADLER32
    return OtherSum.CRC32 if zlib.crc32(packet) in orders else None


def change_of(s: Sample) -> int:
    """Return the bits of the first four bytes that would have to differ for the stored CRC32c to be right.

    Most significant: the first byte.
    """
    *_, register = _backwards(s)
    return int.from_bytes(register.to_bytes(4, "little"))


def is_byte_of_contents(s: Sample) -> bool:
    """Would it be right if one byte behind the common header were another?  By chance one of 11,000 long ones is."""
    return any(register <= 0xFF for register in islice(_backwards(s), s.length - COMMON_HEADER))


def _backwards(s: Sample) -> Iterator[int]:
    """Take the difference of both CRCs back through the packet, byte by byte from its last one.

    Yields what the four bytes from there on would have to differ by, the first in the lowest bits.
    """
    table, backwards = _tables()
    register = int.from_bytes((s.stored ^ (s.expected or 0)).to_bytes(4), "little")
    for _ in range(s.length):
        index = backwards[register >> 24]
        register = (register ^ table[index]) << 8 & 0xFFFFFFFF | index
        yield register


@cache
def _tables() -> tuple[list[int], dict[int, int]]:
    """Return what a byte adds to the register, and which byte did by its uppermost one: each occurs once."""
    table = []
    for register in range(256):
        for _ in range(8):
            register = register >> 1 ^ (POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table, {value >> 24: index for index, value in enumerate(table)}
