"""What the lab's own programs do to frames, held against scapy: mistakes that are made exactly."""

from __future__ import annotations

import struct
from itertools import pairwise

from scapy.all import IP, TCP, Ether, Raw

import frames as f
from pktmend.testbed import relay, vmm

MSS = 700
PAYLOAD = bytes(range(250)) * 12  # 3,000 bytes: five segments


def large_send() -> bytes:
    """A super-frame behind its virtio-net header."""
    header = struct.pack("=BBHHHH", 1, 1, 66, MSS, 34, 16)
    return header + f.raw(f.ether / f.ip4 / f.tcp.copy() / Raw(PAYLOAD))


def test_segments_of_a_large_send_keep_the_seed_without_a_length() -> None:
    packets = [Ether(each[10:]) for each in vmm.cut(large_send())]
    assert [len(p[TCP].payload) for p in packets] == [700, 700, 700, 700, 200]
    assert b"".join(bytes(p[TCP].payload) for p in packets) == PAYLOAD
    assert all(b[TCP].seq - a[TCP].seq == MSS and b[IP].id - a[IP].id == 1 for a, b in pairwise(packets))
    assert [str(p[TCP].flags) for p in packets] == ["A", "A", "A", "A", "PA"]
    seed = f.total(bytes((10, 7, 0, 1, 10, 7, 0, 2, 0, 6)))
    for p in packets:
        assert p[TCP].chksum == seed
        right = p[IP].copy()
        del right.chksum
        assert IP(bytes(right)).chksum == p[IP].chksum and p[IP].len == len(p) - 14


def test_a_large_send_without_a_header_sum_is_otherwise_the_same() -> None:
    [changed] = vmm.zero(large_send())
    assert Ether(changed[10:])[IP].chksum == 0 and changed[:34] + changed[36:] == large_send()[:34] + large_send()[36:]
    small = bytes(10) + f.raw(f.ether / f.ip4 / f.tcp / Raw(b"x"))
    assert [*vmm.zero(small)] == [small] == [*vmm.split(small)]


def test_blind_fixer_signs_whatever_it_gets() -> None:
    right = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
    for spoilt in (f.put16(right, 50, 0x1234), right[:-1] + b"\x00"):
        frame = bytearray(spoilt)
        relay.fix(memoryview(frame))
        packet = Ether(spoilt)
        del packet[TCP].chksum
        assert bytes(frame) == bytes(packet)
    six = bytearray(f.raw(f.ether / f.ip6 / f.tcp))
    relay.fix(memoryview(six))
    assert bytes(six) == f.raw(f.ether / f.ip6 / f.tcp)


def test_flipping_relay_damages_one_bit_of_every_64th_long_frame() -> None:
    flip, damaged = relay.Flip(), []
    for n in range(256):
        frame = bytearray(1400)
        flip(memoryview(frame))
        damaged += [(n, sum(byte.bit_count() for byte in frame))] if any(frame) else []
    short = bytearray(1000)
    flip(memoryview(short))
    assert damaged == [(63, 1), (127, 1), (191, 1), (255, 1)] and not any(short)
