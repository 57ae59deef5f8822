"""Whose code may run here: a file is trusted if only its owner, its group and root can change or replace it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pktmend.errors import ConfigError, OSFailure


def require_trusted(path: Path, what: str) -> Path:
    """Return *path* without its symbolic links, if only trusted users can put something else there.

    Looks at the file and at each directory above it: none may be writable for everybody.  A directory with the sticky
    bit (/tmp) may, if what lies in it is root's or ours.
    Raises: ConfigError that names *what*, the place and its mode; OSFailure if there is nothing.
    """
    try:
        real = path.resolve(strict=True)
    except OSError as error:
        raise OSFailure(f"{what}: {path}: {error.strerror}", error=error.errno or 0) from None
    below: os.stat_result | None = None
    for place in (real, *real.parents):
        status = place.stat()
        if status.st_mode & stat.S_IWOTH:
            is_shared = status.st_mode & stat.S_ISVTX and below is not None and below.st_uid in (0, os.geteuid())
            if not is_shared:
                raise ConfigError(
                    f"{what}: everybody may write to {place} (mode {stat.S_IMODE(status.st_mode):04o})",
                    f"code is loaded from trusted places only: chmod o-w {place}",
                )
        below = status
    return real
