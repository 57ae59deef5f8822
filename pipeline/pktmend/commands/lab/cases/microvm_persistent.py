"""A persistent TAP that kept checksum offload from the VMM before: the next one is not asked, and does not know."""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import TOOLS, contact, cure_as_diagnosed, cure_by_bridge, show_incident
from pktmend.testbed.transcript import Transcript
from pktmend.testbed.vmm import VMM, microvm, unbridged


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP towards the guest; cure it at the TAP, by a bridge, and by a VMM that says what it takes."""
    topology = microvm(testbed)
    transcript.step(
        "tap0 is persistent, and the VMM before had checksum offload switched on (TUN_F_CSUM); the one of guest b\n"
        "opens it without the virtio-net header and sets nothing"
    )
    vmm = VMM(topology, "headless", guest=0, persistent=True)
    show_incident(transcript, topology, topology.node, "-i", "tap0")

    cure_as_diagnosed(transcript, topology, topology.node, "transmit checksum offload off on tap0")

    transcript.step("Cure 2: pktmend bridge completes what leaves to tap0; its offloads untouched")
    with unbridged(topology):
        cure_by_bridge(transcript, topology, "port-a", "tap0", "--finish", "tap0")

    transcript.step("Cure 3: the VMM says what it takes: nothing (TUNSETOFFLOAD 0)")
    vmm.close()
    vmm = VMM(topology, "headless", guest=0)
    transcript.cure("a VMM that says what it takes", contact(transcript, topology).is_sound)
    vmm.close()
    VMM(topology, "headless", guest=0, persistent=True)


CASE = LabCase(
    "microvm-persistent",
    "a persistent TAP keeps checksum offload, and the next VMM does not know",
    "tap-without-vnet-header",
    run,
    needs=TOOLS,
)
