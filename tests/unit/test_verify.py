"""Statuses and causes of single packets.  Frames and right values come from scapy; the damage is done by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scapy.all import ICMP, IP, TCP, UDP, IPv6, Raw, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN

import frames as f
from judging import LIVE, PENDING
from pktmend import Cause, Check, PacketFlag, Proto, Reason, Status, _core
from pktmend.enums import CheckFlag

CARRIERS = [
    f.ether / f.ip4 / f.tcp / f.PAYLOAD,
    f.ether / f.ip6 / f.tcp / f.PAYLOAD,
    f.ether / f.ip4 / f.udp / f.PAYLOAD,
    f.ether / f.ip6 / f.udp / f.PAYLOAD,
]


def judge(frame: bytes, **options: Any) -> tuple[int, list[Check]]:
    """Return flags and checks."""
    flags, _, checks = _core.inspect(frame, **options)
    return flags, checks


def last(frame: bytes, **options: Any) -> Check:
    """Return the innermost check."""
    return judge(frame, **options)[1][-1]


@pytest.mark.parametrize(
    "packet",
    [
        *CARRIERS,
        f.tagged(CARRIERS[0]),
        f.tagged(f.tagged(CARRIERS[3])),
        f.ether / IP(src="10.7.0.1", dst="10.7.0.2", options=[b"\x94\x04\x00\x00"]) / f.tcp / f.PAYLOAD,
        f.ether / f.ip6 / IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4)) / IPv6ExtHdrDestOpt() / f.udp / f.PAYLOAD,
        f.ether / f.ip4 / ICMP() / f.PAYLOAD,
        f.ether / f.ip6 / ICMPv6EchoRequest(data=b"x" * 33),
        f.ether / f.ip4 / f.tcp,
        f.ether / f.ip4 / f.udp / Raw(b""),
    ],
    ids=lambda p: p.summary()[:60],
)
def test_scapys_sums_are_good_and_one_bit_more_is_not(packet: Any, kernel: str) -> None:
    frame = f.raw(packet)
    flags, checks = judge(frame, flags=LIVE)
    assert [Status(k.status) for k in checks] == [Status.GOOD] * len(checks)
    assert len(checks) == (1 if IPv6 in packet else 2)
    assert not flags & PacketFlag.MALFORMED
    field = checks[-1].offset
    damaged = bytearray(frame)
    # a UDP header without payload ends with the field: there the source port is hit
    damaged[-1 if field < len(frame) - 2 else field - 5] ^= 0x40
    k = last(bytes(damaged), flags=LIVE)
    assert (k.status, k.cause, k.stored) == (Status.BAD, Cause.BIT_FLIP, f.get16(frame, field))


@pytest.mark.parametrize("packet", CARRIERS, ids=lambda p: p.summary()[:40])
def test_leaked_seed_depends_on_what_the_source_knows(packet: Any) -> None:
    frame, offset = f.leaked(packet), f.field_offset(packet)
    right = f.get16(f.raw(packet), offset)
    k = last(frame, flags=LIVE)
    assert (k.status, k.cause, k.offset, k.stored, k.expected) == (
        Status.BAD,
        Cause.LEAKED,
        offset,
        f.seed(packet),
        right,
    )
    k = last(frame, flags=PENDING, vnet=f.vnet(packet))
    assert (k.status, k.reason, k.expected) == (Status.PENDING, Reason.NONE, right)
    k = last(frame)  # a file without metadata
    assert (k.status, k.reason) == (Status.PENDING, Reason.NO_METADATA)
    k = last(frame, at_wire=True)
    assert (k.status, k.cause) == (Status.BAD, Cause.LEAKED)


@pytest.mark.parametrize("packet", CARRIERS, ids=lambda p: p.summary()[:40])
def test_flagged_with_another_value_is_a_bad_seed(packet: Any) -> None:
    frame = f.put16(f.raw(packet), f.field_offset(packet), f.seed(packet) ^ 0x0101)
    k = last(frame, flags=PENDING, vnet=f.vnet(packet))
    assert (k.status, k.cause) == (Status.BAD, Cause.BAD_SEED)


def test_zero_fields() -> None:
    def zeroed(packet: Any) -> Check:
        return last(f.put16(f.raw(packet), f.field_offset(packet), 0), flags=LIVE)

    tcp4, tcp6, udp4, udp6 = map(zeroed, CARRIERS)
    assert (tcp4.status, tcp4.cause) == (tcp6.status, tcp6.cause) == (Status.BAD, Cause.NEVER_FILLED)
    assert udp4.status == Status.ABSENT
    assert (udp6.status, udp6.cause) == (Status.BAD, Cause.ILLEGAL_ZERO)
    assert udp6.expected == f.get16(f.raw(CARRIERS[3]), f.field_offset(CARRIERS[3]))
    ip, tcp = judge(f.put16(f.raw(CARRIERS[0]), 24, 0), flags=LIVE)[1]
    assert (ip.status, ip.cause, tcp.status) == (Status.BAD, Cause.NEVER_FILLED, Status.GOOD)
    vxlan6 = f.ether / f.ip6 / UDP(sport=1, dport=4789) / Raw(bytes([8, 0, 0, 0, 0, 0, 1, 0]) + bytes(60))
    checks = judge(f.put16(f.raw(vxlan6), f.field_offset(vxlan6), 0), flags=LIVE)[1]
    assert checks[0].status == Status.ABSENT  # RFC 6935: tunnels may


def test_computed_udp_zero_is_expected_as_ffff() -> None:
    """The payload word that completes the sum to 0xffff is the checksum over a zero word; scapy then writes 0xffff."""
    first = f.ether / f.ip4 / f.udp / Raw(bytes(2))
    word = f.get16(f.raw(first), f.field_offset(first))
    packet = f.ether / f.ip4 / f.udp / Raw(word.to_bytes(2, "big"))
    frame, offset = f.raw(packet), f.field_offset(packet)
    assert f.get16(frame, offset) == 0xFFFF
    assert last(frame, flags=LIVE).status == Status.GOOD
    k = last(f.leaked(packet), flags=LIVE)
    assert f.seed(packet) not in (0, 0xFFFF)  # else it would be right as it stands
    assert (k.status, k.cause, k.expected) == (Status.BAD, Cause.LEAKED, 0xFFFF)


@pytest.mark.parametrize("packet", CARRIERS, ids=lambda p: p.summary()[:40])
def test_systematic_mistakes_are_named(packet: Any) -> None:
    offset = f.field_offset(packet)
    right = f.get16(f.raw(packet), offset)

    def cause(value: int) -> Cause:
        k = last(f.put16(f.raw(packet), offset, value), flags=LIVE)
        assert k.status == Status.BAD and k.expected == right
        return Cause(k.cause)

    assert cause(~right & 0xFFFF) == Cause.NOT_COMPLEMENTED
    assert cause((right >> 8) | (right & 0xFF) << 8) == Cause.BYTE_SWAPPED
    assert cause((right + 0x1357) % 0xFFFF) == Cause.CORRUPT
    assert cause(right ^ 0x0010) == Cause.BIT_FLIP


def test_bad_data_that_the_kernel_claims_to_be_valid() -> None:
    damaged = f.put16(f.raw(CARRIERS[0]), 80, 0x5A5A)
    k = last(damaged, flags=LIVE | int(PacketFlag.CLAIMED_VALID))
    assert k.status == Status.BAD and k.flags & CheckFlag.CLAIMED_VALID


def test_fragments_and_truncation_are_unchecked() -> None:
    parts = fragment(f.ip4 / f.udp / Raw(bytes(3000)), fragsize=1000)
    assert len(parts) > 2
    for part in parts:
        flags, checks = judge(f.raw(f.ether / part), flags=LIVE)
        assert checks[0].proto == Proto.IP and checks[0].status == Status.GOOD
        assert all((k.status, k.reason) == (Status.UNCHECKED, Reason.FRAGMENT) for k in checks[1:])
        assert flags & PacketFlag.FRAGMENT
    whole = f.raw(CARRIERS[0])
    for cut in range(len(whole)):
        flags, checks = judge(whole[:cut], wirelen=len(whole), flags=LIVE)
        assert flags & PacketFlag.TRUNCATED
        for k in checks:
            assert k.status != Status.BAD
            assert k.proto == Proto.IP or (k.status, k.reason) == (Status.UNCHECKED, Reason.TRUNCATED)


def test_ethernet_padding_is_never_summed() -> None:
    short = f.raw(f.ether / f.ip4 / TCP(sport=1, dport=2))
    assert [k.status for k in judge(short + b"\xee" * 6, flags=LIVE)[1]] == [Status.GOOD] * 2


def test_contradicting_lengths_are_unchecked_not_bad() -> None:
    frame = f.raw(CARRIERS[2])
    beyond = f.put16(frame, 38, 9000)  # UDP length beyond the IP total length
    flags, checks = judge(beyond, flags=LIVE)
    assert flags & PacketFlag.MALFORMED
    assert (checks[-1].status, checks[-1].reason) == (Status.UNCHECKED, Reason.LENGTH)


def test_noise_is_judged_only_by_what_was_captured() -> None:
    """Whatever the bytes say: a verdict needs the field and all that it covers, and `stored` is what is there."""
    noise, judged = random.Random(7), 0
    for packet in CARRIERS:
        whole = f.raw(packet)
        for _ in range(2000):
            frame = bytearray(whole)
            for _ in range(noise.randrange(4)):
                frame[noise.randrange(12, len(frame))] = noise.randrange(256)
            cut = bytes(frame[: noise.randrange(len(frame) + 1)])
            for k in judge(cut, wirelen=len(whole), flags=LIVE)[1]:
                if k.status == Status.UNCHECKED:
                    assert k.reason != Reason.NONE
                    continue
                judged += 1
                assert k.offset + 2 <= len(cut) and k.start + k.length <= len(cut), (cut.hex(), k)
                assert k.stored == f.get16(cut, k.offset)
    assert judged > 2000


def test_all_zero_message_wants_ffff_as_tshark_says() -> None:
    frame = f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=1) / Raw(bytes(8)))
    k = last(frame, flags=LIVE)
    assert (k.proto, k.status, k.cause, k.expected) == (Proto.ICMP, Status.BAD, Cause.NEVER_FILLED, 0xFFFF)
