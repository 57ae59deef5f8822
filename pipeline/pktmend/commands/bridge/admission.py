"""Before two interfaces are bridged: no other bridge may carry their frames; the host stack kept out or warned of."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pktmend.commands.bridge.host_use import host_use, require_apart, require_free
from pktmend.commands.bridge.isolation import Isolation, clean_up
from pktmend.errors import OSFailure
from pktmend.packetio.interface_lock import InterfaceLock


class Admission:
    """What a bridge of *a* and *b* has taken; a context manager.

    sources:  those of them that are read: two readers of one interface would carry each frame twice.
    isolate:  keep the host stack away from both.     force: go on although another bridge has one, with a warning.
    locks:    by interface.     warnings: what a person should know, and no reason to refuse.
    Raises OSFailure for what is refused.
    """

    def __init__(self, a: str, b: str, *, sources: Sequence[str], isolate: bool = False, force: bool = False) -> None:
        self.locks: dict[str, InterfaceLock] = {}
        self.warnings: list[str] = []
        self._isolation: Isolation | None = None
        self._is_lost = False
        with ExitStack() as stack:
            uses = [host_use(name) for name in (a, b)]
            require_apart(*uses)
            for use in uses:
                try:
                    require_free(use)
                    if use.name in sources:
                        lock = InterfaceLock("bridge", socket.if_nametoindex(use.name), use.name)
                        self.locks[use.name] = stack.enter_context(lock)
                except OSFailure as error:
                    if not force:
                        raise
                    self.warnings.append(f"{error.detail}: frames may be carried twice (--force)")
                self.warnings += use.warnings(isolate)
                if not isolate:
                    clean_up(use.name, self.warnings.append)
            if isolate:
                self._isolation = stack.enter_context(Isolation(a, b))
            self._held = stack.pop_all()

    @property
    def helper(self) -> int:
        """The process that holds the isolation, 0 without."""
        return self._isolation.pid if self._isolation else 0

    def poll(self, notify: Callable[[str], None]) -> None:
        """Notify, once, if the process that holds the isolation is gone."""
        if self._isolation is not None and not self._is_lost and not self._isolation.is_held():
            self._is_lost = True
            for command in self._isolation.commands_to_end():
                notify(f"the process that isolates the interfaces is gone; they stay so until: {command}")

    def __enter__(self) -> Admission:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
