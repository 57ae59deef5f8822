"""Few packets are dropped, but all that come: a connection that is tried now and then looks like noise in a counter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pktmend.commands.lab.case import LabCase
from pktmend.host.own_command import own_command
from pktmend.testbed.netns import Testbed, end
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import (
    TOOLS,
    URL,
    Topology,
    contact,
    containers,
    cure_by_bridge,
    errors,
    ping,
    remedied,
)
from pktmend.testbed.transcript import Transcript

FEW = 20
WATCHED = 2  # seconds that doctor looks on


@contextmanager
def probe(topology: Topology) -> Iterator[None]:
    """Let a try to reach b twice a second meanwhile, one SYN each time, as a health check does."""
    shell = f"while :; do curl -s -o {os.devnull} --max-time 0.4 {URL}; sleep 0.1; done"
    program = topology.a.spawn("sh", "-c", shell)
    try:
        yield
    finally:
        end(program)


def examined(transcript: Transcript, topology: Topology, *options: str) -> str:
    """Let doctor look at b while the probe runs; return how bad it calls what b's kernel has dropped."""
    argv = ("doctor", "eth0", "--netns", topology.b.namespace, *options)
    transcript.command(topology.node, "pktmend", *argv)
    done = topology.node.run(*own_command(*argv, "--json"), check=False)
    for line in done.stdout.splitlines():
        finding = json.loads(line).get("finding", {})
        if finding.get("name") == "checksum-errors":
            transcript.answer(f"{finding['severity']}: {finding['title']}")
            transcript.answer(finding["why"])
            return str(finding["severity"])
    return ""


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Lose a few SYNs; have doctor and diagnose tell that from noise; cure it at the senders, then by a bridge."""
    topology = containers(testbed)
    transcript.step("Containers a and b, joined by a copy between packet sockets; a tries to connect twice a second")
    relay = Relay(topology.node)
    relay.ports("port-a", "port-b")
    transcript.symptom("ping works", ping(transcript, topology.a))
    with probe(topology):
        severity = examined(transcript, topology, "--watch", str(WATCHED))
        counted = errors(topology.b)
        transcript.symptom(f"fewer than {FEW} packets were dropped", 0 < counted < FEW)
        transcript.symptom("doctor calls it a problem, for it is all that came", severity == "problem")
        transcript.step("Diagnosis")
        transcript.diagnose(topology.b, "-i", "eth0")

    transcript.step("Cure 1, as diagnosed: transmit checksum offload off in a and b")
    with remedied(transcript, topology.b):
        transcript.cure("transmit checksum offload off in a and b", contact(transcript, topology).is_sound)
        with probe(topology):
            severity = examined(transcript, topology)
        transcript.cure("doctor calls it a problem no more", severity not in ("problem", ""))

    transcript.step("Cure 2: pktmend bridge behind the relay; offloads untouched")
    relay.ports("port-a", "uplink")
    cure_by_bridge(transcript, topology, "port-u", "port-b", "--finish", "port-u")
    relay.ports("port-a", "port-b")


CASE = LabCase(
    "few-drops",
    "few packets are dropped, but all that come: no noise in a counter",
    "metadata-lost",
    run,
    needs=TOOLS,
)
