"""A default veth pair: every checksum is unfinished, sniffers call it incorrect, and nothing is wrong."""

from __future__ import annotations

import subprocess

from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import CLIENT, SERVER, chatter, errors, ping, serve
from pktmend.testbed.transcript import Case, Transcript


def play(testbed: Testbed, show: Transcript) -> None:
    """Show what a sniffer says, and that everything works."""
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    a.address("eth0", f"{CLIENT}/24")
    b.address("eth0", f"{SERVER}/24")
    serve(b)
    show.act("Containers a and b on a veth pair; a sniffer in b")
    sniffer = ("tcpdump", "-Z", "root", "-i", "eth0", "-nn", "-v", "-c", "5", "tcp")
    show.command(b, *sniffer)
    program = b.spawn(*sniffer, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stderr is not None
    program.stderr.readline()
    with chatter(a):
        said = program.communicate(timeout=20)[0].decode()
    show.answer("\n".join(line.strip() for line in said.splitlines() if "cksum" in line))
    show.symptom("the sniffer calls checksums incorrect", said.count("(incorrect -> ") > 0)

    show.act("Diagnosis")
    with chatter(a):
        show.diagnose(b, "-i", "eth0")

    show.act("Nothing to cure")
    b.spawn("iperf3", "-s", "-1")
    show.cure("ping works", ping(show, a))
    done = show.run(a, "iperf3", "-c", SERVER, "-n", "200M", "-f", "g", pick="receiver")
    show.cure("TCP works", done.returncode == 0)
    show.cure("no checksum error is counted", errors(a, b) == 0)


CASE = Case(
    "veth",
    "a default veth pair: every checksum pending, nothing wrong",
    "offload-pending",
    play,
    needs=("tcpdump", "iperf3", "curl", "ping"),
)
