"""The last stage of a check: it hands on what is to be printed, by the batch; the engine counts, and says what is new.

Reads: status, cause, checks, unread.  Writes: nothing.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from pktmend._core import NEWS_BAD, NEWS_FIRST, NEWS_UNREAD, Batch, FlowCounts, News
from pktmend.commands.check.lines import all_lines, bad_lines, json_line
from pktmend.commands.check.rows import Row, Rows
from pktmend.console.unread import take_unread
from pktmend.enums import Cause, Proto, Status

SHOWN: Final = 10  # bad packets of each cause
BAD: Final = int(Status.BAD)

Put = Callable[[str], None]
PutShown = Callable[[str, Row], None]  # cause, a packet


class Wanted(NamedTuple):
    """What is to be printed.

    json:    as NDJSON: each packet.
    every:   good packets too.
    all_bad: every bad packet, in text; else the first SHOWN of each cause.
    """

    json: bool = False
    every: bool = False
    all_bad: bool = False

    @property
    def is_short(self) -> bool:
        """Are most bad packets only counted?"""
        return not (self.json or self.every or self.all_bad)


class Look:
    """The stage; that of its `flows` goes before it.

    put:      takes text to print, whole lines.
    put_shown: takes a bad packet that is of the first of its cause, where most are only counted.
    json_file: what is added to each line of JSON.       prefix: what begins each line of text.
    """

    name = "print"

    def __init__(self, wanted: Wanted, put: Put, put_shown: PutShown, *, json_file: str = "", prefix: str = "") -> None:
        self.kinds: Counter[tuple[int, int]] = Counter()
        self.flows = FlowCounts(SHOWN if wanted.is_short else 0)
        self._taken: Counter[int] = Counter()
        self._wanted, self._put, self._put_shown = wanted, put, put_shown
        self._json_file, self._prefix = json_file, prefix
        self._rows = Rows()

    @property
    def only_for(self) -> News | None:
        """The batches that it looks at; None: all of them."""
        if self._wanted.every:
            return None
        return self.flows.only_for(NEWS_UNREAD | (NEWS_FIRST if self._wanted.is_short else NEWS_BAD))

    def __call__(self, batch: Batch) -> None:
        """Print what is wanted."""
        news, wanted = self.flows.news, self._wanted
        if news & NEWS_UNREAD:
            take_unread(self.kinds, batch)
        if wanted.is_short:
            if news & NEWS_FIRST:  # nearly always there is nothing to look at
                self._show_first(batch)
            return
        if not (news & NEWS_BAD or wanted.every):
            return
        indices = range(len(batch)) if wanted.every else batch.where(status=BAD)
        rows = self._rows.of(batch, indices)
        if wanted.json:
            text = "".join([json_line(row, self._json_file) for row in rows])
        else:
            lines = all_lines if wanted.every else bad_lines
            text = "".join([f"{self._prefix}{line}\n" for row in rows for line in lines(row)])
        if text:
            self._put(text)

    def _show_first(self, batch: Batch) -> None:
        """Hand on the bad packets that are of the first of their cause, in the order of packets."""
        first: list[tuple[int, str]] = []
        for cause in set(bytes(batch.cause)):
            indices = batch.where(status=BAD, cause=cause)[: SHOWN - self._taken[cause]]
            self._taken[cause] += len(indices)
            first += [(i, _word(cause)) for i in indices]
        for i, word in sorted(first):
            for row in self._rows.of(batch, (i,)):
                self._put_shown(word, row)

    def bad_by_cause(self) -> dict[str, int]:
        """Return the bad packets by the word of their cause."""
        return {_word(cause): n for cause, n in self.flows.bad().items()}

    def unfinished_by_proto(self) -> dict[str, int]:
        """Return the checksums of which the file cannot say whether they are healthy, by protocol."""
        return {str(Proto(proto)): n for proto, n in self.flows.unfinished().items()}


def _word(cause: int) -> str:
    return str(Cause(cause)) if cause else str(Status.BAD)
