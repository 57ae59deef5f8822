"""XDP programs that redirect between veths: an XDP frame has no place for CHECKSUM_PARTIAL metadata."""

from __future__ import annotations

from pktmend._kernel import lib
from pktmend.commands.lab.case import LabCase
from pktmend.testbed import bpf
from pktmend.testbed.middlebox import Middlebox
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import TOOLS, containers, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript

XDP = lib.BPF_PROG_TYPE_XDP


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP by XDP redirects; cure it at the senders, then by a bridge behind them."""
    topology = containers(testbed)
    transcript.step("Containers a and b, joined by XDP programs that redirect from port-a to port-b and back")
    box = Middlebox(topology.node, "port-a", "port-b", kind=XDP)
    passing = bpf.leave(lib.XDP_PASS)  # a veth takes redirected frames only while its peer has a program, too
    for host, interface in ((topology.a, "eth0"), (topology.b, "eth0"), (topology.node, "port-u")):
        bpf.attach(host, interface, XDP, passing)
    show_incident(transcript, topology, topology.b, "-i", "eth0")

    cure_as_diagnosed(transcript, topology, topology.b, "transmit checksum offload off in a and b")

    transcript.step("Cure 2: pktmend bridge behind the XDP hop; offloads untouched")
    box.connect("port-a", "uplink")
    cure_by_bridge(transcript, topology, "port-u", "port-b", "--finish", "port-u")
    box.connect("port-a", "port-b")


CASE = LabCase("xdp", "XDP redirect between veths loses CHECKSUM_PARTIAL metadata", "xdp-hop", run, needs=TOOLS)
