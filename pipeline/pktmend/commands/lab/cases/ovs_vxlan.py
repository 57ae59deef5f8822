"""Pods of two nodes on Open vSwitch's userspace datapath, which wraps what they send in VXLAN (as Antrea does).

The pod is who leaves its checksums partial; the end of the tunnel, which is who is seen on the wire, completes nothing
and has nothing that could be switched off.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.errors import OSFailure
from pktmend.testbed.netns import Testbed
from pktmend.testbed.ovs import PROGRAMS, OpenVSwitch
from pktmend.testbed.topology import (
    SERVER,
    TOOLS,
    Topology,
    containers,
    cure_as_diagnosed,
    cure_by_bridges,
    show_incident,
)
from pktmend.testbed.transcript import Transcript

NODE, OTHER_NODE = "192.0.2.1", "192.0.2.2"
MTU = 1400  # within the tunnel
TRIES = 40  # pings until the switch has learned who has which address


def other_node(topology: Topology) -> None:
    """Make b another node, whose kernel ends the tunnel: what b serves is behind it."""
    b = topology.b
    b.run("ip", "address", "flush", "dev", "eth0")
    b.address("eth0", f"{OTHER_NODE}/24")
    ends = ("remote", NODE, "local", OTHER_NODE, "dstport", "4789", "noudpcsum")
    b.run("ip", "link", "add", "vxlan0", "mtu", str(MTU), "type", "vxlan", "id", "7", *ends)
    b.link("vxlan0", state="up")
    b.address("vxlan0", f"{SERVER}/24")


def start(topology: Topology) -> OpenVSwitch:
    """Start the switch: port-a and a tunnel to the other node, over a bridge that has the way there, port-b."""
    node = topology.node
    switch = OpenVSwitch(node)
    switch.vsctl("add-br", "phy", "--", "set", "bridge", "phy", "datapath_type=netdev")
    to = ("type=vxlan", f"options:remote_ip={OTHER_NODE}", "options:key=7")
    switch.vsctl("add-port", "br0", "tunnel", "--", "set", "interface", "tunnel", *to)
    node.address("phy", f"{NODE}/24")
    node.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")  # the kernel would answer on port-b for phy's address
    for name in ("phy", "br0"):
        node.link(name, state="up")
    connect(topology, switch, "port-a", "port-b")
    return switch


def connect(topology: Topology, switch: OpenVSwitch, pod: str, wire: str) -> None:
    """Give the switch these ports for the pod and the other node, and wait until the tunnel carries."""
    for bridge, ports, wanted in (("br0", ("port-a", "uplink-a"), pod), ("phy", ("port-b", "uplink"), wire)):
        for port in ports:
            if port != wanted:
                switch.vsctl("--if-exists", "del-port", bridge, port)
        switch.vsctl("--may-exist", "add-port", bridge, wanted)
    if (pod, wire) != ("port-a", "port-b"):
        return  # the bridges are to come
    ping = ("ping", "-c1", "-W0.3", SERVER)
    if not any(topology.a.run(*ping, check=False).returncode == 0 for _ in range(TRIES)):
        raise OSFailure("the tunnel of Open vSwitch does not carry pings")


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP between pods; cure it in them, then by a bridge on each side of the switch."""
    topology = containers(testbed)
    topology.a.link("eth0", mtu=MTU)
    transcript.step(
        "Pod a on Open vSwitch (datapath_type=netdev), which wraps what it sends in VXLAN and sends it to another\n"
        "node; there the kernel ends the tunnel, and b serves the file"
    )
    other_node(topology)
    switch = start(topology)
    show_incident(transcript, topology, topology.node, "-i", "port-a", "-I", "port-b")

    what = "transmit checksum offload off in the pod and behind the tunnel"
    cure_as_diagnosed(transcript, topology, topology.node, what)

    transcript.step("Cure 2: pktmend bridge between the switch and the pod, and on the way to the other node")
    testbed.veth(topology.node, "uplink-a", topology.node, "port-ua")
    connect(topology, switch, "uplink-a", "uplink")
    cure_by_bridges(transcript, topology, "port-ua", "port-u")
    connect(topology, switch, "port-a", "port-b")


CASE = LabCase(
    "ovs-vxlan",
    "pods on Open vSwitch's userspace datapath, which wraps them in VXLAN: TCP dies",
    "metadata-lost",
    run,
    needs=(*PROGRAMS, *TOOLS),
)
