"""A copy between two packet sockets, as many userspace switches are: the kernel's note is lost."""

from __future__ import annotations

from pktmend.testbed.netns import Testbed
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import TOOLS, containers, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Case, Transcript


def play(testbed: Testbed, show: Transcript) -> None:
    """Break TCP by a plain relay; cure it at the senders, then by a bridge behind the relay."""
    site = containers(testbed)
    show.act("Containers a and b, joined by a copy between two packet sockets")
    relay = Relay(site.node)
    relay.ports("port-a", "port-b")
    show_incident(show, site, site.b, "-i", "eth0")

    cure_as_diagnosed(show, site, site.b, "transmit checksum offload off in a and b")

    show.act("Cure 2: pktmend bridge behind the relay; offloads untouched")
    relay.ports("port-a", "uplink")
    cure_by_bridge(show, site, "port-u", "port-b", "--finish", "port-u")
    relay.ports("port-a", "port-b")


CASE = Case("relay", "a plain copy between packet sockets loses the kernel's note", "metadata-lost", play, needs=TOOLS)
