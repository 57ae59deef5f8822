"""Rules on what only certain packets do: vouched for, flagged, SCTP, DHCP, ICMP errors."""

from __future__ import annotations

from collections import defaultdict
from shlex import quote

from pktmend import _core
from pktmend.commands.diagnose.case import Case, counted, surely
from pktmend.commands.diagnose.evidence import Dhcp, IcmpError
from pktmend.commands.diagnose.finding import Finding, Remedy, times
from pktmend.commands.diagnose.host_context import named
from pktmend.commands.diagnose.remedies import for_leak
from pktmend.commands.diagnose.samples import Sample, minus
from pktmend.console.plural import quantity
from pktmend.enums import Cause, CheckFlag, PacketFlag, Proto, Status

HONEST_VALID = (6, 2)  # packet sockets before may say "verified" of what only a card had summed (Nov 2022)
VETH_FIXED = (4, 4)
OFFER, ACK, DISCOVER, REQUEST = 2, 5, 1, 3


def vouched(case: Case) -> list[Finding]:
    """The VALID flag with wrong arithmetic.  It vouches for the outermost sum; super-frames have none of their own."""
    mine = case.claim(
        lambda s: (
            bool(s.check_flags & CheckFlag.CLAIMED_VALID) and s.depth == 0 and not s.flags & PacketFlag.SUPER_FRAME
        )
    )
    if not mine:
        return []
    unfinished = sum(s.cause == Cause.LEAKED for s in mine)
    counts = case.total(mine)
    evidence = [f"{counted(counts, 'checksum is')} wrong although the kernel marked their packets as verified"]
    confidence, limits = "likely", ""
    if case.around is None:
        limits = "the mark is as good as the program that wrote the capture"
    elif case.around.machine.kernel < HONEST_VALID:
        limits = "kernels before 6.2 also set the mark for what only a network card had summed"
    else:
        confidence = surely(mine)
    if case.around is not None and case.around.machine.kernel < VETH_FIXED:
        evidence.append("this kernel has the veth bug of 2016 (fixed in 4.4): veth marks every packet as verified")
    if unfinished:
        evidence.append(
            f"{unfinished} of them hold the bare pseudo-header sum: not corrupt but unfinished, and marked "
            "as verified; inside this machine they are taken, anyone else drops them"
        )
    return [
        Finding(
            "vouched-for-bad",
            confidence,
            evidence,
            mine,
            counts,
            _distrust(case, mine),
            limits,
            case.bridge("vouched-for-bad", mine),
        )
    ]


def _distrust(case: Case, mine: list[Sample]) -> list[Remedy]:
    """Switch off what vouches: a card's receive checksum, the veth of old, or GRO where frames entered the machine."""
    less = "more CPU time, and GRO joins less"
    tapped = case.around.tapped if case.around else None
    if case.around is None or tapped is None:
        return [Remedy("ethtool -K IFACE rx off", "for the card that receives them: the stack checks by itself", less)]
    remedies = []
    if tapped.device or case.around.machine.kernel < VETH_FIXED:
        remedies.append(
            Remedy(
                tapped.command(f"ethtool -K {quote(tapped.name)} rx off"),
                f"{named(tapped)} vouches for nothing: the stack checks by itself",
                less,
            )
        )
    owners = [case.owner(s.source, s.source_mac) for s in mine[:16]]
    found = [port for owner in owners if owner and (port := case.around.machine.peer_of(owner)) and port.has("rx-gro")]
    ports = {(port.namespace.inode, port.index): port for port in found}
    verifies = "does not verify and mark frames that are damaged only later: the receiver checks them again"
    remedies += [
        Remedy(
            port.command(f"ethtool -K {quote(port.name)} gro off"),
            f"{named(port)}, where they enter, {verifies}",
            "more CPU time",
        )
        for port in ports.values()
    ]
    return remedies or [
        Remedy("ethtool -K IFACE gro off", f"the interface where they enter the machine {verifies}", "more CPU time")
    ]


def flagged(case: Case) -> list[Finding]:
    """Flagged as unfinished, and the field is not the seed.  If it is complete already, it will be completed twice."""
    mine = case.claim_causes(Cause.BAD_SEED)
    done = [s for s in mine if s.stored == s.expected]
    rest = [s for s in mine if s.stored != s.expected]
    found = []
    if done:
        counts = case.total(done) if not rest else {f"{s.proto} bad-seed": len(done) for s in done[:1]}
        found.append(
            Finding(
                "double-completion",
                surely(done),
                [
                    f"{quantity(len(done), 'checksum is')} finished and right, and still flagged as unfinished: "
                    "whoever "
                    "completes it next turns it into the bare pseudo-header sum"
                ],
                done,
                counts,
                [_sender_remedy(case, done)],
                bridge=None,
            )
        )
    if rest:
        found.append(_bad_seed(case, rest))
    return found


def _sender_remedy(case: Case, samples: list[Sample]) -> Remedy:
    owner = case.owner(samples[0].source, samples[0].source_mac)
    return for_leak([(samples[0].source, owner, True)], [])[0]


def _bad_seed(case: Case, mine: list[Sample]) -> Finding:
    counts = case.total(mine)
    evidence = [f"{counted(counts, 'field is')} flagged as unfinished, without the seed S in it"]
    offsets = {minus(s.stored, s.seed or 0) for s in mine}
    if all(s.stored == 0 for s in mine):
        evidence.append("all hold 0: the sender forgot the pseudo header")
    elif len(mine) > 1 and len(offsets) == 1:
        evidence.append(f"all differ from S by {offsets.pop():04x}: the same mistake each time, in a driver or program")
    elif len(offsets) > 1:
        evidence.append(
            "they differ from S by varying amounts: finished sums of other contents, most likely. Their "
            "packets are corrupt, and the flag makes the receiver's kernel take them unseen"
        )
    return Finding(
        "bad-seed",
        surely(mine),
        evidence,
        mine,
        counts,
        [
            Remedy(
                "pktmend monitor -i IFACE",
                "tap nearer to the sender, interface by interface, until they are gone: "
                "what lies between sets the flag",
                "",
            )
        ],
        "a flagged packet that holds the right seed over corrupt contents cannot be told from a healthy one by any tap",
        case.bridge("bad-seed", mine),
    )


# --- SCTP ---------------------------------------------------------------------------------------------------------


def sctp(case: Case) -> list[Finding]:
    """A field that is empty, holds a 16-bit sum, or is a CRC32c written wrongly.  Damage is not meant here."""
    kinds: dict[str, list[Sample]] = defaultdict(list)

    def is_mistake(s: Sample) -> bool:
        kind = _sctp_kind(s) if s.proto == Proto.SCTP else ""
        if kind:
            kinds[kind].append(s)
        return bool(kind)

    mine = case.claim(is_mistake)
    if not mine:
        return []
    words = {
        "empty": "0: the CRC32c was left to hardware and never filled in",
        "16-bit": "a 16-bit Internet checksum: a hop completed them as if they were TCP",
        "written": "the right CRC32c in the wrong byte order or not complemented",
    }
    counts = case.total(mine)
    evidence = [f"{quantity(len(some), 'SCTP checksum field holds')} {words[kind]}" for kind, some in kinds.items()]
    ends = [(s.source, case.owner(s.source, s.source_mac), True) for s in {s.source: s for s in mine}.values()]
    remedies = [
        Remedy(
            (
                end.command(f"ethtool -K {quote(end.name)} tx-checksum-sctp off")
                if end
                else "ethtool -K IFACE tx-checksum-sctp off"
            ),
            f"{address} computes the CRC32c itself",
            "a little more CPU time",
        )
        for address, end, _ in ends[:4]
    ]
    bridge = case.bridge("sctp-wrong-sum" if "empty" in kinds else "wrong-arithmetic", mine)
    return [Finding("sctp-wrong-sum", surely(mine), evidence, mine, counts, remedies, bridge=bridge)]


def _sctp_kind(s: Sample) -> str:
    if s.stored == 0:
        return "empty"
    if s.cause in (Cause.BYTE_SWAPPED, Cause.NOT_COMPLEMENTED):
        return "written"
    octets = bytearray(s.frame[s.start : s.start + s.length])
    if len(octets) < max(s.length, 12):
        return ""
    octets[8:12] = bytes(4)
    plain = _core.checksum(octets)
    pseudo = 132 + s.length + sum(_words(s.source)) + sum(_words(s.target))
    sums = {plain, _core.checksum(octets, pseudo)}
    upper, lower = s.stored >> 16, s.stored & 0xFFFF
    return "16-bit" if (upper in sums and lower == 0) or (lower in sums and upper == 0) else ""


def _words(address: str) -> list[int]:
    """The 16-bit words of an address."""
    import socket

    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address) if address else b""
    return [int.from_bytes(packed[i : i + 2], "big") for i in range(0, len(packed), 2)]


# --- DHCP ---------------------------------------------------------------------------------------------------------


def dhcp(case: Case) -> list[Finding]:
    """Answers with an unfinished sum, and a client that asks again as if it had not got them."""
    replies = [m for m in case.tap.dhcp if m.is_reply and _is_unfinished(m.sample)]
    if not replies:
        return []
    refused, taken = _reactions(case.tap.dhcp)
    leaked = [m for m in replies if m.sample.cause == Cause.LEAKED]
    others = any(s.cause == Cause.LEAKED and 68 not in s.ports for s in case.rest)
    if taken or (not refused and (others or not leaked)):
        return []
    mine = case.claim(lambda s: s.cause == Cause.LEAKED and s.proto == Proto.UDP and 68 in s.ports)
    samples = mine or [m.sample for m in replies]
    evidence = [f"{len(replies)} DHCP answers carry an unfinished UDP checksum (F = S)"]
    if leaked:
        evidence.append("the kernel's note is gone too, so that no client can know")
    else:
        evidence.append(
            "the kernel's note is there, but a client that reads raw packets without asking for it "
            "(PACKET_AUXDATA) does not see it"
        )
    if refused:
        evidence.append(f"the client asked again {times(refused)} after an answer had come, as if there had been none")
    confidence = "certain" if leaked and refused else "likely"
    server = case.owner(samples[0].source, samples[0].source_mac)
    remedies = for_leak([(samples[0].source, server, True)], [])
    remedies.append(
        Remedy(
            "iptables -t mangle -A POSTROUTING -p udp --dport 68 -j CHECKSUM --checksum-fill",
            "on the server's machine, before the note gets lost: finishes the checksum of DHCP answers only",
            "",
        )
    )
    return [
        Finding(
            "dhcp-raw-client",
            confidence,
            evidence,
            samples,
            {"udp": len(replies)},
            remedies,
            bridge=case.bridge("dhcp-raw-client", samples),
        )
    ]


def _is_unfinished(s: Sample) -> bool:
    return s.status == Status.PENDING or s.cause == Cause.LEAKED


def _reactions(messages: list[Dhcp]) -> tuple[int, int]:
    """How often clients asked again after an unfinished answer, and how often they went on with it."""
    waiting: dict[bytes, int] = {}
    refused = taken = 0
    for m in messages:
        if m.is_reply and _is_unfinished(m.sample) and m.kind in (OFFER, ACK):
            waiting[m.client] = m.kind
        elif not m.is_reply and m.client in waiting:
            answer = waiting.pop(m.client)
            if answer == OFFER and m.kind == REQUEST:
                taken += 1
            elif m.kind == (DISCOVER if answer == OFFER else REQUEST):
                refused += 1
    return refused, taken


# --- ICMP ---------------------------------------------------------------------------------------------------------


def icmp(case: Case) -> list[Finding]:
    """An error goes to the sender of the packet it quotes: if they differ, NAT translated the one and not the other."""
    errors = [e for e in case.tap.icmp_errors if e.is_whole]
    strangers = [e for e in errors if e.quoted_source != e.target]
    wrong = [e for e in errors if e.sample.status == Status.BAD]
    if not strangers and not _are_wrong_alone(case, wrong):
        return []
    evidence = []
    if strangers:
        evidence.append(
            f"{len(strangers)} of {quantity(len(errors), 'ICMP error')} went to another host than the "
            f"sender of the packet it quotes ({_pair(strangers[0])}): the outer address was translated, "
            "the quoted one was not"
        )
    if wrong:
        evidence.append(
            f"{len(wrong)} of {quantity(len(errors), 'ICMP error')} had a wrong checksum of its own, the "
            "one from before what it quotes was rewritten; other ICMP messages are right"
        )
    numbers = {e.n for e in wrong}
    case.claim(lambda s: s.n in numbers and s.proto in (Proto.ICMP, Proto.ICMPV6))
    stale = [e for e in strangers if e not in wrong]
    samples = [e.sample for e in (*wrong, *stale)]
    confidence = surely(samples) if strangers else "likely"
    return [
        Finding(
            "icmp-stale-inner",
            confidence,
            evidence,
            samples,
            {"icmp": len(samples)},
            [
                Remedy(
                    "nft list ruleset",
                    "find the hop that rewrites these addresses: its NAT has to translate "
                    "ICMP errors with their connection (conntrack state `related`), or "
                    "not at all",
                    "",
                )
            ],
        )
    ]


def _pair(e: IcmpError) -> str:
    return f"to {e.target}, quoting {e.quoted_source} > {e.quoted_target}"


def _are_wrong_alone(case: Case, wrong: list[IcmpError]) -> bool:
    """Two at least, each explained by the address of a host that was seen, and no other ICMP message is bad."""
    bad = sum(s.proto in (Proto.ICMP, Proto.ICMPV6) for s in case.rest)
    hosts = {address for way in case.tap.ways for address in (way.source, way.target)}
    sums = {sum(_words(host)) % 0xFFFF for host in hosts}
    explained = [e for e in wrong if _is_stale(e, sums)]
    return len(explained) >= 2 and len(explained) == len(wrong) == bad


def _is_stale(e: IcmpError, sums: set[int]) -> bool:
    """Is the error's sum right for a quoted packet with another address in it?"""
    delta = e.sample.delta
    now = [sum(_words(address)) % 0xFFFF for address in (e.quoted_source, e.quoted_target)]
    return any(
        delta in ((own - other) % 0xFFFF, (other - own) % 0xFFFF) for own in now for other in sums if own != other
    )
