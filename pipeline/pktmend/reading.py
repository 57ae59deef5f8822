"""The plain calls on a capture file: check() counts its checksums, read() gives one object a packet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from pktmend._core import Batch, Check
from pktmend.console.report import bad_of
from pktmend.enums import Cause, Status, Unread
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Pipeline
from pktmend.runtime.stages import Verify, classify, count


@dataclass(frozen=True, slots=True)
class Summary:
    """What check() found.

    packets:   that were read; truncated: cut when they were captured; malformed: with headers that contradict each
               other.
    status:    packets by Status: {"good": 6, "bad": 4}.
    checks:    checksums by protocol, then by Status, bad ones by Cause: {"tcp": {"good": 2, "leaked": 4}}.
    unread:    packets of which something was not looked into, by reason: {"link-type": 3}.
    """

    packets: int
    truncated: int
    malformed: int
    status: dict[str, int]
    checks: dict[str, dict[str, int]]
    unread: dict[str, int] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        """Bad checksums, whatever the cause.  What is pending, absent or unchecked is not bad."""
        return bad_of(self.checks)

    @property
    def is_good(self) -> bool:
        """Is no checksum bad?  Of what is `unread` nothing is known."""
        return self.bad == 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a capture, as a copy.

    number:       in the file, from 1.
    time_ns:      nanoseconds since 1970.        time: the same in seconds.
    wirelen:      bytes that it had; the frame may be shorter where it was cut.
    frame:        its captured bytes, link header included.
    src, dst:     addresses of the outermost IP header, "" where there is none.
    protocol:     transport protocol of the outermost IP header, as IANA numbers it; 0 where there is none.
    sport, dport: its ports, 0 where it has none.
    status:       the highest of its checks'.    cause: why it is bad.
    checks:       every checksum, outer ones first; offsets count from the start of the frame.
    unread:       why something of it was not looked into; NONE: all was.
    """

    number: int
    time_ns: int
    wirelen: int
    frame: bytes
    src: str
    dst: str
    protocol: int
    sport: int
    dport: int
    status: Status
    cause: Cause
    checks: tuple[Check, ...]
    unread: Unread = Unread.NONE

    @property
    def time(self) -> float:
        """Seconds since 1970; a float keeps about 200 ns."""
        return self.time_ns / 1e9


def check(path: str | os.PathLike[str], *, at_wire: bool = False, expression: str = "") -> Summary:
    """Count the checksums of a capture file, as `pktmend check -r` does.

    at_wire:    the capture was taken beyond the sender: a partial checksum has leaked, even without metadata.
    expression: packets to look at, in tcpdump's filter language; needs libpcap.
    Raises:     OSFailure if the file cannot be opened, FormatError if it is no capture or broken, ConfigError for an
                expression that is none.
    """
    with Capture(path, packet_filter=expression) as capture:
        pipeline = Pipeline(capture, [Verify(at_wire=at_wire), classify, count])
        pipeline.run()
        found = pipeline.counters()
    return Summary(found.packets, found.truncated, found.malformed, found.status, found.checks, found.unread)


def read(path: str | os.PathLike[str], *, at_wire: bool = False, expression: str = "") -> Iterator[Packet]:
    """Yield each packet of a capture file with its checksums judged; arguments and errors are those of check().

    The file is opened at the first step and closed at the end, or when the iterator is dropped.  An object for each
    packet is slow, below a hundred thousand packets a second: `Capture(path).batches(...)` is a hundred times faster.
    """
    with Capture(path, packet_filter=expression) as capture:
        for batch in capture.batches(Verify(expected=True, at_wire=at_wire), classify):
            yield from _packets(batch)


def _packets(batch: Batch) -> Iterator[Packet]:
    """Yield copies of all packets of *batch*; no view of it is alive meanwhile."""
    wanted = (batch.number, batch.time_ns, batch.wirelen, batch.status, batch.cause, batch.unread)
    columns = [column.tolist() for column in wanted]
    del wanted
    for i, (row, ends) in enumerate(zip(zip(*columns, strict=True), _ends(batch), strict=True)):
        number, time_ns, wirelen, status, cause, unread = row
        checks = tuple(batch.checks_of(i))
        judged = Status(status), Cause(cause), checks, Unread(unread)
        yield Packet(number, time_ns, wirelen, batch.head(i), *ends, *judged)


def _ends(batch: Batch) -> list[tuple[str, str, int, int, int]]:
    """Return (src, dst, protocol, sport, dport) of each packet's outermost headers."""
    sources, targets = bytes(batch.src), bytes(batch.dst)  # 16 bytes a packet
    columns = [column.tolist() for column in (batch.version, batch.protocol, batch.sport, batch.dport)]
    return [
        (
            _address(version, sources[16 * i : 16 * i + 16]),
            _address(version, targets[16 * i : 16 * i + 16]),
            protocol,
            sport,
            dport,
        )
        for i, (version, protocol, sport, dport) in enumerate(zip(*columns, strict=True))
    ]


def _address(version: int, packed: bytes) -> str:
    """Return the address at the beginning of *packed*, "" where there is no IP header."""
    return str(IPv4Address(packed[:4])) if version == 4 else str(IPv6Address(packed)) if version == 6 else ""
