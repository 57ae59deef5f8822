"""A tunnel whose inner checksum is left to the device below: the hop there loses the note, and two sums are wrong.

Local checksum offload writes the outer UDP sum as if the inner one were complete already.  Once the inner one is
completed, the outer one is right: repair goes inside out.
"""

from __future__ import annotations

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
from pktmend.testbed.transcript import Case, Transcript
from pktmend.testbed.tunnel import INNER, tunnel


def play(testbed: Testbed, show: Transcript) -> None:
    """Break TCP in a VXLAN by a plain relay; cure it at the devices below, then by a bridge."""
    site = containers(testbed)
    show.act("a and b are tunnel ends (VXLAN with UDP checksums), joined by a copy between two packet sockets")
    tunnel(show, site, "udpcsum")
    relay = Relay(site.node)
    relay.ports("port-a", "port-b")
    show.symptom("ping works below the tunnel", ping(show, site.a))
    found = contact(show, site, seconds=PATIENCE, address=INNER)
    show.symptom("nothing comes through the tunnel", not found.pings and not found.fetches)
    show.symptom("the kernel counts checksum errors", found.errors > 0)

    show_diagnosis(show, site, site.b, "-i", "eth0", address=INNER)

    cure_as_diagnosed(show, site, site.b, "transmit checksum offload off below the tunnel", address=INNER)

    show.act("Cure 2: pktmend bridge behind the relay completes the inner sum, which makes the outer one right")
    relay.ports("port-a", "uplink")
    cure_by_bridge(show, site, "port-u", "port-b", "--finish", "port-u", address=INNER)
    relay.ports("port-a", "port-b")


CASE = Case(
    "vxlan",
    "a tunnel's inner checksum is left unfinished, and the hop below loses the note",
    "tunnel-inner-unfinished",
    play,
    needs=TOOLS,
)
