"""A tunnel whose inner checksum is left to the device below: the hop there loses the metadata, and two sums are wrong.

Local checksum offload writes the outer UDP sum as if the inner one were complete already.  Once the inner one is
completed, the outer one is right: repair goes inside out.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import (
    PATIENCE,
    TOOLS,
    contact,
    containers,
    cure_as_diagnosed,
    cure_by_bridge,
    ping,
    show_diagnosis,
)
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.tunnel import INNER, tunnel


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP in a VXLAN by a plain relay; cure it at the devices below, then by a bridge."""
    topology = containers(testbed)
    transcript.step("a and b are tunnel ends (VXLAN with UDP checksums), joined by a copy between two packet sockets")
    tunnel(transcript, topology, "udpcsum")
    relay = Relay(topology.node)
    relay.ports("port-a", "port-b")
    transcript.symptom("ping works below the tunnel", ping(transcript, topology.a))
    found = contact(transcript, topology, seconds=PATIENCE, address=INNER)
    transcript.symptom("nothing comes through the tunnel", not found.pings and not found.fetches)
    transcript.symptom("the kernel counts checksum errors", found.errors > 0)

    show_diagnosis(transcript, topology, topology.b, "-i", "eth0", address=INNER)

    cure_as_diagnosed(transcript, topology, topology.b, "transmit checksum offload off below the tunnel", address=INNER)

    transcript.step("Cure 2: pktmend bridge behind the relay completes the inner sum, which makes the outer one right")
    relay.ports("port-a", "uplink")
    cure_by_bridge(transcript, topology, "port-u", "port-b", "--finish", "port-u", address=INNER)
    relay.ports("port-a", "port-b")


CASE = LabCase(
    "vxlan",
    "a tunnel's inner checksum is left partial, and the hop below loses the metadata",
    "tunnel-inner-unfinished",
    run,
    needs=TOOLS,
)
