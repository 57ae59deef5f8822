"""TAPs and XDP programs that lose the kernel's mark of partial checksums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.advice.place import holders_text, place
from pktmend.advice.remedies import offload, tx_off
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.host.bpf_info import Program, read_program
from pktmend.host.model import Interface

AF_XDP: Final = "AF_XDP socket"


def taps(view: View) -> Iterator[HostFinding]:
    """TAPs whose program takes partial checksums but has no header to carry the mark (TUN_F_CSUM, no header)."""
    for interface in view.machine.interfaces():
        tun = interface.tun
        if tun is None or not interface.is_blind_tap:
            continue
        holder = holders_text(tun) or "a program"
        yield HostFinding(
            name="tap-without-vnet-header",
            severity=Severity.PROBLEM,
            title=f"{holder} took checksum offload (TUN_F_CSUM) on {place(interface)} without the virtio-net header",
            meaning="The host leaves checksums partial and has no way to say so: what the program reads is wrong, "
            "and the receiver drops it.",
            evidence=(f"ethtool -k {interface.name}: tx-checksum-ip-generic on", "IFF_VNET_HDR is not set"),
            remedies=(
                tx_off(interface, "the host completes the checksum before the program reads the frame"),
                Remedy(
                    "", "or in the program itself: open the TAP with IFF_VNET_HDR, or without TUNSETOFFLOAD(TUN_F_CSUM)"
                ),
            ),
            interfaces=(interface,),
            reference="Linux Documentation/networking/tuntap.rst",
        )


def xdp(view: View) -> Iterator[HostFinding]:
    """XDP on an interface whose other end leaves work to offloads, which a redirected frame does not get.

    Native mode and AF_XDP lose the mark of the checksum.  Generic mode keeps it, but drops a redirected super-frame.
    """
    for interface in view.machine.interfaces():
        end = view.machine.peer_of(interface)
        if not interface.xdp or end is None or not end.leaves_checksums:
            continue
        program, redirects = _redirects(view, interface)
        title = f"XDP program {program.name or interface.xdp_program}" if program else "an XDP program"
        title = f"{title} on {place(interface)} {'redirects' if redirects else 'may redirect'} frames"
        severity = Severity.PROBLEM if redirects else Severity.WARNING
        evidence = (
            f"{interface.xdp} mode, program id {interface.xdp_program}",
            *(f"it redirects by a {kind}" for kind in redirects),
            f"{place(end)}: tx checksum offload on",
        )
        if interface.xdp != "generic" or {"xskmap", AF_XDP} & set(redirects):
            yield HostFinding(
                name="xdp-hop",
                severity=severity,
                title=f"{title} that {place(end)} sends with partial checksums",
                meaning="XDP has no place for the kernel's mark: a redirected frame goes on with a checksum that "
                "nothing will complete. XDP_PASS keeps it.",
                evidence=evidence,
                remedies=(tx_off(end, "the sender's CPU completes the checksum before XDP sees the frame"),),
                interfaces=(interface, end),
                reference="Linux Documentation/networking/checksum-offloads.rst",
            )
        elif end.makes_super_frames:
            yield _super_frames(interface, end, severity, title, evidence)


def _redirects(view: View, interface: Interface) -> tuple[Program | None, list[str]]:
    """Return the XDP program on *interface*, as far as it can be read, and by what it redirects frames."""
    program = read_program(interface.xdp_program)
    here = view.machine.facts_of(interface.namespace)
    redirects = list(program.redirects_by) if program else []
    is_hidden = bool(here and here.hidden_xdp_sockets and "xskmap" in redirects)
    if is_hidden or any(reader.kind == "xdp" for reader in interface.readers):
        redirects.append(AF_XDP)
    return program, redirects


def _super_frames(
    interface: Interface, end: Interface, severity: Severity, title: str, evidence: tuple[str, ...]
) -> HostFinding:
    return HostFinding(
        name="xdp-super-frames",
        severity=severity,
        title=f"{title} that {place(end)} sends above the MTU",
        meaning="Generic XDP keeps the mark of the checksum, but drops a redirected frame that is above the MTU: "
        "connections open, and then data stops.",
        evidence=(*evidence, f"{place(end)}: tso on"),
        remedies=(offload(end, "tso off gso off", "the sender cuts segments itself", "more CPU for each byte sent"),),
        interfaces=(interface, end),
    )
