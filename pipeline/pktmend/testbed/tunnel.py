"""A VXLAN between the containers of a topology."""

from __future__ import annotations

from pktmend.testbed.topology import CLIENT, SERVER, Topology
from pktmend.testbed.transcript import Transcript

OUTER = "10.9.0.1"
INNER = "10.9.0.2"  # b, through the tunnel


def tunnel(
    transcript: Transcript, topology: Topology, checksums: str, *, remote: str = SERVER, port: int = 4789
) -> None:
    """Put vxlan0 in a and b, over eth0; they know each other's MAC addresses, as overlays distribute them.

    checksums: udpcsum or noudpcsum, of the outer UDP header.
    remote:    where a sends to.      port: of the tunnel's datagrams.
    """
    for host, target, address in ((topology.a, remote, OUTER), (topology.b, CLIENT, INNER)):
        transcript.run(
            host,
            "ip",
            "link",
            "add",
            "vxlan0",
            "type",
            "vxlan",
            "id",
            "7",
            "remote",
            target,
            "dstport",
            str(port),
            "dev",
            "eth0",
            checksums,
            check=True,
        )
        host.link("vxlan0", state="up")
        host.address("vxlan0", f"{address}/24")
    topology.a.neighbour("vxlan0", INNER, topology.b.hardware_address("vxlan0"))
    topology.b.neighbour("vxlan0", OUTER, topology.a.hardware_address("vxlan0"))
