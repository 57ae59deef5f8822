"""Files that are written at the end of something long: whether they can be is found out at its beginning."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pktmend.errors import OSFailure


def require_writable(path: str) -> None:
    """Raise OSFailure if *path* could not be written now; nothing is made or changed."""
    file = Path(path)
    if file.is_dir():
        number = errno.EISDIR
    elif not file.parent.is_dir():
        number = errno.ENOENT
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        number = errno.EACCES
    else:
        return
    raise OSFailure(f"cannot write {path}: {os.strerror(number)}", error=number)
