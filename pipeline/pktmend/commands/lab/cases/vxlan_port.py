"""A tunnel on a port that no table has for it: what does not know it leaves the inner checksums alone.

4790 is VXLAN-GPE's; here it is plain VXLAN, as a cluster has it that moved its overlay away from another one's port.
Without UDP checksums (flannel's and Calico's default) nothing is wrong outside: the tunnel carries pings, and TCP dies.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import TOOLS, containers, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.tunnel import INNER, tunnel

PORT = 4790


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP in such a VXLAN by a plain relay; cure it at the tunnel's devices, then by a bridge."""
    topology = containers(testbed)
    transcript.step(
        f"a and b are tunnel ends (VXLAN on port {PORT}, without UDP checksums), joined by a copy between two packet\n"
        "sockets"
    )
    tunnel(transcript, topology, "noudpcsum", port=PORT)
    relay = Relay(topology.node)
    relay.ports("port-a", "port-b")
    show_incident(transcript, topology, topology.b, "-i", "eth0", address=INNER)

    cure_as_diagnosed(
        transcript, topology, topology.b, "transmit checksum offload off on the tunnel's devices", address=INNER
    )

    transcript.step("Cure 2: pktmend bridge behind the relay completes what is inside the tunnel")
    relay.ports("port-a", "uplink")
    cure_by_bridge(transcript, topology, "port-u", "port-b", "--finish", "port-u", address=INNER)
    relay.ports("port-a", "port-b")


CASE = LabCase(
    "vxlan-port",
    "a VXLAN on a port of its own: the tunnel carries pings, TCP in it dies",
    "tunnel-inner-unfinished",
    run,
    needs=TOOLS,
)
