"""`pktmend monitor`: watch interfaces, and show, record, write and count what their packets' checksums are.

options          the options
run              a running monitor: ties the others together, a snapshot every half second
workers          all interfaces: those that come, go and turn out busy
watched          one of them: its rings, what they sample and spool: the packet path
headers          reading headers only, where those are enough
ring_budget      how large each ring is
snapshot         frozen: all that is shown, served or recorded
bad_packets      which bad packets are shown, and in which words
writer           packets to files, on a thread of its own (spools: what waits; file, turnover: where it goes)
sandbox          which privileges stay
metrics          for Prometheus
served           what is served by --listen, the page included (pktmend.serving)
renderer         how snapshots are shown, one of:
text_lines       a line a second
events           NDJSON
screen, view     the live view (keyboard: its keys; state: what they do; view_pages: help, and a packet's bytes)
flow_packets     the last bad packets of a flow, for it
pace             how often something is printed
"""

from __future__ import annotations

from pktmend.commands.monitor.options import MonitorOptions, WriteOptions
from pktmend.commands.monitor.run import run_monitor

__all__ = ["MonitorOptions", "WriteOptions", "run_monitor"]
