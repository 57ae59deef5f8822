"""What a program does that makes every checksum anew, beside a bridge that completes what is provably partial.

A copy between packet sockets loses the mark of what a sends, and damages some of what b sends, whose sums are complete.
Both programs let TCP connect.  Behind the blind one damage is right: curl succeeds, and what it has got is not what was
sent.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import (
    TOOLS,
    Contact,
    Topology,
    bridged,
    contact,
    containers,
    offload_off,
    remedied,
    show_incident,
)
from pktmend.testbed.transcript import Transcript


def fetched(transcript: Transcript, topology: Topology) -> Contact:
    """Let a fetch the file, and show the digests of what was sent and what was got."""
    found = contact(transcript, topology)
    for name, by in (("file", "sent by b"), ("got", "got by a")):
        if (topology.folder / name).exists():
            transcript.answer(f"sha256 {topology.digest(name)[:32]}...  {by}")
    return found


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Break TCP, sign damage, and show the cures that do not."""
    topology = containers(testbed)
    transcript.step(
        "Containers a and b, joined by a copy between two packet sockets that flips a bit in one of 64 long frames\n"
        "of b, which completes its checksums itself"
    )
    with offload_off(transcript, (topology.b, "eth0")):
        relay = Relay(topology.node, "flip")
        relay.ports("port-a", "port-b")
        show_incident(transcript, topology, topology.b, "-i", "eth0")

        transcript.step("No cure: a program before it that makes every checksum anew")
        relay.ports("uplink", "port-b")
        fixer = Relay(topology.node, "fix")
        fixer.ports("port-a", "port-u")
        found = fetched(transcript, topology)
        transcript.symptom("with a blind fixer curl succeeds", found.fetches)
        transcript.symptom("and what it has got is not what was sent", not found.same)
        transcript.symptom("without a checksum error counted", found.errors == 0)
        fixer.close()

        transcript.step("Cure 1: pktmend bridge in its place completes what is partial, and signs no damage")
        with bridged(transcript, topology.node, "port-a", "port-u", "--finish", "port-u") as summary:
            found = fetched(transcript, topology)
            transcript.cure("pktmend bridge: TCP connects, and the file is the one sent", found.same)
            transcript.cure("what was damaged is dropped by a's kernel, and sent again", found.errors > 0)
        transcript.cure("and the bridge repairs none of it", "repaired -" in summary.text.split("port-u -> port-a")[1])

        transcript.step("Cure 2: the same with --corrupt drop; a never sees the damage")
        with bridged(transcript, topology.node, "port-a", "port-u", "--finish", "port-u", "--corrupt", "drop"):
            transcript.cure("pktmend bridge --corrupt drop", fetched(transcript, topology).is_sound)
        relay.ports("port-a", "port-b")

        transcript.step("Cure 3, as diagnosed: transmit checksum offload off in a; a's kernel finds the damage")
        with remedied(transcript, topology.b):
            found = fetched(transcript, topology)
            transcript.cure("transmit checksum offload off in a", found.same and found.errors > 0)


CASE = LabCase(
    "blind-fixer",
    "a program that makes every checksum anew signs damage; pktmend bridge does not",
    "metadata-lost",
    run,
    needs=TOOLS,
)
