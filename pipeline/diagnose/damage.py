"""Rules on checksums that are wrong rather than unfinished: empty, rewritten, miscomputed, damaged.

Random damage is told from a systematic mistake by repetition: a mistake makes the same difference in every packet of a
flow, damage does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from pipeline.diagnose.case import Case, counted, surely
from pipeline.diagnose.evidence import LONGEST
from pipeline.diagnose.finding import Finding, Remedy, times
from pipeline.diagnose.remedies import NAT_REMEDIES, ZERO_REMEDIES, for_leak
from pipeline.diagnose.samples import Sample, minus
from pipeline.errors import PipelineError
from pipeline.names import Cause, PacketFlag, Proto, Reason
from pipeline.wording import quantity

REPEATS = 3  # packets of a flow with the same difference
FEW_BITS = 2  # of a one's complement difference; 1 in 146 random ones has so few
FIND_HOP = "tap before and after each hop on the way: the one behind which they turn wrong"
ZERO_FIXED = (5, 7)


def _two_taps(case: Case) -> Remedy:
    name = case.tap.name if case.tap.is_live else "BEFORE"
    return Remedy(f"pktmend diagnose -i {name} -I AFTER", FIND_HOP)


# --- empty fields -------------------------------------------------------------------------------------------------


def empty(case: Case) -> list[Finding]:
    """0 where a sum is mandatory: left to hardware, which is healthy where somebody fills it in later, or forgotten."""
    mine = case.claim_causes(Cause.NEVER_FILLED, Cause.ILLEGAL_ZERO)
    if not mine:
        return []
    blank = [way for way in case.tap.ways if way.kinds["blank"]]
    accepted = {(way.source, way.target) for way in blank if way.accepted}
    left = {s.n for s in case.tap.pending if s.reason == Reason.NO_METADATA}
    filled = [s for s in mine if (s.source, s.target) in accepted]
    with_seed = [s for s in mine if s not in filled and s.proto == Proto.IP and s.n in left]
    found = []
    if filled:
        total = sum(way.accepted for way in blank)
        found.append(Finding(
            "offload-pending", "certain",
            [f"{counted(case.total(filled), 'checksum is')} 0, left to the sender's network card",
             f"their packets were acknowledged or answered {times(total)}: they were filled in after this tap"],
            filled, case.total(filled)))
    if with_seed:
        found.append(Finding(
            "offload-pending", "likely",
            [f"{counted(case.total(with_seed), 'checksum is')} 0, and what such a header carries is "
             "unfinished too (F = S): both are left to the sender's network card, before which this was "
             "taken"], with_seed, case.total(with_seed)))
    rest = [s for s in mine if s not in filled and s not in with_seed]
    for name, some in (("ip-header-never-filled", [s for s in rest if s.proto == Proto.IP]),
                       ("never-filled", [s for s in rest if s.proto != Proto.IP])):
        if some:
            found.append(_never_filled(case, name, some))
    return found


def _never_filled(case: Case, name: str, mine: list[Sample]) -> Finding:
    counts = case.total(mine)
    live = case.tap.is_live
    evidence = [f"{counted(counts, 'checksum is')} 0, which is no checksum there"]
    illegal = sum(s.cause == Cause.ILLEGAL_ZERO for s in mine)
    if illegal:
        evidence.append(f"{illegal} of them UDP over IPv6, where 0 is allowed in tunnels only (RFC 8200, RFC 6935)")
    if live and name.startswith("ip"):
        evidence.append("Linux fills in the IPv4 header's checksum itself, always: these come from a program or device")
    limits = "" if live else ("some systems (Windows, BSD) leave it to their network card: in a capture of such a "
                              "sender it is healthy, and nothing here shows where it was taken")
    ends = [(s.source, case.owner(s.source, s.source_mac), True) for s in {s.source: s for s in mine}.values()]
    return Finding(name, surely(mine) if live else "likely", evidence, mine, counts, for_leak(ends[:4], []), limits,
                   case.bridge(name, mine))


# --- rewritten headers --------------------------------------------------------------------------------------------


def rewritten(case: Case) -> list[Finding]:
    """What has a witness: an address that changed, a zero that was updated, a TTL that fell."""
    found = []
    zero = case.claim_causes(Cause.NAT_ON_ZERO)
    if zero:
        evidence = [f"in {counted(case.total(zero), 'checksum')} the field is what an update for changed addresses "
                    "makes of 0, or repeats over differing packets"]
        if case.around is not None:
            fixed = case.around.machine.kernel >= ZERO_FIXED
            evidence.append(f"this kernel ({case.around.machine.release}) "
                            + ("does not do that any more: it happened elsewhere" if fixed else "has that bug"))
        found.append(Finding("nat-on-zero", surely(zero), evidence, zero, case.total(zero), ZERO_REMEDIES,
                             bridge=case.bridge("nat-on-zero", zero)))
    nat = case.claim_causes(Cause.NAT_DELTA, Cause.HEADER_DELTA)
    if nat:
        addresses = [s for s in nat if s.cause == Cause.NAT_DELTA]
        headers = [s for s in nat if s.cause == Cause.HEADER_DELTA]
        evidence = []
        if addresses:
            evidence.append(f"{quantity(len(addresses), 'checksum is')} right for the address or port that the same "
                            "packet, or the other direction, shows elsewhere in this capture")
        if headers:
            evidence.append(f"{quantity(len(headers), 'IPv4 header has')} the checksum from before "
                            "the TTL fell or the ToS was set")
        found.append(_nat(case, nat, evidence, surely(nat) if addresses else "likely"))
    return found


def _nat(case: Case, mine: list[Sample], evidence: list[str], confidence: str) -> Finding:
    evidence += _conntrack_lines(case, mine)
    return Finding("nat-without-update", confidence, evidence, mine, case.total(mine), [_two_taps(case), *NAT_REMEDIES],
                   bridge=case.bridge("nat-without-update", mine))


def _conntrack_lines(case: Case, mine: list[Sample]) -> list[str]:
    """What the kernel's own NAT knows of these flows: it would have updated them."""
    if case.around is None or case.around.tapped is None:
        return []
    from pipeline.machine.conntrack import read_connections
    from pipeline.namespaces import call

    ends = {s.source for s in mine} | {s.target for s in mine}
    lines = []
    for interface in filter(None, (case.around.tapped, case.around.peer)):
        try:
            connections = call(interface.namespace, read_connections)
        except PipelineError:
            continue
        lines += [f"conntrack of namespace {interface.namespace.label} translates {c.original.source} > "
                  f"{c.original.target} to {c.reply.target} > {c.reply.source}" for c in connections
                  if c.is_rewritten and ends & {c.original.source, c.original.target, c.reply.source, c.reply.target}]
    return list(dict.fromkeys(lines))[:3]


# --- wrong methods ------------------------------------------------------------------------------------------------


def arithmetic(case: Case) -> list[Finding]:
    """Right but for the complement or the byte order."""
    mine = case.claim_causes(Cause.NOT_COMPLEMENTED, Cause.BYTE_SWAPPED)
    if not mine:
        return []
    words = {Cause.NOT_COMPLEMENTED: "the complement of what is right",
             Cause.BYTE_SWAPPED: "right with the octets swapped"}
    evidence = [f"{quantity(n, 'checksum is')} {words[cause]}" for cause, n in Counter(s.cause for s in mine).items()]
    sources = sorted({s.source for s in mine})
    evidence.append(f"sent by {', '.join(sources[:4])}")
    return [Finding("wrong-arithmetic", surely(mine), evidence, mine, case.total(mine),
                    [Remedy("ethtool -K IFACE tx off", f"on {sources[0]}, if its network card computes them; else the "
                                                       "program that crafts these packets has to be "
                                                       "mended", "switches TSO off too")],
                    bridge=case.bridge("wrong-arithmetic", mine))]


def length(case: Case) -> list[Finding]:
    """Right over another length."""
    mine = case.claim_causes(Cause.LENGTH)
    if not mine:
        return []
    padded = sum(s.wirelen > s.start + s.length for s in mine)
    evidence = [f"{counted(case.total(mine), 'checksum is')} right over another length than the headers say"]
    if padded:
        evidence.append(f"{quantity(padded, 'frame has')} octets after the packet: Ethernet padding or a frame check "
                        "sequence")
    remedy = Remedy("ethtool -K IFACE tx off", "on the sending end: its device sums octets that do not belong to the "
                    "packet", "switches TSO off too")
    return [Finding("length-fault", surely(mine), evidence, mine, case.total(mine), [remedy],
                    bridge=case.bridge("length-fault", mine))]


# --- the unexplained ----------------------------------------------------------------------------------------------


def super_frames(case: Case) -> list[Finding]:
    """Frames that a card or the stack joined: their checksum is that of a part, or left to do.  Never a fault."""
    total = case.tap.counters.super_frames
    joined = case.claim(lambda s: s.proto in (Proto.TCP, Proto.UDP) and (
        bool(s.flags & PacketFlag.SUPER_FRAME) or s.wirelen > LONGEST))
    longest = max((way.largest for way in case.tap.ways), default=0)
    if not total and not joined and longest <= LONGEST:
        return []
    evidence = [f"{quantity(total, 'super-frame')}, the longest of {longest} octets" if total else
                f"frames of up to {longest} octets, longer than any link carries"]
    if joined:
        evidence.append(f"in {quantity(len(joined), 'frame')} the checksum is that of a segment it was joined from")
    return [Finding("super-frames", "certain", evidence, joined, {"frames": max(total, len(joined), 1)})]


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
        evidence = [f"{counted(case.total(moved), 'checksum is')} off by the same difference in every packet of a flow "
                    "("
                    + ", ".join(f"{d:04x}" for d in deltas[:4]) + "): their contents were summed right, and a header "
                                                                  "was changed afterwards"]
        evidence += _turned_round(moved)
        found.append(_nat(case, moved, evidence, "likely"))
    return found


def _turned_round(samples: Iterable[Sample]) -> list[str]:
    """Source NAT without update is off by the difference of two addresses, and its answers by the opposite."""
    deltas = {(s.source, s.target): s.delta for s in samples}
    pairs = [key for key, d in deltas.items() if key[0] < key[1] and deltas.get(key[::-1]) == (-d) % 0xFFFF]
    return [f"{a} > {b} and back are off by opposite differences, as translation of one address makes them"
            for a, b in pairs[:2]]


def _translated_seeds(case: Case, mine: list[Sample]) -> Finding:
    offset = minus(mine[0].stored, mine[0].seed or 0)
    evidence = [f"{counted(case.total(mine), 'field differs')} from the pseudo-header sum S by the same {offset:04x} "
                "whatever the payload is: it was never summed. They leaked unfinished, and a NAT then updated them as "
                "if they were finished"]
    ends = [(s.source, case.owner(s.source, s.source_mac), True) for s in {s.source: s for s in mine}.values()]
    return Finding("metadata-lost", "likely", evidence, mine, case.total(mine), for_leak(ends[:4], []),
                   "pktmend bridge repairs them before the NAT only", case.bridge("metadata-lost", mine))


def bits(difference: int) -> int:
    """How many bits, added or taken away, make this one's complement difference (weight of its non-adjacent form)."""
    return min((d ^ (3 * d)).bit_count() for d in (difference, (-difference) % 0xFFFF))


def random(case: Case) -> list[Finding]:
    """What is left: a few bits in a few packets, or contents that are simply others."""
    mine = case.claim(lambda s: True)
    if not mine:
        return []
    known = [s for s in mine if s.expected is not None and s.width == 2]
    few = [s for s in known if bits(s.delta) <= FEW_BITS]
    is_bits = len(few) * 2 >= len(mine) and (len(few) == 1 or len({s.delta for s in few}) > 1)
    name = "bit-errors" if is_bits else "corruption"
    counts = case.total(mine)
    counters = case.tap.counters
    part = f"; {len(mine)} were looked at closely" if len(mine) < sum(counts.values()) else ""
    evidence = [f"in {quantity(counters.packets, 'packet')} {counted(counts, 'checksum is')} wrong, and no mistake of "
                f"arithmetic explains it{part}"]
    if is_bits:
        flips = sum(bits(s.delta) for s in few) * sum(counts.values()) // len(mine)
        columns = sorted({s.delta if s.delta < 0x8000 else (-s.delta) % 0xFFFF for s in few})
        evidence.append(f"{len(few)} of {len(mine)} off by one or two bits only ("
                        + ", ".join(f"{c:04x}" for c in columns[:6]) + "); of random damage 1 in 146 would be")
        evidence.append(f"about one bit in {counters.octets * 8 // max(1, flips):.1e} was damaged")
    evidence += _spread(case, mine)
    confidence = "likely" if len(mine) >= REPEATS else "possible"
    return [Finding(name, confidence, evidence, mine, counts, [_two_taps(case), *_link_remedies(case)],
                    "" if is_bits else "a second tap (-I) shows where it happens and what is changed")]


def _spread(case: Case, mine: list[Sample]) -> list[str]:
    """Are they all of one conversation, one sender, or everywhere?"""
    flows, macs = {s.flow for s in mine}, {s.source_mac for s in mine if s.source_mac}
    if len(flows) == 1:
        others = len(case.tap.ways) - 1
        return [f"all in one conversation, {next(iter(flows))}"
                + (f"; {quantity(others, 'other has')} none" if others > 0 else "")]
    if len(macs) == 1:
        return [f"spread over {quantity(len(flows), 'conversation')}, all from {next(iter(macs))}"]
    senders = f" and {quantity(len(macs), 'sender')}" if macs else ""
    return [f"spread over {quantity(len(flows), 'conversation')}{senders}"]


def _link_remedies(case: Case) -> list[Remedy]:
    tapped = case.around.tapped if case.around else None
    if tapped is not None and tapped.device:
        return [Remedy(tapped.command(f"ethtool -S {tapped.name}"), "look for CRC, symbol and alignment errors: a "
                                                                    "cable, connector or card", "")]
    return []
