"""The empty walker of `pktmend bench monitor` as a program:   python -m pktmend.commands.bench.walk IFACE

Reads a TPACKET_V3 ring of the monitor's geometry without looking at frames (ext/bench/walker.c); at SIGTERM it prints
{"packets": ..., "drops": ...}.
"""

from __future__ import annotations

import math
import os
import sys

from pktmend.commands.bench._peers import ffi, lib
from pktmend.console.main_loop import main_loop
from pktmend.console.report import print_json
from pktmend.console.signals import Signals
from pktmend.errors import OSFailure

BLOCK_SIZE, BLOCKS = 1 << 20, 32  # of packetio.ring.Ring
SLICE_MS = 200


def walk(interface: str) -> None:
    """Count until a signal comes."""
    signals = Signals()
    walker = ffi.new("peer_walker *")
    rc = lib.peer_walker_open(walker, interface.encode(), BLOCK_SIZE, BLOCKS)
    if rc < 0:
        raise OSFailure(f"a ring on {interface!r}: {os.strerror(-rc)}", "", -rc, interface)
    print("walking", file=sys.stderr, flush=True)

    def run(seconds: float) -> bool:
        lib.peer_walker_run(walker, math.ceil(seconds * 1000))
        return False

    main_loop(signals, tick=SLICE_MS / 1000, wait=run)
    drops = lib.peer_walker_close(walker)
    print_json({"packets": walker.packets, "drops": drops})


if __name__ == "__main__":
    walk(sys.argv[1])
