"""`pktmend monitor`: watch interfaces, and show, tell, write and count what their packets' checksums are.

    options   what it was told                     watch    rings, workers, samples: the packet path
    writer    packets to files, on its own thread  bad      which bad packets are shown, and in which words
    run       the loop that ties them              lines, events, screen   three faces of the same snapshot
"""

from __future__ import annotations

from pipeline.live.options import MonitorOptions, WriteOptions
from pipeline.live.run import run_monitor

__all__ = ["MonitorOptions", "WriteOptions", "run_monitor"]
