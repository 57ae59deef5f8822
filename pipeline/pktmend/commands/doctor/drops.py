"""Which packets the kernel drops for their checksum, for a few seconds: skb:kfree_skb by tracefs, in an own instance.

The kernel names its reason since Linux 5.17; what traces it costs nothing once the instance is removed.

Source: Linux Documentation/trace/ftrace.rst (instances), include/net/dropreason-core.h.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from pktmend.commands.doctor.finding import FEW, HostFinding, Severity
from pktmend.console.plural import quantity
from pktmend.errors import OSFailure
from pktmend.host.drop_events import checksum_reasons
from pktmend.host.tracefs import HINT, instance, mounted

EVENT: Final = "events/skb/kfree_skb"
LINE: Final = re.compile(r"kfree_skb: .*protocol=(\d+) location=(\S+).* reason: (\w+)")


def watch_drops(seconds: float, wait: Callable[[float], object]) -> list[HostFinding]:
    """Return one finding for each reason that names a checksum.

    wait:    lets the given seconds pass, fewer if a signal comes.
    Raises:  OSFailure if this kernel has no tracefs mounted or names no reasons, PrivilegeError without root.
    """
    root = mounted()
    if root is None:
        raise OSFailure("tracefs is not mounted", HINT)
    with instance(root) as folder:
        reasons = checksum_reasons((folder / EVENT / "format").read_text())
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
