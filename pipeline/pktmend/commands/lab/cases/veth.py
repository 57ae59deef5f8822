"""A default veth pair: every checksum is partial, sniffers call it incorrect, and nothing is wrong."""

from __future__ import annotations

import subprocess

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import CLIENT, SERVER, chatter, errors, ping, serve
from pktmend.testbed.transcript import Transcript


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Show what a sniffer says, and that everything works."""
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    a.address("eth0", f"{CLIENT}/24")
    b.address("eth0", f"{SERVER}/24")
    serve(b)
    transcript.step("Containers a and b on a veth pair; a sniffer in b")
    sniffer = ("tcpdump", "-Z", "root", "-i", "eth0", "-nn", "-v", "-c", "5", "tcp")
    transcript.command(b, *sniffer)
    program = b.spawn(*sniffer, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stderr is not None
    program.stderr.readline()
    with chatter(a):
        said = program.communicate(timeout=20)[0].decode()
    transcript.answer("\n".join(line.strip() for line in said.splitlines() if "cksum" in line))
    transcript.symptom("the sniffer calls checksums incorrect", said.count("(incorrect -> ") > 0)

    transcript.step("Diagnosis")
    with chatter(a):
        transcript.diagnose(b, "-i", "eth0")

    transcript.step("Nothing to cure")
    b.spawn("iperf3", "-s", "-1")
    transcript.cure("ping works", ping(transcript, a))
    done = transcript.run(a, "iperf3", "-c", SERVER, "-n", "200M", "-f", "g", pick="receiver")
    transcript.cure("TCP works", done.returncode == 0)
    transcript.cure("no checksum error is counted", errors(a, b) == 0)


CASE = LabCase(
    "veth",
    "a default veth pair: every checksum pending, nothing wrong",
    "offload-pending",
    run,
    needs=("tcpdump", "iperf3", "curl", "ping"),
)
