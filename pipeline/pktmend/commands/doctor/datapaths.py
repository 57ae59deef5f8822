"""Open vSwitch's userspace datapaths."""

from __future__ import annotations

from collections.abc import Iterator

from pktmend.advice.finding import Remedy
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.host.ovs import Switch, unit_of


def ovs_datapaths(view: View) -> Iterator[HostFinding]:
    """Userspace datapaths of Open vSwitch, and a TSO option that is set but not in effect."""
    for switch in view.switches:
        bridges = [name for name, kind in switch.bridges.items() if kind == "netdev"]
        hop = next((h for h in view.hops if h.pid == switch.pid), None)
        if not bridges:
            continue
        if switch.tso and hop is not None and hop.keeps_metadata is False:
            yield HostFinding(
                name="ovs-tso-pending",
                severity=Severity.WARNING,
                title=f"Open vSwitch (pid {switch.pid}) has userspace-tso-enable set, but its sockets do not keep "
                "the mark",
                meaning="The option is read when ovs-vswitchd starts.",
                evidence=(f"bridges with datapath_type=netdev: {', '.join(bridges)}",),
                remedies=(_restart(switch),),
                interfaces=hop.ports,
            )
        elif hop is None or hop.keeps_metadata:
            state = "on" if switch.tso else "off"
            yield HostFinding(
                name="ovs-userspace",
                severity=Severity.INFO,
                title=f"Open vSwitch (pid {switch.pid}) has a userspace datapath: "
                f"{', '.join(bridges)}; userspace-tso-enable is {state}",
                meaning="Its ports keep the mark of partial checksums only with that option."
                if not switch.tso
                else "Its ports keep the mark of partial checksums.",
                interfaces=hop.ports if hop else (),
            )


def _restart(switch: Switch) -> Remedy:
    unit = unit_of(switch.pid)
    effect = (
        "the option takes effect"
        if unit
        else (f"restart ovs-vswitchd (pid {switch.pid}) the way it was started: the option takes effect")
    )
    return Remedy(f"systemctl restart {unit}" if unit else "", effect, "interrupts traffic")
