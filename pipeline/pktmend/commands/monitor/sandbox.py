"""Before the first packet is read: the monitor gives up what it will not need."""

from __future__ import annotations

from pktmend.commands.monitor.options import MonitorOptions
from pktmend.host import privileges


def harden(options: MonitorOptions) -> str:
    """Drop capabilities and filter system calls; return why they are not filtered, if they ought to be."""
    keep, groups = [], ["packets"]
    if options.may_change:
        keep.append(privileges.CAP_NET_RAW)
        groups.append("capture")
    if options.write is not None:
        keep.append(privileges.CAP_DAC_OVERRIDE)  # the next file may lie where only root may write
    if options.write is not None or options.picture:
        groups.append("write")
    if options.listen:
        groups.append("serve")
    return privileges.harden(keep=keep, seccomp=options.seccomp, groups=groups)
