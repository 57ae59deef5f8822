"""The kernel's part and verify on frames that nobody thought of: changed headers, foreign captures, hypothesis's."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernel_fuzz
from carriers import ETHERNET
from kernel_judging import ETHER_LEN, Dry, Wire, by_verify, dry_bench, sealed, wire_bench
from pktmend import Batch, Capture, FormatError, Pipeline
from pktmend.testbed.netns import Testbed

SECONDS = 4.0
LONGEST = 3000  # what BPF_PROG_TEST_RUN takes of old kernels is a page, less room for headers
ONCE = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def dry() -> Iterator[Dry]:
    with dry_bench() as bench:
        yield bench


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Testbed() as testbed, wire_bench(testbed) as bench:
        yield bench


def frames_of(path: Path) -> list[bytes]:
    """Return the Ethernet frames of a capture that are whole."""
    found: list[bytes] = []

    def collect(batch: Batch) -> None:
        found.extend(
            bytes(batch.frame(i))
            for i in range(len(batch))
            if batch.link[i] == ETHERNET and batch.caplen[i] == batch.wirelen[i]
        )

    with Capture(path) as source:
        Pipeline(source, [collect]).run()
    return found


def test_public_captures_are_judged_as_by_verify(captures: Path, dry: Dry) -> None:
    """And most of what is healthy in them is of the kinds that the kernel carries."""
    healthy = carried = 0
    for path in sorted(p for p in captures.rglob("*.pcap*") if p.suffix in (".pcap", ".pcapng")):
        try:
            frames = frames_of(path)
        except FormatError:
            continue
        for frame in frames:
            if ETHER_LEN < len(frame) < LONGEST:
                carried += dry.compare(frame)
                healthy += by_verify(frame).is_healthy
    assert healthy > 1000 and carried > healthy / 2, (healthy, carried)


@pytest.mark.parametrize("seed", range(2))
def test_changed_frames_are_judged_as_by_verify(dry: Dry, seed: int) -> None:
    frames, carried = kernel_fuzz.run(dry, random.Random(seed), SECONDS, vnet=False)
    assert carried > frames / 10, "too few to say anything"


@pytest.mark.parametrize("seed", range(2))
def test_changed_frames_with_metadata_are_judged_as_by_verify(wire: Wire, seed: int) -> None:
    frames, carried = kernel_fuzz.run(wire, random.Random(seed), SECONDS, vnet=True)
    assert carried > frames / 10, "too few to say anything"


EDGES = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF])


@given(kind=st.sampled_from(kernel_fuzz.KINDS), body=st.binary(max_size=120), at=st.integers(12, 200), word=EDGES)
@ONCE
def test_any_contents_and_any_word(dry: Dry, kind: str, body: bytes, at: int, word: int) -> None:
    """Contents of hypothesis's choice (zeros, all ones: both zeros of the sum), and one word of the frame an edge."""
    body = b"\xf0" + body  # of no tunnel
    frame = sealed(random.Random(len(body)), kind, len(body))
    frame[len(frame) - len(body) :] = body
    kernel_fuzz.reseal(frame, "good")
    assert dry.compare(bytes(frame)), "it is healthy"
    if at + 2 <= len(frame):
        frame[at : at + 2] = word.to_bytes(2, "big")
    dry.compare(bytes(frame))


@given(
    kind=st.sampled_from(("tcp4", "udp4", "tcp6", "udp6")),
    size=st.integers(0, 100),
    start=st.one_of(st.sampled_from((34, 54)), st.integers(0, 100)),
    offset=st.one_of(st.sampled_from((6, 16)), st.integers(0, 40)),
    flags=st.integers(0, 3),
    how=st.sampled_from(("good", "seed")),
)
@ONCE
def test_any_metadata(wire: Wire, kind: str, size: int, start: int, offset: int, flags: int, how: str) -> None:
    frame = sealed(random.Random(size), kind, size)
    where = kernel_fuzz.reseal(frame, how)
    assert where is not None
    is_carried = wire.compare(bytes(frame), struct.pack("=BBHHHH", flags, 0, 0, 0, start, offset))
    is_named = (start, offset) == where
    assert is_carried == ((is_named and how == "seed") if flags & 1 else how == "good")


@pytest.mark.parametrize("kind", kernel_fuzz.KINDS)
def test_both_zeros_of_the_sum(dry: Dry, kind: str) -> None:
    """A field of 0 and of ffff, right sums both but for UDP; and of everything zero, whose sum is 0 and not ffff."""
    found = set()
    frame = sealed(random.Random(7), kind, 2)
    at = (34 if kind.endswith("4") else 54) + {"t": 16, "u": 6, "i": 2}[kind[0]]
    body = int.from_bytes(frame[-2:], "big") + int.from_bytes(frame[at : at + 2], "big")
    frame[-2:] = ((body & 0xFFFF) + (body >> 16)).to_bytes(2, "big")  # what the field held is in the contents now
    for field in (0, 0xFFFF):
        frame[at : at + 2] = field.to_bytes(2, "big")
        if dry.compare(bytes(frame)):
            found.add(field)
    assert found == ({0xFFFF} if kind.startswith("udp") else {0, 0xFFFF})
    frame[14:] = bytes(len(frame) - 14)
    assert not dry.compare(bytes(frame))
