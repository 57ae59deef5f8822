"""Packets of a batch as plain rows, taken column by column: what is printed of them is made by the batch.

An object for each packet and each check costs ten times as much as all else that printing does.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from pktmend._core import Batch
from pktmend.records import address_text

CHECK: Final = struct.Struct("=5IH6B")  # as _core.CHECK_FORMAT names its fields
OFFSET, STORED, EXPECTED, PROTO, STATUS, CAUSE, REASON, FLAGS, DEPTH = 0, 3, 4, 6, 7, 8, 9, 10, 11
REMEMBERED: Final = 1 << 16  # ends of flows whose text is kept

FEW: Final = 16  # rows of a batch that are made one by one

CheckRow = tuple[int, ...]
Key = tuple[int, int, int, int, bytes, bytes]  # of ends_of()


class Ends(NamedTuple):
    """Addresses and ports of a packet's outermost IP header, as text for people and as JSON members."""

    text: str
    json: str


class Row(NamedTuple):
    """A packet.  unread, unread_type, interface: as the columns have them."""

    number: int
    time_ns: int
    caplen: int
    wirelen: int
    unread: int
    unread_type: int
    interface: int
    ends: Ends
    checks: Sequence[CheckRow]


class Rows:
    """Makes rows, and remembers the text of addresses that it has seen."""

    def __init__(self) -> None:
        self._ends: dict[Key, Ends] = {}

    def of(self, batch: Batch, indices: Sequence[int]) -> Iterator[Row]:
        """Yield a row for each of *indices*; no view of the batch is alive meanwhile."""
        if len(indices) <= FEW:
            yield from [self._one(batch, i) for i in indices]
            return
        checks = list(CHECK.iter_unpack(batch.checks.tobytes()))
        wanted = (batch.number, batch.time_ns, batch.caplen, batch.wirelen, batch.unread, batch.unread_type)
        number, time_ns, caplen, wirelen, unread, unread_type = (column.tolist() for column in wanted)
        others = (batch.check_first, batch.check_count, batch.version, batch.protocol, batch.sport, batch.dport)
        first, count, version, protocol, sport, dport = (column.tolist() for column in others)
        interface = batch.interface.tolist()
        del wanted, others
        src, dst = bytes(batch.src), bytes(batch.dst)  # 16 bytes a packet
        for i in indices:
            at = 16 * i
            ends = self._ends_of((version[i], protocol[i], sport[i], dport[i], src[at : at + 16], dst[at : at + 16]))
            begin = first[i]
            yield Row(
                number[i],
                time_ns[i],
                caplen[i],
                wirelen[i],
                unread[i],
                unread_type[i],
                interface[i],
                ends,
                checks[begin : begin + count[i]],
            )

    def _one(self, batch: Batch, i: int) -> Row:
        """Return one row: all others of the batch cost more than this one where few are wanted."""
        begin = batch.check_first[i]
        checks = batch.checks[begin : begin + batch.check_count[i]].tobytes()
        src, dst = batch.src[i : i + 1].tobytes(), batch.dst[i : i + 1].tobytes()
        return Row(
            batch.number[i],
            batch.time_ns[i],
            batch.caplen[i],
            batch.wirelen[i],
            batch.unread[i],
            batch.unread_type[i],
            batch.interface[i],
            self._ends_of((batch.version[i], batch.protocol[i], batch.sport[i], batch.dport[i], src, dst)),
            list(CHECK.iter_unpack(checks)),
        )

    def _ends_of(self, key: Key) -> Ends:
        ends = self._ends.get(key)
        if ends is None:
            if len(self._ends) >= REMEMBERED:
                self._ends.clear()
            ends = self._ends[key] = ends_of(*key)
        return ends


def ends_of(version: int, protocol: int, sport: int, dport: int, src: bytes, dst: bytes) -> Ends:
    """Return what is said of a packet's ends; nothing where there is no IP header.  src, dst: 16 bytes."""
    if version not in (4, 6):
        return Ends("", "")
    source, target = (address_text(version, end) for end in (src, dst))  # as tcpdump has them
    json = f',"src":"{source}","dst":"{target}","protocol":{protocol}'
    if not (sport or dport):
        return Ends(f"{source} > {target}", json)
    json += f',"sport":{sport},"dport":{dport}'
    if version == 6:
        return Ends(f"[{source}]:{sport} > [{target}]:{dport}", json)
    return Ends(f"{source}:{sport} > {target}:{dport}", json)
