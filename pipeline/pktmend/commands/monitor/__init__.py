"""`pktmend monitor`: watch interfaces, and show, tell, write and count what their packets' checksums are.

options          what it was told
watch            rings, workers, samples: the packet path
writer, file     packets to files, on a thread of their own
bad              which bad packets are shown, and in which words
run              the loop that ties them, and shows every snapshot to one of three faces:
lines            a line a second
events           NDJSON
screen, view     the live view (history: its past, keys: its keyboard)
"""

from __future__ import annotations

from pktmend.commands.monitor.options import MonitorOptions, WriteOptions
from pktmend.commands.monitor.run import run_monitor

__all__ = ["MonitorOptions", "WriteOptions", "run_monitor"]
