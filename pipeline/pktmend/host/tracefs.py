"""tracefs, and a tracing instance of our own in it: nobody else's tracing is touched, and nothing is left of it.

Where tracefs is not mounted it can be had without a mount that anybody sees: fsopen and fsmount (Linux 5.2) return a
descriptor, and the mount goes with it.

Source: Linux Documentation/trace/ftrace.rst (instances), fsopen(2), fsmount(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PrivilegeError

PLACES: Final = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
HINT: Final = "mount -t tracefs tracefs /sys/kernel/tracing"
PREFIX: Final = "pktmend-"
FIRST_PID_NAMESPACE: Final = 0xEFFFFFFC  # PROC_PID_INIT_INO: elsewhere process ids are others than in the names
BUFFER_KIB: Final = 4096  # for each CPU: some 50,000 drops between two looks
PATIENCE: Final = (50, 0.02)  # how often, and how many seconds between


def mounted() -> Path | None:
    """Return where tracefs is mounted; None if nowhere that is usual."""
    return next((place for place in PLACES if (place / "instances").is_dir()), None)


@contextmanager
def tracefs() -> Iterator[Path]:
    """Yield a folder that is tracefs: where it is mounted, else by a mount of our own that nobody sees.

    Raises: PrivilegeError without CAP_SYS_ADMIN, OSFailure if this kernel has none.
    """
    there = mounted()
    if there is not None and os.access(there / "instances", os.W_OK):
        yield there
        return
    descriptor = _mount()
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _mount() -> int:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(*arguments: object) -> int:
        result: int = libc.syscall(*arguments)
        if result < 0:
            number = ctypes.get_errno()
            if number in (errno.EPERM, errno.EACCES):
                raise PrivilegeError("tracefs is not mounted here, and mounting it needs CAP_SYS_ADMIN", HINT, number)
            raise OSFailure(f"there is no tracefs: {os.strerror(number)}", HINT, number)
        return result

    context = call(lib.__NR_fsopen, b"tracefs", lib.FSOPEN_CLOEXEC)
    try:
        call(lib.__NR_fsconfig, context, lib.FSCONFIG_CMD_CREATE, None, None, 0)
        return call(lib.__NR_fsmount, context, lib.FSMOUNT_CLOEXEC, 0)
    finally:
        os.close(context)


@contextmanager
def instance(root: Path) -> Iterator[Path]:
    """Make an instance of our own below *root* and remove it again.  Raises PrivilegeError, OSFailure."""
    folder = root / "instances" / f"{PREFIX}{os.getpid()}"
    try:
        _remove_stale(folder.parent)
        folder.mkdir()
    except PermissionError as error:
        raise PrivilegeError("watching drops needs root", "sudo", error.errno or 0) from error
    except OSError as error:
        raise OSFailure(f"making a tracing instance: {error.strerror}", "", error.errno or 0) from error
    try:
        with suppress(OSError):
            (folder / "buffer_size_kb").write_text(str(BUFFER_KIB))
        yield folder
    finally:
        times, pause = PATIENCE
        for _ in range(times):
            try:
                folder.rmdir()
                break
            except OSError:  # a reader of another program is still inside
                time.sleep(pause)


def _remove_stale(instances: Path) -> None:
    """Remove what a process of ours that was killed has left there: it would trace for ever."""
    if Path("/proc/self/ns/pid").stat().st_ino != FIRST_PID_NAMESPACE:
        return
    for each in instances.glob(f"{PREFIX}*"):
        pid = each.name.removeprefix(PREFIX)
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                each.rmdir()
