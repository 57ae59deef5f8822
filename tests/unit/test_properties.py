"""What must hold for any bytes: what repair may and may not do, and that nothing is read which is not there.

The oracle of sums is in frames.py, two bytes at a time in network order; damage and its right value come from scapy.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import frames as f
from carriers import CARRIERS
from judging import LIVE, judged
from pktmend import (
    Batch,
    Capture,
    CheckFlag,
    Frames,
    PacketFlag,
    Pipeline,
    Proto,
    Repair,
    Status,
    Writer,
    _core,
)

LINKS = [0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 228, 229, 276, 147, 65535]
SOURCE_FLAGS = [
    0,
    LIVE,
    LIVE | int(PacketFlag.NOT_READY),
    LIVE | int(PacketFlag.CLAIMED_VALID),
    LIVE | int(PacketFlag.SUPER_FRAME),
    LIVE | int(PacketFlag.NOT_READY | PacketFlag.SUPER_FRAME),
]
POLICIES = ["none", "leaked", "unfinished", "all"]


# --- repair ---------------------------------------------------------------------------------------


def repaired(frame: bytes, policy: str, **options: Any) -> tuple[bytes, Batch]:
    batch = judged(frame, expected=True, **options)
    Repair(policy)(batch)
    return bytes(batch.frame(0)), batch


BUILT = {
    name: (link, f.raw(build(bytes(range(60, 124)))))
    for name, (link, _, build) in CARRIERS.items()
    if "jumbogram" not in name
}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[int, bytes]:
    """A frame of any kind with bytes changed, or cut, or with another's tail."""
    link, frame = BUILT[draw(st.sampled_from(sorted(BUILT)))]
    data = bytearray(frame)
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=5)):
        data[at] = value
    if draw(st.integers(0, 4)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    data += draw(st.binary(max_size=8))
    return link, bytes(data)


any_frame = st.one_of(damaged(), st.tuples(st.sampled_from(LINKS), st.binary(max_size=200)))
vnet_headers = st.one_of(
    st.none(),
    st.binary(min_size=10, max_size=10),
    st.builds(
        struct.pack,
        st.just("=BBHHHH"),
        st.sampled_from([0, 1, 2, 3]),
        st.sampled_from([0, 1, 3, 4, 5]),
        st.integers(0, 200),
        st.integers(0, 2000),
        st.integers(0, 120),
        st.sampled_from([0, 2, 4, 6, 8, 16]),
    ),
)


def fields(batch: Batch) -> set[int]:
    """Return the bytes of the frame that hold a checksum which repair says it has written."""
    written = [k for k in batch.checks_of(0) if k.flags & CheckFlag.REPAIRED]
    return {at for k in written for at in range(k.offset, k.offset + k.width)}


@given(any_frame, st.sampled_from(SOURCE_FLAGS), vnet_headers, st.sampled_from(POLICIES))
@settings(max_examples=600, deadline=None)
def test_repair_writes_checksum_fields_and_nothing_else(
    frame: tuple[int, bytes], flags: int, vnet: bytes | None, policy: str
) -> None:
    link, before = frame
    after, batch = repaired(before, policy, link=link, flags=flags, vnet=vnet)
    assert len(after) == len(before)
    assert {i for i in range(len(before)) if before[i] != after[i]} <= fields(batch)
    if policy == "none":
        assert after == before


@given(any_frame, st.sampled_from(SOURCE_FLAGS), vnet_headers, st.sampled_from(POLICIES))
@settings(max_examples=600, deadline=None)
def test_repair_twice_is_repair_once(frame: tuple[int, bytes], flags: int, vnet: bytes | None, policy: str) -> None:
    """The second time around with the header that the first left behind."""
    link, before = frame
    once, batch = repaired(before, policy, link=link, flags=flags, vnet=vnet)
    left = batch.vnet(0)
    twice, _ = repaired(
        once,
        policy,
        link=link,
        vnet=None if left is None else bytes(left),
        flags=batch.flags[0]
        & int(PacketFlag.METADATA | PacketFlag.NOT_READY | PacketFlag.SUPER_FRAME | PacketFlag.CLAIMED_VALID),
    )
    assert twice == once


@given(any_frame)
@settings(max_examples=400, deadline=None)
def test_what_repair_wrote_is_good_when_judged_again(frame: tuple[int, bytes]) -> None:
    link, before = frame
    after, batch = repaired(before, "all", link=link)
    again = {k.offset: k for k in judged(after, link=link, expected=True).checks_of(0)}
    for k in batch.checks_of(0):
        if k.flags & CheckFlag.REPAIRED:
            assert again[k.offset].status == Status.GOOD


@given(any_frame, st.integers(1, 500))
@settings(max_examples=300, deadline=None)
def test_what_was_not_judged_is_never_touched(frame: tuple[int, bytes], missing: int) -> None:
    """Written is a check that is whole, under no sum that is not; no IP header of
    a packet whose lengths contradict each other.
    """
    link, before = frame
    for wirelen in (len(before) + missing, len(before)):
        batch = judged(before, link=link, wirelen=wirelen, expected=True)
        checks, is_malformed = batch.checks_of(0), batch.flags[0] & PacketFlag.MALFORMED
        unjudged = [k for k in checks if k.status == Status.UNCHECKED and not k.flags & CheckFlag.QUOTED]
        after, _ = repaired(before, "all", link=link, wirelen=wirelen)
        for at in (i for i in range(len(before)) if after[i] != before[i]):
            (k,) = (k for k in checks if k.offset <= at < k.offset + k.width and not k.flags & CheckFlag.QUOTED)
            assert k.status in (Status.BAD, Status.PENDING, Status.GOOD)
            assert k.start + k.length <= len(before)
            assert not (is_malformed and k.proto == Proto.IP)
            assert not any(u.start <= k.offset < u.start + u.length for u in unjudged)


@given(any_frame)
@settings(max_examples=300, deadline=None)
def test_leaked_policy_changes_nothing_but_seeds(frame: tuple[int, bytes]) -> None:
    """By default corruption is never signed: a field that is written held S, or covers one that did."""
    link, before = frame
    after, batch = repaired(before, "leaked", link=link)
    held = {k.offset for k in judged(before, link=link, expected=True).checks_of(0) if k.stored == k.seed}
    for k in batch.checks_of(0):
        field = slice(k.offset, k.offset + k.width)
        if after[field] != before[field]:
            assert k.offset in held or any(k.start <= at < k.start + k.length for at in held)


@pytest.mark.parametrize("name", sorted(BUILT))
@given(field=st.integers(0, 0xFFFFFFFF))
@settings(max_examples=25, deadline=None)
def test_repair_all_restores_what_scapy_wrote(name: str, field: int) -> None:
    """Whatever stands in the innermost field, the frame comes back byte for byte."""
    link, right = BUILT[name]
    k = judged(right, link=link, expected=True).checks_of(0)[-1]
    value = field.to_bytes(4, "big")[: k.width]
    wrong = right[: k.offset] + value + right[k.offset + k.width :]
    if k.proto in (Proto.UDP, Proto.UDPLITE) and not any(value):
        return  # none was sent: nothing to repair
    both_zeros = {b"\0\0", b"\xff\xff"}
    after, batch = repaired(wrong, "all", link=link)
    if {value, right[k.offset : k.offset + k.width]} == both_zeros:
        return  # equal in one's complement: it was right as it stood
    assert after == right
    assert batch.status[0] <= Status.ABSENT


# --- any bytes ------------------------------------------------------------------------------------


@given(
    frame=st.binary(max_size=400),
    link=st.integers(0, 65535),
    flags=st.sampled_from(SOURCE_FLAGS),
    vnet=vnet_headers,
    more=st.integers(0, 400),
    expected=st.booleans(),
    at_wire=st.booleans(),
)
@example(frame=b"", link=1, flags=0, vnet=None, more=0, expected=True, at_wire=True)
@settings(max_examples=500, deadline=None)
def test_inspect_takes_any_bytes_of_any_link_type(
    frame: bytes, link: int, flags: int, vnet: bytes | None, more: int, expected: bool, at_wire: bool
) -> None:
    for kind in (link, LINKS[link % len(LINKS)]):
        found, status, checks = _core.inspect(
            frame, link=kind, flags=flags, vnet=vnet, wirelen=len(frame) + more, expected=expected, at_wire=at_wire
        )
        assert bool(found & PacketFlag.TRUNCATED) == (more > 0)
        assert status in list(Status)
        for k in checks:
            assert k.flags & CheckFlag.NO_FIELD or k.offset + k.width <= len(frame)
            assert not k.flags & CheckFlag.QUOTED or k.status == Status.UNCHECKED


@given(any_frame, st.sampled_from(SOURCE_FLAGS), vnet_headers)
@settings(max_examples=500, deadline=None)
def test_good_and_bad_are_what_the_oracle_says(frame: tuple[int, bytes], flags: int, vnet: bytes | None) -> None:
    """The check says what it covers; its sum and pseudo header are added up here."""
    link, data = frame
    for k in _core.inspect(data, link=link, flags=flags, vnet=vnet)[2]:
        if k.status not in (Status.GOOD, Status.BAD) or k.width == 4 or k.flags & CheckFlag.FLAGGED:
            continue
        value = f.total(struct.pack("!H", k.seed) + data[k.start : k.start + k.length])
        is_zero = k.proto == Proto.UDP and k.stored == 0
        assert (k.status == Status.GOOD) == (value == 0xFFFF and not is_zero)
        if k.flags & CheckFlag.HAS_EXPECTED and k.status == Status.BAD:
            blank = f.put16(data, k.offset, 0)[k.start : k.start + k.length]
            wanted = 0xFFFF ^ f.total(struct.pack("!H", k.seed) + blank)
            assert k.expected == wanted or {k.expected, wanted} == {0, 0xFFFF}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(min_size=0, max_size=300), max_size=30),
    st.sampled_from(["pcap", "pcapng"]),
    st.integers(0, 2**32 * 10**9 - 1),
)
def test_what_is_written_is_read_again(tmp_path: Path, frames: list[bytes], file_format: str, time_ns: int) -> None:
    path = tmp_path / "x"
    with Writer(path, file_format=file_format) as sink:
        sink.write(Frames([(time_ns, frame) for frame in frames]).batch())
    got: list[tuple[int, bytes]] = []
    with Capture(path) as source:
        Pipeline(
            source, [lambda b: got.extend(zip(b.time_ns, map(bytes, map(b.frame, range(len(b)))), strict=True))]
        ).run()
    assert got == [(time_ns, frame) for frame in frames]
