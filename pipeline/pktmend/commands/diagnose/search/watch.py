"""Wait for the first packet that is dropped for its checksum, wherever on this machine.

Rules of this file:
1. Counters say in which namespace, tracepoints which flow and why; each does without the other.
2. What could not be looked at is in `unread`, with the reason.
3. Looking goes on while the drop is examined: every drop is counted until the end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pktmend.commands.diagnose.search.offers import Offers
from pktmend.commands.diagnose.search.target import Target
from pktmend.console.plural import quantity
from pktmend.errors import PktmendError
from pktmend.host.drop_counters import DropCounters
from pktmend.host.drop_events import Drop, DropEvents, drop_events
from pktmend.host.workloads import named_namespace

if TYPE_CHECKING:
    from pktmend.host.model import Machine
    from pktmend.host.namespaces import Namespace

INTERVAL: Final = 0.05  # seconds between two looks


@dataclass(frozen=True)
class Incident:
    """Packets dropped in one namespace within one look.

    namespace: that dropped them; None if it could not be told.       counters: of it, by how much they rose.
    drop:      what the kernel said of one of them, one with a flow if there is; None without tracepoints.
    is_offer:  a DHCP message that a client's raw socket got, not a drop.
    """

    namespace: Namespace | None
    counters: Mapping[str, int]
    drop: Drop | None
    is_offer: bool = False
    time: float = 0.0  # by time.monotonic()

    @property
    def inode(self) -> int:
        """Of the namespace, 0 if that could not be told."""
        return self.namespace.inode if self.namespace else 0


class Watch:
    """All that is looked at.  A context manager.

    events:  None without tracepoints.      reasons: drops by the kernel's reason, as tracepoints told them.
    unread:  what could not be looked at, and why.
    """

    def __init__(self, machine: Machine) -> None:
        self.unread: list[str] = []
        self.reasons: Counter[str] = Counter()
        self.began = time.monotonic()
        self._named = {each.namespace.inode: each.namespace for each in machine.namespaces}
        self._owners: dict[str, set[int]] = {}  # of an address; several namespaces may have the same
        for interface in machine.interfaces():
            for text in interface.own_addresses():
                self._owners.setdefault(text.partition("/")[0], set()).add(interface.namespace.inode)
        self._exit = ExitStack()
        self.events: DropEvents | None = None
        try:
            self.events = self._exit.enter_context(drop_events())
        except PktmendError as error:
            self.unread.append(f"drop reasons and flows, by tracepoints: {error}")
        self.counters = DropCounters()
        self._offers = self._exit.enter_context(Offers(self.counters.namespaces.values()))
        for why, n in self._offers.failed.items():
            self.unread.append(f"packets in {quantity(n, 'namespace')}: {why} (needs CAP_SYS_ADMIN and CAP_NET_RAW)")

    @property
    def seconds(self) -> float:
        """How long it has been watching."""
        return time.monotonic() - self.began

    @property
    def dropped(self) -> int:
        """How many packets were dropped, by whichever counted more: some are in one account alone."""
        counted = sum(sum(rise.values()) for rise in self.counters.total().values())
        return max(counted, self.reasons.total())

    def look(self) -> list[Incident]:
        """Return what was dropped since the last look; never waits."""
        drops = self.events.read() if self.events is not None else []
        now = time.monotonic()
        rose = self.counters.read() if drops or self.counters.is_due else {}
        if rose and self.events is not None:
            drops += self.events.read()  # what was dropped since the first reading is counted, too
        self.reasons.update(drop.reason for drop in drops)
        found = []
        for inode, rise in rose.items():
            mine = self._of_namespace(drops, inode, is_only=len(rose) == 1)
            found.append(Incident(self._namespace(inode), rise, mine, time=now))
        if drops and not rose:
            first = next((drop for drop in drops if drop.flow), drops[0])
            owners = self._owners.get(first.flow.target, set()) if first.flow else set()
            owner = next(iter(owners)) if len(owners) == 1 else 0
            found.append(Incident(self._namespace(owner), {}, first, time=now))
        leaked = map(self._namespace, self._offers.leaked())
        return [*found, *(Incident(namespace, {}, None, is_offer=True, time=now) for namespace in leaked)]

    def _namespace(self, inode: int) -> Namespace | None:
        """Return the namespace with the containers in it; None if it is not known."""
        if inode not in self._named and inode in self.counters.known:
            self._named[inode] = named_namespace(self.counters.known[inode])
        return self._named.get(inode)

    def _of_namespace(self, drops: list[Drop], inode: int, *, is_only: bool) -> Drop | None:
        """Return the drop that is told best, of those that may have been in this namespace."""
        known = [drop for drop in drops if drop.flow and inode in self._owners.get(drop.flow.target, ())]
        maybe = [drop for drop in drops if drop.flow is None or drop.flow.target not in self._owners]
        return next(iter([*known, *maybe, *(drops if is_only else [])]), None)

    def wait(self, deadline: float, target: Target, is_stopped: Callable[[], bool]) -> Incident | None:
        """Return the first incident that *target* does not rule out; None if there was none until *deadline*."""
        while True:
            left = deadline - time.monotonic()
            is_last = is_stopped() or left <= 0  # one more look: what was dropped before counts
            if not is_last:
                time.sleep(min(INTERVAL, left))
            meant = [incident for incident in self.look() if is_meant(target, incident)]
            if meant or is_last:
                return meant[0] if meant else None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()


def is_meant(target: Target, incident: Incident) -> bool:
    """May it be what is looked for?"""
    return target.admits(incident.inode, incident.drop.flow if incident.drop else None) is not False
