"""Programs that compute checksums wrongly: what the engine names in one packet, and diagnose in several.

Each mistake is made here by a few lines of Python over scapy's frames; the sum of bytes is RFC 1071's (frames.total).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.all import ICMP

import frames as f
import tapes as t
from diagnosing import SERVER, A, decide, decided, only, tap_of
from judging import judge
from miscomputed import Parts, capture, icmp6, odd, options6, routed6, tcp4, udp4, udp6
from pktmend import Cause, Status
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Rejected
from pktmend.commands.diagnose.facts.arithmetic import Contradicted, Mistake, Summed
from pktmend.commands.diagnose.rules_arithmetic import several

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


@pytest.mark.parametrize("name", [*PSEUDO, *COVERAGE])
def test_one_packet_is_likely_and_no_more(name: str, tmp_path: Path) -> None:
    make, mistake, kind = {**PSEUDO, **COVERAGE}[name]
    frame = mistake(make(0, odd(0)))
    [found] = decide(capture(tmp_path, [frame]))
    assert decided([found]) == [("length-fault" if kind.is_length else "wrong-arithmetic", "likely")]
    [fact] = only(found, Mistake)
    assert isinstance(fact, Mistake) and (fact.kind, fact.n) == (kind, 1)
    damaged = t.damaged(make(1, odd(1)).frame, 80, 0x5A)
    assert {each.cause for each in decide(capture(tmp_path, [frame, damaged]))} <= {"corruption", "bit-errors"}


@pytest.mark.parametrize("name", SEVERAL)
def test_right_packets_of_the_sender_speak_against_it(name: str, tmp_path: Path) -> None:
    make, mistake, _ = SEVERAL[name]
    frames = [mistake(make(n, odd(n))) if n % 2 else make(n, odd(n)).frame for n in range(8)]
    assert all(found.confidence != "certain" for found in decide(capture(tmp_path, frames)))


def test_one_difference_and_right_packets_of_the_sender_reject_it(tmp_path: Path) -> None:
    make, mistake, kind = PSEUDO["UDP with TCP's"]
    frames = [mistake(make(n, odd(n))) if n % 2 else make(n, odd(n)).frame for n in range(8)]
    case = Case(tap_of(capture(tmp_path, frames)), None)
    assert several(case) == []
    assert case.rejected == [Rejected(RootCause.WRONG_ARITHMETIC, Contradicted(kind, 6, 4, 4))]


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
    for _ in range(30):
        frames = []
        for n in range(6):
            p = noise.choice((tcp4, udp4, icmp6))(n, noise.randbytes(noise.randrange(20, 200)))
            frames.append(f.put16(p.frame, p.offset, noise.randrange(1, 0xFFFF)))
        for found in decide(capture(tmp_path, frames)):
            assert found.cause in ("corruption", "bit-errors"), found


def test_much_damage_of_many_senders_is_nobodys_mistake(tmp_path: Path) -> None:
    noise, frames = random.Random(8), []
    for n in range(300):
        ends = f"10.1.{n % 100}.1", SERVER
        frame = f.raw(t.tcp(*ends, 40000, 80, n, 1, "A", noise.randbytes(noise.randrange(10, 300))))
        frames.append(t.damaged(frame, noise.randrange(60, len(frame)), noise.randrange(1, 256)) if n % 3 else frame)
    for found in decide(capture(tmp_path, frames)):
        assert found.cause in ("corruption", "bit-errors"), found


def test_a_rewritten_address_is_nobodys_mistake(tmp_path: Path) -> None:
    noise = random.Random(6)
    for _ in range(30):
        change, frames = noise.randrange(2, 0xFFFF), []
        for n in range(6):
            p = tcp4(n, noise.randbytes(noise.randrange(20, 200)))
            frames.append(f.put16(p.frame, p.offset, (f.get16(p.frame, p.offset) + change) % 0xFFFF))
        for found in decide(capture(tmp_path, frames)):
            assert found.cause not in ("wrong-arithmetic", "length-fault"), found


def test_icmp_without_its_payload(tmp_path: Path) -> None:
    frames = []
    for n in range(4):
        frame = f.raw(f.ether / f.ip4 / ICMP(seq=n) / odd(n))
        frames.append(f.put16(frame, 36, ~f.total(f.put16(frame, 36, 0)[34:42]) & 0xFFFF))
        assert judge(frames[-1])[-1].cause == Cause.COVERAGE
    assert decided(decide(capture(tmp_path, frames))) == [("length-fault", "certain")]
