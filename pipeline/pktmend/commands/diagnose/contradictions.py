"""Packets whose headers contradict each other about lengths: what each header says, and what the frame has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pktmend import _core
from pktmend.commands.diagnose.samples import addresses_of, end_text, ports_of
from pktmend.enums import PacketFlag

TCP: Final = 6
UDP: Final = 17
TCP_LEAST, UDP_LEAST, IP4_LEAST, IP6_HEADER = 20, 8, 20, 40
HIGH: Final = 0 if sys.byteorder == "big" else 1  # the byte of a 16-bit flag word in which MALFORMED is
MARK: Final = bytes(int(bool(b << 8 & PacketFlag.MALFORMED)) for b in range(256))


@dataclass(frozen=True)
class Contradiction:
    """One packet.

    says:  (name, bytes) of each header that says a length.     room: bytes from the IP header to the end of the frame.
    frame: bytes of the frame.      is_cut: the only contradiction is that the frame is too short.
    right: the header whose length the checksum is right over; empty if none is.
    """

    n: int
    flow: str
    says: tuple[tuple[str, int], ...]
    room: int
    frame: int
    is_cut: bool = False
    right: str = ""


def malformed(batch: _core.Batch) -> Iterator[int]:
    """Yield the malformed packets of a batch; costs three passes in C where there are none."""
    marks = bytes(batch.flags)[HIGH::2].translate(MARK)
    at = marks.find(1)
    while at >= 0:
        yield at
        at = marks.find(1, at + 1)


def contradiction_of(batch: _core.Batch, i: int) -> Contradiction | None:
    """Say what contradicts what in a malformed packet; None where it is no length."""
    layers = batch.layers_of(i)
    frame, wirelen = batch.head(i), batch.wirelen[i]
    outermost = batch.l3[i], batch.l4[i], batch.version[i], batch.protocol[i]
    l3, l4, version, protocol = layers[-1] if layers else outermost
    if version not in (4, 6):
        return None
    header = (frame[l3] & 15) * 4 if version == 4 and l3 < len(frame) else IP6_HEADER
    if l3 + header > len(frame):
        return None
    total = _get16(frame, l3 + 2) if version == 4 else _get16(frame, l3 + 4) + IP6_HEADER
    room = wirelen - l3
    span = min(total, room) - (l4 - l3 if l4 > l3 else header)
    says = [(f"IPv{version}", total)]
    is_wrong = total > room or total < header
    is_cut = total > room
    if protocol == UDP and l4 > l3 and l4 + UDP_LEAST <= len(frame):
        length = _get16(frame, l4 + 4)
        says.append(("UDP", length))
        is_wrong |= length > span or length < UDP_LEAST
        is_cut &= length == total - (l4 - l3)
    elif protocol == TCP and l4 > l3 and l4 + TCP_LEAST <= len(frame):
        length = (frame[l4 + 12] >> 4) * 4
        if length > span or length < TCP_LEAST:
            says.append(("TCP's header", length))
            is_wrong = True
            is_cut &= length >= TCP_LEAST
    if not is_wrong:
        return None
    ends = zip(addresses_of(frame, l3, version), ports_of(frame, l4, protocol), strict=True)
    flow = " > ".join(end_text(address, port) for address, port in ends)
    right = _right_over(frame, l3, l4, version, says) if protocol == UDP and len(says) > 1 else ""
    return Contradiction(batch.number[i], flow, tuple(says), room, wirelen, is_cut, right)


def _right_over(frame: bytes, l3: int, l4: int, version: int, says: list[tuple[str, int]]) -> str:
    """The header over whose length a UDP checksum is right (RFC 768)."""
    addresses = frame[l3 + 12 : l3 + 20] if version == 4 else frame[l3 + 8 : l3 + 40]
    for name, length in says:
        size = length - (l4 - l3) if name.startswith("IP") else length
        if UDP_LEAST <= size <= len(frame) - l4 and _get16(frame, l4 + 6):
            pseudo = addresses + size.to_bytes(4, "big") + UDP.to_bytes(4, "big")
            if _core.checksum(pseudo + frame[l4 : l4 + size]) == 0:
                return name
    return ""


def _get16(frame: bytes, at: int) -> int:
    return int.from_bytes(frame[at : at + 2], "big")
