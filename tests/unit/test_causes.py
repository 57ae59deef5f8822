"""Every cause that a packet shows by itself; those that need a witness: test_nat.py.

Frames and sums come from scapy or an RFC, never from the code under test.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.all import ICMP, IP, TCP, UDP, VXLAN, Raw, in4_chksum
from scapy.contrib.igmp import IGMP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.utils import checksum as words

import frames as f
from carriers import CARRIERS, inner, over4, over6, tcp4, tcp6
from judging import FIRST, LIVE, PENDING, judge, verdicts
from pktmend import Cause, CheckFlag, PacketFlag, Reason, Status
from tools import ROOT


@pytest.mark.parametrize(
    "packet",
    [
        f.ether / tcp4 / FIRST,
        f.ether / tcp6 / FIRST,
        over4 / ICMP() / FIRST,
        over6 / ICMPv6EchoRequest(data=FIRST),
        over4 / IGMP() / FIRST,
    ],
    ids=str,
)
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
        segment = f.put16(frame, 40, 0)[34:] + trailer
        for value in (
            in4_chksum(17, packet[IP], segment),  # the length counted too
            words(f.raw(packet)[26:34] + struct.pack("!HH", 17, 12) + segment),
        ):  # or not
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


def test_every_cause_and_status_is_named_in_a_test() -> None:
    """Together with test_statuses.py, test_nat.py and test_arithmetic.py this is the list of enums.Cause."""
    text = "".join(
        (ROOT / "tests" / "unit" / f"test_{name}.py").read_text()
        for name in ("statuses", "causes", "nat", "arithmetic")
    )
    for word in [*Status, *Cause, *Reason]:
        if word.name not in ("NONE", "UNKNOWN_PROTOCOL"):  # the latter is given to nothing so far
            assert str(word) in text or f"{type(word).__name__}.{word.name}" in text, word
