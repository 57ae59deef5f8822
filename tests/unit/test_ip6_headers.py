"""Which addresses an IPv6 packet's checksum covers, and how far behind its header one is found."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from scapy.all import IPv6, Raw, wrpcap

import frames as f
from judging import LIVE, judge, verdicts
from pktmend import PacketFlag, _core
from tools import need

HOME, CARE_OF, PEER = "2001:db8:b::2", "2001:db8:a::1", "2001:db8:c::3"


def options(following: int, body: bytes) -> bytes:
    """Return an options header of IPv6, padded."""
    pad = -(len(body) + 2) % 8
    body += b"" if pad == 0 else b"\0" if pad == 1 else bytes([1, pad - 2]) + bytes(pad - 2)
    return bytes([following, (len(body) + 2) // 8 - 1]) + body


def home(address: str, behind: bytes = b"") -> bytes:
    """Return a home address option."""
    return bytes([0xC9, 16 + len(behind)]) + socket.inet_pton(socket.AF_INET6, address) + behind


@pytest.mark.parametrize(
    ("first", "headers"),
    [
        (60, options(17, home(HOME))),
        (60, options(17, b"\1\2\0\0" + home(HOME))),
        (60, options(17, home(HOME, bytes(8)))),  # drafts had sub-options behind it
        (60, options(17, home("2001:db8::99") + home(HOME))),
        (60, options(60, home("2001:db8::99")) + options(17, home(HOME))),
        (60, options(44, home(HOME)) + bytes([17, 0, 0, 0, 0, 0, 0, 9])),  # an atomic fragment
        (44, bytes([60, 0, 0, 0, 0, 0, 0, 9]) + options(17, home(HOME))),
        (0, options(17, home(HOME))),
    ],
)
def test_home_address_is_the_source_that_is_summed(tmp_path: Path, first: int, headers: bytes) -> None:
    """RFC 6275 section 11.3.1; scapy sums a datagram of the home address itself, tshark judges what is sent."""
    frames = []
    for source in (HOME, CARE_OF):
        datagram = f.raw(IPv6(src=source, dst=PEER) / f.udp / Raw(b"on the way"))[40:]
        body = headers + datagram
        frames.append(f.raw(f.ether / IPv6(src=CARE_OF, dst=PEER, nh=first, plen=len(body)) / Raw(body)))
    assert [verdicts(judge(frame))[0].split()[:2] for frame in frames] == [["udp", "good"], ["udp", "bad"]]
    need("tshark")
    path = tmp_path / "a.pcap"
    wrpcap(str(path), frames, linktype=1)
    argv = ["tshark", "-r", str(path), "-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "udp.checksum.status"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.split() == ["1", "0"]


@pytest.mark.parametrize(
    ("option", "source"),
    [
        (bytes([0xC9, 1]) + socket.inet_pton(socket.AF_INET6, HOME), HOME),  # a mean test of Zeek's
        (bytes([0xC9, 15]) + socket.inet_pton(socket.AF_INET6, HOME)[:15], "2001:db8:b::"),
        (bytes([0xCA, 144]) + bytes(16), CARE_OF),
    ],
)
def test_source_in_doubt_makes_no_sum_bad(option: bytes, source: str) -> None:
    """An option whose length cannot be may hold a home address, and a receiver drops it."""
    for sender, expected in ((source, "udp good"), ("2001:db8::1", "udp unchecked length")):
        datagram = f.raw(IPv6(src=sender, dst=PEER) / f.udp / Raw(b"lost"))[40:]
        body = options(17, b"\1\2\0\0" + option) + datagram
        frame = f.raw(f.ether / IPv6(src=CARE_OF, dst=PEER, nh=60, plen=len(body)) / Raw(body))
        flags, _, checks = _core.inspect(frame, flags=LIVE)
        assert verdicts(checks) == [expected] and flags & PacketFlag.MALFORMED


@pytest.mark.parametrize("count", [1, 16, 17, 40, 180])
def test_any_number_of_extension_headers(count: int) -> None:
    datagram = f.raw(f.ip6 / f.udp / Raw(b"far behind"))[40:]
    body = options(60, b"\1\4\0\0\0\0") * (count - 1) + options(17, b"\1\4\0\0\0\0") + datagram
    frame = f.raw(f.ether / IPv6(src=f.ip6.src, dst=f.ip6.dst, nh=60, plen=len(body)) / Raw(body))
    assert verdicts(judge(frame)) == ["udp good"]
    assert verdicts(judge(f.put16(frame, len(frame) - 2, 0))) == ["udp bad corrupt"]


def test_ethernet_in_segment_routing() -> None:
    inner = f.raw(f.ether / f.ip4 / f.tcp / Raw(b"inside"))
    segments = bytes([143, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, PEER)
    frame = f.raw(f.ether / IPv6(src=CARE_OF, dst=PEER, nh=43, plen=24 + len(inner)) / Raw(segments + inner))
    assert verdicts(judge(frame)) == ["ip1 good", "tcp1 good"]
