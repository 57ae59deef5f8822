"""What a check makes to be handed on, beside what it prints: an annotated capture, a report."""

import contextlib
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from pktmend.commands.check.found import Found
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Stage

if TYPE_CHECKING:
    from pktmend.commands.check.annotated import Annotated
    from pktmend.commands.check.report import Keep
    from pktmend.packetio.ring import Ring


class HandOn(NamedTuple):
    """What is wanted, by the name of the file that it goes to; "" not.

    write: the packets, with comments.    report: a page.    mode: of the capture that is made.
    """

    write: str = ""
    report: str = ""
    mode: int = 0o600

    @property
    def option(self) -> str:
        """The first option that was given, "" if none was."""
        return "-w" if self.write else "--report" if self.report else ""

    def validate(self) -> None:
        """Raise ConfigError for what cannot be, before anything is read."""
        if self.write:
            from pktmend.commands.check.annotated import require_pcapng

            require_pcapng(self.write)
        if self.report:
            from pktmend.report.page import require_report

            require_report(self.report)

    def begin(
        self, source: "Capture | Ring", stack: ExitStack, is_stopped: Callable[[], bool], *, is_whole: bool
    ) -> "Handing":
        """Open what is written while packets are read; *stack* closes it.  is_whole: every packet is read."""
        handing = Handing(self, is_live=not isinstance(source, Capture))
        if self.report:
            from pktmend.commands.check.report import Keep

            handing.keep = Keep()
        if self.write:
            from pktmend.commands.check.annotated import annotated

            sink = annotated(self.write, source, is_stopped, mode=self.mode, is_whole=is_whole)
            handing.sink = stack.enter_context(sink)
            if self.write == "-":  # the packets are data now, and the rest is talk
                stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        return handing


NOTHING: Final = HandOn()


class Handing:
    """The same while packets are read."""

    def __init__(self, wanted: HandOn, *, is_live: bool) -> None:
        self.wanted, self.is_live = wanted, is_live
        self.sink: Annotated | None = None
        self.keep: Keep | None = None

    @property
    def stages(self) -> list[Stage]:
        """What looks at packets for it."""
        return [self.keep] if self.keep is not None else []

    @property
    def needs_expected(self) -> bool:
        """Is to be known what would be right of checksums that are only unfinished?"""
        return self.sink is not None or self.keep is not None

    def finish(self, found: Found, source: str) -> None:
        """Write what is known at the end.  source: a file or an interface."""
        if self.sink is not None:
            from pktmend.commands.check.annotated import summarise

            if missing := summarise(self.sink, found, source):
                print(f"pktmend: {missing}", file=sys.stderr, flush=True)
            self.sink.close()
        if self.keep is not None:
            from pktmend.commands.check.report import report_of
            from pktmend.report.page import write_report

            write_report(self.wanted.report, report_of(found, self.keep, source, is_live=self.is_live))
