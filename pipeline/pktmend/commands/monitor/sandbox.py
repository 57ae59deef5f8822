"""Before the first packet is read: the monitor gives up what it will not need."""

from __future__ import annotations

from pktmend.commands.monitor.options import MonitorOptions
from pktmend.host import privileges
from pktmend.packetio import bpf_filter


def harden(options: MonitorOptions) -> str:
    """Drop capabilities, files and system calls; return why calls are not filtered, if they ought to be."""
    keep, groups = [], ["links"]
    file = options.write.path if options.write is not None and options.write.path != "-" else ""
    writes = [path for path in (file, options.picture) if path]
    if options.may_change:
        keep.append(privileges.CAP_NET_RAW)
        groups.append("capture")
    if file:
        keep.append(privileges.CAP_DAC_OVERRIDE)  # the next file may lie where only root may write
    if writes:
        groups.append("write")
    if options.listen:
        groups.append("serve")
    if options.seccomp:
        privileges.close_inherited()
        if options.may_change and options.expression:
            bpf_filter.seal(options.expression)
    is_dated = options.write is not None and options.write.seconds > 0
    return privileges.harden(keep=keep, seccomp=options.seccomp, groups=groups, writes=writes, patterns=is_dated)
