"""What the engine tells of packets, flows and itself, as named tuples."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from pktmend.enums import Cause, PacketFlag, Status

Check = TypeVar("Check")  # the engine's, which knows this module and not the other way round


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


class SampledPacket(NamedTuple, Generic[Check]):
    """A bad packet that was kept."""

    flow: Flow
    time_ns: int
    caplen: int
    wirelen: int
    flags: PacketFlag
    cause: Cause
    checks: list[Check]


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
