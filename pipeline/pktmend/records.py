"""What the engine reports of packets, flows and itself, as named tuples.

Without `from __future__ import annotations`: to make a named tuple of types takes half as long as of their names.
"""

from typing import Final, Generic, NamedTuple, TypeVar

from pktmend.enums import Cause, PacketFlag, Status

Check = TypeVar("Check")  # the engine's: it imports this module, so this module cannot import it
TRANSPORTS: Final = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    46: "rsvp",
    47: "gre",
    58: "icmpv6",
    88: "eigrp",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    113: "pgm",
    132: "sctp",
    135: "mobility",
    136: "udplite",
    139: "hip",
    140: "shim6",
}


def address_text(version: int, address: bytes) -> str:
    """Return an IP address as people write it (RFC 5952); of version 4 the first four bytes count."""
    if version == 4:
        return "{}.{}.{}.{}".format(*address)
    from socket import AF_INET6, inet_ntop  # a while to load

    return inet_ntop(AF_INET6, address)


class Kernel(NamedTuple):
    """A SIMD kernel of the sum."""

    name: str
    supported: bool  # by this machine
    active: bool


class Layer(NamedTuple):
    """An IP header of a packet, and what it carries."""

    l3: int  # offset of the IP header
    l4: int  # offset of the transport header; 0: none
    version: int
    protocol: int


class Flow(NamedTuple):
    """The 5-tuple of a packet's outermost headers; a port is 0 where there is none."""

    version: int
    protocol: int
    source: bytes
    target: bytes
    source_port: int
    target_port: int

    def __str__(self) -> str:
        """`10.0.0.1:1234 > 10.0.0.2:80`, `[fd00::1]:1234 > [fd00::2]:80`, `10.0.0.1 > 10.0.0.2`."""
        if self.version not in (4, 6):
            return "not IP"
        return f"{self._end(self.source, self.source_port)} > {self._end(self.target, self.target_port)}"

    def _end(self, address: bytes, port: int) -> str:
        import ipaddress  # here: only a monitor writes flows

        text = str(ipaddress.ip_address(address))
        if not (self.source_port or self.target_port):
            return text
        return f"[{text}]:{port}" if self.version == 6 else f"{text}:{port}"

    @property
    def transport(self) -> str:
        """The protocol behind the IP header."""
        return TRANSPORTS.get(self.protocol, f"protocol {self.protocol}") if self.version else "-"


class SampledPacket(NamedTuple, Generic[Check]):
    """A bad packet that was kept."""

    flow: Flow
    time_ns: int
    caplen: int
    wirelen: int
    flags: PacketFlag
    cause: Cause
    checks: list[Check]


class KeptPacket(NamedTuple, Generic[Check]):
    """One of the last bad packets of a flow."""

    time_ns: int
    caplen: int
    wirelen: int
    frame: bytes  # its first ones
    check: Check  # its first bad one, outermost first
    header: Layer | None  # the IP header that the check belongs to


class BadFlow(NamedTuple):
    """A flow with bad packets."""

    flow: Flow
    packets: int
    over: int  # by how much packets may be too high
    last_ns: int
    cause: Cause  # of its last bad packet


class Inspected(NamedTuple, Generic[Check]):
    """What the engine says of one frame."""

    flags: PacketFlag
    status: Status
    checks: list[Check]


class LoopSigns(NamedTuple):
    """What a bridge's workers have seen of a loop: totals since its start, but for what is said to be of late."""

    frames: int
    repeats: int  # of the few that were looked at, those that had come in 10 to 600 ms before
    tags: set[int]  # VLAN tags of these: outer TPID, TCI, inner TPID, TCI, 16 bits each
    proved: tuple[int, int]  # by port: probes that left by it and came in at the other
    back: tuple[int, int]  # by port: copies of probes that came in where they had left
    tag: int  # of the last probe that proved something
    other_stops: int  # highest id of other bridges that would block, since the last call; 0 none
    other_blocks: int  # and of those that do
