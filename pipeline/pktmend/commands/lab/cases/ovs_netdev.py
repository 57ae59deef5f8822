"""Incident: two containers on Open vSwitch's userspace datapath; ping works, TCP does not."""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.ovs import PROGRAMS, OpenVSwitch
from pktmend.testbed.topology import TOOLS, contact, containers, cure_as_diagnosed, cure_by_bridges, show_incident
from pktmend.testbed.transcript import Transcript


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP by Open vSwitch; cure it in three ways."""
    topology = containers(testbed)
    transcript.step("Containers a and b on Open vSwitch (datapath_type=netdev), default veths")
    switch = OpenVSwitch(topology.node)
    switch.ports("port-a", "port-b")
    show_incident(transcript, topology, topology.node, "-i", "port-a", "-I", "port-b")

    cure_as_diagnosed(transcript, topology, topology.node, "transmit checksum offload off in a and b")

    transcript.step("Cure 2: the switch keeps CHECKSUM_PARTIAL metadata (userspace-tso-enable), after a restart")
    transcript.command(topology.node, "ovs-vsctl", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
    switch.restart(tso=True)
    transcript.cure("userspace-tso-enable and a restart", contact(transcript, topology).is_sound)
    switch.restart(tso=False)

    transcript.step("Cure 3: pktmend bridge between the switch and each container; offloads untouched")
    testbed.veth(topology.node, "uplink-a", topology.node, "port-ua")
    switch.ports("uplink-a", "uplink")
    cure_by_bridges(transcript, topology, "port-ua", "port-u")
    switch.ports("port-a", "port-b")


CASE = LabCase(
    "ovs-netdev",
    "containers on Open vSwitch's userspace datapath: ping works, TCP dies",
    "metadata-lost",
    run,
    needs=(*PROGRAMS, *TOOLS),
)
