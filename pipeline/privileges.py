"""Give up capabilities once sockets and rings exist: moving frames needs none of them.

Source: capabilities(7), capset(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Final

CAPABILITY_VERSION_3: Final = 0x20080522
PR_SET_NO_NEW_PRIVS: Final = 38
CAP_DAC_OVERRIDE: Final = 1
CAP_NET_RAW: Final = 13


def drop(*keep: int) -> None:
    """Drop the capabilities of the calling thread but those in *keep*, for good.

    Threads that it starts later have no others either.  What it does not have is not gained.
    """
    wanted = sum(1 << bit for bit in keep) & _permitted()
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, _sets(wanted)):
        error = ctypes.get_errno()
        raise OSError(error, f"dropping privileges: {os.strerror(error)}")


def _permitted() -> int:
    """Return the permitted capabilities of this thread, a bit each."""
    for line in Path("/proc/thread-self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def _sets(capabilities: int) -> bytes:
    """Return two struct __user_cap_data: effective and permitted as given, nothing inheritable."""
    low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
    return struct.pack("=6I", low, low, 0, high, high, 0)
