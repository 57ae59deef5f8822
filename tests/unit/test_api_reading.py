"""The plain calls on a capture: check() against hand-counted frames, read() against scapy's own view of them."""

from __future__ import annotations

import gc
import struct
from pathlib import Path

import pytest
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, wrpcap

import frames as f
import pktmend
from pktmend import Cause, Proto, Status, check, read
from tools import ROOT

ENDS = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TCP4 = ENDS / IP(src="10.7.0.1", dst="10.7.0.2") / TCP(sport=40000, dport=80) / f.PAYLOAD
UDP6 = ENDS / IPv6(src="fd07::1", dst="fd07::2") / UDP(sport=5353, dport=53) / f.PAYLOAD
TAGGED = ENDS / Dot1Q(vlan=5) / IP(src="192.0.2.1", dst="192.0.2.9") / UDP(sport=7, dport=9) / f.PAYLOAD
LATE_FRAGMENT = ENDS / IP(src="10.7.0.1", dst="10.7.0.2", proto=17, frag=64) / Raw(bytes(32))
PING = ENDS / IP(src="10.7.0.1", dst="10.7.0.2") / ICMP() / f.PAYLOAD
QUESTION = ENDS / ARP(psrc="10.7.0.1", pdst="10.7.0.2")
WHOLE = [TCP4, UDP6, TAGGED, LATE_FRAGMENT, PING, QUESTION]
WANTED = [
    ("10.7.0.1", "10.7.0.2", 6, 40000, 80),
    ("fd07::1", "fd07::2", 17, 5353, 53),
    ("192.0.2.1", "192.0.2.9", 17, 7, 9),
    ("10.7.0.1", "10.7.0.2", 17, 0, 0),
    ("10.7.0.1", "10.7.0.2", 1, 0, 0),
    ("", "", 0, 0, 0),
]


def written(path: Path, *frames: bytes) -> Path:
    wrpcap(str(path), list(frames), linktype=1)
    return path


def test_read_gives_addresses_ports_bytes_and_number(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pcap", *map(f.raw, WHOLE))
    packets = list(read(path))
    assert [(p.src, p.dst, p.protocol, p.sport, p.dport) for p in packets] == WANTED
    assert [p.frame for p in packets] == list(map(f.raw, WHOLE))
    assert [p.number for p in packets] == [1, 2, 3, 4, 5, 6]


def test_read_of_a_frame_cut_anywhere_gives_no_half_of_an_address(tmp_path: Path) -> None:
    """A capture cut at each length: an address or port is whole or not there."""
    for packet, want in zip(WHOLE, WANTED, strict=True):
        frame = f.raw(packet)
        path = written(tmp_path / "x.pcap", *(frame[:n] for n in range(14, len(frame) + 1)))
        for p in read(path):
            assert (p.src, p.dst) in ((want[0], want[1]), ("", "")) and (p.sport, p.dport) in ((0, 0), want[3:])


def test_read_judges_each_packet_and_knows_its_time(tmp_path: Path) -> None:
    right = f.raw(UDP6)
    records = [(1_700_000_000, 250_000_001, f.raw(TCP4)), (1, 0, f.put16(right, 60, f.get16(right, 60) ^ 0x0100))]
    path = tmp_path / "x.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)  # of nanoseconds
        + b"".join(struct.pack("<IIII", s, ns, len(frame), len(frame)) + frame for s, ns, frame in records)
    )
    good, bad = read(path)
    assert (good.time_ns, good.wirelen) == (1_700_000_000_250_000_001, len(f.raw(TCP4)))
    assert abs(good.time - 1_700_000_000.25) < 1e-6 and bad.time == 1.0
    assert (good.status, good.cause) == (Status.GOOD, Cause.NONE)
    assert [Proto(k.proto) for k in good.checks] == [Proto.IP, Proto.TCP]
    assert bad.status is Status.BAD and isinstance(bad.cause, Cause) and bad.cause
    assert [(k.stored, k.expected) for k in bad.checks] == [(f.get16(right, 60) ^ 0x0100, f.get16(right, 60))]
    leaked = written(tmp_path / "y.pcap", f.leaked(TCP4))
    assert [p.status for p in read(leaked)] == [Status.PENDING]
    assert [(p.status, p.cause) for p in read(leaked, at_wire=True)] == [(Status.BAD, Cause.LEAKED)]


def test_packets_are_copies_and_the_file_is_closed_when_the_iterator_is_dropped(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pcap", *[f.raw(PING)] * 3000)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    packets = read(path)
    first = next(packets)
    del packets
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before and first.frame == f.raw(PING)
    assert [p.number for p in read(path)] == list(range(1, 3001))


def test_check_counts_what_was_made(tmp_path: Path) -> None:
    right = f.raw(TCP4)
    path = written(tmp_path / "x.pcap", right, right, f.put16(right, 60, 0x4711), f.leaked(UDP6), right[:64])
    found = check(path)
    assert (found.packets, found.bad, found.is_good) == (5, 1, False)
    assert found.status == {"good": 2, "pending": 1, "bad": 1, "unchecked": 1}
    assert found.checks["udp"] == {"pending": 1} and found.checks["tcp"]["good"] == 2
    assert check(path, at_wire=True).bad == 2
    assert check(written(tmp_path / "y.pcap", right, right)).is_good


def test_expression_chooses_packets(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pcap", *map(f.raw, WHOLE))
    assert check(path, expression="ip6").packets == 1
    assert [p.number for p in read(path, expression="arp or icmp")] == [5, 6]
    with pytest.raises(pktmend.ConfigError, match="no such thing"):
        check(path, expression="no such thing")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    for call in (check, lambda path: list(read(path))):
        with pytest.raises(pktmend.OSFailure, match="nothing-there") as caught:
            call(tmp_path / "nothing-there")
        assert caught.value.subject == str(tmp_path / "nothing-there")
        with pytest.raises(pktmend.FormatError, match=r"README\.md"):
            call(ROOT / "README.md")
    cut = written(tmp_path / "cut.pcap", f.raw(PING), f.raw(PING))
    cut.write_bytes(cut.read_bytes()[:-1])
    packets = read(cut)
    assert next(packets).number == 1
    with pytest.raises(pktmend.FormatError, match=r"cut\.pcap.*byte"):
        next(packets)
    with pytest.raises(pktmend.FormatError, match=r"cut\.pcap"):
        check(cut)
