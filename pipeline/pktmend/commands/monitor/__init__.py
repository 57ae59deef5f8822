"""`pktmend monitor`: watch interfaces, and show, record, write and count what their packets' checksums are.

options          the options
run              a running monitor: ties the others together, a snapshot every half second
workers          rings, workers, samples: the packet path
snapshot         frozen: all that is shown, served or recorded
bad_packets      which bad packets are shown, and in which words
writer           packets to files, on a thread of its own (spools: what waits; file, turnover: where it goes)
sandbox          which privileges stay
metrics, metrics_server     Prometheus
renderer         how snapshots are shown, one of:
text_lines       a line a second
events           NDJSON
screen, view     the live view (history: its past, keyboard: its keys)
"""

from __future__ import annotations

from pktmend.commands.monitor.options import MonitorOptions, WriteOptions
from pktmend.commands.monitor.run import run_monitor

__all__ = ["MonitorOptions", "WriteOptions", "run_monitor"]
