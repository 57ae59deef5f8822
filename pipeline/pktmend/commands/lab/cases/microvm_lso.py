"""A VMM cuts its guest's large sends itself, and leaves the checksums that the guest seeded for a card.

A guest seeds a large send without the length (Windows' LSO), as each segment has its own.  What is small is marked, and
healthy: connections open, and then data stops.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.tap import SEGMENTS
from pktmend.testbed.topology import TOOLS, contact, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.vmm import VMM, microvm, unbridged


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Stop data by such a VMM; cure it in the guest, by a bridge, and by a VMM that hands large sends on."""
    topology = microvm(testbed)
    transcript.step(
        "Guest b hands large sends to its card, seeded without a length as Windows does; its VMM cuts them into\n"
        "segments and leaves their checksums as they are"
    )
    vmm = VMM(topology, "split", guest=SEGMENTS)
    show_incident(transcript, topology, topology.node, "-i", "tap0")

    cure_as_diagnosed(transcript, topology, topology.node, "transmit checksum offload off in the guest")

    transcript.step("Cure 2: pktmend bridge behind tap0 instead of the kernel's; nothing is changed in the guest")
    with unbridged(topology):
        cure_by_bridge(transcript, topology, "tap0", "port-a")

    transcript.step("Cure 3: the VMM hands large sends on as they are, with their header")
    vmm.close()
    vmm = VMM(topology, "none", guest=SEGMENTS)
    transcript.cure("a VMM that hands large sends on", contact(transcript, topology).is_sound)
    vmm.close()
    VMM(topology, "split", guest=SEGMENTS)


CASE = LabCase(
    "microvm-lso",
    "a VMM cuts large sends and leaves their seeds, without a length: data stops",
    "metadata-lost",
    run,
    needs=TOOLS,
)
