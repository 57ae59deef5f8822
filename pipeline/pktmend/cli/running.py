"""What a command runs in: streams that escape, and errors that become a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from pktmend.cli.endings import exit_code
from pktmend.cli.plain import plain_call
from pktmend.console.streams import Nowhere, protect

COMPLETE = "_PKTMEND_COMPLETE"  # a shell asks for completions (click's name)


def call_of(words: Sequence[str]) -> tuple[Callable[[], None], bool]:
    """Return what runs the command line *words*, and whether that is one of the plain forms, which need no click."""
    call = plain_call(words) if COMPLETE not in os.environ else None
    if call is not None:
        return call, True
    from pktmend.cli.app import invoke

    return lambda: invoke(list(words)), False


def run_call(call: Callable[[], None]) -> str | int | None:
    """Call it and return the exit code; errors are a line on stderr."""
    if sys.stderr is None:  # closed before this process began: what nobody can read goes nowhere
        sys.stderr = Nowhere()
    protect()
    try:
        try:
            call()
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # here, where a full disk is still an error and not a traceback
    except BaseException as error:
        return exit_code(error)
    return 0
