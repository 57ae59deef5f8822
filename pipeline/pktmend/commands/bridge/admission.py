"""Before two interfaces are bridged: no other bridge may carry their frames; the host stack kept out or warned of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pktmend.commands.bridge.host_use import host_use, require_apart, require_free
from pktmend.commands.bridge.keeper import PortKeeper, clean_up
from pktmend.commands.bridge.kept_programs import AttachmentState
from pktmend.errors import OSFailure
from pktmend.host.interfaces import index_of
from pktmend.packetio.interface_lock import InterfaceLock


class Admission:
    """What a bridge of *a* and *b* has taken; a context manager.

    sources:  those of them that are read: two readers of one interface would carry each frame twice.
    isolate:  keep the host stack away from both.     force: go on although another bridge has one, with a warning.
    locks:    by interface.     is_forced: another bridge has one of them too.
    host_use: in words, that the host itself uses one; "" if not.
    warnings: what a person should know, and no reason to refuse.     host_warnings: the same, as long as the host gets
        frames too.
    Raises OSFailure for what is refused.
    """

    def __init__(self, a: str, b: str, *, sources: Sequence[str], isolate: bool = False, force: bool = False) -> None:
        self.locks: dict[str, InterfaceLock] = {}
        self.warnings: list[str] = []
        self.host_warnings: list[str] = []
        self.is_forced = False
        self._keeper: PortKeeper | None = None
        with ExitStack() as stack:
            uses = [host_use(name) for name in (a, b)]
            require_apart(*uses)
            self.host_use = next((words for use in uses if (words := use.in_words())), "")
            for use in uses:
                try:
                    require_free(use)
                    if use.name in sources:
                        lock = InterfaceLock("bridge", index_of(use.name), use.name)
                        self.locks[use.name] = stack.enter_context(lock)
                except OSFailure as error:
                    if not force:
                        raise
                    self.is_forced = True
                    self.warnings.append(f"{error.detail}: frames may be carried twice (--force)")
                told = self.warnings if isolate else self.host_warnings
                told += use.warnings(isolate)
                if not isolate:
                    clean_up(use.name, self.warnings.append)
            self._held = stack
            if isolate:
                self.keeper().isolate(a, b)
            self._held = stack.pop_all()

    def keeper(self) -> PortKeeper:
        """Return what keeps the ports as they should be, begun when it is asked for; until it is sealed."""
        if self._keeper is None:
            self._keeper = self._held.enter_context(PortKeeper())
        return self._keeper

    @property
    def helper(self) -> int:
        """The process that keeps the ports, 0 without."""
        return self._keeper.pid if self._keeper else 0

    @property
    def attachments(self) -> dict[str, list[AttachmentState]]:
        """What is known of the programs that are kept on each port."""
        return self._keeper.states if self._keeper else {}

    def seal(self) -> None:
        """Let the keeper drop its privileges: nothing is asked of it any more."""
        if self._keeper is not None:
            self._keeper.seal()

    @property
    def helper_landlock(self) -> int:
        """The version of Landlock that holds that process, 0 without."""
        return self._keeper.landlock if self._keeper else 0

    def poll(self, notify: Callable[[str], None]) -> None:
        """Notify of what has happened to the ports."""
        if self._keeper is not None:
            self._keeper.poll(notify)

    def __enter__(self) -> Admission:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
