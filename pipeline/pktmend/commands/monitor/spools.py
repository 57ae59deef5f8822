"""The spools of all workers, and the account of their packets: written, waiting, or not written and why.

Rules of this file:
1. Each wanted packet is in one place of the account, always.
2. Any thread may call anything: one lock guards the account.  A spool's own counters belong to its worker.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pktmend import _core
from pktmend.commands.monitor.options import WriteOptions
from pktmend.host.offload_settings import interface_comment

SPOOL: Final = 64 << 20
ALL_SPOOLS: Final = 256 << 20
NEWCOMER_SPOOL: Final = 1 << 20
LEAST_SPOOL: Final = 256 << 10
SECTION_INTERFACES: Final = 4096  # PP_WRITER_INTERFACES
FULL: Final = "buffer full"


@dataclass(frozen=True)
class Account:
    """Packets; *reason*: why none are taken now, empty while they are."""

    written: int
    buffered: int
    not_written: dict[str, int]
    reason: str


class Spools:
    """Gives a spool to each worker.

    notify:  called with (kind, words).
    workers: how many there will be, roughly; see expect().
    """

    def __init__(self, options: WriteOptions, notify: Callable[[str, str], None], workers: int = 1) -> None:
        self._options = options
        self._notify = notify
        self._size = _size_of_each(workers)
        self._left = ALL_SPOOLS
        self._expected = workers
        self._lock = threading.Lock()
        self._interfaces: list[tuple[str, int]] = []  # (name, link type); the place is the number in the file
        self._comments: dict[str, str] = {}  # by name
        self._spools: list[_core.Spool] = []
        self._sizes: dict[_core.Spool, int] = {}
        self._retired: list[_core.Spool] = []  # of those, the ones whose worker has ended
        self._emptied = (0, 0, 0)  # put in, refused as full, refused as stopped: by spools that are gone
        self._reason = ""
        self._refusing = ""  # the reason that packets refused since the last settling are counted under
        self._refused: Counter[str] = Counter()
        self._discarded: Counter[str] = Counter()  # taken out of a spool and not written
        self._written = 0

    def expect(self, workers: int, *, may_grow: bool) -> None:
        """Size the first spools for so many workers; leave half for those that may come later."""
        self._expected = workers
        self._size = _size_of_each(workers * 2 if may_grow and workers > 1 else workers)

    def _next_size(self) -> int:
        """Return the bytes of the next spool: together they stay within ALL_SPOOLS."""
        if self._expected > 0:
            return self._size
        return NEWCOMER_SPOOL if self._left > ALL_SPOOLS // 4 else LEAST_SPOOL

    def new(self, name: str, link: int) -> _core.Spool | None:
        """Return a spool for another worker of interface *name*; None if the file or the memory has no room for it."""
        with self._lock:
            size = self._next_size()
            if size > self._left:
                self._notify("writer", f"{name}: not written: the {ALL_SPOOLS >> 20} MiB of buffers are used up")
                return None
            if (name, link) not in self._interfaces and len(self._interfaces) < SECTION_INTERFACES:
                self._interfaces.append((name, link))
                self._comments[name] = interface_comment(name)
            if (name, link) in self._interfaces:
                spool = _core.Spool(
                    size,
                    interface=self._interfaces.index((name, link)),
                    only_bad=self._options.only_bad,
                    snaplen=self._options.snaplen,
                    comments=True,
                )
                spool.stop(bool(self._reason))
                self._spools.append(spool)
                self._sizes[spool] = size
                self._left -= size
                self._expected -= 1
                return spool
        self._notify("writer", f"{name}: not written: a file has room for {SECTION_INTERFACES} interfaces")
        return None

    def retire(self, spool: _core.Spool) -> None:
        """Forget a spool whose worker has ended, once it is empty; what it counted stays."""
        with self._lock:
            self._retired.append(spool)

    @property
    def interfaces(self) -> list[tuple[str, int]]:
        """(name, link type) of all there have been."""
        with self._lock:
            return list(self._interfaces)

    def comment_on(self, name: str) -> str:
        """Return what the file says of an interface: what was set when its first ring was made."""
        return self._comments.get(name, "")

    def account(self) -> Account:
        """Return what became of the packets so far."""
        with self._lock:
            self._settle()
            put, full, _ = self._counts()
            not_written = self._refused + self._discarded + Counter({FULL: full})
            waiting = put - self._written - self._discarded.total()
            # a worker shows a packet to the writer a moment before it counts it
            return Account(self._written, max(0, waiting), dict(not_written), self._reason)

    def give_up(self) -> None:
        """Wait for no reader any more: a drain that does ends with ETIMEDOUT."""
        for spool in self._all():
            spool.give_up()

    # --- called by the writer ---

    def waiting(self) -> list[_core.Spool]:
        """Return those that hold something; retired ones that hold nothing are gone afterwards."""
        with self._lock:
            waiting = [spool for spool in self._spools if spool.pending()]
            for spool in [each for each in self._retired if each not in waiting]:
                self._retired.remove(spool)
                self._spools.remove(spool)
                self._left += self._sizes.pop(spool)
                self._emptied = _total([self._emptied, spool.counts()])
            return waiting

    def add_written(self, packets: int) -> None:
        """Count them."""
        with self._lock:
            self._written += packets

    def discard(self) -> bool:
        """Throw away what is in the spools, under the reason they were stopped for; was there anything?"""
        packets = sum(spool.discard() for spool in self.waiting())
        with self._lock:
            self._discarded[self._reason] += packets
        return packets > 0

    def stop(self, reason: str) -> None:
        """Take no packets from now on; those refused before keep the reason they had."""
        with self._lock:
            self._settle()
            self._reason = self._refusing = reason
            for spool in self._spools:
                spool.stop()

    def go_on(self) -> None:
        """Take packets."""
        with self._lock:
            self._reason = ""
            for spool in self._spools:
                spool.stop(False)

    def _settle(self) -> None:
        """Count what was refused since the last time; a worker may still refuse some after go_on()."""
        _, _, refused = self._counts()
        if new := refused - self._refused.total():
            self._refused[self._refusing] += new

    def _counts(self) -> tuple[int, int, int]:
        return _total([self._emptied, *(spool.counts() for spool in self._spools)])

    def _all(self) -> list[_core.Spool]:
        with self._lock:
            return list(self._spools)


def _total(counts: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    put, full, refused = zip(*counts, strict=True)
    return sum(put), sum(full), sum(refused)


def _size_of_each(workers: int) -> int:
    """Return the bytes of each spool, a power of two."""
    share = max(LEAST_SPOOL, min(SPOOL, ALL_SPOOLS // max(1, workers)))
    return int(1 << (share.bit_length() - 1))
