"""Sums against RFC examples, published values and an oracle of our own: two bytes at a time, as RFC 1071 says."""

from __future__ import annotations

import array
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pktmend
from pktmend import checksum, crc32c


def oracle(data: bytes) -> int:
    """RFC 1071 section 1 in its plainest form: 16-bit words in network order, carries folded, complemented."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(source: str, target: str, protocol: int, length: int) -> bytes:
    """The pseudo header of RFC 9293 section 3.1."""

    def packed(address: str) -> bytes:
        return bytes(map(int, address.split(".")))

    return packed(source) + packed(target) + struct.pack("!BBH", 0, protocol, length)


def supported_kernels() -> list[str]:
    """The SIMD kernels of this machine."""
    return [name for name, supported, _ in pktmend.kernels() if supported]


def checksum_with(kernel: str, data: memoryview) -> int:
    """The checksum by one SIMD kernel; the one in use before is chosen again, whatever happens."""
    pktmend.use_kernel(kernel)
    try:
        return checksum(data)
    finally:
        pktmend.use_kernel(None)


def test_rfc1071_section3_example(kernel: str) -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_ipv4_header_of_rfc1071_users(kernel: str) -> None:
    """The header of Wikipedia's worked example (IPv4, 'Example: calculating a checksum'): b861."""
    assert checksum(bytes.fromhex("450000730000400040110000c0a80001c0a800c7")) == 0xB861


def test_checksum_of_verified_data_is_zero(kernel: str) -> None:
    assert checksum(bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")) == 0


PUBLISHED = [  # what tcpdump showed in public threads, and whose packet it was
    (0xDC5F, pseudo("10.18.100.6", "10.18.100.7", 6, 40)),
    (0x0181, pseudo("192.168.128.0", "192.168.0.1", 6, 40)),  # weaveworks/weave#2354
    (0xDA2F, pseudo("10.86.247.137", "10.86.205.211", 6, 32)),  # projectcalico/calico#713
    (0x5E7C, pseudo("192.168.221.3", "192.168.0.1", 6, 32)),  # projectcalico/calico#2426
    (0xC2D4, pseudo("192.168.0.251", "255.255.255.255", 17, 288)),  # DHCP, AdguardTeam/AdGuardHome#704
    (0x95D2, pseudo("10.226.137.197", "255.255.255.255", 17, 282)),  # DHCP, krolaw/dhcp4#52
]


@pytest.mark.parametrize(("published", "header"), PUBLISHED)
def test_published_leaked_field_is_the_pseudo_header_sum(kernel: str, published: int, header: bytes) -> None:
    assert checksum(header) ^ 0xFFFF == published


@pytest.mark.parametrize("length", [0, 1, 2, 3, 19, 20, 21, 63, 64, 65, 1499, 1500, 9000, 65535, 65536, 300_001])
def test_lengths_equal_the_oracle(kernel: str, length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert checksum(data) == oracle(data)


@given(st.binary(max_size=600), st.integers(0, 63))
def test_any_alignment_equals_the_oracle(data: bytes, shift: int) -> None:
    wanted, shifted = oracle(data), memoryview(bytes(shift) + data)[shift:]
    assert {name: checksum_with(name, shifted) for name in supported_kernels()} == dict.fromkeys(
        supported_kernels(), wanted
    )


def test_lanes_do_not_overflow(kernel: str) -> None:
    for length in (65_536, 1 << 22):
        assert checksum(b"\xff" * length) == 0
        assert checksum(b"\xff\xfe" * (length // 2)) == oracle(b"\xff\xfe" * (length // 2))


def test_initial_continues_a_sum(kernel: str) -> None:
    head, tail = b"\x12\x34\x56\x78", bytes(range(1, 40))
    assert checksum(tail, initial=0x1234 + 0x5678) == oracle(head + tail)
    assert checksum(b"", initial=1 << 70) == oracle(struct.pack("!H", (1 << 70) % 0xFFFF))


def test_negative_initial_is_refused() -> None:
    with pytest.raises(pktmend.ConfigError, match="-1"):
        checksum(b"", initial=-1)


def test_buffers_of_other_types(kernel: str) -> None:
    data = bytes(range(200))
    for same in (bytearray(data), memoryview(data), array.array("B", data)):
        assert checksum(same) == oracle(data)
    with pytest.raises(BufferError):
        checksum(memoryview(data)[::2])


def test_crc32c_published_vectors() -> None:
    """RFC 3720 appendix B.4, and the check value of the CRC catalogue."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(bytes(reversed(range(32)))) == 0x113FDB5C


def test_crc32c_continues() -> None:
    assert crc32c(b"56789", crc32c(b"1234")) == 0xE3069283


def test_unknown_kernel_is_refused() -> None:
    with pytest.raises(pktmend.ConfigError, match="portable"):
        pktmend.use_kernel("mmx")
