"""Kubernetes' 63 seconds: NAT of a VXLAN datagram updates an outer checksum of 0, which means "none".

Kernels before 5.7 (ea64d8d6c675) did so when the inner checksum was still partial.  A tc BPF program does it here to
the same packets, by calling the same function of the kernel (inet_proto_csum_replace4, by bpf_l4_csum_replace without
BPF_F_MARK_MANGLED_0); what leaves the node is complete, as behind a NIC.
"""

from __future__ import annotations

from socket import IPPROTO_UDP

from pktmend._kernel import lib
from pktmend.commands.lab.case import LabCase
from pktmend.testbed import middlebox
from pktmend.testbed.bpf import Code
from pktmend.testbed.middlebox import IP, IP_SOURCE, IP_TARGET, TRANSPORT, Middlebox
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import SERVER, TOOLS, contact, containers, cure_by_bridge, offload_off, show_incident
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.tunnel import INNER, tunnel

SERVICE = "10.7.0.100"  # where a sends the tunnel's datagrams to; the node translates it to b's address
INNER_IP = TRANSPORT + 8 + 8 + IP  # behind the headers of UDP, VXLAN and Ethernet


def translate(*, leaves_zero: bool) -> tuple[Code, Code]:
    """Return what a middlebox does to frames: NAT of the outer header, its checksum where the inner one is pending."""

    def update(old: str, new: str, flags: int) -> Code:
        return middlebox.where_partial(INNER_IP, middlebox.update(IPPROTO_UDP, old, new, flags=flags))

    there = update(SERVICE, SERVER, lib.BPF_F_MARK_MANGLED_0 if leaves_zero else 0)
    back = update(SERVER, SERVICE, lib.BPF_F_MARK_MANGLED_0)
    return (
        middlebox.rewrite(IP_TARGET, SERVICE, SERVER, also=there),
        middlebox.rewrite(IP_SOURCE, SERVER, SERVICE, also=back),
    )


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP in a VXLAN by NAT; cure it by NAT that knows what 0 means, then by recomputing behind it."""
    topology = containers(testbed)
    transcript.step(
        f"a and b are tunnel ends (VXLAN without UDP checksums); a sends to {SERVICE}, which the node\n"
        "translates, updating the outer checksum of 0 for it"
    )
    tunnel(transcript, topology, "noudpcsum", remote=SERVICE)
    topology.a.neighbour("eth0", SERVICE, topology.b.hardware_address("eth0"))
    box = Middlebox(topology.node, "port-a", "port-b", *translate(leaves_zero=False))
    with offload_off(transcript, (topology.node, "port-b"), (topology.node, "uplink")):
        show_incident(transcript, topology, topology.node, "-i", "port-a", "-I", "port-b", address=INNER)

        transcript.step(
            "Cure 1: checksums are complete before packets are wrapped, and then even such NAT leaves 0 alone"
        )
        with offload_off(transcript, (topology.a, "vxlan0")):
            transcript.cure("tx off on the tunnel's device", contact(transcript, topology, address=INNER).is_sound)

        transcript.step("Cure 2: NAT leaves a checksum of 0 alone, as kernels from 5.7 on do")
        box.connect("port-a", "port-b", *translate(leaves_zero=True))
        transcript.cure("NAT that leaves 0 alone", contact(transcript, topology, address=INNER).is_sound)

        transcript.step("Cure 3: pktmend bridge --repair all behind the hop; it would sign damage inside as well")
        box.connect("port-a", "uplink", *translate(leaves_zero=False))
        cure_by_bridge(transcript, topology, "port-u", "port-b", "--repair", "all", address=INNER)
        box.connect("port-a", "port-b", *translate(leaves_zero=False))


CASE = LabCase(
    "vxlan-nat", "NAT updates a VXLAN's outer checksum of 0 (Kubernetes' 63 seconds)", "nat-on-zero", run, needs=TOOLS
)
