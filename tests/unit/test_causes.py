"""Every status and every cause of DESIGN section 4.

Frames and sums come from scapy, tshark, an RFC or a public bug report, never from the code under test.  A carrier is
built twice with different payloads; the one with the other's checksum is the damaged one, and what scapy wrote into it
is what is expected.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frames as f
import pytest
from carriers import CARRIERS, dccp, inner, nested, over4, over6, tcp4, tcp6, udp_lite
from scapy.all import GRE, ICMP, IP, TCP, UDP, VXLAN, Ether, IPv6, Raw, fragment, fragment6, in4_chksum, wrpcap
from scapy.contrib.igmp import IGMP
from scapy.layers.inet6 import MIP6MH_BRR, ICMPv6DestUnreach, ICMPv6EchoRequest, IPv6ExtHdrFragment
from scapy.utils import checksum as words
from tools import need

from pipeline import (
    Batch,
    Capture,
    Cause,
    Check,
    CheckFlag,
    PacketFlag,
    Pipeline,
    Proto,
    Reason,
    Status,
    _core,
    batch_of,
    classify,
    verify,
)

LIVE = int(PacketFlag.METADATA)
PENDING = int(PacketFlag.METADATA | PacketFlag.NOT_READY)
FIRST, SECOND = bytes(range(64)), bytes(range(64, 0, -1))


def judge(frame: bytes, **options: Any) -> list[Check]:
    """Return the checks."""
    return _core.inspect(frame, **{"flags": LIVE, **options})[2]


def verdicts(checks: list[Check]) -> list[str]:
    """Return each check as `tcp1 good`: protocol, depth, status, and cause or reason where there is one."""
    out = []
    for k in checks:
        verdict = [f"{Proto(k.proto)}{k.depth or ''}", str(Status(k.status))]
        verdict += [str(Cause(k.cause))] if k.cause else []
        verdict += [str(Reason(k.reason))] if k.reason else []
        out.append(" ".join(verdict))
    return out


# --- good and bad, wherever a sum may lie ---------------------------------------------------------


@pytest.mark.parametrize("name", CARRIERS)
def test_right_sum_is_good_and_anothers_is_bad(name: str) -> None:
    link, layout, build = CARRIERS[name]
    right = f.raw(build(FIRST))
    checks = judge(right, link=link)
    assert [f"{Proto(k.proto)}{k.depth or ''}" for k in checks] == layout.split()
    absent = [k for k in checks if k.flags & CheckFlag.NO_FIELD]
    assert all(k.status == (Status.ABSENT if k in absent else Status.GOOD) for k in checks), verdicts(checks)
    assert all(k.proto == Proto.GRE for k in absent)

    k = checks[-1]
    other = f.raw(build(SECOND))
    field = slice(k.offset, k.offset + k.width)
    uncovered = "header only" in name
    assert (right[field] == other[field]) == uncovered
    damaged = other[: field.start] + right[field] + other[field.stop :]
    if uncovered:
        assert judge(damaged, link=link)[-1].status == Status.GOOD
        damaged = f.put16(damaged, k.start, f.get16(damaged, k.start) ^ 0x1801)  # the source port
        assert judge(damaged, link=link)[-1].status == Status.BAD
        return
    k = judge(damaged, link=link)[-1]
    assert k.status == Status.BAD
    assert k.stored == int.from_bytes(right[field], "big")
    assert k.expected == int.from_bytes(other[field], "big")


@pytest.mark.parametrize("name", [name for name in CARRIERS if "UDP-Lite" in name or "DCCP" in name or name in (
    "GRE with a sum", "SCTP over IPv6", "IPv6 routing type 0", "IPv6 segment routing", "IPv6 home address",
    "Geneve with options", "GTP-U with an extension", "IPv4 loose source route")])
def test_tshark_agrees_where_scapy_does_not_sum(name: str, tmp_path: Path) -> None:
    """What this file sums by hand, and a few more: tshark finds the same right sums good and the same damage bad."""
    need("tshark")
    link, _, build = CARRIERS[name]
    right, other = f.raw(build(FIRST)), f.raw(build(SECOND))
    k = judge(right, link=link)[-1]
    damaged = other[: k.offset] + right[k.offset : k.offset + k.width] + other[k.offset + k.width :]
    if "header only" in name:
        damaged = f.put16(damaged, k.start, f.get16(damaged, k.start) ^ 0x1801)
    path = tmp_path / "both.pcap"
    wrpcap(str(path), [right, damaged], linktype=link)
    proto = {"udplite": "udp"}.get(str(Proto(k.proto)), str(Proto(k.proto)))
    on = [x for p in ("tcp", "udp") for x in ("-o", f"{p}.check_checksum:TRUE")]
    on += ["-o", "sctp.checksum:CRC 32c", "-o", "dccp.check_checksum:TRUE", "-o", "udplite.check_checksum:TRUE",
           "-o", "udplite.ignore_checksum_coverage:FALSE"]
    out = subprocess.run(["tshark", "-r", str(path), *on, "-T", "fields", "-e", f"{proto}.checksum.status"],
                         capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert [line.split(",")[-1] for line in out] == ["1", "0"]


def test_ninth_ip_header_is_beyond_the_bound() -> None:
    checks = judge(f.raw(nested(9, FIRST)))
    assert verdicts(checks) == [f"ip{i or ''} good" for i in range(8)]
    assert len(judge(f.raw(nested(40, FIRST)))) == 8


def test_ninth_tag_is_beyond_the_bound() -> None:
    frame = f.raw(f.ether)[:12] + b"\x81\0\0\5" * 9 + b"\x08\0" + f.raw(tcp4 / FIRST)
    flags, _, checks = _core.inspect(frame, flags=LIVE)
    assert not checks and flags & PacketFlag.MALFORMED


def test_mobility_header_has_no_check_of_its_own() -> None:
    """RFC 6275 section 6.1.1 gives it a sum; DESIGN has no word for it, and it is passed over, not misjudged."""
    assert judge(f.raw(over6 / MIP6MH_BRR())) == []


# --- absent, unchecked, pending -------------------------------------------------------------------


@pytest.mark.parametrize(("packet", "expected"), [
    (over4 / UDP(sport=1, dport=2, chksum=0) / FIRST, "udp absent"),
    (over4 / UDP(sport=9, dport=4789, chksum=0) / VXLAN() / inner / FIRST, "udp absent"),
    *((over6 / UDP(sport=9, dport=port, chksum=0) / Raw(bytes(32)), "udp absent") for port in (4789, 8472, 6081, 2152)),
    (over6 / UDP(sport=9, dport=53, chksum=0) / FIRST, "udp bad illegal-zero"),
    (over4 / GRE() / tcp4 / FIRST, "gre absent"),
], ids=str)
def test_absent(packet: Any, expected: str) -> None:
    assert expected in verdicts(judge(f.raw(packet)))


def test_unchecked_fragment() -> None:
    for part in fragment(f.ip4 / f.udp / Raw(bytes(3000)), fragsize=1000):
        checks = verdicts(judge(f.raw(f.ether / part)))
        assert checks == ["ip good"] + (["udp unchecked fragment"] if part.frag == 0 else [])
    parts = fragment6(f.ip6 / IPv6ExtHdrFragment() / f.udp / Raw(bytes(3000)), 1280)
    assert len(parts) == 3
    assert [verdicts(judge(f.raw(f.ether / part))) for part in parts] == [["udp unchecked fragment"], [], []]


def test_unchecked_truncated() -> None:
    frame = f.raw(f.ether / tcp4 / FIRST)
    assert verdicts(judge(frame[:-1], wirelen=len(frame))) == ["ip good", "tcp unchecked truncated"]
    with_options = f.raw(f.ether / IP(options=[b"\x94\x04\0\0"]) / f.udp / FIRST)
    assert verdicts(judge(with_options[:36], wirelen=len(with_options))) == ["ip unchecked truncated"]


@pytest.mark.parametrize(("packet", "expected"), [
    (over4 / UDP(sport=1, dport=2, len=900) / FIRST, "udp unchecked length"),
    (over4 / UDP(sport=1, dport=2, len=7) / FIRST, "udp unchecked length"),
    (over4 / TCP(dataofs=15), "tcp unchecked length"),
    (over4 / TCP(dataofs=4) / FIRST, "tcp unchecked length"),
    (udp_lite(900, FIRST), "udplite unchecked length"),
    (udp_lite(7, FIRST), "udplite unchecked length"),
    (dccp(15, FIRST[:4]), "dccp unchecked length"),
    (f.ether / IP(src="10.7.0.1", dst="10.7.0.2", len=1400) / f.udp / FIRST, "udp unchecked length"),
], ids=str)
def test_unchecked_contradicting_lengths(packet: Any, expected: str) -> None:
    flags, _, checks = _core.inspect(f.raw(packet), flags=LIVE)
    assert verdicts(checks)[-1] == expected
    assert flags & PacketFlag.MALFORMED


def test_unchecked_quoted_whatever_it_holds() -> None:
    quoted = f.raw(f.ip4 / UDP(sport=1, dport=2, chksum=0x1234) / FIRST)
    checks = judge(f.raw(over4 / ICMP(type=3, code=3) / Raw(quoted)))
    assert verdicts(checks) == ["ip good", "icmp good", "ip unchecked quoted", "udp unchecked quoted"]
    assert [bool(k.flags & CheckFlag.QUOTED) for k in checks] == [False, False, True, True]
    short = judge(f.raw(over4 / ICMP(type=11) / Raw(quoted[:28])))  # RFC 792: the header and 64 bits
    assert verdicts(short) == ["ip good", "icmp good", "ip unchecked quoted", "udp unchecked quoted"]
    six = f.raw(f.ip6 / TCP(chksum=0x4321) / FIRST)
    assert verdicts(judge(f.raw(over6 / ICMPv6DestUnreach() / Raw(six)))) == ["icmpv6 good", "tcp unchecked quoted"]


def test_quoted_never_makes_a_packet_bad() -> None:
    """A packet's status is that of its own checks."""
    quoted = f.raw(IP(src="10.7.0.2", dst="10.7.0.1", chksum=0x5555) / UDP(chksum=0x1234) / FIRST)
    assert _core.inspect(f.raw(over4 / ICMP(type=3) / Raw(quoted)), flags=LIVE)[1] == Status.GOOD


PUBLISHED_SEEDS = [  # field, source, target, TCP or UDP octets: what public threads showed (see tests/unit/test_sum.py)
    (0xDC5F, "10.18.100.6", "10.18.100.7", TCP, 40),
    (0x0181, "192.168.128.0", "192.168.0.1", TCP, 40),
    (0xDA2F, "10.86.247.137", "10.86.205.211", TCP, 32),
    (0x5E7C, "192.168.221.3", "192.168.0.1", TCP, 32),
    (0xC2D4, "192.168.0.251", "255.255.255.255", UDP, 288),
    (0x95D2, "10.226.137.197", "255.255.255.255", UDP, 282),
]


@pytest.mark.parametrize(("published", "source", "target", "layer", "octets"), PUBLISHED_SEEDS)
def test_pending_and_leaked_published(published: int, source: str, target: str, layer: Any, octets: int) -> None:
    body = Raw(bytes(range(256)) * 2)
    packet = f.ether / IP(src=source, dst=target) / layer(sport=68, dport=67) / Raw(
        f.raw(body)[: octets - (20 if layer is TCP else 8)])
    right = f.get16(f.raw(packet), f.field_offset(packet))
    frame = f.put16(f.raw(packet), f.field_offset(packet), published)
    name = layer.__name__.lower()
    assert verdicts(judge(frame))[-1] == f"{name} bad leaked"
    assert judge(frame)[-1].expected == right
    assert verdicts(judge(frame, flags=0))[-1] == f"{name} pending no-metadata"
    assert verdicts(judge(frame, flags=0, at_wire=True))[-1] == f"{name} bad leaked"
    assert verdicts(judge(frame, flags=PENDING, vnet=f.vnet(packet)))[-1] == f"{name} pending"


# --- causes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet", [f.ether / tcp4 / FIRST, f.ether / tcp6 / FIRST, over4 / ICMP() / FIRST,
                                    over6 / ICMPv6EchoRequest(data=FIRST), over4 / IGMP() / FIRST], ids=str)
def test_never_filled(packet: Any) -> None:
    frame = f.raw(packet)
    k = judge(frame)[-1]
    zeroed = judge(f.put16(frame, k.offset, 0))[-1]
    assert (zeroed.status, zeroed.cause, zeroed.expected) == (Status.BAD, Cause.NEVER_FILLED, f.get16(frame, k.offset))


def test_never_filled_ipv4_header() -> None:
    frame = f.raw(f.ether / tcp4 / FIRST)
    assert verdicts(judge(f.put16(frame, 24, 0))) == ["ip bad never-filled", "tcp good"]


def test_illegal_zero() -> None:
    right = f.raw(over6 / f.udp / FIRST)
    k = judge(f.put16(right, 60, 0))[-1]
    assert (k.status, k.cause, k.expected) == (Status.BAD, Cause.ILLEGAL_ZERO, f.get16(right, 60))


def test_bad_seed() -> None:
    packet = f.ether / tcp4 / FIRST
    frame = f.put16(f.raw(packet), 50, f.seed(packet) ^ 0x0180)
    assert verdicts(judge(frame, flags=PENDING, vnet=f.vnet(packet)))[-1] == "tcp bad bad-seed"


def test_inner_pending() -> None:
    packet = over4 / UDP(sport=9, dport=4789) / VXLAN() / inner / FIRST
    seeded = f.put16(f.raw(packet), 14 + 20 + 8 + 8 + 50, f.seed(inner / FIRST))
    assert verdicts(judge(seeded)) == ["ip good", "udp bad inner-pending", "ip1 good", "tcp1 bad leaked"]


@pytest.mark.parametrize("name", ["ethernet", "UDP over IPv6", "ICMP", "DCCP", "UDP-Lite, partial", "SCTP"])
def test_not_complemented_and_byte_swapped(name: str) -> None:
    frame = f.raw(CARRIERS[name][2](FIRST))
    k = judge(frame)[-1]
    field = frame[k.offset : k.offset + k.width]
    for value, cause in ((bytes(255 - x for x in field), Cause.NOT_COMPLEMENTED), (field[::-1], Cause.BYTE_SWAPPED)):
        wrong = judge(frame[: k.offset] + value + frame[k.offset + k.width :])[-1]
        assert (wrong.status, wrong.cause) == (Status.BAD, cause)
        assert wrong.expected == int.from_bytes(field, "big")


def test_length_padding_and_fcs_were_summed() -> None:
    packet = over4 / UDP(sport=7, dport=9) / Raw(b"ping")
    frame = f.raw(packet)
    for trailer in (b"\xaa\x55" * 7, b"\x12\x34\x56\x78"):  # Ethernet padding that is not zero; a frame check sequence
        octets = f.put16(frame, 40, 0)[34:] + trailer
        for value in (in4_chksum(17, packet[IP], octets),  # the length counted too
                      words(f.raw(packet)[26:34] + struct.pack("!HH", 17, 12) + octets)):  # or not
            assert verdicts(judge(f.put16(frame, 40, value) + trailer))[-1] == "udp bad length"


@pytest.mark.parametrize("packet", [f.ether / tcp4 / FIRST, f.ether / tcp6 / FIRST, over4 / f.udp / FIRST], ids=str)
def test_length_missing_from_the_pseudo_header(packet: Any) -> None:
    frame, offset = f.raw(packet), f.field_offset(packet)
    start, number = f.transport_start(frame), 6 if TCP in packet else 17
    addresses = frame[26:34] if IP in packet else frame[22:54]
    value = words(addresses + struct.pack("!H", number) + f.put16(frame, offset, 0)[start:])
    k = judge(f.put16(frame, offset, value))[-1]
    assert (k.status, k.cause, k.expected) == (Status.BAD, Cause.LENGTH, f.get16(frame, offset))


def test_length_options_left_out_of_the_ipv4_header() -> None:
    frame = f.raw(f.ether / IP(options=[b"\x94\x04\x12\x34"]) / f.udp / FIRST)
    short = words(f.put16(frame, 24, 0)[14:34])
    assert verdicts(judge(f.put16(frame, 24, short)))[0] == "ip bad length"


def test_header_delta_as_rfc1624_describes_routers() -> None:
    """RFC 1624: a router lowers the TTL; here it forgets the sum, which is the one scapy made for the TTL before."""
    def old_sum(now: Any, before: Any) -> list[str]:
        return verdicts(judge(f.put16(f.raw(f.ether / now / f.tcp), 24, f.get16(f.raw(f.ether / before / f.tcp), 24))))

    assert old_sum(IP(ttl=63), IP(ttl=64))[0] == "ip bad header-delta"
    assert old_sum(IP(tos=0xB8), IP(tos=0))[0] == "ip bad header-delta"  # marked EF
    assert old_sum(IP(tos=3), IP(tos=2))[0] == "ip bad header-delta"  # congestion experienced
    assert old_sum(IP(tos=3), IP(tos=1))[0] == "ip bad header-delta"
    assert old_sum(IP(ttl=60), IP(ttl=64))[0] == "ip bad bit-flip"  # four hops at once differ like one bit: not named


@pytest.mark.parametrize("bit", range(8 * 20))
def test_bit_flip(bit: int) -> None:
    frame = bytearray(f.raw(f.ether / tcp4 / FIRST))
    at = len(frame) - 1 - bit // 8
    frame[at] ^= 1 << bit % 8
    assert verdicts(judge(bytes(frame)))[-1] == "tcp bad bit-flip"


def test_corrupt_and_the_claim_that_it_is_valid() -> None:
    frame = f.put16(f.raw(f.ether / tcp4 / FIRST), 80, 0x5A5A)
    k = judge(frame, flags=LIVE | int(PacketFlag.CLAIMED_VALID))[-1]
    assert (k.status, k.cause) == (Status.BAD, Cause.CORRUPT) and k.flags & CheckFlag.CLAIMED_VALID
    assert not judge(frame)[-1].flags & CheckFlag.CLAIMED_VALID


# --- nat-delta and nat-on-zero: causes that need a witness ----------------------------------------

A, B, D = "10.7.0.1", "203.0.113.9", "198.51.100.7"
A6, B6, D6 = "fd07::1", "2001:db8::9", "2001:db8:1::7"


def flow(*frames: bytes, flags: int = LIVE, link: int = 1) -> list[str]:
    """Return the verdict on the last check of each packet of one batch."""
    batch = batch_of(frames, flags=flags, link=link)
    verify(batch)
    classify(batch)
    return [verdicts(batch.checks_of(i))[-1] for i in range(len(batch))]


def segment(source: str, target: str, sport: int, dport: int, seq: int = 1000, ack: int = 2000, payload: bytes = FIRST,
            flags: str = "PA") -> Any:
    ip = IPv6 if ":" in source else IP
    return f.ether / ip(src=source, dst=target) / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags) / payload


def datagram(source: str, target: str, sport: int, dport: int, payload: bytes = FIRST) -> Any:
    ip = IPv6 if ":" in source else IP
    return f.ether / ip(src=source, dst=target) / UDP(sport=sport, dport=dport) / payload


def field(packet: Any) -> int:
    """Return what scapy writes into the checksum field."""
    return f.get16(f.raw(packet), f.field_offset(packet))


def with_field(packet: Any, value: int) -> bytes:
    """Return the frame with another checksum."""
    return f.put16(f.raw(packet), f.field_offset(packet), value)


def update(value: int, *changes: tuple[bytes, bytes]) -> int:
    """RFC 1624 equation 3 over 16-bit words, as Linux does it for a NAT: a result of 0 is written as ffff."""
    for before, now in changes:
        for i in range(0, len(before), 2):
            total = (~value & 0xFFFF) + (~f.get16(before, i) & 0xFFFF) + f.get16(now, i)
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            value = ~total & 0xFFFF
    return value or 0xFFFF


def octets(address: str) -> bytes:
    return f.raw(IP(src=address))[12:16]


def port(number: int) -> bytes:
    return struct.pack("!H", number)


def test_update_is_rfc1624s() -> None:
    """Section 4: the header's sum DD2F, a field that changes from 5555 to 3285; here as for UDP, where 0000 is ffff."""
    assert update(0xDD2F, (b"\x55\x55", b"\x32\x85")) == 0xFFFF


@pytest.mark.parametrize("make", [segment, datagram])
@pytest.mark.parametrize(("source", "outside", "target"), [(A, B, D), (A6, B6, D6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("sport", [40000, 61234], ids=["address", "address-and-port"])
@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_nat_delta_checksum_not_updated(
    make: Any, source: str, outside: str, target: str, sport: int, is_late: bool
) -> None:
    """A source NAT seen from both sides: the sum behind it is still scapy's sum before it."""
    before, behind = make(source, target, 40000, 443), make(outside, target, sport, 443)
    name = "tcp" if make is segment else "udp"
    frames = [f.raw(before), with_field(behind, field(before))]
    found = flow(*(reversed(frames) if is_late else frames))
    assert sorted(found) == [f"{name} bad nat-delta", f"{name} good"]
    assert flow(f.raw(before), f.raw(behind)) == [f"{name} good"] * 2
    alone = flow(with_field(behind, field(before)))  # the same wrong value, but nobody saw an address change
    assert alone in ([f"{name} bad corrupt"], [f"{name} bad bit-flip"])


@pytest.mark.parametrize("make", [segment, datagram])
def test_nat_delta_only_half_of_it_updated(make: Any) -> None:
    before, behind = make(A, D, 40000, 443), make(B, D, 61234, 443)
    address_only = field(make(B, D, 40000, 443))
    port_only = field(make(A, D, 61234, 443))
    twice = update(field(behind), (octets(A), octets(B)), (port(40000), port(61234)))
    for value in (address_only, port_only, twice):
        assert flow(f.raw(before), with_field(behind, value))[1].endswith("bad nat-delta")


def test_nat_delta_destination_and_both() -> None:
    """A service address becomes a pod's, and its port too; then with masquerading on top."""
    before = segment(A, "10.96.0.10", 40000, 80)
    assert flow(f.raw(before), with_field(segment(A, "10.7.3.4", 40000, 8080), field(before)))[1] == "tcp bad nat-delta"
    assert flow(f.raw(before), with_field(segment(B, "10.7.3.4", 5555, 8080), field(before)))[1] == "tcp bad nat-delta"


def test_nat_delta_pending_witness() -> None:
    """Before the NAT a container's segment has the seed only; behind it a device completed it over the old address."""
    before, behind = segment(A, D, 40000, 443), segment(B, D, 40000, 443)
    batch_frames = [f.leaked(before), with_field(behind, field(before))]
    assert flow(*batch_frames, flags=0) == ["tcp pending no-metadata", "tcp bad nat-delta"]


def test_nat_delta_inside_a_tunnel() -> None:
    """Seen on the pod's veth in the clear, and translated inside VXLAN: the outer sum is right over what is there."""
    before = segment(A, D, 40000, 443)
    behind = with_field(segment(B, D, 61234, 443), field(before))
    outer = f.raw(over4 / UDP(sport=9, dport=4789) / VXLAN(vni=5) / Raw(behind))
    assert flow(f.raw(before), outer) == ["tcp good", "tcp1 bad nat-delta"]


@pytest.mark.parametrize("is_reply_seen", [True, False])
def test_nat_delta_answer_from_another_address(is_reply_seen: bool) -> None:
    """A asked V; the answer comes from R with the sum that it had for V.  The question is the witness."""
    question = segment(A, D, 40000, 443, seq=1000, ack=2000)
    answer = segment(B, A, 443, 40000, seq=2000, ack=1064, payload=SECOND)
    as_asked = segment(D, A, 443, 40000, seq=2000, ack=1064, payload=SECOND)
    frames = [f.raw(question), with_field(answer, field(as_asked))]
    assert flow(*frames[not is_reply_seen :])[-1] == f"tcp bad {'nat-delta' if is_reply_seen else 'corrupt'}"
    stranger = segment(A, D, 40000, 443, seq=0x70000000, ack=0x60000000)  # the same ports, another connection
    assert flow(f.raw(stranger), frames[1])[-1] == "tcp bad corrupt"


def test_corrupt_although_an_address_would_explain_it() -> None:
    """Any difference is explained by some address; only one that was seen counts."""
    before, behind = segment(A, D, 40000, 443), segment(B, D, 61234, 443)
    would = field(segment("10.7.0.77", D, 50000, 443))
    assert flow(f.raw(before), with_field(behind, would))[1] == "tcp bad corrupt"
    others = [f.raw(segment(f"10.7.0.{i}", D, 40000 + i, 443, seq=i << 24)) for i in range(2, 200)]
    assert flow(*others, with_field(behind, would))[-1] == "tcp bad corrupt"


def test_corrupt_neighbours_of_equal_ports_are_no_witnesses() -> None:
    """NTP, IKE and DNS servers: hosts whose addresses differ by one bit talk to one server from one port."""
    neighbour = datagram("10.7.0.3", D, 123, 123, SECOND)
    mine = datagram("10.7.0.2", D, 123, 123, FIRST)
    frame = bytearray(f.raw(mine))
    frame[-1] ^= 1
    assert flow(f.raw(neighbour), bytes(frame))[1] == "udp bad bit-flip"


def test_repaired_twin_of_one_flow_is_not_nat() -> None:
    """A retransmission damaged in its payload has a twin, but of its own addresses."""
    good = f.raw(segment(A, D, 40000, 443))
    damaged = f.put16(good, 80, 0x5A5A)
    assert flow(good, damaged)[1] == "tcp bad corrupt"


def encapsulated(source: str, sport: int, *, n: int, payload: bytes = FIRST, size: int | None = None) -> Any:
    """The nth datagram of a VXLAN flow."""
    body = (payload * 3)[: size or len(payload)]
    inside = f.raw(Ether() / IP(src="10.42.1.2", dst="10.42.2.3") / TCP(sport=33000, dport=80, seq=n << 20) / body)
    return f.ether / IP(src=source, dst=D, id=n) / UDP(sport=sport, dport=4789) / Raw(b"\x08\0\0\0\0\0\1\0" + inside)


def outer(batch: Batch) -> list[str]:
    return [verdicts(batch.checks_of(i))[1] for i in range(len(batch))]


def outer_of(*frames: bytes) -> list[str]:
    batch = batch_of(frames, flags=LIVE)
    verify(batch)
    classify(batch)
    return outer(batch)


@pytest.mark.parametrize("rounds", [1, 2])
def test_nat_on_zero_with_the_zero_seen_before_the_nat(rounds: int) -> None:
    """The tunnel sends no sum; NAT updates the 0, once or in two hooks (FACTS 7, Linux before ea64d8d6c675)."""
    before, behind = encapsulated(A, 50000, n=1), encapsulated(B, 61234, n=1)
    value = 0
    for _ in range(rounds):
        value = update(value, (octets(A), octets(B)), (port(50000), port(61234)))
    frames = [with_field(before, 0), with_field(behind, value)]
    assert outer_of(*frames) == ["udp absent", "udp bad nat-on-zero"]
    assert outer_of(*reversed(frames)) == ["udp bad nat-on-zero", "udp absent"]
    assert outer_of(frames[1])[0] in ("udp bad corrupt", "udp bad bit-flip")


def wanting(right: int) -> Any:
    """A VXLAN datagram whose right outer sum is *right*: the last word of its payload makes it so."""
    packet = encapsulated(A, 35133, n=1, payload=bytes(64))
    body = f.raw(packet[UDP].payload)
    word = (field(packet) - right) % 0xFFFF  # a larger word makes a smaller checksum
    return f.ether / IP(src=A, dst=D, id=1) / UDP(sport=35133, dport=4789) / Raw(f.put16(body, len(body) - 2, word))


def test_nat_on_zero_published_value_ffff_for_76dc() -> None:
    """The Kubernetes VXLAN bug: SYNs sent again, all with ffff, where the first wants 76dc.  The third proves it.

    Their right sums may be equal: where the inner sum is right, the payload cancels out of the outer one.
    """
    first = wanting(0x76DC)
    assert field(first) == 0x76DC
    frames = [with_field(packet, 0xFFFF) for packet in (first, *(encapsulated(A, 35133, n=n) for n in range(2, 5)))]
    assert [x.split()[-1] for x in outer_of(*frames[:1])] == ["corrupt"]
    assert [x.split()[-1] for x in outer_of(*frames[:2])] == ["corrupt"] * 2
    assert [x.split()[-1] for x in outer_of(*frames[:3])] == ["nat-on-zero"] * 3  # within a batch the first ones too


def test_nat_on_zero_one_value_over_payloads_and_lengths() -> None:
    value = update(0, (octets(A), octets(B)), (port(50000), port(61234)))
    packets = [encapsulated(B, 61234, n=n, size=64 + 7 * n) for n in range(1, 5)]
    assert len({field(p) for p in packets}) == 4  # their right sums differ
    assert outer_of(*(with_field(p, value) for p in packets)) == ["udp bad nat-on-zero"] * 4
    same = [encapsulated(B, 61234, n=n) for n in range(1, 5)]  # of one length it may be a translated seed
    assert {x.split()[-1] for x in outer_of(*(with_field(p, value) for p in same))} <= {"corrupt", "bit-flip"}


def test_nat_on_zero_where_the_tunnel_otherwise_carries_zero() -> None:
    value = update(0, (octets(A), octets(B)))
    zero = with_field(encapsulated(B, 50001, n=9), 0)  # another flow of the same pair of tunnel ends
    wrong = [with_field(encapsulated(B, 50000, n=n), value) for n in (1, 2)]
    assert outer_of(zero, *wrong) == ["udp absent"] + ["udp bad nat-on-zero"] * 2
    assert outer_of(zero, wrong[0], wrong[0])[1] in ("udp bad corrupt", "udp bad bit-flip")  # the same one again
    assert {x.split()[-1] for x in outer_of(*wrong)} <= {"corrupt", "bit-flip"}


def test_leaked_comes_before_any_translation() -> None:
    """A seed repeats over payloads of one length as well, and is what it is: leaked."""
    packets = [encapsulated(A, 50000, n=n) for n in range(1, 6)]
    assert set(outer_of(*(f.leaked(p) for p in packets))) == {"udp bad leaked"}


# --- the table belongs to the pipeline ------------------------------------------------------------


def named(path: Path) -> list[Cause]:
    """Return the cause of each packet of a capture."""
    found: list[Cause] = []

    def collect(batch: Batch) -> None:
        found.extend(map(Cause, batch.cause))

    with Capture(path) as source:
        Pipeline(source, [verify, classify, collect]).run()
    return found


def test_witness_is_remembered_from_batch_to_batch_but_not_by_another_pipeline(tmp_path: Path) -> None:
    def write(name: str, frames: list[bytes]) -> Path:
        path = tmp_path / name
        wrpcap(str(path), frames, linktype=1)
        return path

    before = segment(A, D, 40000, 443, seq=77, ack=0, flags="S")
    behind = with_field(segment(B, D, 61234, 443, seq=77, ack=0, flags="S"), field(before))
    filler = [f.raw(over4 / ICMP() / FIRST)] * 3000  # more than one batch
    together = write("together.pcap", [f.raw(before), *filler, behind])
    assert named(together)[-1] == Cause.NAT_DELTA
    alone = write("alone.pcap", [*filler, behind])
    assert named(alone)[-1] == Cause.CORRUPT
    with Capture(together) as one, Capture(alone) as other:  # the module's one stage object in two pipelines at once
        causes: dict[str, list[int]] = {"one": [], "other": []}

        def collect(name: str) -> Callable[[Batch], None]:
            return lambda batch: causes[name].extend(batch.cause)

        pipelines = [Pipeline(source, [verify, classify, collect(name)])
                     for name, source in (("one", one), ("other", other))]
        for p in pipelines:
            p.start()
        for p in pipelines:
            p.wait()
    assert (causes["one"][-1], causes["other"][-1]) == (Cause.NAT_DELTA, Cause.CORRUPT)


def test_every_cause_and_status_is_named_here() -> None:
    """This module is the list that DESIGN section 4 asks for: a new word needs a test."""
    text = Path(__file__).read_text()
    for word in [*Status, *Cause, *Reason]:
        if word.name not in ("NONE", "UNKNOWN_PROTOCOL"):  # the latter is given to nothing so far
            assert str(word) in text or f"{type(word).__name__}.{word.name}" in text, word
