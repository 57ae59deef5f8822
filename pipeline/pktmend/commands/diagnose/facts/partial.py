"""Partial checksums, leaked or pending: their field, their senders, and the hops on their way."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from pktmend.advice.place import full_place
from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import counted, times

if TYPE_CHECKING:
    from pktmend.host.model import Interface


class Partial(Sentence):
    """Facts without numbers."""

    SENDERS_COMPLETE = (
        "the senders complete checksums themselves (tx offload is off), so that they were right when they left"
    )
    PENDING_BEFORE = "a tap before the hop saw them partial, not complete"
    HEALTHY_AT_THIS_TAP = "the kernel's mark that they are partial is there: at this tap they are healthy"
    PERHAPS_FURTHER_ON = (
        "a firewall or a closed port explains that, or a hop further on that loses the mark: tap behind the next hop "
        "to know"
    )


class SeedWithoutMetadata(Observation):
    """The field holds S, and the source would have said that it is partial."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return (
            f"the field holds the bare pseudo-header sum (F = S) in {counted(self.counts, 'checksum')}, and no mark "
            "says that they are partial; by chance one corrupt packet in 65,536 looks like that"
        )


class SeedInField(Observation):
    """The field holds S; is_as_sent: nothing speaks against it being as the sender left it."""

    counts: Mapping[str, int]
    is_as_sent: bool

    @property
    def text(self) -> str:
        left = ", as their senders left it" if self.is_as_sent else ""
        return f"the field holds the pseudo-header sum (F = S) in {counted(self.counts, 'checksum')}{left}"


class SameAgain(Observation):
    """One datagram that was sent again and again, partial each time; good: others of its service."""

    flow: str
    n: int
    good: int

    @property
    def text(self) -> str:
        others = f", and {self.good} others of that service are right" if self.good else ", as it was asked for again"
        return f"one datagram ({self.flow}) was sent {times(self.n)}, partial each time{others}: it does not arrive"


class NoAnswers(Observation):
    """Questions that nobody answers, where echoes pass."""

    source: str
    target: str
    n: int
    echoes: int

    @property
    def text(self) -> str:
        return (
            f"none of {self.n} partial questions from {self.source} to {self.target} got an answer, and "
            f"{self.echoes} ICMP echo messages pass between the two"
        )


class BlindTapSends(Observation):
    """What the stack sends into a TAP that cannot tell its program."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"the stack sends {counted(self.counts, 'pending checksum')} out here, and the mark stays behind"


class MacSources(Observation):
    """Who sent them on the last link; is_outgoing: they leave here."""

    macs: tuple[str, ...]
    is_outgoing: bool

    @property
    def text(self) -> str:
        more = " and others" if len(self.macs) > 3 else ""
        out = "; they leave through the tapped interface" if self.is_outgoing else ""
        return f"their MAC source is {', '.join(self.macs[:3])}{more}{out}"


class AckedAllTheSame(Observation):
    """Leaked segments that were acknowledged."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"they were acknowledged {times(self.n)} all the same: something completes them further on, or "
            "the receiver does not check"
        )


class SenderLeaves(Observation):
    """An interface of this machine sends them partial."""

    interface: Interface

    @property
    def text(self) -> str:
        return f"their sender is {full_place(self.interface)}, which leaves checksums to its device (tx offload on)"


class TunnelPackets(Observation):
    """All are packets of one tunnel; inside: how many lie in it."""

    source: str
    target: str
    inside: int
    n: int

    @property
    def text(self) -> str:
        return (
            f"all are packets of a tunnel, {self.source} > {self.target}; {self.inside} of {self.n} lie inside it, "
            "where an outer checksum is right only once the inner one is"
        )


class PortOf(Observation):
    """An interface on the way is a port of a bridge or switch."""

    interface: Interface

    @property
    def text(self) -> str:
        return f"{full_place(self.interface)} is a port of {self.interface.master} ({self.interface.master_kind})"


class TunnelDevice(Observation):
    """A tunnel device at one of the ends; has_sums: it makes outer UDP checksums."""

    interface: Interface
    has_sums: bool

    @property
    def text(self) -> str:
        return (
            f"{full_place(self.interface)} is a {self.interface.kind} device, its UDP checksums "
            f"{'on' if self.has_sums else 'off'} (udpcsum)"
        )


class HopKind(Enum):
    """What has no place for the metadata."""

    PACKET = "packet"  # packet sockets without the virtio-net header
    XDP = "xdp"  # AF_XDP sockets
    PROGRAM = "program"  # XDP programs
    TAP = "tap"  # a TAP without the virtio-net header
    WRITER = "writer"  # a program that writes partial checksums into a TAP


class LossyHop(Observation):
    """What passes frames on past the kernel, and without their metadata.

    pid, program: of the process, 0 and empty where there is none or it was not found.
    database:     of Open vSwitch, as it is reached from here.
    is_sure:      it takes frames off the kernel's way for certain; an XDP program may also let them pass.
    """

    kind: HopKind
    interfaces: tuple[Interface, ...]
    program: str = ""
    pid: int = 0
    database: str = ""
    is_sure: bool = True

    @property
    def text(self) -> str:
        names = " and ".join(map(full_place, self.interfaces))
        device = self.interfaces[0].tun if self.interfaces else None
        tap = "TUN" if device and not device.is_tap else "TAP"
        header = "do not say so in their" if device and device.vnet_hdr else "have no"
        process = f"{self.program or 'a process'} (pid {self.pid})" if self.pid else "an unknown process"
        return {
            HopKind.PACKET: f"{process} carries frames of {names} through packet sockets that do not keep the mark",
            HopKind.XDP: f"{process} reads {names} through AF_XDP sockets, which have no place for the mark",
            HopKind.PROGRAM: f"an XDP program is attached to {names}, where these frames pass",
            HopKind.WRITER: f"{process} writes them into {names}, a {tap}: they {header} virtio-net header",
            HopKind.TAP: f"{names} is a {tap} with checksum offload (TUN_F_CSUM) and without the virtio-net header"
            + (f"; {process} has it open" if self.pid else ""),
        }[self.kind]
