"""Containers on netkit pairs instead of veths (Cilium has them): the mark of partial checksums travels the same way.

Needs a kernel that has netkit (Linux 6.7, CONFIG_NETKIT); on others the case says so.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import TOOLS, containers, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP between netkit devices by a plain relay; cure it at the senders, then by a bridge."""
    topology = containers(testbed, is_netkit=True)
    transcript.step("Containers a and b on netkit pairs, joined by a copy between two packet sockets")
    relay = Relay(topology.node)
    relay.ports("port-a", "port-b")
    show_incident(transcript, topology, topology.b, "-i", "eth0")

    cure_as_diagnosed(transcript, topology, topology.b, "transmit checksum offload off in a and b")

    transcript.step("Cure 2: pktmend bridge behind the relay; offloads untouched")
    relay.ports("port-a", "uplink")
    cure_by_bridge(transcript, topology, "port-u", "port-b", "--finish", "port-u")
    relay.ports("port-a", "port-b")


CASE = LabCase(
    "netkit",
    "containers on netkit pairs, and a hop that loses the mark (where the kernel has netkit)",
    "metadata-lost",
    run,
    needs=TOOLS,
)
