"""Incident: an instance (VM) on a TAP behind Open vSwitch's userspace datapath; its transmit offload leaks."""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.ovs import PROGRAMS, OpenVSwitch
from pktmend.testbed.tap import SEGMENTS, copy, open_tap
from pktmend.testbed.topology import (
    CLIENT,
    SERVER,
    TOOLS,
    Topology,
    cure_as_diagnosed,
    cure_by_bridge,
    serve,
    show_incident,
)
from pktmend.testbed.transcript import Transcript


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP by the switch; cure it in the instance, then by a bridge at its TAP."""
    a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
    testbed.veth(b, "eth0", node, "port-b")
    testbed.veth(node, "uplink", node, "port-u")
    b.address("eth0", f"{SERVER}/24")
    b.offload("eth0", tx=False)  # the fault shown is the instance's alone
    topology = Topology(a, b, node, serve(b))
    transcript.step(
        "Instance a: its eth0 and the node's tap0 are joined by a hypervisor that passes checksum offload on,\n"
        "as QEMU does; tap0 and container b (tx off) are ports of Open vSwitch (datapath_type=netdev)"
    )
    inside = open_tap(a, "eth0", header=True, offload=SEGMENTS)
    a.address("eth0", f"{CLIENT}/24")
    copy(node, inside, open_tap(node, "tap0", header=True, offload=SEGMENTS))
    switch = OpenVSwitch(node)
    switch.ports("tap0", "port-b")
    show_incident(transcript, topology, node, "-i", "tap0", "-I", "port-b")

    cure_as_diagnosed(transcript, topology, node, "transmit checksum offload off in the instance")

    transcript.step("Cure 2: pktmend bridge between the TAP and the switch; offloads untouched")
    switch.ports("uplink", "port-b")
    cure_by_bridge(transcript, topology, "tap0", "port-u", "--finish", "port-u")
    switch.ports("tap0", "port-b")


CASE = LabCase(
    "ovs-tap",
    "an instance on a TAP behind Open vSwitch's userspace datapath: ping works, TCP dies",
    "metadata-lost",
    run,
    needs=(*PROGRAMS, *TOOLS),
)
