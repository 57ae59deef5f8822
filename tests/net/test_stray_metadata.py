"""Frames with a virtio-net header of anyone's choice through a bridge.

What leaves differs from what came in checksum fields of the packet only, and no metadata leaves that names none.

The judge is this file's own reading of the frames that it builds, which knows where their checksum fields lie.
"""

from __future__ import annotations

import random
import socket
import struct
from dataclasses import dataclass
from typing import Any

import pytest
from scapy.all import ARP, TCP, Ether, Raw

import frames as f
from line import Line, await_reader, everything, open_tap

VNET = struct.Struct("=BBHHHH")
SEED, GOOD, NONE, BAD = "seed", "good", "none", "bad"
MARK = struct.Struct("!I")  # the end of the source address: which frame it is
OURS = b"\x06\x0d"


@dataclass(frozen=True)
class Case:
    """A frame as it is sent: where its transport begins, its checksum field, and what that holds.

    known: up to here its bytes are headers, or what a sum covers that is right or the seed.
    """

    frame: bytes
    start: int
    field: int
    holds: str
    known: int


def build(n: int, rng: random.Random) -> Case:
    """Frame number *n*, of a random kind."""
    ether = Ether(src=(OURS + MARK.pack(n)).hex(":"), dst=f.ether.dst)
    if rng.random() < 0.05:
        frame = bytes(ether / ARP(psrc="10.7.0.1", pdst="10.7.0.9")) + bytes(18)
        return Case(frame, 0, 0, NONE, len(frame))
    ip = rng.choice((f.ip4, f.ip6))
    transport = rng.choice((f.tcp, f.udp))
    holds = rng.choice((SEED, SEED, GOOD, BAD) if TCP in transport else (SEED, GOOD, NONE, BAD))
    payload = Raw(rng.randbytes(rng.randrange(8, 200)))
    packet = ether / ip / transport / payload
    frame, field, start = f.raw(packet), f.field_offset(packet), f.transport_start(f.raw(packet))
    if holds == NONE and ip is f.ip6:
        holds = GOOD  # without a sum it is no UDP
    if holds == SEED:
        frame = f.put16(frame, field, f.seed(packet))
    elif holds == BAD:
        frame = f.put16(frame, field, (f.get16(frame, field) ^ 0x0440) or 0x0440)
    elif holds == NONE:
        frame = f.put16(frame, field, 0)
    headers = start + (32 if TCP in transport else 8)
    return Case(frame, start, field, holds, len(frame) if holds in (SEED, GOOD) else headers)


def verifies(frame: bytes, start: int) -> bool:
    """Is the transport's sum right?  By RFC 793, 768 and 8200."""
    pseudo = frame[22:54] + bytes([0, frame[20]]) if start == 54 else frame[26:34] + bytes([0, frame[23]])
    datagram = frame[start:]
    return f.total(pseudo + struct.pack("!H", len(datagram)) + datagram) == 0xFFFF


def number_of(frame: bytes) -> int | None:
    """Which frame this was, by its source address; None for one that is not ours."""
    return int(MARK.unpack_from(frame, 8)[0]) if frame[6:8] == OURS else None


def judge(case: Case, sent: tuple[Any, ...], got: bytes, *, finish: bool) -> str:
    """What is wrong with what left; empty if nothing is."""
    flags, _, _, _, csum_start, csum_offset = VNET.unpack_from(got)
    frame, named = got[VNET.size :], sent[4] + sent[5]
    is_marked = bool(sent[0] & f.NEEDS_CSUM)
    theirs = is_marked and sent[4] >= case.known and case.holds in (NONE, BAD) and named + 2 <= len(case.frame)
    if len(frame) != len(case.frame):
        return f"{len(frame)} bytes"
    allowed = {case.field, case.field + 1} | ({named, named + 1} if theirs else set())
    changed = {i for i in range(len(frame)) if frame[i] != case.frame[i]}
    if case.start == 0:
        allowed = set()
    if changed - allowed:
        return f"bytes {sorted(changed - allowed)} differ"
    is_field = (csum_start, csum_start + csum_offset) == (case.start, case.field)
    if flags & f.NEEDS_CSUM and not is_field and not (theirs and (csum_start, csum_offset) == sent[4:]):
        return f"marked at {csum_start}+{csum_offset}"
    if case.holds == SEED and is_marked and not flags & f.NEEDS_CSUM and not verifies(frame, case.start):
        return "the seed, without a mark"
    if case.holds == GOOD and (flags & f.NEEDS_CSUM or not verifies(frame, case.start)):
        return "was right, and is not"
    if finish and flags & f.NEEDS_CSUM:
        return "not finished"
    return ""


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_any_frame_with_any_header(line: Line, options: tuple[str, ...]) -> None:
    """Two thousand of them; each that leaves is as it came but for its checksum field."""
    rng = random.Random(13)
    line.silence()
    cases = [build(n, rng) for n in range(2000)]
    headers: dict[int, tuple[Any, ...]] = {}
    faults, arrived, strays = [], 0, 0
    with (
        line.bridged(*options) as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
        open_tap(line.b, "eth0", vnet=True) as back,
    ):
        await_reader(line.node, "pa")
        for n, case in enumerate(cases):
            start, offset = rng.randrange(len(case.frame) + 4), rng.choice((6, 16, 0, 2, rng.randrange(40)))
            if rng.random() < 0.25:
                start, offset = case.start, case.field - case.start
            header = (rng.choice((0, 1, 1, 1, 1)), 0, 0, 0, start, offset)
            try:
                out.send(VNET.pack(*header) + case.frame)
            except OSError:  # this kernel will not have it
                continue
            headers[n] = header
            strays += bool(header[0]) and (start, start + offset) != (case.start, case.field) and start < case.known
            if n % 50 == 49:
                arrived += _take(back, cases, headers, faults, finish=bool(options))
        arrived += _take(back, cases, headers, faults, finish=bool(options))
        there, _ = bridge.stop()
    assert not faults, faults[:5]
    assert arrived == len(headers) > 1000
    assert there["dropped"] == {} and there["tx_error"] == {}, there
    assert there["stray_csum_metadata"] >= 0.9 * strays > 100


def _take(
    back: socket.socket,
    cases: list[Case],
    headers: dict[int, tuple[Any, ...]],
    faults: list[str],
    *,
    finish: bool,
) -> int:
    arrived = 0
    for got in everything(back):
        n = number_of(got[VNET.size :])
        if n is None:
            continue
        arrived += 1
        if fault := judge(cases[n], headers[n], got, finish=finish):
            faults.append(f"{n}: {cases[n].holds}, header {headers[n]}, {cases[n].frame.hex()}: {fault}")
    return arrived
