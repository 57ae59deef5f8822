"""A hop that rewrites an address and forgets that TCP's checksum covers it (tc BPF without bpf_l4_csum_replace)."""

from __future__ import annotations

from socket import IPPROTO_TCP

from pktmend.commands.lab.case import LabCase
from pktmend.testbed import middlebox
from pktmend.testbed.bpf import Code
from pktmend.testbed.middlebox import IP_SOURCE, IP_TARGET, Middlebox
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import SERVER, TOOLS, contact, containers, cure_by_bridge, offload_off, show_incident
from pktmend.testbed.transcript import Transcript

SERVICE = "10.7.0.100"  # a's name for b


def translate(*, right: bool) -> tuple[Code, Code]:
    """Return what a middlebox does to frames: SERVICE becomes b's address, and back; right: TCP's checksum with it."""
    there = middlebox.update(IPPROTO_TCP, SERVICE, SERVER) if right else []
    back = middlebox.update(IPPROTO_TCP, SERVER, SERVICE)
    return (
        middlebox.rewrite(IP_TARGET, SERVICE, SERVER, also=there),
        middlebox.rewrite(IP_SOURCE, SERVER, SERVICE, also=back),
    )


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP by the rewrite; cure it by an update, then by recomputing behind the hop."""
    topology = containers(testbed)
    transcript.step(
        f"Container a calls b by a service address, {SERVICE}; the node rewrites that, but not TCP's checksum"
    )
    topology.a.neighbour("eth0", SERVICE, topology.b.hardware_address("eth0"))
    box = Middlebox(topology.node, "port-a", "port-b", *translate(right=False))
    with offload_off(transcript, (topology.a, "eth0"), (topology.b, "eth0")):  # complete checksums, as behind a NIC
        show_incident(transcript, topology, topology.node, "-i", "port-a", "-I", "port-b", address=SERVICE)

        transcript.step("Cure 1: the hop updates the checksum (bpf_l4_csum_replace)")
        box.connect("port-a", "port-b", *translate(right=True))
        transcript.cure("the hop updates the checksum", contact(transcript, topology, address=SERVICE).is_sound)

        transcript.step(
            "Cure 2: pktmend bridge --repair all behind the hop; it signs whatever comes, corruption included"
        )
        box.connect("port-a", "uplink", *translate(right=False))
        cure_by_bridge(transcript, topology, "port-u", "port-b", "--repair", "all", address=SERVICE)
        box.connect("port-a", "port-b", *translate(right=False))


CASE = LabCase(
    "nat-delta",
    "a hop rewrites an address and leaves TCP's checksum as it was",
    "nat-without-update",
    run,
    needs=TOOLS,
)
