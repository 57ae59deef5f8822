"""Give up capabilities once sockets and rings exist: moving frames needs none of them.

Source: capabilities(7), capset(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

CAPABILITY_VERSION_3: Final = 0x20080522
PR_SET_NO_NEW_PRIVS: Final = 38


def drop() -> None:
    """Drop every capability of the calling thread, for good; threads that it starts later have none either."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, bytes(24)):
        error = ctypes.get_errno()
        raise OSError(error, f"dropping privileges: {os.strerror(error)}")
