"""Checksums of what runs right on IP beside TCP, UDP and ICMP: VRRP, OSPF, PIM, EIGRP, RSVP, PGM, HIP, mobility, Shim6.

Right sums are scapy's, or those of the loop in frames.py over what the RFC names; tshark is the second judge.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, IPv6, Raw, wrpcap
from scapy.contrib.eigrp import EIGRP, EIGRPParam
from scapy.contrib.ospf import OSPF_Hdr, OSPF_Hello, OSPFv3_Hdr, OSPFv3_Hello
from scapy.contrib.rsvp import RSVP, RSVP_Object
from scapy.layers.inet6 import MIP6MH_HoTI
from scapy.layers.vrrp import VRRP, VRRPv3

import frames as f
from judging import LIVE, judge, verdicts
from pktmend import CheckFlag, PacketFlag, Proto, Status, _core
from tools import frames_in, need, run_pktmend

A4, B4, GROUP4 = "10.7.0.1", "10.7.0.2", "224.0.0.18"
A6, GROUP6 = "fe80::7", "ff02::12"


def over(protocol: int, body: bytes, version: int = 4, **fields: Any) -> bytes:
    """Return an Ethernet frame of an IP packet that carries *body*."""
    ip = (
        IP(src=A4, dst=GROUP4, proto=protocol, ttl=255, **fields)
        if version == 4
        else IPv6(src=A6, dst=GROUP6, nh=protocol)
    )
    return f.raw(f.ether / ip / Raw(body))


def pseudo(protocol: int, length: int, version: int) -> bytes:
    """Return the pseudo header of RFC 793 or of RFC 8200."""
    family, source, target = (socket.AF_INET, A4, GROUP4) if version == 4 else (socket.AF_INET6, A6, GROUP6)
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    if version == 4:
        return ends + bytes([0, protocol]) + length.to_bytes(2, "big")
    return ends + length.to_bytes(4, "big") + bytes([0, 0, 0, protocol])


def summed(body: bytes, field: int, extra: bytes = b"", covered: int | None = None) -> bytes:
    """Return *body* with the right sum over its first *covered* bytes and *extra* at *field*."""
    body = f.put16(body, field, 0)
    return f.put16(body, field, ~f.total(extra + body[:covered]) & 0xFFFF)


VRRP2 = f.raw(VRRP(vrid=7, priority=200, addrlist=["10.7.0.9"], auth1=0x70617373, auth2=0x776F7264, authtype=1))
VRRP3 = f.raw(VRRPv3(vrid=7, priority=200, adv=100, addrlist=["10.7.0.9"], chksum=0))
VRRP3_6 = bytes([0x31, 7, 100, 1, 0, 100, 0, 0]) + socket.inet_pton(socket.AF_INET6, "fe80::9")
CARP = bytes([0x21, 7, 100, 7, 0, 1, 0, 0]) + bytes(range(28))
REGISTER = bytes([0x21, 0, 0, 0, 0, 0, 0, 0]) + f.raw(IP(src=A4, dst="239.1.1.1") / f.udp / Raw(b"stream"))
NULL_REGISTER = bytes([0x21, 0, 0, 0, 0x40, 0, 0, 0]) + f.raw(IP(src=A4, dst="239.1.1.1", proto=103, len=20))
HELLO = bytes([0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105])  # one option: for how long it holds
OSPF3 = bytes([3, 1, 0, 36]) + socket.inet_aton("1.1.1.1") + bytes(8) + bytes(range(20))
RSVP_PATH = bytes([0x10, 1, 0, 0, 255, 0, 0, 16]) + bytes([0, 8, 3, 2]) + socket.inet_aton(B4)
PGM = bytes([0x10, 0, 0x20, 0, 0, 0, 0, 0]) + b"sender" + bytes([0, 4]) + bytes(12)
HIP = bytes([59, 4, 1, 0x21, 0, 0, 0, 0]) + bytes(range(32))
SHIM6 = bytes([59, 2, 64, 0, 0, 0]) + bytes(range(18))
AUTHENTICATED = f.raw(OSPF_Hdr(src="1.1.1.1", authtype=1, authdata=0x7365637265742121) / OSPF_Hello())

# name: (frame, whose check, does tshark verify it, and in this reading?)
RIGHT: dict[str, tuple[bytes, str, bool]] = {
    "VRRP 2 with a password": (over(112, VRRP2), "vrrp", True),
    "VRRP 3 with a pseudo header": (over(112, summed(VRRP3, 6, pseudo(112, len(VRRP3), 4))), "vrrp", True),
    "VRRP 3 without": (over(112, summed(VRRP3, 6)), "vrrp", False),  # tshark has a setting for one or the other
    "VRRP 3 over IPv6": (over(112, summed(VRRP3_6, 6, pseudo(112, 24, 6)), 6), "vrrp", True),
    "CARP": (over(112, summed(CARP, 6)), "vrrp", False),
    "CARP over IPv6": (over(112, summed(CARP, 6), 6), "vrrp", False),
    "OSPF 2": (over(89, f.raw(OSPF_Hdr(src="1.1.1.1") / OSPF_Hello())), "ospf", True),
    "OSPF 2 with a password": (over(89, AUTHENTICATED), "ospf", True),
    "OSPF 2 and bytes behind": (over(89, AUTHENTICATED + bytes(range(12))), "ospf", False),
    "OSPF 3": (over(89, summed(OSPF3, 12, pseudo(89, 36, 6)), 6), "ospf", True),
    "OSPF 3 and bytes behind": (over(89, summed(OSPF3, 12, pseudo(89, 36, 6)) + b"trailer.", 6), "ospf", False),
    "OSPF 3 by scapy": (
        f.raw(f.ether / IPv6(src=A6, dst=GROUP6) / OSPFv3_Hdr(src="1.1.1.1") / OSPFv3_Hello()),
        "ospf",
        True,
    ),
    "PIM": (over(103, summed(HELLO, 2)), "pim", True),
    "PIM over IPv6": (over(103, summed(HELLO, 2, pseudo(103, len(HELLO), 6)), 6), "pim", True),
    "PIM Register": (over(103, summed(REGISTER, 2, covered=8)), "pim", True),
    "PIM Register, old": (over(103, summed(REGISTER, 2)), "pim", False),
    "PIM Null-Register": (over(103, summed(NULL_REGISTER, 2, covered=8)), "pim", True),
    "PIM Register over IPv6": (over(103, summed(REGISTER, 2, pseudo(103, 8, 6), 8), 6), "pim", True),
    "PIM Register over IPv6, old": (over(103, summed(REGISTER, 2, pseudo(103, len(REGISTER), 6)), 6), "pim", False),
    "EIGRP": (over(88, f.raw(EIGRP(tlvlist=[EIGRPParam()]))), "eigrp", True),
    "EIGRP over IPv6": (over(88, f.raw(EIGRP(tlvlist=[EIGRPParam()])), 6), "eigrp", True),
    "RSVP": (over(46, summed(RSVP_PATH, 2)), "rsvp", False),
    "RSVP by scapy": (over(46, f.raw(RSVP() / RSVP_Object())), "rsvp", False),
    "PGM": (over(113, summed(PGM, 6)), "pgm", True),
    "HIP": (over(139, summed(HIP, 4, pseudo(139, 40, 4))), "hip", True),
    "HIP over IPv6": (over(139, summed(HIP, 4, pseudo(139, 40, 6)), 6), "hip", True),
    "mobility": (f.raw(f.ether / f.ip6 / MIP6MH_HoTI()), "mobility", False),
    "Shim6": (over(140, summed(SHIM6, 4), 6), "shim6", True),
}
OTHER_READING = {"VRRP 3 without", "CARP over IPv6", "PIM Register, old", "PIM Register over IPv6, old"}


def check_of(frame: bytes, name: str, **options: Any) -> Any:
    """Return the only check of this protocol."""
    (check,) = [k for k in judge(frame, **options) if str(Proto(k.proto)) == name]
    return check


@pytest.mark.parametrize("name", RIGHT)
def test_right_is_good_and_a_changed_byte_is_bad(name: str) -> None:
    frame, proto, _ = RIGHT[name]
    k = check_of(frame, proto)
    assert (k.status, k.stored) == (Status.GOOD, k.expected), k
    for at in (k.start, k.start + k.length - 1):  # its first and its last covered byte
        if proto in ("hip", "mobility", "shim6") or at != k.start:
            at = max(at, k.offset + 2)
        else:
            at += 1  # the first byte says how to read the rest
        damaged = frame[:at] + bytes([frame[at] ^ 0x24]) + frame[at + 1 :]
        assert check_of(damaged, proto).status == Status.BAD, at
    wrong = f.put16(frame, k.offset, k.stored ^ 0x5AA5)
    assert check_of(wrong, proto).status == Status.BAD
    assert name in OTHER_READING or check_of(wrong, proto).expected == k.stored


def test_tshark_says_the_same(tmp_path: Path) -> None:
    need("tshark")
    asked = {name: case for name, case in RIGHT.items() if case[2]}
    packets = []
    for frame, proto, _ in asked.values():
        k = check_of(frame, proto)
        packets += [frame, f.put16(frame, k.offset, k.stored ^ 0x5AA5)]
    path = tmp_path / "a.pcap"
    wrpcap(str(path), packets, linktype=1)
    text = subprocess.run(
        ["tshark", "-r", str(path), "-V"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    said = []
    for shown in text.split("\nFrame "):
        lines = [x for x in shown.splitlines() if "hecksum" in x and "Header Checksum" not in x]
        own = " ".join(lines[:2])  # the first has the field, or the second the status
        said.append(
            "bad" if "incorrect" in own or "Bad" in own else "good" if "correct" in own or "Good" in own else own
        )
    wrong = {
        name: pair
        for name, pair in zip(asked, zip(said[::2], said[1::2], strict=True), strict=True)
        if pair != ("good", "bad")
    }
    assert not wrong


# --- what is absent, contradictory or not here whole ------------------------------------------------------------------


def parts(frame: bytes) -> list[str]:
    """Return what is said of all but the IP header."""
    return [v for v in verdicts(judge(frame)) if not v.startswith("ip ")]


def test_sender_computed_none() -> None:
    cryptographic = f.put16(AUTHENTICATED, 14, 2)
    assert parts(over(89, f.put16(cryptographic, 12, 0) + bytes(range(16)))) == ["ospf absent"]
    assert parts(over(89, f.put16(OSPF3, 12, 0) + b"authentication..", 6)) == ["ospf absent"]  # RFC 7166
    assert parts(over(89, f.put16(OSPF3, 12, 0), 6)) == ["ospf bad never-filled"]
    trailer, signaling = bytes([0, 1, 0, 48]) + bytes(44), bytes([0xF6, 1, 0, 3]) + bytes(8)
    for behind in (trailer, signaling + trailer):
        assert parts(over(89, f.put16(OSPF3, 12, 0x1234) + behind, 6)) == ["ospf absent"]
    assert parts(over(89, f.put16(OSPF3, 12, 0x1234) + signaling, 6)) == ["ospf bad corrupt"]
    long = over(89, summed(OSPF3, 12, pseudo(89, 36, 6)) + trailer, 6)
    assert verdicts(judge(long[:-40], wirelen=len(long))) == ["ospf unchecked truncated"]
    assert parts(over(46, RSVP_PATH)) == ["rsvp absent"]
    assert parts(over(113, PGM)) == ["pgm absent"]
    assert parts(over(140, bytes([59, 0, 0x80, 0, 0x12, 0x34, 0, 0]), 6)) == []  # Shim6 around a payload has no sum


def test_packet_in_a_register_is_judged_too() -> None:
    assert parts(over(103, summed(REGISTER, 2, covered=8))) == ["pim good", "ip1 good", "udp1 good"]
    assert parts(over(103, summed(NULL_REGISTER, 2, covered=8))) == ["pim good"]


def test_register_that_is_not_all_here_may_be_one_of_the_old() -> None:
    old = over(103, summed(REGISTER, 2))
    (first,) = [k for k in judge(old[:-1], wirelen=len(old)) if k.proto == Proto.PIM]
    assert verdicts([first]) == ["pim unchecked truncated"]
    fragment = old[:14] + summed(f.put16(old[14:34], 6, 0x2000), 10) + old[34:]
    assert parts(fragment)[0] == "pim unchecked fragment"
    new = over(103, summed(REGISTER, 2, covered=8))
    assert parts(new[:14] + summed(f.put16(new[14:34], 6, 0x2000), 10) + new[34:])[0] == "pim good"


@pytest.mark.parametrize(
    ("protocol", "body", "version", "expected"),
    [
        (89, f.put16(AUTHENTICATED, 2, 900), 4, "ospf unchecked length"),
        (89, f.put16(AUTHENTICATED, 2, 23), 4, "ospf unchecked length"),
        (89, f.put16(OSPF3, 2, 15), 6, "ospf unchecked length"),
        (46, f.put16(summed(RSVP_PATH, 2), 6, 900), 4, "rsvp unchecked length"),
    ],
)
def test_contradicting_lengths(protocol: int, body: bytes, version: int, expected: str) -> None:
    flags, _, checks = _core.inspect(over(protocol, body, version), flags=LIVE)
    assert verdicts(checks)[-1] == expected and flags & PacketFlag.MALFORMED


@pytest.mark.parametrize("name", RIGHT)
def test_cut_short_is_unchecked_and_a_fragment_too(name: str) -> None:
    frame, proto, _ = RIGHT[name]
    k = check_of(frame, proto)
    cut = judge(frame[: k.start + k.length - 1], wirelen=len(frame))
    assert [str(Status(c.status)) for c in cut if str(Proto(c.proto)) == proto] == ["unchecked"]
    for end in range(14, len(frame)):  # wherever it ends, nothing is read behind it
        judge(frame[:end], wirelen=len(frame))
        _core.inspect(frame[:end], flags=LIVE)
    if frame[12:14] == b"\x08\x00" and "Register" not in name:
        first = summed(f.put16(frame[14:34], 6, 0x2000), 10)
        assert parts(frame[:14] + first + frame[34:]) == [f"{proto} unchecked fragment"]


def test_unknown_versions_are_passed_over() -> None:
    assert parts(over(89, bytes([1]) + AUTHENTICATED[1:])) == []
    assert parts(over(103, bytes([0x10]) + HELLO[1:])) == []
    assert parts(over(200, bytes(40))) == []


def test_masqueraded_vrrp_is_bad_over_the_pseudo_header() -> None:
    """Another source address: what repairs or explains it needs the sum with a pseudo header."""
    right = over(112, summed(VRRP3, 6, pseudo(112, len(VRRP3), 4)))
    moved = right[:26] + socket.inet_aton("198.51.100.1") + right[30:]
    k = check_of(moved, "vrrp")
    assert k.status == Status.BAD and k.flags & CheckFlag.HAS_PSEUDO
    whole = socket.inet_aton("198.51.100.1") + socket.inet_aton(GROUP4) + bytes([0, 112, 0, len(VRRP3)])
    assert k.expected == f.get16(summed(VRRP3, 6, whole), 6)


def test_repair_all_writes_what_was_there(tmp_path: Path) -> None:
    """Each damaged field comes back; where there are two readings, as the first of them has it."""
    cases = {name: case for name, case in RIGHT.items() if name not in OTHER_READING}
    damaged = [f.put16(frame, check_of(frame, proto).offset, 0x5AA5) for frame, proto, _ in cases.values()]
    source, out = tmp_path / "a.pcap", tmp_path / "b.pcap"
    wrpcap(str(source), damaged, linktype=1)
    assert run_pktmend("fix", "-r", str(source), "-w", str(out), "--repair", "all").returncode == 0
    assert dict(zip(cases, frames_in(out), strict=True)) == {name: case[0] for name, case in cases.items()}
