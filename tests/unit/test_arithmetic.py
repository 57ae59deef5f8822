"""Programs that compute checksums wrongly: what the engine names in one packet, and diagnose in several.

Each mistake is made here by a few lines of Python over scapy's frames; the sum of bytes is RFC 1071's (frames.total).
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scapy.all import ICMP, IP, IPv6, Raw
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting

import frames as f
import tapes as t
from diagnosing import SERVER, A, decide, decided, only
from judging import judge
from pktmend import Cause, Proto, Status
from pktmend.commands.diagnose.facts.arithmetic import ComputedZero, LostCarry, Mistake, SmallDifferences, Summed

NUMBERS = {"TCP": 6, "UDP": 17, "ICMPv6 Echo Request": 58}


class Parts(NamedTuple):
    """A frame in the parts that a checksum is made of; body: the transport header and payload, its field 0."""

    frame: bytes
    offset: int
    addresses: bytes
    number: int
    body: bytes
    header: int

    @property
    def length(self) -> int:
        return len(self.body)

    def wrong(self, *, pseudo: bytes | None = None, body: bytes | None = None) -> bytes:
        """Return the frame with the checksum of another pseudo header or body."""
        value = ~f.total((self.pseudo() if pseudo is None else pseudo) + (self.body if body is None else body)) & 0xFFFF
        return f.put16(self.frame, self.offset, value or 0xFFFF)

    def pseudo(self, number: int = 0, length: int | None = None) -> bytes:
        return self.addresses + struct.pack("!2H", number or self.number, self.length if length is None else length)


def parts(packet: Any) -> Parts:
    frame = f.raw(packet)
    k = judge(frame)[-1]
    assert k.status == Status.GOOD  # where it lies; scapy said what it is
    ip = packet[IPv6] if IPv6 in packet else packet[IP]
    addresses = frame[26:34] if ip.version == 4 else frame[22:54]
    body = f.put16(frame[k.start :], k.offset - k.start, 0)
    header = (body[12] >> 4) * 4 if k.proto == Proto.TCP else 8
    number = {Proto.TCP: 6, Proto.UDP: 17, Proto.ICMPV6: 58, Proto.ICMP: 1}[k.proto]
    return Parts(frame, k.offset, addresses, number, body, header)


def tcp4(n: int, data: bytes) -> Parts:
    return parts(t.tcp(A, SERVER, 40000, 80, 1000 + 7 * n, 2000, "PA", data))


def udp4(n: int, data: bytes) -> Parts:
    return parts(t.udp(A, SERVER, 40000, 5000, data))


def udp6(n: int, data: bytes) -> Parts:
    return parts(t.udp("fd07::1", "fd07::2", 40000, 5000, data))


def icmp6(n: int, data: bytes) -> Parts:
    return parts(f.ether / f.ip6 / ICMPv6EchoRequest(id=5, seq=n, data=data))


def options6(n: int, data: bytes) -> Parts:
    return parts(f.ether / f.ip6 / IPv6ExtHdrDestOpt() / f.udp / Raw(data))


def routed6(n: int, data: bytes) -> Parts:
    return parts(f.ether / f.ip6 / IPv6ExtHdrRouting(addresses=["fd07::9"], segleft=1) / f.udp / Raw(data))


Make = Callable[[int, bytes], Parts]
PSEUDO: dict[str, tuple[Make, Callable[[Parts], bytes], Summed]] = {
    "TCP without": (tcp4, lambda p: p.wrong(pseudo=b""), Summed.NO_PSEUDO_HEADER),
    "UDP without": (udp6, lambda p: p.wrong(pseudo=b""), Summed.NO_PSEUDO_HEADER),
    "ICMPv6 without": (icmp6, lambda p: p.wrong(pseudo=b""), Summed.NO_PSEUDO_HEADER),
    "UDP with TCP's": (udp4, lambda p: p.wrong(pseudo=p.pseudo(6)), Summed.PROTOCOL),
    "TCP with UDP's": (tcp4, lambda p: p.wrong(pseudo=p.pseudo(17)), Summed.PROTOCOL),
    "ICMPv6 with ICMP's": (icmp6, lambda p: p.wrong(pseudo=p.pseudo(1)), Summed.PROTOCOL),
    "first header's": (options6, lambda p: p.wrong(pseudo=p.pseudo(60)), Summed.FIRST_HEADER),
    "first header's, and its length": (
        options6,
        lambda p: p.wrong(pseudo=p.pseudo(60, p.length + 8)),
        Summed.FIRST_HEADER_AND_LENGTH,
    ),
}
COVERAGE: dict[str, tuple[Make, Callable[[Parts], bytes], Summed]] = {
    "last byte left out": (tcp4, lambda p: p.wrong(body=p.body[:-1]), Summed.WITHOUT_LAST_BYTE),
    "last byte low": (udp6, lambda p: p.wrong(body=p.body[:-1] + b"\0" + p.body[-1:]), Summed.LAST_BYTE_LOW),
    "header alone": (tcp4, lambda p: p.wrong(body=p.body[: p.header]), Summed.HEADER),
    "header and its length": (
        icmp6,
        lambda p: p.wrong(pseudo=p.pseudo(length=p.header), body=p.body[: p.header]),
        Summed.HEADER_AND_LENGTH,
    ),
}
ALIKE: dict[str, tuple[Make, Callable[[Parts], bytes], Summed]] = {
    "number in the other byte order": (tcp4, lambda p: p.wrong(pseudo=p.pseudo(0x600)), Summed.ORDER_OF_NUMBER),
    "the next router's address": (routed6, lambda p: p.wrong(), Summed.NEXT_HOP),
    "no source address": (udp4, lambda p: p.wrong(pseudo=p.pseudo()[4:]), Summed.NO_SOURCE),
    "no destination address": (udp6, lambda p: p.wrong(pseudo=p.pseudo()[:16] + p.pseudo()[32:]), Summed.NO_TARGET),
}
SEVERAL: dict[str, tuple[Make, Callable[[Parts], bytes], Summed]] = {
    "constant length": (tcp4, lambda p: p.wrong(pseudo=p.pseudo(length=40)), Summed.LENGTH),
    "constant length of UDP": (udp6, lambda p: p.wrong(pseudo=p.pseudo(length=8)), Summed.LENGTH),
    "length in the other byte order": (
        udp6,
        lambda p: p.wrong(pseudo=p.pseudo(length=p.length >> 8 | (p.length & 0xFF) << 8)),
        Summed.ORDER_OF_LENGTH,
    ),
    "first 24 bytes": (tcp4, lambda p: p.wrong(body=p.body[:24]), Summed.PREFIX),
    "first 28 bytes, and so long": (
        udp4,
        lambda p: p.wrong(pseudo=p.pseudo(length=28), body=p.body[:28]),
        Summed.PREFIX_AND_LENGTH,
    ),
    "first 32 bytes alone": (icmp6, lambda p: p.wrong(pseudo=b"", body=p.body[:32]), Summed.PREFIX_BARE),
    "header alone, no pseudo header": (
        tcp4,
        lambda p: p.wrong(pseudo=b"", body=p.body[: p.header]),
        Summed.HEADER_BARE,
    ),
}


def odd(n: int, size: int = 61) -> bytes:
    """Random bytes, more of them each time, an odd number, the last one of several bits and another each time."""
    return random.Random(n).randbytes(size - 1 + 2 * n) + bytes([0x5B + 2 * n])


@pytest.mark.parametrize("name", [*PSEUDO, *COVERAGE])
def test_one_packet(name: str) -> None:
    make, mistake, _ = {**PSEUDO, **COVERAGE}[name]
    cause = Cause.PSEUDO_HEADER if name in PSEUDO else Cause.COVERAGE
    for n in range(20):
        p = make(n, odd(n))
        k = judge(mistake(p))[-1]
        assert (k.status, k.cause, k.expected) == (Status.BAD, cause, f.get16(p.frame, p.offset))


@pytest.mark.parametrize("make", [tcp4, udp4, udp6, icmp6, options6])
def test_no_value_but_the_mistakes_own_is_named(make: Make) -> None:
    """All 65,536: each mistake gives one, of which the header's two are alike for none of these."""
    p = make(3, odd(3))
    found = Counter(judge(f.put16(p.frame, p.offset, value))[-1].cause for value in range(1 << 16))
    assert 1 <= found[Cause.PSEUDO_HEADER] <= 4 and 1 <= found[Cause.COVERAGE] <= 4
    assert found[Cause.CORRUPT] + found[Cause.BIT_FLIP] > (1 << 16) - 20


def test_a_damaged_word_among_zeros_is_not_the_header_alone() -> None:
    frame = t.damaged(f.raw(t.tcp(A, SERVER, 4000, 80, 1, 1, "PA", bytes(100))), 90, 0x5A)
    assert judge(frame)[-1].cause == Cause.CORRUPT
    assert judge(t.damaged(frame, 80, 0x33))[-1].cause == Cause.COVERAGE  # two of them are: zero is what was summed


def capture(path: Path, frames: list[bytes]) -> Path:
    return t.pcap(path / "x.pcap", list(enumerate(frames)))


@pytest.mark.parametrize("name", [*PSEUDO, *COVERAGE, *SEVERAL, *ALIKE])
def test_several_packets(name: str, tmp_path: Path) -> None:
    make, mistake, kind = {**PSEUDO, **COVERAGE, **SEVERAL, **ALIKE}[name]
    [found] = decide(capture(tmp_path, [mistake(make(n, odd(n))) for n in range(6)]))
    [fact] = only(found, Mistake)
    assert isinstance(fact, Mistake) and (fact.kind, fact.n, fact.total) == (kind, 6, 6)
    assert found.cause == ("length-fault" if kind.is_length else "wrong-arithmetic")
    # a wrong number makes one difference, which a header that was rewritten may make as well
    one_difference = name in ALIKE or "'s" in name
    assert found.confidence == ("likely" if one_difference else "certain")


@pytest.mark.parametrize("name", SEVERAL)
def test_right_packets_of_the_sender_speak_against_it(name: str, tmp_path: Path) -> None:
    make, mistake, _ = SEVERAL[name]
    frames = [mistake(make(n, odd(n))) if n % 2 else make(n, odd(n)).frame for n in range(8)]
    assert all(found.confidence != "certain" for found in decide(capture(tmp_path, frames)))


def test_right_packets_that_the_mistake_leaves_right_do_not(tmp_path: Path) -> None:
    frames = []
    for n in range(10):
        p = tcp4(n, random.Random(n).randbytes(30 + n) + bytes([0x77 + 2 * n]))
        frames.append(p.wrong(body=p.body[: p.length & ~1]))
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, Mistake) == [Mistake(Summed.WITHOUT_LAST_BYTE, 0, 5, 5, 5, 5)]


def test_random_sums_are_nobodys_mistake(tmp_path: Path) -> None:
    noise = random.Random(5)
    for _ in range(60):
        frames = []
        for n in range(6):
            p = noise.choice((tcp4, udp4, icmp6))(n, noise.randbytes(noise.randrange(20, 200)))
            frames.append(f.put16(p.frame, p.offset, noise.randrange(1, 0xFFFF)))
        for found in decide(capture(tmp_path, frames)):
            assert found.cause in ("corruption", "bit-errors"), found


def test_a_rewritten_address_is_nobodys_mistake(tmp_path: Path) -> None:
    noise = random.Random(6)
    for _ in range(60):
        change, frames = noise.randrange(2, 0xFFFF), []
        for n in range(6):
            p = tcp4(n, noise.randbytes(noise.randrange(20, 200)))
            frames.append(f.put16(p.frame, p.offset, (f.get16(p.frame, p.offset) + change) % 0xFFFF))
        for found in decide(capture(tmp_path, frames)):
            assert found.cause not in ("wrong-arithmetic", "length-fault"), found


def folded_once(data: bytes, order: str) -> int:
    """The sum of 16-bit words with its carries added once, and the carry that this makes lost."""
    value = sum(struct.unpack(f"{order}{len(data) // 2}H", data))
    return int.from_bytes(struct.pack(f"{order}H", ~((value & 0xFFFF) + (value >> 16)) & 0xFFFF))


@pytest.mark.parametrize("order", ["!", "<"])
def test_a_lost_carry(order: str, tmp_path: Path) -> None:
    noise, frames, good = random.Random(7), [], 0
    while len(frames) - good < 4:
        p = udp4(0, noise.randbytes(1400))
        value = folded_once(p.pseudo() + p.body, order) or 0xFFFF
        is_right = value == f.get16(p.frame, p.offset)
        good += is_right
        if not is_right or good <= 30:
            frames.append(f.put16(p.frame, p.offset, value))
        else:
            good -= 1
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, Mistake) == [Mistake(Summed.CARRY_ONCE, int(order == "<"), 4, 4, 1, 30)]


def test_a_carry_lost_in_an_update(tmp_path: Path) -> None:
    """Where the sum is not made anew but updated, what is lost shows in few packets, and always as the same one."""
    frames = [udp4(0, random.Random(n).randbytes(60)).frame for n in range(20)]
    for n in (3, 9, 16):
        frames[n] = f.put16(frames[n], 40, f.get16(frames[n], 40) + 1)
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "likely")]
    assert only(found, LostCarry) == [LostCarry(3, 20, 1, False)]
    frames[5] = f.put16(frames[5], 40, f.get16(frames[5], 40) + 8)  # another bit too: damage
    assert all(found.cause != "wrong-arithmetic" for found in decide(capture(tmp_path, frames)))


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_carry_lost_in_an_update_by_one_amount(order: Any, tmp_path: Path) -> None:
    """RFC 1624's sum of old sum and change, cut to 16 bits: bad are exactly those that overflow, however many."""
    frames, bad, change = [], 0, 0x6000
    for n in range(30):
        frame = udp4(0, random.Random(n).randbytes(60)).frame
        total = int.from_bytes((~f.get16(frame, 40) & 0xFFFF).to_bytes(2), order)  # of the packet as it is now
        before = (total - change) % 0xFFFF
        value = ~(before + change) & 0xFFFF
        bad += before + change > 0xFFFF
        frames.append(f.put16(frame, 40, int.from_bytes(value.to_bytes(2, order))))
    assert 5 < bad < 20
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, LostCarry) == [LostCarry(bad, 30, 1 if order == "big" else 0x100, True)]


def test_carries_that_are_never_added(tmp_path: Path) -> None:
    frames = []
    for n in range(6):
        p = tcp4(n, random.Random(n).randbytes(200 + 40 * n))
        words = p.pseudo() + p.body
        frames.append(f.put16(p.frame, p.offset, ~sum(struct.unpack(f"!{len(words) // 2}H", words)) & 0xFFFF))
    [found] = decide(capture(tmp_path, frames))
    assert found.cause == "wrong-arithmetic"
    assert only(found, Mistake, SmallDifferences)


def test_one_bit_that_sticks_is_no_lost_carry(tmp_path: Path) -> None:
    frames = []
    for n in range(40):
        frame = f.raw(t.udp(A, SERVER, 4000, 9, random.Random(n).randbytes(60)))
        frames.append(frame[:61] + bytes([frame[61] | 1]) + frame[62:])
    assert all(found.cause != "wrong-arithmetic" for found in decide(capture(tmp_path, frames)))


def test_a_computed_zero(tmp_path: Path) -> None:
    """The payload's first word is made what takes the sum to ffff, whose complement is 0."""
    frames = []
    for n in range(12):
        rest = random.Random(n).randbytes(38)
        if n % 4 == 0:
            p = udp6(0, b"\0\0" + rest)
            word = ~f.total(p.pseudo() + p.body) & 0xFFFF
            p = udp6(0, struct.pack("!H", word) + rest)
            assert f.get16(p.frame, p.offset) == 0xFFFF  # scapy's
            frames.append(f.put16(p.frame, p.offset, 0))
        else:
            frames.append(udp6(0, b"\1\2" + rest).frame)
    path = capture(tmp_path, frames)
    [found] = decide(path)
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, ComputedZero) == [ComputedZero(3, 9)]
    [other] = decide(capture(tmp_path, [*frames, f.put16(frames[1], 60, 0)]))  # one that is not ffff: left empty
    assert other.cause == "never-filled"


def test_icmp_without_its_payload(tmp_path: Path) -> None:
    frames = []
    for n in range(4):
        frame = f.raw(f.ether / f.ip4 / ICMP(seq=n) / odd(n))
        frames.append(f.put16(frame, 36, ~f.total(f.put16(frame, 36, 0)[34:42]) & 0xFFFF))
        assert judge(frames[-1])[-1].cause == Cause.COVERAGE
    assert decided(decide(capture(tmp_path, frames))) == [("length-fault", "certain")]
