"""Rules on headers that were rewritten without their checksum: NAT, a TTL, what is off by the same in every packet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, Case, counted, surely
from pktmend.commands.diagnose.finding import Finding
from pktmend.commands.diagnose.host_context import space
from pktmend.commands.diagnose.remedies import NAT_REMEDIES, ZERO_REMEDIES, for_leak
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits, minus
from pktmend.console.plural import quantity
from pktmend.enums import Cause, Proto
from pktmend.errors import PktmendError

ZERO_FIXED: Final = (5, 7)


def rewritten(case: Case) -> list[Finding]:
    """What has a witness: an address that changed, a zero that was updated, a TTL that fell."""
    found = []
    zero = case.claim_causes(Cause.NAT_ON_ZERO)
    if zero:
        evidence = [
            f"in {counted(case.total(zero), 'checksum')} the field is what an update for changed addresses "
            "makes of 0, or repeats over differing packets"
        ]
        if case.around is not None:
            fixed = case.around.machine.kernel >= ZERO_FIXED
            evidence.append(
                f"this kernel ({case.around.machine.release}) "
                + ("does not do that any more: it happened elsewhere" if fixed else "has that bug")
            )
        found.append(
            Finding(
                "nat-on-zero",
                surely(zero),
                evidence,
                zero,
                case.total(zero),
                ZERO_REMEDIES,
                bridge=case.bridge("nat-on-zero", zero),
            )
        )
    nat = case.claim_causes(Cause.NAT_DELTA, Cause.HEADER_DELTA)
    if nat:
        addresses = [s for s in nat if s.cause == Cause.NAT_DELTA]
        headers = [s for s in nat if s.cause == Cause.HEADER_DELTA]
        evidence = []
        if addresses:
            evidence.append(
                f"{quantity(len(addresses), 'checksum is')} right for the address or port that the same "
                "packet, or the other direction, shows elsewhere in this capture"
            )
        if headers:
            evidence.append(
                f"{quantity(len(headers), 'IPv4 header has')} the checksum from before the TTL fell or the ToS was set"
            )
        found.append(_nat(case, nat, evidence, surely(nat) if addresses else "likely"))
    return found


def _nat(case: Case, mine: list[Sample], evidence: list[str], confidence: str) -> Finding:
    evidence += _conntrack_lines(case, mine)
    return Finding(
        "nat-without-update",
        confidence,
        evidence,
        mine,
        case.total(mine),
        [case.two_taps(), *NAT_REMEDIES],
        bridge=case.bridge("nat-without-update", mine),
    )


def _conntrack_lines(case: Case, mine: list[Sample]) -> list[str]:
    """What the kernel's own NAT knows of these flows: it would have updated them."""
    if case.around is None or case.around.tapped is None:
        return []
    from pktmend.host.conntrack import read_connections
    from pktmend.host.namespaces import call

    pairs = {frozenset((s.source, s.target)) for s in mine}
    lines = []
    for interface in filter(None, (case.around.tapped, case.around.peer)):
        try:
            connections = call(interface.namespace, read_connections)
        except PktmendError:
            continue
        lines += [
            f"conntrack of {space(interface.namespace)} translates {c.original.source} > "
            f"{c.original.target} to {c.reply.target} > {c.reply.source}"
            for c in connections
            if c.is_rewritten
            and pairs & {frozenset((c.original.source, c.original.target)), frozenset((c.reply.source, c.reply.target))}
        ]
    return list(dict.fromkeys(lines))[:3]


def alike(case: Case) -> list[Finding]:
    """An IPv4 header and what it carries are off by the same: by what both sums cover, an address or the length.

    A difference of one or two bits is left to damage, which does that too.
    """
    headers = {(s.n, s.depth, s.source, s.target): s for s in case.rest if s.proto == Proto.IP}
    pairs = [
        (header, s)
        for s in case.rest
        if s.seed is not None
        and s.expected is not None
        and (header := headers.get((s.n, s.depth, s.source, s.target)))
        and header.delta == s.delta
        and bits(s.delta) > FEW_BITS
    ]
    if not pairs:
        return []
    mine = [s for pair in pairs for s in pair]
    case.claim(lambda s: s in mine)
    differences = ", ".join(f"{d:04x}" for d in sorted({s.delta for s in mine})[:4])
    return [
        _nat(
            case,
            mine,
            [
                f"in {quantity(len(pairs), 'packet')} the checksums of the IPv4 header and of what it carries are off "
                f"by the same difference ({differences}): what both cover, an address or the length, was changed "
                "after they were made; of random damage 1 in 65,536 would be"
            ],
            "likely",
        )
    ]


def systematic(case: Case) -> list[Finding]:
    """The same difference in every packet of a flow, over differing contents: arithmetic, not damage."""
    flows: dict[tuple[str, str, Proto], list[Sample]] = defaultdict(list)
    for s in case.rest:
        if s.expected is not None and s.width == 2:
            flows[s.source, s.target, s.proto].append(s)
    moved: list[Sample] = []
    seeds: list[Sample] = []
    for some in flows.values():
        if len(some) >= REPEATS and len({s.expected for s in some}) >= REPEATS:
            if len({s.delta for s in some}) == 1:
                moved += some
            elif some[0].seed is not None and len({minus(s.stored, s.seed or 0) for s in some}) == 1:
                seeds += some
    found = []
    if seeds:
        case.claim(lambda s: s in seeds)
        found.append(_translated_seeds(case, seeds))
    if moved:
        case.claim(lambda s: s in moved)
        deltas = sorted({s.delta for s in moved})
        evidence = [
            f"{counted(case.total(moved), 'checksum is')} off by the same difference in every packet of a flow "
            "(" + ", ".join(f"{d:04x}" for d in deltas[:4]) + "): their contents were summed right, and a header "
            "was changed afterwards"
        ]
        evidence += _turned_round(moved)
        found.append(_nat(case, moved, evidence, "likely"))
    return found


def _turned_round(samples: Iterable[Sample]) -> list[str]:
    """Source NAT without update is off by the difference of two addresses, and its answers by the opposite."""
    deltas = {(s.source, s.target): s.delta for s in samples}
    pairs = [key for key, d in deltas.items() if key[0] < key[1] and deltas.get(key[::-1]) == (-d) % 0xFFFF]
    return [
        f"{a} > {b} and back are off by opposite differences, as translation of one address makes them"
        for a, b in pairs[:2]
    ]


def _translated_seeds(case: Case, mine: list[Sample]) -> Finding:
    offset = minus(mine[0].stored, mine[0].seed or 0)
    evidence = [
        f"{counted(case.total(mine), 'field differs')} from the pseudo-header sum S by the same {offset:04x} "
        "whatever the payload is: it was never summed. They leaked unfinished, and a NAT then updated them as "
        "if they were finished"
    ]
    ends = [(s.source, case.owner(s.source, s.source_mac), True) for s in {s.source: s for s in mine}.values()]
    return Finding(
        "metadata-lost",
        "likely",
        evidence,
        mine,
        case.total(mine),
        for_leak(ends[:4], []),
        "pktmend bridge repairs them before the NAT only",
        case.bridge("metadata-lost", mine),
    )
