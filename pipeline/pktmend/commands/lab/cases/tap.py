"""A program that lets the kernel leave checksums undone in its TAP, and cannot be told so: no virtio-net header."""

from __future__ import annotations

import subprocess

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed, end
from pktmend.testbed.tap import CHECKSUM, copy, open_tap
from pktmend.testbed.topology import (
    CLIENT,
    SERVER,
    TOOLS,
    Topology,
    contact,
    cure_as_diagnosed,
    cure_by_bridge,
    serve,
    show_incident,
)
from pktmend.testbed.transcript import Transcript


def start(topology: Topology, *, header: bool) -> subprocess.Popen[bytes]:
    """Start the program: a TAP for a, one in the node, which is a port of the node's bridge br0."""
    own = open_tap(topology.a, "eth0", header=header, offload=CHECKSUM)
    topology.a.address("eth0", f"{CLIENT}/24")
    program = copy(topology.node, own, open_tap(topology.node, "tap0", header=header))
    topology.node.link("tap0", master=topology.node.index("br0"))
    return program


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP by such a TAP; cure it by tx off, by a header, and by a bridge."""
    a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
    testbed.veth(b, "eth0", node, "port-b")
    b.address("eth0", f"{SERVER}/24")
    topology = Topology(a, b, node, serve(b))
    transcript.step(
        "a's interface is a TAP with TUN_F_CSUM and without IFF_VNET_HDR; its program copies to another TAP, tap0"
    )
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.link("br0", state="up")
    node.link("port-b", master=node.index("br0"))
    program = start(topology, header=False)
    show_incident(transcript, topology, a, "-i", "eth0")

    cure_as_diagnosed(transcript, topology, a, "transmit checksum offload off on the TAP")

    transcript.step("Cure 2: pktmend bridge behind tap0 instead of the kernel's; offloads untouched")
    for port in ("tap0", "port-b"):
        node.link(port, master=0)
    cure_by_bridge(transcript, topology, "tap0", "port-b")
    for port in ("tap0", "port-b"):
        node.link(port, master=node.index("br0"))

    transcript.step("Cure 3: the program asks for the header (IFF_VNET_HDR on both TAPs), which carries the metadata")
    end(program)
    program = start(topology, header=True)
    transcript.cure("a program that asks for the header", contact(transcript, topology).is_sound)
    end(program)
    start(topology, header=False)


CASE = LabCase(
    "tap", "a TAP with checksum offload and no virtio-net header", "tap-without-vnet-header", run, needs=TOOLS
)
