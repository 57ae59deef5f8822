"""Which packets the kernel drops for their checksum, for a few seconds: skb:kfree_skb by tracefs, in an own instance.

The kernel names its reason since Linux 5.17; what traces it costs nothing once the instance is removed.

Source: Linux Documentation/trace/ftrace.rst (instances), include/net/dropreason-core.h.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pktmend.commands.doctor.finding import FEW, HostFinding, Severity
from pktmend.console.plural import quantity
from pktmend.errors import OSFailure, PrivilegeError

PLACES: Final = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
EVENT: Final = "events/skb/kfree_skb"
REASON: Final = re.compile(r"\{\s*(\d+),\s*\"(\w*CSUM\w*)\"\s*\}")
LINE: Final = re.compile(r"kfree_skb: .*protocol=(\d+) location=(\S+).* reason: (\w+)")
BUFFER_KIB: Final = 4096


def watch_drops(seconds: float, wait: Callable[[float], object]) -> list[HostFinding]:
    """Return one finding for each reason that names a checksum.

    wait:    lets the given seconds pass, fewer if a signal comes.
    Raises:  OSFailure if this kernel has no tracefs mounted or names no reasons, PrivilegeError without root.
    """
    with _instance() as folder:
        reasons = dict(REASON.findall((folder / EVENT / "format").read_text()))
        if not reasons:
            raise OSFailure("this kernel names no drop reasons", "they came with Linux 5.17")
        (folder / EVENT / "filter").write_text(" || ".join(f"reason == {number}" for number in reasons))
        (folder / EVENT / "enable").write_text("1")
        begin = time.monotonic()
        wait(seconds)
        seconds = time.monotonic() - begin
        (folder / EVENT / "enable").write_text("0")
        dropped = Counter((reason, location) for _, location, reason in LINE.findall((folder / "trace").read_text()))
    return list(_findings(dropped, seconds))


def _findings(dropped: Counter[tuple[str, str]], seconds: float) -> Iterator[HostFinding]:
    by_reason: Counter[str] = Counter()
    for (reason, _), n in dropped.items():
        by_reason[reason] += n
    for reason, n in by_reason.most_common():
        places = [f"{location}: {count}" for (why, location), count in dropped.most_common() if why == reason]
        yield HostFinding(
            name="dropped-now",
            severity=Severity.PROBLEM if n > FEW else Severity.WARNING,
            title=f"the kernel dropped {quantity(n, 'packet')} within {seconds:.1f} s, reason {reason}",
            meaning="Somewhere on this machine, namespaces included, packets arrive with a wrong checksum right now.",
            evidence=tuple(places),
        )


@contextmanager
def _instance() -> Iterator[Path]:
    """Make a tracing instance of our own and remove it again; no other tracing is touched."""
    root = next((place for place in PLACES if (place / "instances").is_dir()), None)
    if root is None:
        raise OSFailure("tracefs is not mounted", "mount -t tracefs tracefs /sys/kernel/tracing")
    folder = root / "instances" / f"pktmend-{os.getpid()}"
    try:
        folder.mkdir()
    except PermissionError as error:
        raise PrivilegeError("watching drops needs root", "sudo", error.errno or 0) from error
    try:
        (folder / "buffer_size_kb").write_text(str(BUFFER_KIB))
        yield folder
    finally:
        for _ in range(50):
            try:
                folder.rmdir()
                break
            except OSError:  # a reader of another program is still inside
                time.sleep(0.02)
