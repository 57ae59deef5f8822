"""`pktmend doctor`: examine the set-up of this machine before any packet is bad.

Rules of this package:
1. A check is a small function from a View to findings; CHECKS (checks.py) is all of them.  None changes anything.
2. A finding has a reason and a command that can be typed as it is, its namespace included.
3. A healthy default machine gets one line.

view, checks, run, show    what is looked at; all checks; the command; its text
hops, datapaths, devices   userspace hops, Open vSwitch, TAPs and XDP: where partial checksums lose their metadata
links, kernels, system     interfaces on their own; known kernel bugs; counters and what this process may do
kernel_log                 what the kernel's log says of checksums that hardware got wrong
drops, counter_rise        what the kernel drops for its checksum meanwhile
"""
