"""Incident: two containers on Open vSwitch's userspace datapath; ping works, TCP does not."""

from __future__ import annotations

from pktmend.testbed.netns import Testbed
from pktmend.testbed.ovs import PROGRAMS, OpenVSwitch
from pktmend.testbed.topology import TOOLS, contact, containers, cure_as_diagnosed, cure_by_bridges, show_incident
from pktmend.testbed.transcript import Case, Transcript


def play(testbed: Testbed, show: Transcript) -> None:
    """Break TCP by Open vSwitch; cure it in three ways."""
    site = containers(testbed)
    show.act("Containers a and b on Open vSwitch (datapath_type=netdev), default veths")
    switch = OpenVSwitch(site.node)
    switch.ports("port-a", "port-b")
    show_incident(show, site, site.node, "-i", "port-a", "-I", "port-b")

    cure_as_diagnosed(show, site, site.node, "transmit checksum offload off in a and b")

    show.act("Cure 2: the switch keeps the kernel's note (userspace-tso-enable), which takes a restart")
    show.command(site.node, "ovs-vsctl", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
    switch.restart(tso=True)
    show.cure("userspace-tso-enable and a restart", contact(show, site).is_sound)
    switch.restart(tso=False)

    show.act("Cure 3: pktmend bridge between the switch and each container; offloads untouched")
    testbed.veth(site.node, "uplink-a", site.node, "port-ua")
    switch.ports("uplink-a", "uplink")
    cure_by_bridges(show, site, "port-ua", "port-u")
    switch.ports("port-a", "port-b")


CASE = Case(
    "ovs-netdev",
    "containers on Open vSwitch's userspace datapath: ping works, TCP dies",
    "metadata-lost",
    play,
    needs=(*PROGRAMS, *TOOLS),
)
