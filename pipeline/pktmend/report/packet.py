"""A packet as a report shows it: its bytes in hexadecimal, with what the checksum covers marked.

Rules of this file:
1. A place is marked only where it was found: nothing is guessed from a length of the packet's own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pktmend.enums import CheckFlag
from pktmend.records import Layer, address_text

if TYPE_CHECKING:
    from pktmend._core import Check

ROW: Final = 16
SHOWN: Final = 128  # bytes from the packet's beginning
FIELD, ADDRESSES, PROTOCOL, LENGTH, SUMMED, PLAIN = "field", "addresses", "protocol", "length", "summed", ""
_FIRST: Final = (FIELD, ADDRESSES, PROTOCOL, LENGTH, SUMMED)  # what a byte is that is more than one of them


class Span(NamedTuple):
    """Bytes of one kind beside each other, as text: `0a 07 00 01`."""

    kind: str
    text: str


class Row(NamedTuple):
    """Up to sixteen bytes."""

    offset: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class ShownPacket:
    """One checksum of one packet.

    number: in its capture, from 1.        flow: addresses and ports.     verdict: `tcp leaked`.
    offset, width: of the field.           stored, seed, expected: hexadecimal, "" where there is none.
    start, length: of the summed bytes.    version, source, target: of the IP header that it belongs to; 0, "" none.
    frame:  the packet's first bytes.      wirelen: bytes that it had.
    """

    number: int
    time: str
    flow: str
    verdict: str
    offset: int
    width: int
    stored: str
    seed: str
    expected: str
    start: int
    length: int
    version: int
    source: str
    target: str
    frame: bytes
    wirelen: int

    @classmethod
    def of(
        cls,
        k: Check,
        header: Layer | None,
        frame: bytes,
        *,
        number: int,
        time: str,
        flow: str,
        verdict: str,
        wirelen: int,
    ) -> ShownPacket:
        """Show a check that was judged.  header: the IP header that it belongs to."""
        digits = k.width * 2
        version, source, target = _addresses(header, frame)
        return cls(
            number=number,
            time=time,
            flow=flow,
            verdict=verdict,
            offset=k.offset,
            width=k.width,
            stored=f"{k.stored:0{digits}x}",
            seed=f"{k.seed:04x}" if k.flags & CheckFlag.HAS_PSEUDO else "",
            expected=f"{k.expected:0{digits}x}" if k.flags & CheckFlag.HAS_EXPECTED else "",
            start=k.start,
            length=k.length,
            version=version,
            source=source,
            target=target,
            frame=frame,
            wirelen=wirelen,
        )

    @property
    def has_pseudo_header(self) -> bool:
        """Does the sum include addresses, protocol and length of the IP header?"""
        return bool(self.seed)

    @property
    def shown(self) -> int:
        """Bytes that rows() has."""
        return min(len(self.frame), max(SHOWN, -(-(self.offset + self.width) // ROW) * ROW))

    def rows(self) -> Iterator[Row]:
        """Yield the bytes, row by row."""
        kinds = [PLAIN] * self.shown
        for kind in reversed(_FIRST):
            for begin, end in self.places().get(kind, ()):
                kinds[begin:end] = [kind] * len(kinds[begin:end])
        for at in range(0, self.shown, ROW):
            yield Row(f"{at:04x}", tuple(_spans(self.frame[at : min(at + ROW, self.shown)], kinds[at : at + ROW])))

    def places(self) -> dict[str, list[tuple[int, int]]]:
        """Return where in the frame what is marked lies: {kind: [(first byte, byte behind it), ...]}."""
        found = {FIELD: [(self.offset, self.offset + self.width)], SUMMED: [(self.start, self.start + self.length)]}
        header = self._ip_header() if self.has_pseudo_header else None
        if header is None:
            return found
        if self.version == 4:
            at, width, protocol, length = header + 12, 8, header + 9, header + 2
        else:
            at, width, protocol, length = header + 8, 32, header + 6, header + 4
        return found | {
            ADDRESSES: [(at, at + width)],
            PROTOCOL: [(protocol, protocol + 1)],
            LENGTH: [(length, length + 2)],
        }

    def _ip_header(self) -> int | None:
        """Return where the IP header begins that has these addresses, None if it is not in the frame."""
        if not self.version or not self.source:
            return None
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        both = socket.inet_pton(family, self.source) + socket.inet_pton(family, self.target)
        at = self.frame.rfind(both, 0, self.start)
        begin = at - (12 if self.version == 4 else 8)
        return begin if at >= 0 and begin >= 0 and self.frame[begin] >> 4 == self.version else None


def _spans(data: bytes, kinds: list[str]) -> Iterator[Span]:
    begin = 0
    for i in range(1, len(data) + 1):
        if i == len(data) or kinds[i] != kinds[begin]:
            yield Span(kinds[begin], data[begin:i].hex(" "))
            begin = i


def _addresses(header: Layer | None, frame: bytes) -> tuple[int, str, str]:
    """Return version, source and target of the header; 0 and empty where there is none, or it is cut."""
    if header is None:
        return 0, "", ""
    at, width = (header.l3 + 12, 4) if header.version == 4 else (header.l3 + 8, 16)
    if len(frame) < at + 2 * width:
        return 0, "", ""
    ends = (frame[at : at + width], frame[at + width : at + 2 * width])
    source, target = (address_text(header.version, end) for end in ends)
    return header.version, source, target
