"""Two containers whose ping works while TCP dies, and the same two with `pktmend bridge` in line.

    a --veth-- [ switch that loses checksum metadata ] --veth-- b            act 1
    a --veth-- [ the same switch ] --veth-- [ pktmend bridge ] --veth-- b    act 2

The switch is Open vSwitch's userspace datapath where it is installed, or a plain copy between two packet sockets.
Real programs do the talking: ping, curl, python -m http.server.  Everything is taken down at the end.
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


def play(testbed: Testbed, show: Transcript, kind: str) -> bool:
    """Build the testbed and play both acts; True if everything went as it should."""
    site = containers(testbed, size=SIZE)
    switch = ovs.OpenVSwitch(site.node) if kind == "ovs" else Relay(site.node)
    name = "Open vSwitch, userspace datapath" if kind == "ovs" else "a plain copy between packet sockets"

    show.say(f"Act 1: containers a and b, joined by a userspace switch ({name})\n")
    switch.ports("port-a", "port-b")
    broken = contact(show, site, seconds=5)

    show.act("Act 2: the same, with pktmend bridge between the switch and b; offloads untouched")
    switch.ports("port-a", "uplink")
    with bridged(show, site.node, "port-u", "port-b", "--finish", "port-u"):
        cured = contact(show, site, seconds=40)
    show.say(f"\n  sha256 sent     {site.digest('file')}")
    show.say(f"  sha256 received {site.digest('got') if cured.fetches else '(nothing)'}")
    show.say()
    verdicts = {
        "ping works without pktmend": broken.pings,
        "TCP dies without it": not broken.fetches,
        "the kernel counts checksum errors": broken.errors > 0,
        "TCP works with it": cured.pings and cured.same,
        "no new checksum error": not cured.errors,
    }
    show.verdicts(verdicts.items())
    return all(verdicts.values())


def main() -> int:
    """Play the demo, or say what is missing and check the bundled capture instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switch", choices=["auto", "ovs", "relay"], default="auto")
    kind = parser.parse_args().switch
    show = Transcript()
    if kind == "auto":
        kind = "ovs" if ovs.is_installed() else "relay"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        require_programs(TOOLS)
        with Testbed() as testbed:
            good = play(testbed, show, kind)
    except PktmendError as error:
        show.say(f"The live demo cannot run here: {error}")
        show.say(f"What works without: pktmend check -r {os.path.relpath(CAPTURE)}\n")
        subprocess.run(
            [sys.executable, "-P", "-m", "pktmend", "check", "-r", str(CAPTURE), "--at", "wire"], check=False
        )
        return 0
    except KeyboardInterrupt:
        return 130
    show.say("\nEverything made for the demo is taken down again.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
