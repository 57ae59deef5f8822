"""Two containers whose ping works while TCP dies, and the same two with `pktmend bridge` in line.

    a --veth-- [ switch that loses checksum metadata ] --veth-- b            step 1
    a --veth-- [ the same switch ] --veth-- [ pktmend bridge ] --veth-- b    step 2

The switch is Open vSwitch's userspace datapath where it is installed, or a plain copy between two packet sockets.
The traffic is that of real programs: ping, curl, python -m http.server.  Everything is taken down at the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from pktmend.errors import PktmendError
from pktmend.testbed import ovs
from pktmend.testbed.netns import Testbed, require_programs
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import TOOLS, bridged, contact, containers
from pktmend.testbed.transcript import Transcript

CAPTURE = Path(__file__).with_name("leaked.pcap")
SIZE = 50 << 20


def run(testbed: Testbed, transcript: Transcript, kind: str) -> bool:
    """Build the testbed and run both steps; True if everything went as it should."""
    topology = containers(testbed, size=SIZE)
    switch = ovs.OpenVSwitch(topology.node) if kind == "ovs" else Relay(topology.node)
    name = "Open vSwitch, userspace datapath" if kind == "ovs" else "a plain copy between packet sockets"

    transcript.say(f"Step 1: containers a and b, joined by a userspace switch ({name})\n")
    switch.ports("port-a", "port-b")
    broken = contact(transcript, topology, seconds=5)

    transcript.step("Step 2: the same, with pktmend bridge between the switch and b; offloads untouched")
    switch.ports("port-a", "uplink")
    with bridged(transcript, topology.node, "port-u", "port-b", "--finish", "port-u"):
        cured = contact(transcript, topology, seconds=40)
    transcript.say(f"\n  sha256 sent     {topology.digest('file')}")
    transcript.say(f"  sha256 received {topology.digest('got') if cured.fetches else '(nothing)'}")
    transcript.say()
    verdicts = {
        "ping works without pktmend": broken.pings,
        "TCP dies without it": not broken.fetches,
        "the kernel counts checksum errors": broken.errors > 0,
        "TCP works with it": cured.pings and cured.same,
        "no new checksum error": not cured.errors,
    }
    transcript.verdicts(verdicts.items())
    return all(verdicts.values())


def main() -> int:
    """Run the demo, or say what is missing and check the bundled capture instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switch", choices=["auto", "ovs", "relay"], default="auto")
    kind = parser.parse_args().switch
    transcript = Transcript()
    if kind == "auto":
        kind = "ovs" if ovs.is_installed() else "relay"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        require_programs(TOOLS)
        with Testbed() as testbed:
            good = run(testbed, transcript, kind)
    except PktmendError as error:
        transcript.say(f"The live demo cannot run here: {error}")
        transcript.say(f"What works without: pktmend check -r {os.path.relpath(CAPTURE)}\n")
        subprocess.run(
            [sys.executable, "-P", "-m", "pktmend", "check", "-r", str(CAPTURE), "--at", "wire"], check=False
        )
        return 0
    except KeyboardInterrupt:
        return 130
    transcript.say("\nEverything made for the demo is taken down again.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
