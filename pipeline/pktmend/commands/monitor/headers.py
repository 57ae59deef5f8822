"""Reading headers only, where they are enough: the kernel judges a packet before it copies it.

A checksum that is still pending depends on the headers alone.  Where they prove that of TCP right the kernel hands over
the packet's beginning; every other packet comes whole, UDP too: classify knows a datagram again by its last bytes.  All
are read, judged and counted here as ever: copying a super-frame of 64 KiB is what slows the traffic that is watched.

Rules of this file:
1. The kernel says so only where verify comes to the same (ext/bpf/judge.h); verify judges what is left of it again.
2. One set of programs serves all rings, also those that are made when the privileges are gone.
3. What is written to a file is never shorter than -s has it.
"""

from __future__ import annotations

from typing import Final

from pktmend.commands.monitor.options import MonitorOptions
from pktmend.errors import OSFailure
from pktmend.packetio.kernel_judge import KernelJudge, obstacle

LEAST: Final = 128  # more than Ethernet, IPv6 and TCP with all its options take
MOST: Final = 16 << 10  # less than any ring's block: so long a packet was not cut for want of room


class Headers:
    """The kernel's judge for packet sockets.

    program: descriptor of its filter.    length: bytes that are left of a packet whose headers are enough.
    Raises PrivilegeError, OSFailure.
    """

    def __init__(self, length: int) -> None:
        self._judge = KernelJudge()
        self._judge.configure(snap=length, enabled=True)
        self.program = self._judge.look
        self.length = length

    def close(self) -> None:
        """Let go of it; sockets that have the filter keep it."""
        self._judge.close()


def begin_headers(options: MonitorOptions) -> tuple[Headers | None, str]:
    """Return it, or None and why packets are read whole."""
    length, why = length_for(options)
    why = why or obstacle()
    if why:
        return None, why
    try:
        return Headers(length), ""
    except OSFailure as error:
        return None, str(error)


def length_for(options: MonitorOptions) -> tuple[int, str]:
    """Return how many bytes of a packet are enough for these options, or 0 and why all are needed."""
    if options.headers_only == "off":
        return 0, "--headers-only off"
    if options.expression:
        return 0, "a filter expression selects them"
    if options.direction == "out":
        return 0, "-Q out selects them"
    if options.write is None or options.write.only_bad:
        return LEAST, ""
    if not 0 < options.write.snaplen <= MOST:
        return 0, f"-w writes them so (-s {LEAST} would not)"
    return max(LEAST, options.write.snaplen), ""


__all__ = ["Headers", "begin_headers", "length_for"]
