"""A hop that flips bits: damaged data, which no repair may sign."""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed import middlebox
from pktmend.testbed.middlebox import Middlebox
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import TOOLS, bridged, contact, containers, offload_off, show_diagnosis
from pktmend.testbed.transcript import Transcript


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Flip bits of what b sends; show that the receiver drops it, and that the bridge does not sign it."""
    topology = containers(testbed)
    flip = middlebox.flip_bits(one_in=64)
    transcript.step("Containers a and b, joined by a link that flips a bit in one of 64 frames of b")
    box = Middlebox(topology.node, "port-a", "port-b", back=flip)
    with offload_off(transcript, (topology.a, "eth0"), (topology.b, "eth0")):  # complete checksums, as behind a NIC
        resent = topology.b.kernel_counters()["TcpRetransSegs"]
        found = contact(transcript, topology)
        transcript.symptom("the receiver's kernel drops what was damaged", found.errors > 0)
        transcript.symptom("b sends it again", topology.b.kernel_counters()["TcpRetransSegs"] > resent)
        transcript.symptom("TCP gets everything through in the end", found.pings and found.same)

        show_diagnosis(transcript, topology, topology.a, "-i", "eth0")

        transcript.step("No repair: pktmend bridge behind the link drops what is corrupt, and signs none of it")
        box.connect("uplink", "port-b", back=flip)
        with bridged(transcript, topology.node, "port-a", "port-u", "--corrupt", "drop") as summary:
            transcript.cure(
                "pktmend bridge --corrupt drop keeps damage from the receiver", contact(transcript, topology).is_sound
            )
        transcript.cure("and repairs nothing", "repaired leaked" not in summary.text and "repaired -" in summary.text)

        transcript.step("Cure: another cable")
        box.connect("port-a", "port-b")
        transcript.cure("a link that flips no bits", contact(transcript, topology).is_sound)
        box.connect("port-a", "port-b", back=flip)


CASE = LabCase("bit-errors", "a link that flips bits: damaged data, not an offload", "bit-errors", run, needs=TOOLS)
