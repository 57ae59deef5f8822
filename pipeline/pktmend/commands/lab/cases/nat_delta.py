"""A hop that rewrites an address and forgets that TCP's checksum covers it (tc BPF without bpf_l4_csum_replace)."""

from __future__ import annotations

from socket import IPPROTO_TCP

from pktmend.testbed import middlebox
from pktmend.testbed.bpf import Code
from pktmend.testbed.middlebox import IP_SOURCE, IP_TARGET, Hop
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import SERVER, TOOLS, contact, containers, cure_by_bridge, offload_off, show_incident
from pktmend.testbed.transcript import Case, Transcript

SERVICE = "10.7.0.100"  # a's name for b


def translate(*, right: bool) -> tuple[Code, Code]:
    """Return what Hop.join() does to frames: SERVICE becomes b's address, and back; right: TCP's checksum with it."""
    there = middlebox.update(IPPROTO_TCP, SERVICE, SERVER) if right else []
    back = middlebox.update(IPPROTO_TCP, SERVER, SERVICE)
    return (
        middlebox.rewrite(IP_TARGET, SERVICE, SERVER, also=there),
        middlebox.rewrite(IP_SOURCE, SERVER, SERVICE, also=back),
    )


def play(testbed: Testbed, show: Transcript) -> None:
    """Break TCP by the rewrite; cure it by an update, then by recomputing behind the hop."""
    site = containers(testbed)
    show.act(f"Container a calls b by a service address, {SERVICE}; the node rewrites that, but not TCP's checksum")
    site.a.neighbour("eth0", SERVICE, site.b.hardware_address("eth0"))
    hop = Hop(site.node, "port-a", "port-b", *translate(right=False))
    with offload_off(show, (site.a, "eth0"), (site.b, "eth0")):  # frames are finished, as those of a NIC are
        show_incident(show, site, site.node, "-i", "port-a", "-I", "port-b", address=SERVICE)

        show.act("Cure 1: the hop updates the checksum (bpf_l4_csum_replace)")
        hop.join("port-a", "port-b", *translate(right=True))
        show.cure("the hop updates the checksum", contact(show, site, address=SERVICE).is_sound)

        show.act("Cure 2: pktmend bridge --repair all behind the hop; it signs whatever comes, corruption included")
        hop.join("port-a", "uplink", *translate(right=False))
        cure_by_bridge(show, site, "port-u", "port-b", "--repair", "all", address=SERVICE)
        hop.join("port-a", "port-b", *translate(right=False))


CASE = Case(
    "nat-delta",
    "a hop rewrites an address and leaves TCP's checksum as it was",
    "nat-without-update",
    play,
    needs=TOOLS,
)
