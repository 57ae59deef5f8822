"""What could not be looked at, for people."""

from __future__ import annotations

import os

from pktmend.console.plural import quantity
from pktmend.host.model import Unread, UnreadKind


def blind_spot_text(each: Unread) -> str:
    """Say what could not be looked at, and why."""
    denied = "permission denied" if os.geteuid() == 0 else "permission denied: needs root"
    more = f" and {len(each.names) - 4} more" if len(each.names) > 4 else ""
    names = ", ".join(each.names[:4]) + more
    processes = quantity(each.processes, "process")
    return {
        UnreadKind.NAMESPACES_OF_PROCESSES: f"the namespace of {processes} ({denied})",
        UnreadKind.SOCKETS_OF_PROCESSES: f"the open sockets of {processes} ({denied})",
        UnreadKind.CLOSED: f"{names} (entering a namespace needs CAP_SYS_ADMIN)",
        UnreadKind.FAILED: f"{names} ({each.error})",
    }[each.kind]
