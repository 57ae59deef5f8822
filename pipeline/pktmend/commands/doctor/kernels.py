"""Kernel versions with a known checksum bug.  A distribution may have fixed an older version; the finding says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.advice.remedies import offload
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.host.model import Interface, Machine
from pktmend.host.rtnetlink import PAIRS

Version = tuple[int, ...]


@dataclass(frozen=True)
class Bug:
    """since <= version < fixed, except in stable series {(5, 4): 41} from that release on.

    about:  the interfaces of a machine that it concerns; none, and it is not reported.
    remedy: what helps one of them before the kernel is updated.
    """

    name: str
    severity: Severity
    since: Version
    fixed: Version
    title: str
    why: str
    commit: str
    about: Callable[[Machine], list[Interface]]
    stable: dict[Version, int] = field(default_factory=dict)
    remedy: Callable[[Interface], Remedy | None] = lambda _: None

    def has(self, version: Version) -> bool:
        """Does this kernel version have it?"""
        release = version[2] if len(version) > 2 else 0
        series = self.stable.get(version[:2])
        return self.since <= version < self.fixed and (series is None or release < series)


def _kind(*kinds: str) -> Callable[[Machine], list[Interface]]:
    return lambda machine: [i for i in machine.interfaces() if i.kind in kinds]


def _tunnels_without_sum(machine: Machine) -> list[Interface]:
    return [i for i in machine.interfaces() if i.tunnel is not None and i.tunnel.get("udpcsum") == 0]


def _without_offload(machine: Machine) -> list[Interface]:
    return [
        i
        for i in machine.interfaces()
        if i.features and i.is_up and not i.leaves_checksums and i.kind in (*PAIRS, "physical")
    ]


BUGS: Final = (
    Bug(
        "kernel-veth-vouches",
        Severity.PROBLEM,
        (0,),
        (4, 4),
        'this kernel\'s veth turns "not verified" into "verified"',
        "Corrupt data from the wire reaches applications in containers.",
        "ce8c839b74e3",
        _kind("veth"),
        remedy=lambda i: None if i.master else offload(i, "rx off", "veth claims nothing then", "more CPU on receive"),
    ),
    Bug(
        "kernel-nat-on-zero",
        Severity.WARNING,
        (0,),
        (5, 7),
        'this kernel\'s NAT updates a UDP checksum of 0, which means "none"',
        "A VXLAN packet that is translated twice gets a wrong outer checksum and is dropped: connections hang for 63 "
        "seconds (Kubernetes 1.16 and its peers).",
        "ea64d8d6c675",
        _tunnels_without_sum,
        {(4, 14): 181, (4, 19): 123, (5, 4): 41},
        lambda i: offload(i, "tx-checksum-ip-generic off", "the known workaround", "more CPU"),
    ),
    Bug(
        "kernel-csum-valid",
        Severity.INFO,
        (3, 19),
        (6, 1),
        "this kernel calls checksums valid that it has only summed (TP_STATUS_CSUM_VALID)",
        "`claimed-valid` in reports of captures made here is weak evidence.",
        '"packet: do not set TP_STATUS_CSUM_VALID on CHECKSUM_COMPLETE", 28 November 2022',
        _kind("physical"),
        {(4, 19): 268, (5, 4): 226, (5, 10): 158, (5, 15): 82, (6, 0): 12},
    ),
    Bug(
        "kernel-udp-gso-refused",
        Severity.INFO,
        (4, 18),
        (6, 11),
        "this kernel refuses UDP segmentation offload (UDP_SEGMENT) where checksum offload is off",
        "Programs that send so (QUIC, WireGuard in user space) get EIO on these interfaces; most fall back, slower.",
        "10154dbded6d",
        _without_offload,
    ),
    Bug(
        "kernel-udp-gso-leaks",
        Severity.WARNING,
        (6, 11),
        (6, 12),
        "this kernel leaves UDP checksums partial where checksum offload is off",
        "A datagram sent with UDP_SEGMENT that needs no segmentation leaves with the pseudo-header sum; the receiver "
        "drops it.",
        "d96016a764f6",
        _without_offload,
        {(6, 11): 5},
    ),
)


def kernel_bugs(view: View) -> Iterator[HostFinding]:
    """Bugs of this kernel version that concern an interface of this machine."""
    machine = view.machine
    for bug in BUGS:
        about = bug.about(machine) if bug.has(machine.kernel) else []
        if about:
            fixed = ".".join(map(str, bug.fixed))
            yield HostFinding(
                name=bug.name,
                severity=bug.severity,
                title=bug.title,
                meaning=bug.why,
                evidence=(
                    f"Linux {machine.release}; fixed in {fixed}, or by your distribution before that",
                    f"concerns {', '.join(i.name for i in about[:4])}" + (" and others" if len(about) > 4 else ""),
                ),
                remedies=(
                    Remedy("", f"with a kernel of {fixed} or later the bug is gone", "a reboot"),
                    *(remedy for i in about[:4] if (remedy := bug.remedy(i))),
                ),
                interfaces=tuple(about),
                reference=f"Linux commit {bug.commit}",
            )
