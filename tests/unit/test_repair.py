"""Repair of nested and flagged checks: nothing right is made wrong, nothing wrong is signed.  Sums by scapy."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.all import GRE, ICMP, IP, SCTP, TCP, UDP, VXLAN, Ether, Raw, SCTPChunkData, fragment, in4_chksum
from scapy.contrib.gtp import GTP_U_Header

import frames as f
from judging import PENDING, judged
from pktmend import Batch, Cause, PacketFlag, Proto, Repair, Status

INNER = (
    Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02")
    / IP(src="10.9.0.1", dst="10.9.0.2")
    / TCP(sport=1, dport=80, flags="PA")
    / Raw(bytes(range(90)))
)
OUTER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.7.0.1", dst="10.7.0.2")
TUNNELLED = OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=5)
VXLAN_HEADERS = 14 + 20 + 8 + 8
INNER_FIELD = VXLAN_HEADERS + 14 + 20 + 16
OUTER_FIELD = 14 + 20 + 6


def statuses(batch: Batch) -> dict[str, tuple[Status, Cause]]:
    """Return {protocol and depth: (status, cause)}."""
    return {f"{Proto(k.proto)}{k.depth}": (Status(k.status), Cause(k.cause)) for k in batch.checks_of(0)}


def needs_csum(start: int, offset: int, gso_type: int = 0, gso_size: int = 0) -> bytes:
    return struct.pack("=BBHHHH", 1, gso_type, start + 20, gso_size, start, offset)


def test_outer_sum_that_was_right_over_a_leaked_inner_one_follows_the_repair() -> None:
    """The leak came before the encapsulation: the outer sum covers the partial field."""
    right = f.raw(TUNNELLED / Raw(f.raw(INNER)))
    partial = f.raw(TUNNELLED / Raw(f.leaked(INNER)))  # scapy sums the outer over what is there
    assert partial[OUTER_FIELD : OUTER_FIELD + 2] != right[OUTER_FIELD : OUTER_FIELD + 2]
    batch = judged(partial)
    assert statuses(batch)["udp0"] == (Status.GOOD, Cause.NONE)
    assert statuses(batch)["tcp1"] == (Status.BAD, Cause.LEAKED)
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == right
    assert batch.status[0] == Status.GOOD


def lco() -> bytes:
    """Local checksum offload: the outer sum is written as if the inner field were complete already."""
    right = f.raw(TUNNELLED / INNER)
    return f.put16(right, INNER_FIELD, f.seed(INNER))


@pytest.mark.parametrize(("policy", "expected"), [("leaked", False), ("leaked", True), ("all", False), ("all", True)])
def test_healthy_local_checksum_offload_is_pending_and_left_alone(policy: str, expected: bool) -> None:
    batch = judged(lco(), flags=PENDING, vnet=needs_csum(VXLAN_HEADERS + 34, 16), expected=expected)
    assert statuses(batch)["udp0"] == (Status.PENDING, Cause.INNER_PENDING)
    assert statuses(batch)["tcp1"] == (Status.PENDING, Cause.NONE)
    outer = bytes(batch.frame(0)[OUTER_FIELD : OUTER_FIELD + 2])
    Repair(policy)(batch)
    assert bytes(batch.frame(0)[OUTER_FIELD : OUTER_FIELD + 2]) == outer
    completed = bytes(batch.frame(0))
    header = batch.vnet(0)
    assert header is not None
    if policy == "all" and expected:  # the inner one was computed and is complete now, and nobody completes it again
        assert completed == f.raw(TUNNELLED / INNER) and header[0] & f.NEEDS_CSUM == 0
    else:
        assert completed == lco() and header[0] & f.NEEDS_CSUM


def test_inside_out_repair_of_a_leaked_tunnel() -> None:
    """The flag was lost behind the encapsulation: both look wrong; completing the inner makes the outer right."""
    batch = judged(lco())
    assert statuses(batch)["udp0"] == (Status.BAD, Cause.INNER_PENDING)
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == f.raw(TUNNELLED / INNER)
    assert batch.status[0] == Status.GOOD


@pytest.mark.parametrize("bit", [3, 0])
def test_a_leaked_sum_within_damage_is_not_signed(bit: int) -> None:
    """The tunnel's sum tells of damage; with the inner field completed nobody behind the tunnel could tell."""
    partial = bytearray(f.raw(TUNNELLED / Raw(f.leaked(INNER))))
    partial[-5] ^= 1 << bit
    if not bit:
        partial[-9] ^= 0x52
    batch = judged(bytes(partial))
    assert statuses(batch)["udp0"] == (Status.BAD, Cause.BIT_FLIP if bit else Cause.CORRUPT)
    assert statuses(batch)["tcp1"] == (Status.BAD, Cause.LEAKED)
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == partial
    Repair("all")(batch)
    again = Ether(bytes(batch.frame(0)))
    del again[UDP].chksum, again[TCP].chksum
    assert bytes(batch.frame(0)) == f.raw(again)  # told by name, it signs what is there


def test_seed_in_the_outer_sum_of_a_tunnelled_super_frame_is_healthy() -> None:
    length = len(lco()) - OUTER_FIELD + 6
    seed = ~in4_chksum(17, OUTER[IP], bytes(length)) & 0xFFFF
    frame = f.put16(lco(), OUTER_FIELD, seed)
    flags = PENDING | int(PacketFlag.SUPER_FRAME)
    batch = judged(frame, flags=flags, vnet=needs_csum(VXLAN_HEADERS + 34, 16, gso_type=1, gso_size=40))
    assert statuses(batch)["udp0"] == (Status.PENDING, Cause.INNER_PENDING)
    Repair("all")(batch)
    assert bytes(batch.frame(0)[OUTER_FIELD : OUTER_FIELD + 2]) == frame[OUTER_FIELD : OUTER_FIELD + 2]


def test_completing_a_flagged_field_takes_the_flag_away() -> None:
    packet = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    wrong = f.put16(f.raw(packet), 50, 0x1234)
    batch = judged(wrong, flags=PENDING, vnet=f.vnet(packet))
    assert statuses(batch)["tcp0"] == (Status.BAD, Cause.BAD_SEED)
    Repair("all")(batch)
    header = batch.vnet(0)
    assert bytes(batch.frame(0)) == f.raw(packet)
    assert header is not None and header[0] & f.NEEDS_CSUM == 0
    assert not batch.flags[0] & PacketFlag.NOT_READY


def test_bad_seed_of_a_super_frame_becomes_the_seed() -> None:
    packet = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    batch = judged(
        f.put16(f.raw(packet), 50, 0x1234),
        flags=PENDING | int(PacketFlag.SUPER_FRAME),
        vnet=f.vnet(packet, gso_type=1, gso_size=50),
    )
    Repair("all")(batch)
    header = batch.vnet(0)
    assert bytes(batch.frame(0)) == f.leaked(packet)
    assert header is not None and header[0] & f.NEEDS_CSUM


SCTP_PACKET = OUTER / SCTP(sport=7, dport=8) / SCTPChunkData(data=b"payload.")


def test_sctp_offload_leaves_zero_and_is_pending() -> None:
    right = f.raw(SCTP_PACKET)
    partial = right[:42] + bytes(4) + right[46:]
    batch = judged(partial, flags=PENDING, vnet=needs_csum(34, 8))
    assert statuses(batch)["sctp0"] == (Status.PENDING, Cause.NONE)
    assert statuses(judged(partial))["sctp0"] == (Status.BAD, Cause.LEAKED)
    assert statuses(judged(partial, flags=0))["sctp0"][0] == Status.PENDING  # a file cannot tell
    batch = judged(partial)
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == right


def test_gre_checksum_offload_is_pending() -> None:
    packet = OUTER / GRE(chksum_present=1, proto=0x0800) / IP(src="10.9.0.1", dst="10.9.0.2") / UDP() / Raw(b"ping")
    right = f.raw(packet)
    assert statuses(judged(right))["gre0"] == (Status.GOOD, Cause.NONE)
    partial = f.put16(right, 38, 0)
    batch = judged(partial, flags=PENDING, vnet=needs_csum(34, 4))
    assert statuses(batch)["gre0"] == (Status.PENDING, Cause.NONE)


@pytest.mark.parametrize("part", [0, 1])
def test_of_a_fragment_the_header_is_completed_and_nothing_else(part: int) -> None:
    right = f.raw(f.ether / fragment(f.ip4 / f.udp / Raw(bytes(2000)), fragsize=800)[part])
    batch = judged(f.put16(right, 24, 0x1234))
    assert batch.status[0] == Status.BAD
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == f.put16(right, 24, 0x1234)
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == right


def whole_with_a_fragment(kind: str, part: int) -> Any:
    """A whole datagram of a tunnel that carries the first or a later fragment."""
    inside = fragment(IP(src="10.9.0.1", dst="10.9.0.2", id=5) / f.udp / Raw(bytes(range(256)) * 8), fragsize=800)[part]
    if kind == "gtpu":
        return OUTER / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1) / inside
    return OUTER / UDP(sport=9, dport=4789 if kind == "vxlan" else 7789) / VXLAN(flags=8) / Ether() / inside


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("kind", ["gtpu", "vxlan", "vxlan on any port"])
def test_leaked_outer_sum_over_an_inner_fragment_is_completed(kind: str, part: int) -> None:
    packet = whole_with_a_fragment(kind, part)
    batch = judged(f.leaked(packet))
    assert statuses(batch)["udp0"] == (Status.BAD, Cause.LEAKED)
    assert statuses(batch)["ip1"] == (Status.GOOD, Cause.NONE)
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == f.raw(packet)


def test_nothing_is_written_under_a_sum_that_nobody_can_make_again() -> None:
    """The first fragment of a tunnel's datagram: its outer sum covers what is elsewhere as well."""
    packet = (
        IP(src="10.7.0.1", dst="10.7.0.2", id=9) / UDP(sport=9, dport=4789) / VXLAN(flags=8) / INNER / Raw(bytes(1600))
    )
    first = f.raw(f.ether / fragment(packet, fragsize=800)[0])
    inner_header = 14 + 20 + 8 + 8 + 14
    wrong = f.put16(first, inner_header + 10, 0x1234)
    batch = judged(wrong)
    assert statuses(batch)["ip1"][0] == Status.BAD and statuses(batch)["udp0"][0] == Status.UNCHECKED
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == wrong
    without = f.put16(wrong, 40, 0)  # no outer sum: nothing else depends on it
    batch = judged(without)
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == f.put16(first, 40, 0)


@pytest.mark.parametrize("missing", [1, 4])
def test_whole_segment_is_completed_though_its_trailer_was_cut(missing: int) -> None:
    packet = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    batch = judged(f.leaked(packet), wirelen=len(f.raw(packet)) + missing)
    assert batch.flags[0] & PacketFlag.TRUNCATED
    Repair("leaked")(batch)
    assert bytes(batch.frame(0)) == f.raw(packet)


def test_header_of_a_cut_packet_is_completed_and_its_segment_is_not() -> None:
    whole = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
    wrong = f.put16(f.put16(whole, 24, 0x1234), 50, 0x4321)[:80]
    batch = judged(wrong, wirelen=len(whole))
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == f.put16(wrong, 24, f.get16(whole, 24))


def test_header_whose_length_is_impossible_is_never_signed() -> None:
    right = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
    wrong = f.put16(right, 16, 0x4000)
    batch = judged(wrong)
    assert batch.flags[0] & PacketFlag.MALFORMED and batch.status[0] == Status.BAD
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == wrong


def test_illegal_zero_is_completed_to_ffff_where_the_sum_is_zero() -> None:
    base = f.ether / f.ip6 / f.udp / Raw(bytes(range(60)))
    word = f.get16(f.raw(base / Raw(bytes(2))), f.field_offset(base))
    packet = base / Raw(word.to_bytes(2, "big"))
    assert f.get16(f.raw(packet), f.field_offset(packet)) == 0xFFFF
    batch = judged(f.put16(f.raw(packet), f.field_offset(packet), 0))
    assert statuses(batch)["udp0"] == (Status.BAD, Cause.ILLEGAL_ZERO)
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == f.raw(packet)


@pytest.mark.parametrize("policy", ["leaked", "all", "unfinished"])
def test_repair_is_idempotent(policy: str) -> None:
    for frame in (lco(), f.leaked(f.ether / f.ip6 / f.udp / f.PAYLOAD), f.raw(TUNNELLED / Raw(f.leaked(INNER)))):
        batch = judged(frame)
        Repair(policy)(batch)
        once = bytes(batch.frame(0))
        again = judged(once)
        Repair(policy)(again)
        assert bytes(again.frame(0)) == once


@pytest.mark.parametrize("field", [0x3D00, 0x0001, 0x0000])
def test_sum_over_nothing_but_zeros_is_written_as_all_ones(field: int) -> None:
    """An echo reply of zeros: +0 complemented; a field of zero would not verify."""
    right = f.raw(OUTER / ICMP(type=0, code=0, id=0, seq=0) / Raw(bytes(8)))
    assert right[36:38] == b"\xff\xff"  # by scapy
    batch = judged(f.put16(right, 36, field))
    assert batch.status[0] == Status.BAD
    Repair("all")(batch)
    assert bytes(batch.frame(0)) == right
