"""The comment on a whole capture: pcapng has it in a section's first block, and what is to be said is known at the end.

So room is left for it, and a file that can be written in the middle gets it when it is closed.  A pipe keeps what was
said at the beginning.

Source: draft-ietf-opsawg-pcapng section 4.1.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import Final

from pktmend import _core

ROOM: Final = 1024  # bytes, with the head of the option and the end of options


class SectionComment:
    """The comment of the section that begins where *fd* stands now.

    first:   what is said until replace().
    is_kept: nothing else can be said later: it is a pipe, or a file that is only appended to.
    """

    def __init__(self, fd: int, first: str) -> None:
        self._fd = fd
        self.first = encoded(first)
        status = os.fstat(fd)
        self.is_kept = not stat.S_ISREG(status.st_mode) or bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)
        self._begin = 0 if self.is_kept else os.lseek(fd, 0, os.SEEK_CUR)

    def replace(self, text: str, at: int, *, is_swapped: bool = False) -> bool:
        """Say *text* instead, at byte *at* of what was written since; False where that cannot be.  Raises OSError."""
        if self.is_kept or not at:
            return False
        os.pwrite(self._fd, _core.comment_option(encoded(text), ROOM, swapped=is_swapped), self._begin + at)
        return True


def encoded(text: str) -> bytes:
    """Return *text* as pcapng has it, in UTF-8."""
    return text.encode("utf-8", "backslashreplace")
