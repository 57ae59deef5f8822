"""A microVM whose guest leaves checksums to its card, and a VMM that drops the mark on the way to the host's TAP."""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.tap import CHECKSUM
from pktmend.testbed.topology import TOOLS, contact, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.vmm import VMM, microvm, unbridged


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP by such a VMM; cure it in the guest, by a bridge, and by a VMM that asks for the header."""
    topology = microvm(testbed)
    transcript.step(
        "Guest b has negotiated checksum offload with its VMM, which writes what comes to tap0 without the virtio-net\n"
        "header; tap0 and container a are ports of the kernel's bridge"
    )
    vmm = VMM(topology, "headless", guest=CHECKSUM)
    show_incident(transcript, topology, topology.node, "-i", "tap0")

    cure_as_diagnosed(transcript, topology, topology.node, "transmit checksum offload off in the guest")

    transcript.step("Cure 2: pktmend bridge behind tap0 instead of the kernel's; nothing is changed in the guest")
    with unbridged(topology):
        cure_by_bridge(transcript, topology, "tap0", "port-a")

    transcript.step("Cure 3: the VMM opens tap0 with the header (IFF_VNET_HDR), which carries the mark")
    vmm.close()
    vmm = VMM(topology, "none", guest=CHECKSUM)
    transcript.cure("a VMM that asks for the header", contact(transcript, topology).is_sound)
    vmm.close()
    VMM(topology, "headless", guest=CHECKSUM)


CASE = LabCase(
    "microvm",
    "a microVM's guest leaves checksums to its card, and its VMM drops the mark",
    "metadata-lost",
    run,
    needs=TOOLS,
)
