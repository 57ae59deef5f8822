"""The namespaces' error counters, and whether this machine lets pktmend do its work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from pktmend._core import kernels
from pktmend.advice.finding import Remedy
from pktmend.commands.doctor.finding import FEW, HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.console.plural import quantity
from pktmend.host.model import NamespaceFacts
from pktmend.host.snmp import checksum_errors

RING_BYTES: Final = 2 * 16 << 20  # both rings of a bridge
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
ENOUGH_RECEIVE: Final = 1 << 20
RECEIVED: Final = {
    "TcpInCsumErrors": "TcpInSegs",
    "UdpInCsumErrors": "UdpInDatagrams",
    "IcmpInCsumErrors": "IcmpInMsgs",
    "Udp6InCsumErrors": "Udp6InDatagrams",
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
        severity = Severity.PROBLEM if not _are_few(rose, rise) else Severity.INFO if is_rare else Severity.WARNING
        where = "" if here.namespace.is_own else f" ({here.namespace.label})"
        now = f"{sum(rose.values()) or 'none'} of them within the last {view.rise.seconds:.1f} s"
        diagnose = here.namespace.command(f"pktmend diagnose -i {quote(_busiest(here))}")
        yield HostFinding(
            name="checksum-errors",
            severity=severity,
            title=f"the kernel has dropped {quantity(sum(errors.values()), 'packet')} for a wrong checksum, "
            f"{now}{where}",
            meaning="These counters run since the namespace was made, the first one's since boot. "
            + (
                "A few in millions are normal on the Internet."
                if severity is Severity.INFO
                else "The packets were not only seen but lost; whether they leaked or were damaged, `diagnose` tells."
                if rose
                else "None is rising now: the cause may be gone, or its traffic idle. "
                "`diagnose` tells while traffic runs."
            ),
            evidence=tuple(
                f"{name} {n}" + (f", +{rose[name]} now" if name in rose else "") + _received(here, name)
                for name, n in errors.items()
            ),
            remedies=() if severity is Severity.INFO else (Remedy(diagnose, "names the cause while traffic runs"),),
            namespaces=(here.namespace,),
        )


def _are_few(errors: dict[str, int], counters: dict[str, int]) -> bool:
    """No more than the Internet makes, measured by what was received."""
    return all(n <= max(FEW, counters.get(RECEIVED.get(name, ""), 0) // 100_000) for name, n in errors.items())


def _received(here: NamespaceFacts, name: str) -> str:
    good = here.counters.get(RECEIVED.get(name, ""), 0)
    return f", {good} received" if good else ""


def _busiest(here: NamespaceFacts) -> str:
    """The interface with most packets received, loopback aside."""
    candidates = [i for i in here.interfaces if i.kind != "loopback"] or list(here.interfaces)
    return max(candidates, key=lambda i: i.statistics.get("rx_packets", 0)).name


def capabilities(view: View) -> Iterator[HostFinding]:
    """What this process may not do."""
    effective = int(Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16)
    rmem = view.machine.namespaces[0].settings.get("net.core.rmem_max", ENOUGH_RECEIVE)
    if not effective >> CAP_NET_RAW & 1:
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
    elif not effective >> CAP_NET_ADMIN & 1 and rmem < ENOUGH_RECEIVE:
        yield HostFinding(
            name="small-receive-buffer",
            severity=Severity.INFO,
            title=f"without CAP_NET_ADMIN a socket's receive buffer is limited to {rmem} bytes",
            meaning="Super-frames wait there before they are read; a burst of them may be dropped (and counted).",
            remedies=(Remedy(f"sysctl -w net.core.rmem_max={8 << 20}", "room for bursts", "more kernel memory"),),
        )


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
