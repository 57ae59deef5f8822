"""Every status, wherever a sum may lie.

Frames and sums come from scapy, tshark, an RFC or a public bug report, never from the code under test.  A carrier is
built twice with different payloads; the one with the other's checksum is the damaged one, and what scapy wrote into it
is what is expected.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from scapy.all import GRE, ICMP, IP, TCP, UDP, VXLAN, Raw, fragment, fragment6, wrpcap
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6ExtHdrFragment

import frames as f
from carriers import CARRIERS, dccp, inner, nested, over4, over6, tcp4, udp_lite
from judging import FIRST, LIVE, PENDING, SECOND, judge, verdicts
from pktmend import CheckFlag, PacketFlag, Proto, Status, _core
from tools import need

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


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in CARRIERS
        if "UDP-Lite" in name
        or "DCCP" in name
        or name
        in (
            "GRE with a sum",
            "SCTP over IPv6",
            "IPv6 routing type 0",
            "IPv6 segment routing",
            "IPv6 home address",
            "Geneve with options",
            "GTP-U with an extension",
            "IPv4 loose source route",
        )
    ],
)
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
    on += [
        "-o",
        "sctp.checksum:CRC 32c",
        "-o",
        "dccp.check_checksum:TRUE",
        "-o",
        "udplite.check_checksum:TRUE",
        "-o",
        "udplite.ignore_checksum_coverage:FALSE",
    ]
    out = subprocess.run(
        ["tshark", "-r", str(path), *on, "-T", "fields", "-e", f"{proto}.checksum.status"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    assert [line.split(",")[-1] for line in out] == ["1", "0"]


def test_ninth_ip_header_is_beyond_the_bound() -> None:
    checks = judge(f.raw(nested(9, FIRST)))
    assert verdicts(checks) == [f"ip{i or ''} good" for i in range(8)]
    assert len(judge(f.raw(nested(40, FIRST)))) == 8


def test_ninth_tag_is_beyond_the_bound() -> None:
    frame = f.raw(f.ether)[:12] + b"\x81\0\0\5" * 9 + b"\x08\0" + f.raw(tcp4 / FIRST)
    flags, _, checks = _core.inspect(frame, flags=LIVE)
    assert not checks and flags & PacketFlag.MALFORMED


# --- absent, unchecked, pending -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (over4 / UDP(sport=1, dport=2, chksum=0) / FIRST, "udp absent"),
        (over4 / UDP(sport=9, dport=4789, chksum=0) / VXLAN() / inner / FIRST, "udp absent"),
        *(
            (over6 / UDP(sport=9, dport=port, chksum=0) / Raw(bytes(32)), "udp absent")
            for port in (4789, 8472, 6081, 2152)
        ),
        (over6 / UDP(sport=9, dport=53, chksum=0) / FIRST, "udp bad illegal-zero"),
        (over4 / GRE() / tcp4 / FIRST, "gre absent"),
    ],
    ids=str,
)
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


def test_pending_though_cut_where_the_mark_and_the_headers_say_so() -> None:
    """The seed covers no payload: RFC 793's pseudo header is all of it."""
    packet = f.ether / tcp4 / Raw(bytes(3000))
    marked, whole = f.vnet(packet), f.leaked(packet)

    def cut(frame: bytes, mark: bytes) -> list[str]:
        return verdicts(judge(frame[:128], wirelen=len(frame), vnet=mark, flags=PENDING if any(mark) else LIVE))

    assert cut(whole, marked) == ["ip good", "tcp pending"]
    spoilt = f.put16(whole, f.field_offset(packet), 0x4711)
    assert cut(spoilt, marked) == ["ip good", "tcp unchecked truncated"]
    assert cut(whole, bytes(10)) == ["ip good", "tcp unchecked truncated"], "leaked, for all we know"


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (over4 / UDP(sport=1, dport=2, len=900) / FIRST, "udp unchecked length"),
        (over4 / UDP(sport=1, dport=2, len=7) / FIRST, "udp unchecked length"),
        (over4 / TCP(dataofs=15), "tcp unchecked length"),
        (over4 / TCP(dataofs=4) / FIRST, "tcp unchecked length"),
        (udp_lite(900, FIRST), "udplite unchecked length"),
        (udp_lite(7, FIRST), "udplite unchecked length"),
        (dccp(15, FIRST[:4]), "dccp unchecked length"),
        (f.ether / IP(src="10.7.0.1", dst="10.7.0.2", len=1400) / f.udp / FIRST, "udp unchecked length"),
    ],
    ids=str,
)
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


PUBLISHED_SEEDS = [  # field, source, target, bytes of TCP or UDP: what public threads showed (see test_sum.py)
    (0xDC5F, "10.18.100.6", "10.18.100.7", TCP, 40),
    (0x0181, "192.168.128.0", "192.168.0.1", TCP, 40),
    (0xDA2F, "10.86.247.137", "10.86.205.211", TCP, 32),
    (0x5E7C, "192.168.221.3", "192.168.0.1", TCP, 32),
    (0xC2D4, "192.168.0.251", "255.255.255.255", UDP, 288),
    (0x95D2, "10.226.137.197", "255.255.255.255", UDP, 282),
]


@pytest.mark.parametrize(("published", "source", "target", "layer", "length"), PUBLISHED_SEEDS)
def test_pending_and_leaked_published(published: int, source: str, target: str, layer: Any, length: int) -> None:
    body = Raw(bytes(range(256)) * 2)
    packet = (
        f.ether
        / IP(src=source, dst=target)
        / layer(sport=68, dport=67)
        / Raw(f.raw(body)[: length - (20 if layer is TCP else 8)])
    )
    right = f.get16(f.raw(packet), f.field_offset(packet))
    frame = f.put16(f.raw(packet), f.field_offset(packet), published)
    name = layer.__name__.lower()
    assert verdicts(judge(frame))[-1] == f"{name} bad leaked"
    assert judge(frame)[-1].expected == right
    assert verdicts(judge(frame, flags=0))[-1] == f"{name} pending no-metadata"
    assert verdicts(judge(frame, flags=0, at_wire=True))[-1] == f"{name} bad leaked"
    assert verdicts(judge(frame, flags=PENDING, vnet=f.vnet(packet)))[-1] == f"{name} pending"
