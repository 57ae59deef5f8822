"""A guest leaves the IPv4 header's checksum of large sends at 0 for its card, and no card makes it.

Linux as a host takes a large send whole, and looks at its header: connections open, and then data stops.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.tap import SEGMENTS
from pktmend.testbed.topology import TOOLS, contact, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.vmm import VMM, microvm, unbridged


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Stop data by such headers; cure it in the guest, by a bridge, and by a guest that fills them in."""
    topology = microvm(testbed)
    transcript.step(
        "Guest b hands large sends to its card with 0 for the IPv4 header's checksum, which the card would make for\n"
        "each segment; the VMM hands them on whole"
    )
    vmm = VMM(topology, "ip-zero", guest=SEGMENTS)
    show_incident(transcript, topology, topology.node, "-i", "tap0")

    cure_as_diagnosed(transcript, topology, topology.node, "segmentation offload off in the guest")

    transcript.step("Cure 2: pktmend bridge --repair all behind tap0 instead of the kernel's")
    with unbridged(topology):
        cure_by_bridge(transcript, topology, "tap0", "port-a", "--repair", "all")

    transcript.step("Cure 3: the guest's driver fills the headers in")
    vmm.close()
    vmm = VMM(topology, "none", guest=SEGMENTS)
    transcript.cure("headers that are filled in", contact(transcript, topology).is_sound)
    vmm.close()
    VMM(topology, "ip-zero", guest=SEGMENTS)


CASE = LabCase(
    "microvm-ip-zero",
    "a guest's large sends have no IPv4 header checksum: data stops",
    "ip-header-never-filled",
    run,
    needs=TOOLS,
)
