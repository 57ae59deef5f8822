"""XDP programs that redirect between veths: an XDP frame has no place for the kernel's note."""

from __future__ import annotations

from pktmend._kernel import lib
from pktmend.testbed import bpf
from pktmend.testbed.middlebox import Hop
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import TOOLS, containers, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Case, Transcript

XDP = lib.BPF_PROG_TYPE_XDP


def play(testbed: Testbed, show: Transcript) -> None:
    """Break TCP by XDP redirects; cure it at the senders, then by a bridge behind them."""
    site = containers(testbed)
    show.act("Containers a and b, joined by XDP programs that redirect from port-a to port-b and back")
    hop = Hop(site.node, "port-a", "port-b", kind=XDP)
    passing = bpf.leave(lib.XDP_PASS)  # a veth takes redirected frames only while its peer has a program, too
    for host, interface in ((site.a, "eth0"), (site.b, "eth0"), (site.node, "port-u")):
        bpf.attach(host, interface, XDP, passing)
    show_incident(show, site, site.b, "-i", "eth0")

    cure_as_diagnosed(show, site, site.b, "transmit checksum offload off in a and b")

    show.act("Cure 2: pktmend bridge behind the XDP hop; offloads untouched")
    hop.join("port-a", "uplink")
    cure_by_bridge(show, site, "port-u", "port-b", "--finish", "port-u")
    hop.join("port-a", "port-b")


CASE = Case("xdp", "XDP redirect between veths loses the kernel's note", "xdp-hop", play, needs=TOOLS)
