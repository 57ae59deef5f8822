"""A program that lets the kernel leave checksums undone in its TAP, and cannot be told so: no virtio-net header."""

from __future__ import annotations

import subprocess

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
from pktmend.testbed.transcript import Case, Transcript


def start(site: Topology, *, header: bool) -> subprocess.Popen[bytes]:
    """Start the program: a TAP for a, one in the node, which is a port of the node's bridge br0."""
    own = open_tap(site.a, "eth0", header=header, offload=CHECKSUM)
    site.a.address("eth0", f"{CLIENT}/24")
    program = copy(site.node, own, open_tap(site.node, "tap0", header=header))
    site.node.link("tap0", master=site.node.index("br0"))
    return program


def play(testbed: Testbed, show: Transcript) -> None:
    """Break TCP by such a TAP; cure it by tx off, by a header, and by a bridge."""
    a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
    testbed.veth(b, "eth0", node, "port-b")
    b.address("eth0", f"{SERVER}/24")
    site = Topology(a, b, node, serve(b))
    show.act("a's interface is a TAP with TUN_F_CSUM and without IFF_VNET_HDR; its program copies to another TAP, tap0")
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.link("br0", state="up")
    node.link("port-b", master=node.index("br0"))
    program = start(site, header=False)
    show_incident(show, site, a, "-i", "eth0")

    cure_as_diagnosed(show, site, a, "transmit checksum offload off on the TAP")

    show.act("Cure 2: pktmend bridge behind tap0 instead of the kernel's; offloads untouched")
    for port in ("tap0", "port-b"):
        node.link(port, master=0)
    cure_by_bridge(show, site, "tap0", "port-b")
    for port in ("tap0", "port-b"):
        node.link(port, master=node.index("br0"))

    show.act("Cure 3: the program asks for the header (IFF_VNET_HDR on both TAPs), which hands the kernel's note over")
    end(program)
    program = start(site, header=True)
    show.cure("a program that asks for the header", contact(show, site).is_sound)
    end(program)
    start(site, header=False)


CASE = Case("tap", "a TAP with checksum offload and no virtio-net header", "tap-without-vnet-header", play, needs=TOOLS)
