"""One port of a bridge, kept as it was asked for: programs first on its ingress, offload features as wanted.

Rules of this file:
1. The port is followed through a new name, through deletion, and to other namespaces and back.
2. Features are put back only where they still are as we set them.

Not here: the process that keeps ports (keeper_process), what it is asked for (keeper_messages), and the programs
(kept_programs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from pktmend.commands.bridge.kept_programs import KeptPrograms, Tell
from pktmend.errors import OSFailure
from pktmend.host import ethtool
from pktmend.host.interfaces import index_of, name_of
from pktmend.host.tcx import Attachment
from pktmend.packetio.interface_lock import InterfaceLock

LOCK_PATIENCE: Final = 3.0  # seconds for the keeper of a bridge that ended just now to end


class KeptPort:
    """The interface that is called *name*, wherever that name goes; check() is to be called often.

    programs: on its ingress.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.index = index_of(name)
        self.programs = KeptPrograms()
        self._lock: InterfaceLock | None = None
        self._wanted: dict[str, bool] = {}
        self._before: dict[str, bool] = {}

    def keep(self, purpose: str, make: Callable[[int], Attachment]) -> None:
        """Attach by make(index), before what is kept already, and again whenever that is needed.

        Raises OSFailure if another bridge has the port or another program stays before ours; OSError.
        """
        if self._lock is None:
            self._lock = InterfaceLock("isolation", self.index, self.name, patience=LOCK_PATIENCE)
        self.programs.add(self.index, self.name, purpose, make)

    def set_features(self, wanted: Mapping[str, bool]) -> dict[str, bool]:
        """Set offload features; return those that were changed.  What is fixed or unknown stays as it is.

        Raises OSFailure.
        """
        self._wanted.update(wanted)
        now = ethtool.read_features(self.name)
        known = {name: on for name, on in wanted.items() if name in now and not now[name].is_fixed}
        changes = {name: on for name, on in known.items() if now[name].requested != on}
        if changes:
            ethtool.request_features(self.name, changes)
            self._before |= {name: not on for name, on in changes.items() if name not in self._before}
        return changes

    def may_switch(self, feature: str) -> bool:
        """Is it off, and can it be switched?  OSFailure."""
        state = ethtool.read_features(self.name).get(feature)
        return state is not None and not state.is_fixed and not state.requested

    def hear(self, index: int, name: str) -> None:
        """Take note of a name that the kernel tells of."""
        if index == self.index:
            self.name = name

    def check(self, tell: Tell) -> None:
        """Follow the interface, see that all is as it should be, and put it back if not; *tell* what happened."""
        index = self._locate()
        if index != self.index:
            self.programs.close()
            self._before = {}  # what was changed went with that interface
            self.index = index
            if index and self._wanted:
                with suppress(OSFailure):  # gone again
                    self.set_features(self._wanted)
        if index and self.programs:
            self.programs.check(index, self.name, tell)

    def release(self) -> None:
        """Give the port back as it was.  OSError, OSFailure."""
        is_same = self._locate() == self.index
        try:
            self.programs.close()
        finally:
            if self.index and is_same and self._before:
                now = ethtool.read_features(self.name)
                back = {name: on for name, on in self._before.items() if now[name].requested != on}
                if back:
                    ethtool.request_features(self.name, back)

    def _locate(self) -> int:
        """Return the number of the interface, of another that has its name now, or 0; keep to its new name."""
        if self.index:
            with suppress(OSError):
                if name := name_of(self.index):
                    self.name = name
                    return self.index
        try:
            index = index_of(self.name)
        except OSError:
            return 0
        return index if self._lock is None or self._lock.move(index) else 0
