"""Follow what happens to an interface whose sockets are in use, and notify of each change once.

An interface may go down, change its MTU or offloads, be renamed, deleted and made again, or be moved to another
namespace.  A packet socket survives all of that; what it is bound to may not.  Needs no privilege.
"""

from __future__ import annotations

from collections.abc import Callable

from pktmend.errors import OSFailure
from pktmend.host.interfaces import hardware_of, index_of, interfaces, is_up, mtu_of
from pktmend.packetio.emit import Emit
from pktmend.packetio.interface_lock import InterfaceLock
from pktmend.packetio.internal_port import PortAnchor
from pktmend.packetio.ring import Ring


class LinkMonitor:
    """One interface: its sockets, the lock on it if there is one, and what was last seen of it.

    index: its number, also after it is gone.    can_carry: is it there, and up?    mtu: in bytes.
    """

    def __init__(self, name: str, sockets: list[Ring | Emit | PortAnchor], lock: InterfaceLock | None = None) -> None:
        self.name = name
        self.index = index_of(name)
        self._sockets = sockets
        self._lock = lock
        self._kind = hardware_of(name)
        self._is_refused = False
        self._is_there = True
        self._is_up = True
        self.mtu = mtu_of(name)
        self._offloads = self._read_offloads()

    @property
    def can_carry(self) -> bool:
        """Is it there, and up?"""
        return self._is_there and self._is_up

    def _read_offloads(self) -> tuple[bool, bool] | None:
        return next((each.read_offloads() for each in self._sockets if isinstance(each, Emit)), None)

    def _obstacle(self) -> str | None:
        """Why the interface that has this name now cannot be used; None if it can."""
        if (kind := hardware_of(self.name)) != self._kind:
            return f"its frames are of another kind (ARPHRD {kind}, before {self._kind})"
        if self._lock is not None and not self._lock.move(index_of(self.name)):
            return "another bridge has taken it"
        return None

    def poll(self, notify: Callable[[str], None]) -> None:
        """Compare with the system, adapt, and *notify* of what changed."""
        try:
            self._follow(notify)
        except (OSError, OSFailure):
            return  # it went away meanwhile: the next poll sees that

    def _follow(self, notify: Callable[[str], None]) -> None:
        bound = {each.bound_to() for each in self._sockets}
        if "" in bound:  # the kernel takes a deleted or moved interface off the socket
            if self._is_there:
                self._is_there = False
                notify(f"{self.name}: the interface is gone; waiting for one of that name")
            if self.name not in interfaces() or not is_up(self.name):
                return
            if (obstacle := self._obstacle()) is not None:
                if not self._is_refused:
                    notify(f"{self.name}: the interface is back, but {obstacle}; waiting")
                self._is_refused = True
                return
            for each in self._sockets:
                each.rebind()
            self._is_there = self._is_up = True
            self._is_refused = False
            self.index = index_of(self.name)
            notify(f"{self.name}: the interface is back, bound again")
            bound = {self.name}
        name = bound.pop()
        if name != self.name:
            notify(f"{self.name}: the interface is called {name} now; going on with it")
            self.name = name
            for each in self._sockets:
                each.renamed(name)
        if is_up(name) != self._is_up:
            self._is_up = not self._is_up
            notify(f"{name}: the link is {'up' if self._is_up else 'down'}")
        if (mtu := mtu_of(name)) != self.mtu:
            notify(f"{name}: MTU {self.mtu} is {mtu} now")
            self.mtu = mtu
            for each in self._sockets:
                if isinstance(each, Emit):
                    each.set_mtu(mtu)
        if (offloads := self._read_offloads()) != self._offloads:
            self._offloads = offloads
            notify(f"{name}: segmentation offloads changed")
            for each in self._sockets:
                if isinstance(each, Emit):
                    each.adapt()
