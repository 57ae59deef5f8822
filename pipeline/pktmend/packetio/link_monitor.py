"""Keeps the ports of a running bridge in step with their interfaces, and tells each change once.

An interface may go down, change its MTU or offloads, be renamed, deleted and made again, or be moved to another
namespace.  A packet socket survives all of that; what it is bound to may not.  Needs no privilege.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from pktmend.errors import OSFailure
from pktmend.host.interfaces import is_up, mtu_of
from pktmend.packetio.afpacket import Emit, Ring
from pktmend.packetio.interface_lock import InterfaceLock


class LinkMonitor:
    """One interface of the bridge: its sockets, the claim to it if there is one, and what was last seen of it."""

    def __init__(self, name: str, ports: list[Ring | Emit], claim: InterfaceLock | None = None) -> None:
        self.name = name
        self._ports = ports
        self._claim = claim
        self._is_refused = False
        self._is_there = True
        self._is_up = True
        self._mtu = mtu_of(name)
        self._offloads = self._read_offloads()

    def _read_offloads(self) -> tuple[bool, bool] | None:
        return next((each.read_offloads() for each in self._ports if isinstance(each, Emit)), None)

    def look(self, tell: Callable[[str], None]) -> None:
        """Compare with the system, adapt, and *tell* what changed."""
        try:
            self._follow(tell)
        except (OSError, OSFailure):
            return  # it went away while we looked: the next look sees that

    def _follow(self, tell: Callable[[str], None]) -> None:
        bound = {each.bound_to() for each in self._ports}
        if "" in bound:  # the kernel takes a deleted or moved interface off the socket
            if self._is_there:
                self._is_there = False
                tell(f"{self.name}: the interface is gone; waiting for one of that name")
            if self.name not in (each for _, each in socket.if_nameindex()) or not is_up(self.name):
                return
            if self._claim is not None and not self._claim.move(socket.if_nametoindex(self.name)):
                if not self._is_refused:
                    tell(f"{self.name}: the interface is back, but another bridge has taken it; waiting")
                self._is_refused = True
                return
            for each in self._ports:
                each.rebind()
            self._is_there = self._is_up = True
            self._is_refused = False
            tell(f"{self.name}: the interface is back, bound again")
            bound = {self.name}
        name = bound.pop()
        if name != self.name:
            tell(f"{self.name}: the interface is called {name} now; going on with it")
            self.name = name
            for each in self._ports:
                each.renamed(name)
        if is_up(name) != self._is_up:
            self._is_up = not self._is_up
            tell(f"{name}: the link is {'up' if self._is_up else 'down'}")
        if (mtu := mtu_of(name)) != self._mtu:
            tell(f"{name}: MTU {self._mtu} is {mtu} now")
            self._mtu = mtu
            for each in self._ports:
                if isinstance(each, Emit):
                    each.set_mtu(mtu)
        if (offloads := self._read_offloads()) != self._offloads:
            self._offloads = offloads
            tell(f"{name}: segmentation offloads changed")
            for each in self._ports:
                if isinstance(each, Emit):
                    each.adapt()
