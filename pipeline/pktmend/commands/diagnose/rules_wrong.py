"""Rules on checksums that are wrong rather than unfinished: empty, miscomputed, over another length, damaged.

Random damage is told from a systematic mistake by repetition: a mistake makes the same difference in every packet of a
flow, damage does not.
"""

from __future__ import annotations

from collections import Counter
from shlex import quote

from pktmend.commands.diagnose.case import REPEATS, Case, counted, surely
from pktmend.commands.diagnose.evidence import LONGEST
from pktmend.commands.diagnose.finding import Finding, Remedy, times
from pktmend.commands.diagnose.remedies import for_leak
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits
from pktmend.console.plural import quantity
from pktmend.enums import Cause, PacketFlag, Proto

# --- empty fields -------------------------------------------------------------------------------------------------


def empty(case: Case) -> list[Finding]:
    """0 where a sum is mandatory: left to hardware, which is healthy where somebody fills it in later, or forgotten."""
    zero = [s for s in case.rest if s.cause in (Cause.NEVER_FILLED, Cause.ILLEGAL_ZERO)]
    if all(s.expected is not None and s.width == 2 and bits(s.delta) == 1 for s in zero):
        return []  # 0 is a right sum too, once in 65,536: where each is one bit away from it, bits were damaged
    mine = case.claim(lambda s: s in zero)
    blank = [way for way in case.tap.ways if way.kinds["blank"]]
    accepted = {(way.source, way.target) for way in blank if way.accepted}
    filled = [s for s in mine if (s.source, s.target) in accepted]
    with_seed = [s for s in mine if s not in filled and s.proto == Proto.IP and s.n in case.tap.seeded]
    found = []
    if filled:
        total = sum(way.accepted for way in blank)
        found.append(
            Finding(
                "offload-pending",
                "certain",
                [
                    f"{counted(case.total(filled), 'checksum is')} 0, left to the sender's network card",
                    f"their packets were acknowledged or answered {times(total)}: they were filled in after this tap",
                ],
                filled,
                case.total(filled),
            )
        )
    if with_seed:
        found.append(
            Finding(
                "offload-pending",
                "likely",
                [
                    f"{counted(case.total(with_seed), 'checksum is')} 0, and what such a header carries is "
                    "unfinished too (F = S): both are left to the sender's network card, before which this was "
                    "taken"
                ],
                with_seed,
                case.total(with_seed),
            )
        )
    rest = [s for s in mine if s not in filled and s not in with_seed]
    for name, some in (
        ("ip-header-never-filled", [s for s in rest if s.proto == Proto.IP]),
        ("never-filled", [s for s in rest if s.proto != Proto.IP]),
    ):
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
    limits = (
        ""
        if live
        else (
            "some systems (Windows, BSD) leave it to their network card: in a capture of such a "
            "sender it is healthy, and nothing here shows where it was taken; if that was beyond "
            "the sender, say so with --at wire"
        )
    )
    ends = [(s.source, case.owner(s.source, s.source_mac), True) for s in {s.source: s for s in mine}.values()]
    confidence = surely(mine) if live else "likely" if case.tap.at_wire else "possible"
    return Finding(name, confidence, evidence, mine, counts, for_leak(ends[:4], []), limits, case.bridge(name, mine))


# --- wrong methods ------------------------------------------------------------------------------------------------


def arithmetic(case: Case) -> list[Finding]:
    """Right but for the complement or the byte order."""
    mine = case.claim_causes(Cause.NOT_COMPLEMENTED, Cause.BYTE_SWAPPED)
    if not mine:
        return []
    words = {
        Cause.NOT_COMPLEMENTED: "the complement of what is right",
        Cause.BYTE_SWAPPED: "right with the octets swapped",
    }
    evidence = [f"{quantity(n, 'checksum is')} {words[cause]}" for cause, n in Counter(s.cause for s in mine).items()]
    sources = sorted({s.source for s in mine})
    evidence.append(f"sent by {', '.join(sources[:4])}")
    return [
        Finding(
            "wrong-arithmetic",
            surely(mine),
            evidence,
            mine,
            case.total(mine),
            [
                Remedy(
                    "ethtool -K IFACE tx off",
                    f"on {sources[0]}, if its network card computes them; else the "
                    "program that crafts these packets has to be "
                    "mended",
                    "switches TSO off too",
                )
            ],
            bridge=case.bridge("wrong-arithmetic", mine),
        )
    ]


def length(case: Case) -> list[Finding]:
    """Right over another length.  What the length of a damaged IPv4 header says is not held against the checksum."""
    damaged = {s.n for s in case.rest if s.proto == Proto.IP}
    mine = case.claim(lambda s: s.cause == Cause.LENGTH and s.n not in damaged)
    if not mine:
        return []
    padded = sum(s.wirelen > s.start + s.length for s in mine)
    evidence = [f"{counted(case.total(mine), 'checksum is')} right over another length than the headers say"]
    if padded:
        evidence.append(
            f"{quantity(padded, 'frame has')} octets after the packet: Ethernet padding or a frame check sequence"
        )
    remedy = Remedy(
        "ethtool -K IFACE tx off",
        "on the sending end: its device sums octets that do not belong to the packet",
        "switches TSO off too",
    )
    return [
        Finding(
            "length-fault",
            surely(mine),
            evidence,
            mine,
            case.total(mine),
            [remedy],
            bridge=case.bridge("length-fault", mine),
        )
    ]


# --- the unexplained ----------------------------------------------------------------------------------------------


def super_frames(case: Case) -> list[Finding]:
    """Frames that a card or the stack joined: their checksum is that of a part, or left to do.  Never a fault."""
    total = case.tap.counters.super_frames
    joined = case.claim(
        lambda s: s.proto in (Proto.TCP, Proto.UDP) and (bool(s.flags & PacketFlag.SUPER_FRAME) or s.wirelen > LONGEST)
    )
    longest = max((way.largest for way in case.tap.ways), default=0)
    if not total and not joined and longest <= LONGEST:
        return []
    evidence = [
        f"{quantity(total, 'super-frame')}, the longest of {longest} octets"
        if total
        else f"frames of up to {longest} octets, longer than any link carries"
    ]
    if joined:
        evidence.append(f"in {quantity(len(joined), 'frame')} the checksum is that of a segment it was joined from")
    return [Finding("super-frames", "certain", evidence, joined, {"frames": max(total, len(joined), 1)})]


def random(case: Case) -> list[Finding]:
    """What is left: a few bits in a few packets, or contents that are simply others."""
    mine = case.claim(lambda s: True)
    if not mine:
        return []
    known = [s for s in mine if s.expected is not None and s.width == 2]
    few = [s for s in known if bits(s.delta) <= FEW_BITS]
    is_bits = len(few) * 2 >= len(mine) and (len({s.n for s in few}) == 1 or len({s.delta for s in few}) > 1)
    name = "bit-errors" if is_bits else "corruption"
    counts = case.total(mine)
    counters = case.tap.counters
    part = f"; {len(mine)} were looked at closely" if len(mine) < sum(counts.values()) else ""
    evidence = [
        f"in {quantity(counters.packets, 'packet')} {counted(counts, 'checksum is')} wrong, and no mistake of "
        f"arithmetic explains it{part}"
    ]
    if is_bits:
        flips = sum(bits(s.delta) for s in few) * sum(counts.values()) // len(mine)
        columns = sorted({s.delta if s.delta < 0x8000 else (-s.delta) % 0xFFFF for s in few})
        evidence.append(
            f"{len(few)} of {len(mine)} off by one or two bits only ("
            + ", ".join(f"{c:04x}" for c in columns[:6])
            + "); of random damage 1 in 146 would be"
        )
        if flips >= REPEATS:
            evidence.append(f"about one bit in {counters.octets * 8 // flips:.1e} was damaged")
    other = sum(s.cause == Cause.LENGTH for s in mine)
    if other:
        evidence.append(
            f"{quantity(other, 'checksum is')} right over another length than an IPv4 header says that is "
            "itself wrong: its length was damaged"
        )
    evidence += _spread(case, mine)
    confidence = "likely" if len(mine) >= REPEATS else "possible"
    return [
        Finding(
            name,
            confidence,
            evidence,
            mine,
            counts,
            [case.two_taps(), *_link_remedies(case)],
            _limits(mine, is_bits=is_bits),
        )
    ]


def _limits(mine: list[Sample], *, is_bits: bool) -> str:
    if is_bits and len(mine) >= REPEATS:
        return ""
    header = is_bits and all(s.proto == Proto.IP for s in mine)
    other = "a header field that was changed without an update looks the same; " if header else ""
    return f"{other}a second tap (-I) shows where it happens and what is changed"


def _spread(case: Case, mine: list[Sample]) -> list[str]:
    """Are they all of one conversation, one sender, or everywhere?"""
    flows, macs = {s.flow for s in mine}, {s.source_mac for s in mine if s.source_mac}
    if len(flows) == 1:
        others = len(case.tap.ways) - 1
        return [
            f"all in one conversation, {next(iter(flows))}"
            + (f"; {quantity(others, 'other has')} none" if others > 0 else "")
        ]
    if len(macs) == 1:
        return [f"spread over {quantity(len(flows), 'conversation')}, all from {next(iter(macs))}"]
    senders = f" and {quantity(len(macs), 'sender')}" if macs else ""
    return [f"spread over {quantity(len(flows), 'conversation')}{senders}"]


def _link_remedies(case: Case) -> list[Remedy]:
    tapped = case.around.tapped if case.around else None
    if tapped is not None and tapped.device:
        return [
            Remedy(
                tapped.command(f"ethtool -S {quote(tapped.name)}"),
                "look for CRC, symbol and alignment errors: a cable, connector or card",
            )
        ]
    return []
