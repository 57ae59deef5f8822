"""The namespaces' error counters, and whether this machine lets pktmend do its work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from pktmend._core import kernels
from pktmend.advice.finding import Remedy
from pktmend.advice.place import holders_text, place
from pktmend.commands.doctor.finding import FEW, HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.console.plural import quantity
from pktmend.host.model import Machine, NamespaceFacts
from pktmend.host.snmp import checksum_errors
from pktmend.packetio import kernel_judge

RING_BYTES: Final = 2 * 16 << 20  # both rings of a bridge
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
ENOUGH_RECEIVE: Final = 1 << 20
ALL_LEAST: Final = 3  # packets of which all were dropped: no longer chance
ALL_SHARE: Final = (4, 5)  # of what arrived, from which on it is all: some may have passed before it began
COUNTED_FIRST: Final = (
    "TcpInCsumErrors",
    "IcmpInCsumErrors",
    "Icmp6InCsumErrors",
)  # those received are counted before they are checked
RECEIVED: Final = {
    "TcpInCsumErrors": "TcpInSegs",
    "UdpInCsumErrors": "UdpInDatagrams",
    "IcmpInCsumErrors": "IcmpInMsgs",
    "Udp6InCsumErrors": "Udp6InDatagrams",
    "Icmp6InCsumErrors": "Icmp6InMsgs",
}


def counters(view: View) -> Iterator[HostFinding]:
    """Namespaces whose stack has dropped packets for their checksum: ever, and while we looked."""
    for here in view.machine.namespaces:
        rise = view.rise.counters.get(here.namespace.inode, {})
        rose = checksum_errors(rise)
        errors = checksum_errors(here.counters)
        errors = {name: errors.get(name, 0) + rose.get(name, 0) for name in {**errors, **rose}}
        if not errors:
            continue
        is_rare = _are_few(errors, here.counters)
        lost = list(dict.fromkeys([*_lost_protocols(errors, here.counters, rise), *_lost_protocols(rose, {}, rise)]))
        is_problem = lost or not _are_few(rose, rise)
        severity = Severity.PROBLEM if is_problem else Severity.INFO if is_rare else Severity.WARNING
        where = "" if here.namespace.is_own else f" ({here.namespace.label})"
        now = f"{sum(rose.values()) or 'none'} of them within the last {view.rise.seconds:.1f} s"
        diagnose = here.namespace.command(f"pktmend diagnose -i {quote(_busiest(here))}")
        yield HostFinding(
            name="checksum-errors",
            severity=severity,
            title=f"the kernel has dropped {quantity(sum(errors.values()), 'packet')} for a wrong checksum, "
            f"{now}{where}",
            meaning="These counters run since the namespace was made, the first one's since boot. "
            + _meaning(lost, severity, is_rising=bool(rose)),
            evidence=(
                *(
                    f"{name} {n}" + (f", +{rose[name]} now" if name in rose else "") + _received(here, name)
                    for name, n in errors.items()
                ),
                *(_writers(view.machine, here) if severity is not Severity.INFO else ()),
            ),
            remedies=() if severity is Severity.INFO else (Remedy(diagnose, "names the cause while traffic runs"),),
            namespaces=(here.namespace,),
        )


def _meaning(lost: list[str], severity: Severity, *, is_rising: bool) -> str:
    if lost:
        return (
            f"All {' and '.join(lost)} that arrived was lost, or nearly all: that is no damage on the way, but most "
            "likely sums that nobody completes. `diagnose` tells while traffic runs."
        )
    if severity is Severity.INFO:
        return "A few in millions are normal on the Internet."
    if is_rising:
        return "The packets were not only seen but lost; whether they leaked or were damaged, `diagnose` tells."
    return "None is rising now: the cause may be gone, or its traffic idle. `diagnose` tells while traffic runs."


def _are_few(errors: dict[str, int], counters: dict[str, int]) -> bool:
    """No more than the Internet makes, measured by what was received."""
    return all(n <= max(FEW, counters.get(RECEIVED.get(name, ""), 0) // 100_000) for name, n in errors.items())


def _lost_protocols(errors: dict[str, int], counters: dict[str, int], rise: dict[str, int]) -> list[str]:
    """Protocols of which nearly all that arrived was dropped, however little that was: `TCP`, `UDP`.

    counters, rise: of when the namespace was read, and by how much they rose since then; *errors* are of both together.
    """
    lost = []
    for name, n in errors.items():
        received, counts_bad = RECEIVED.get(name, ""), name in COUNTED_FIRST
        arrived = counters.get(received, 0) + rise.get(received, 0) + (0 if counts_bad else n)
        if received and n >= ALL_LEAST and n * ALL_SHARE[1] >= arrived * ALL_SHARE[0]:
            lost.append(name.removesuffix("InCsumErrors").upper().replace("6", "/IPv6"))
    return lost


def _writers(machine: Machine, here: NamespaceFacts) -> Iterator[str]:
    """Programs whose TUN or TAP brings frames into this namespace, by a bridge too: as good as their guest says."""
    ports = filter(None, (machine.peer_of(i) for i in here.interfaces))
    bridges = {(port.namespace.inode, port.master) for port in ports if port.master}
    for i in machine.interfaces():
        is_near = i.namespace.inode == here.namespace.inode or (i.namespace.inode, i.master) in bridges
        if is_near and i.tun is not None and i.tun.pids:
            where = i.name if i.namespace.inode == here.namespace.inode else place(i)
            header = "with" if i.tun.vnet_hdr else "without"
            yield (
                f"{holders_text(i.tun)} writes what arrives at {where}, {header} the virtio-net header: if these are "
                "its packets, have them completed there (in a guest: tx offload off)"
            )


def _received(here: NamespaceFacts, name: str) -> str:
    good = here.counters.get(RECEIVED.get(name, ""), 0)
    return f", {good} received" if good else ""


def _busiest(here: NamespaceFacts) -> str:
    """The interface with most packets received, loopback aside."""
    candidates = [i for i in here.interfaces if i.kind != "loopback"] or list(here.interfaces)
    return max(candidates, key=lambda i: i.statistics.get("rx_packets", 0)).name


def has_capability(number: int) -> bool:
    """Has this process that one?"""
    effective = int(Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16)
    return bool(effective >> number & 1)


def capabilities(view: View) -> Iterator[HostFinding]:
    """What this process may not do."""
    rmem = view.machine.namespaces[0].settings.get("net.core.rmem_max", ENOUGH_RECEIVE)
    if not has_capability(CAP_NET_RAW):
        yield HostFinding(
            name="no-net-raw",
            severity=Severity.INFO,
            title="this user may not read or send packets",
            meaning="bridge, monitor and live check need CAP_NET_RAW; capture files need nothing.",
            remedies=(
                Remedy(
                    "", "run it by sudo, or give it CAP_NET_RAW: bridge gives its privileges up once its sockets exist"
                ),
            ),
        )
    elif not has_capability(CAP_NET_ADMIN) and rmem < ENOUGH_RECEIVE:
        yield HostFinding(
            name="small-receive-buffer",
            severity=Severity.INFO,
            title=f"without CAP_NET_ADMIN a socket's receive buffer is limited to {rmem} bytes",
            meaning="Super-frames wait there before they are read; a burst of them may be dropped (and counted).",
            remedies=(Remedy(f"sysctl -w net.core.rmem_max={8 << 20}", "room for bursts", "more kernel memory"),),
        )


def cut_through(view: View) -> Iterator[HostFinding]:
    """Can the kernel carry healthy frames by itself?"""
    reason = kernel_judge.obstacle()
    if reason and has_capability(CAP_NET_RAW):  # else no-net-raw has said it
        yield HostFinding(
            name="no-cut-through",
            severity=Severity.INFO,
            title="a bridge would carry every frame through user space",
            meaning="It works, but slower than where the kernel carries what is surely healthy.",
            evidence=(f"cut-through {reason}" if reason.startswith("needs") else reason,),
            remedies=(Remedy(*_cure(reason)),),
        )


def _cure(reason: str) -> tuple[str, str]:
    """Return the command that removes the obstacle, if there is one, and what there is to do."""
    _, _, command = reason.partition("apt install ")
    return (f"apt install {command}", "lets bridge load its programs") if command else ("", reason)


def memory(view: View) -> Iterator[HostFinding]:
    """Is there room for the rings?"""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) << 10
            if free < 2 * RING_BYTES:
                yield HostFinding(
                    name="little-memory",
                    severity=Severity.WARNING,
                    title=f"{free >> 20} MiB of memory are available; the rings of a bridge take {RING_BYTES >> 20}",
                    meaning="Rings are locked kernel memory: they may not be granted, or push others out.",
                    remedies=(Remedy("", "run one bridge at a time, with one worker (the default)"),),
                )


def simd(view: View) -> Iterator[HostFinding]:
    """A faster kernel of the sum is here but not in use."""
    known = kernels()
    active = next(name for name, _, is_active in known if is_active)
    better = [name for name, supported, _ in known if supported and name != "portable"]
    if active == "portable" and better:
        yield HostFinding(
            name="slow-sum",
            severity=Severity.INFO,
            title=f"the portable sum is forced, although {', '.join(better)} would run here",
            meaning="Checksums cost several times more CPU.",
            evidence=("PKTMEND_KERNEL is set",),
            remedies=(Remedy("unset PKTMEND_KERNEL", "the fastest is chosen again"),),
        )
