"""What must hold of the sums of any bytes, and of incremental updates.

The oracles are here and in frames.py, two bytes at a time in network order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import frames as f
import pktmend
from pktmend import (
    checksum,
    crc32c,
)

KERNELS = [name for name, supported, _ in pktmend.kernels() if supported]


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Force a SIMD kernel."""
    pktmend.use_kernel(name)
    try:
        yield
    finally:
        pktmend.use_kernel(None)


# long and short, smooth and rough: random bytes, and bytes that make the carries run
buffers = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda data, n: (data * n)[:70_000], st.binary(min_size=1, max_size=40), st.integers(1, 1800)),
    st.builds(lambda byte, n: bytes([byte]) * n, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]), st.integers(0, 70_000)),
)


@given(buffers, st.integers(0, 130))
@settings(deadline=None)
def test_every_kernel_equals_the_oracle_at_any_offset(data: bytes, offset: int) -> None:
    expected = 0xFFFF ^ f.total(data)
    shifted = memoryview(b"\xa5" * offset + data + b"\xa5" * 3)[offset : offset + len(data)]  # neighbours are not read
    for name in KERNELS:
        with forced(name):
            assert checksum(shifted) == expected, name


@given(buffers, st.lists(st.integers(0, 70_000), max_size=6))
@settings(deadline=None)
def test_any_split_into_chunks_continues_to_the_same_sum(data: bytes, cuts: list[int]) -> None:
    """initial= takes the sum of what came before; behind an odd number of bytes it counts swapped (RFC 1071 2(B))."""
    expected = 0xFFFF ^ f.total(data)
    ends = sorted(min(cut, len(data)) for cut in cuts)
    chunks = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
    for name in KERNELS:
        with forced(name):
            so_far, is_odd = 0, False
            for chunk in chunks:
                if is_odd:
                    so_far = (so_far & 0xFF) << 8 | so_far >> 8
                so_far = 0xFFFF ^ checksum(chunk, initial=so_far)
                if is_odd:
                    so_far = (so_far & 0xFF) << 8 | so_far >> 8
                is_odd ^= len(chunk) % 2 == 1
            assert 0xFFFF ^ so_far == expected, name


@given(buffers, st.integers(0, 1 << 80))
@settings(deadline=None)
def test_initial_is_any_sum(data: bytes, initial: int) -> None:
    """Equal modulo 65,535, and 0 only of nothing but zeros."""
    expected = (initial + f.total(data)) % 0xFFFF or (0xFFFF if initial or any(data) else 0)
    for name in KERNELS:
        with forced(name):
            assert checksum(data, initial=initial) == 0xFFFF ^ expected, name


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_crc32c_of_chunks_equals_that_of_the_whole_and_of_the_polynomial(data: bytes, cut: int) -> None:
    value = 0xFFFFFFFF
    for byte in data:  # RFC 9260 appendix A, bit by bit
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    assert crc32c(data) == crc32c(data[cut:], crc32c(data[:cut])) == value ^ 0xFFFFFFFF


def update(hc: int, before: int, now: int) -> int:
    """RFC 1624 equation 3: HC' = ~(~HC + ~m + m')."""
    value = (~hc & 0xFFFF) + (~before & 0xFFFF) + now
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


def test_update_is_that_of_the_rfc() -> None:
    """RFC 1624 section 4: HC = DD2F, m = 5555, m' = 3285 gives 0000, where RFC 1141 gave FFFF."""
    assert update(0xDD2F, 0x5555, 0x3285) == 0x0000


@given(st.binary(min_size=2, max_size=400), st.data())
def test_incremental_update_equals_the_full_sum(data: bytes, draw: st.DataObject) -> None:
    """What a translator computes from the change alone is what this engine computes from everything."""
    data = data[: len(data) & ~1]
    at = draw.draw(st.integers(0, len(data) // 2 - 1)) * 2
    now = draw.draw(st.integers(0, 0xFFFF))
    before = f.get16(data, at)
    changed = f.put16(data, at, now)
    assume(any(data) and any(changed))  # else the two zeros differ (RFC 1624 section 3)
    for name in KERNELS:
        with forced(name):
            assert update(checksum(data), before, now) == checksum(changed), name
