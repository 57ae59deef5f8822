"""Samples: what is kept of single packets, so that a finding can show and examine them after the batch is gone."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Final

from pktmend import _core
from pktmend.enums import Cause, CheckFlag, PacketFlag, Proto, Reason, Status
from pktmend.records import Layer

ETHERNET: Final = 1
SLL: Final = 113
SLL2: Final = 276
WITH_PORTS: Final = (6, 17, 33, 132, 136)
FEW_BITS: Final = 2  # of a one's complement difference; 1 in 146 random ones has so few


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One checksum of one packet.  A sample equals itself only, so that sets of them are cheap.

    n, time_ns, wirelen, link, flags: of the packet.       offset, width, stored, seed, expected, ...: of the check.
    seed:     S; None where the sum has no pseudo header.  expected: None where it was not computed.
    source, target, ports: of the IP header that the check belongs to, ports 0 where there are none.
    outer:    the same addresses of the outermost IP header.   layers: how many IP headers the packet has.
    frame:    the packet's first bytes, whole as a rule.
    """

    n: int
    time_ns: int
    wirelen: int
    link: int
    flags: PacketFlag
    proto: Proto
    status: Status
    cause: Cause
    reason: Reason
    check_flags: CheckFlag
    depth: int
    offset: int
    width: int
    start: int
    length: int
    stored: int
    seed: int | None
    expected: int | None
    version: int
    source: str
    target: str
    ports: tuple[int, int]
    outer: tuple[str, str]
    layers: int
    frame: bytes

    @property
    def flow(self) -> str:
        """`10.0.0.1:1234 > 10.0.0.2:80`."""
        return f"{end_text(self.source, self.ports[0])} > {end_text(self.target, self.ports[1])}"

    @property
    def source_mac(self) -> str:
        """The Ethernet source address, empty where there is none."""
        return mac_text(self.frame[6:12]) if self.link in (ETHERNET, SLL) else ""

    @property
    def target_mac(self) -> str:
        """The Ethernet destination address, empty where there is none."""
        return mac_text(self.frame[:6]) if self.link == ETHERNET else ""

    @property
    def is_outgoing(self) -> bool:
        """Sent by the host of the tap, as the source or the cooked header says."""
        if self.link == SLL and len(self.frame) > 1:
            return self.frame[1] == 4
        if self.link == SLL2 and len(self.frame) > 10:
            return self.frame[10] == 4
        return bool(self.flags & PacketFlag.OUTGOING)

    @property
    def delta(self) -> int:
        """Return stored - expected in one's complement, 0 to fffe."""
        return minus(self.stored, self.expected or 0)

    def hex(self, value: int | None) -> str:
        """Return a value as the field has it on the wire; `-` for None."""
        return "-" if value is None else f"{value:0{self.width * 2}x}"

    def as_json(self) -> dict[str, Any]:
        """Return it as `diagnose --json` prints it."""
        return {
            "n": self.n,
            "proto": str(self.proto),
            "offset": self.offset,
            "stored": self.hex(self.stored),
            "seed": None if self.seed is None else self.hex(self.seed),
            "expected": None if self.expected is None else self.hex(self.expected),
            "flow": self.flow,
        }


def minus(a: int, b: int) -> int:
    """Return a - b of 16-bit one's complement numbers; the two zeros are one."""
    return (a - b) % 0xFFFF


def bits(difference: int) -> int:
    """How many bits, added or taken away, make this one's complement difference (weight of its non-adjacent form)."""
    return min((d ^ (3 * d)).bit_count() for d in (difference, (-difference) % 0xFFFF))


def end_text(address: str, port: int) -> str:
    """`10.0.0.1:80`, `[fd00::1]:80`, or the address alone."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def mac_text(data: bytes) -> str:
    """`02:00:00:00:00:01`; empty if there is none."""
    return data.hex(":") if any(data) else ""


def address_text(data: bytes) -> str:
    """Return an IP address of four or sixteen bytes as text."""
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def addresses_of(frame: bytes, l3: int, version: int) -> tuple[str, str]:
    """Return source and destination of the IP header at byte l3; empty where the frame is cut before them."""
    at, width = (l3 + 12, 4) if version == 4 else (l3 + 8, 16)
    if at + 2 * width > len(frame):
        return "", ""
    return address_text(frame[at : at + width]), address_text(frame[at + width : at + 2 * width])


def ports_of(frame: bytes, l4: int, protocol: int) -> tuple[int, int]:
    """Return the ports of the transport header at byte l4, zeros where it has none."""
    if protocol not in WITH_PORTS or l4 + 4 > len(frame):
        return 0, 0
    return int.from_bytes(frame[l4 : l4 + 2], "big"), int.from_bytes(frame[l4 + 2 : l4 + 4], "big")


def layer_of(layers: list[Layer], k: _core.Check) -> Layer:
    """Return (l3, l4, version, protocol) of the IP packet that a check belongs to."""
    own = [layer for layer in layers if layer[0] == k.start or layer[1] == k.start]
    inside = [layer for layer in layers if layer[0] <= k.start]
    return (own or inside or layers or [Layer(0, 0, 0, 0)])[-1]


def samples_of(batch: _core.Batch, i: int, checks: list[_core.Check], size: int) -> list[Sample]:
    """Return a sample of each of *checks* of packet i, with the frame's first *size* bytes."""
    frame = batch.head(i, size)
    layers = batch.layers_of(i)
    outer = addresses_of(frame, layers[0][0], layers[0][2]) if layers else ("", "")
    # packets side by side in one frame (A-MSDU) are no tunnel
    nested = min(len(layers), 1 + max((k.depth for k in batch.checks_of(i)), default=0))
    found = []
    for k in checks:
        l3, l4, version, protocol = layer_of(layers, k)
        source, target = addresses_of(frame, l3, version) if version else ("", "")
        found.append(
            Sample(
                n=batch.number[i],
                time_ns=batch.time_ns[i],
                wirelen=batch.wirelen[i],
                link=batch.link[i],
                flags=PacketFlag(batch.flags[i]),
                proto=Proto(k.proto),
                status=Status(k.status),
                cause=Cause(k.cause),
                reason=Reason(k.reason),
                check_flags=CheckFlag(k.flags),
                depth=k.depth,
                offset=k.offset,
                width=k.width,
                start=k.start,
                length=k.length,
                stored=k.stored,
                seed=k.seed if k.flags & CheckFlag.HAS_PSEUDO else None,
                expected=k.expected if k.flags & CheckFlag.HAS_EXPECTED else None,
                version=version,
                source=source,
                target=target,
                ports=ports_of(frame, l4, protocol),
                outer=outer,
                layers=nested,
                frame=frame,
            )
        )
    return found


def address_words(address: str) -> list[int]:
    """Return the 16-bit words of an address; none of an empty one."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address) if address else b""
    return [int.from_bytes(packed[i : i + 2], "big") for i in range(0, len(packed), 2)]
