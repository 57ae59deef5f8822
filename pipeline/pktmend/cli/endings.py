"""What ends a command: each as one line on standard error and an exit code.

A mistake in pktmend itself is none of these: it is raised, so that it can be reported whole.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pktmend.errors import EXIT_MISSING, EXIT_PRIVILEGE, EXIT_PROBLEMS, EXIT_USAGE, OSFailure, PktmendError

if TYPE_CHECKING:
    import click

Ending = tuple[type[BaseException], Callable[[Any], "str | int | None"]]  # what ended it, what says so
EXIT_INTERRUPTED: Final = 128 + 2  # as a shell shows SIGINT
EXIT_PIPE: Final = 128 + 13  # SIGPIPE
# what writing to standard output may answer that names no file
OUTPUT: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
_HINTS: Final = {
    errno.EMFILE: "raise the limit of open files: `ulimit -n`, LimitNOFILE= of systemd",
    errno.ENFILE: "raise fs.file-max: the whole system has no file left to open",
    errno.ENOMEM: "raise `ulimit -v`, or the memory limit of the container",
}


def exit_code(error: BaseException) -> str | int | None:
    """Say what ended the command, by the first entry of _ENDINGS that fits; raises what is none of them."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:  # of whatever class
        return _on_broken_pipe()
    for kind, ending in (*_endings_of_click(), *_ENDINGS):
        if isinstance(error, kind):
            return ending(error)
    raise error


def _say(text: object, code: int) -> int:
    with suppress(OSError):  # standard error may be on the same full disk
        print(f"pktmend: {text}", file=sys.stderr, flush=True)
    return code


def _with_hint(text: object, hint: str | None) -> str:
    return f"{text} ({hint})" if hint else str(text)


def _on_usage(error: click.ClickException) -> int:
    import click

    if isinstance(error, click.BadParameter) and error.ctx and error.param and error.param_hint is None:
        error.param_hint = _source_of(error.ctx, error.param)
    with suppress(OSError):
        error.show()
    return EXIT_USAGE


def _source_of(context: click.Context, parameter: click.Parameter) -> str | None:
    """Return the name of the variable or file that set *parameter*; None if that was the command line."""
    from pktmend.console import settings

    origin = settings.origin_of(context, parameter)
    if origin in (settings.COMMAND_LINE, settings.DEFAULT):
        return None
    return f"'{parameter.opts[-1]}' (set by {origin})"


def _on_interrupt(_: BaseException) -> int:
    with suppress(OSError):
        print(file=sys.stderr)  # behind the ^C of the terminal
    return EXIT_INTERRUPTED


def _on_view(error: BufferError) -> int:
    """A stage's view was in the way of closing; what came first says whose it is."""
    first = error if isinstance(error, PktmendError) else error.__context__
    return _say(first or error, EXIT_PROBLEMS)


def _on_ours(error: PktmendError) -> int:
    if isinstance(error, OSFailure) and error.errno == errno.ENODEV and error.subject:
        with suppress(Exception):  # what it was about is said in any case
            from pktmend.cli.elsewhere import hint_for

            error.hint = hint_for(error.subject, sys.argv[1:]) or error.hint
    hint = _HINTS.get(error.errno or 0) if isinstance(error, OSFailure) and not error.hint else None
    return _say(_with_hint(error, hint), error.exit_code)


def _on_broken_pipe() -> int:
    _abandon_output()
    return EXIT_PIPE


def _on_system(error: OSError) -> int:
    """The system refused what nobody had expected it to: the errors of writing do not name a file."""
    words = error.strerror or str(error)
    if error.errno in OUTPUT and error.filename is None:
        code = _say(f"writing standard output: {words}", EXIT_MISSING)
        _abandon_output()
        return code
    is_privilege = error.errno == errno.EPERM or (error.errno == errno.EACCES and error.filename is None)
    file = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    what = f"{file}: {words}" if file else words
    hint = _HINTS.get(error.errno or 0) or ("needs root" if is_privilege else None)
    if error.errno == errno.ENOENT and file.startswith("/proc/"):
        hint = "needs /proc: `mount -t proc proc /proc`"
    return _say(_with_hint(what, hint), EXIT_PRIVILEGE if is_privilege else EXIT_MISSING)


def _on_memory(_: MemoryError) -> int:
    return _say(_with_hint("out of memory", _HINTS[errno.ENOMEM]), EXIT_MISSING)


def _on_import(error: ImportError) -> int:
    return _say(f"cannot load {error.name or 'a module'}: {error}", EXIT_MISSING)


def _on_threads(error: RuntimeError) -> int:
    """A mistake of ours, unless it is the one that the interpreter has for a limit of the system's."""
    if isinstance(error, RecursionError) or "start new thread" not in str(error):
        raise error
    return _say(f"{error} (raise the limit of processes and threads, or of memory)", EXIT_MISSING)


def _on_letters(error: UnicodeError) -> int:
    return _say(f"text that cannot be encoded in this locale or is no UTF-8: {error}", EXIT_USAGE)


def _abandon_output() -> None:
    """Drop what is left in the buffers: its reader is gone."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor, inheritable=False)  # as dup3(), which the filter of system calls knows
    except OSError:  # with it on, nothing may be opened for writing any more
        sys.stdout = sys.stderr = None


def _endings_of_click() -> tuple[Ending, ...]:
    """Return its errors and what says them; none where nobody has loaded it."""
    click = sys.modules.get("click")
    if click is None:
        return ()
    return (
        (click.exceptions.Exit, lambda ended: ended.exit_code),
        (click.ClickException, _on_usage),
        (click.Abort, _on_interrupt),
    )


# From the special to the general: what ended the command, and what says so and returns the exit code.
_ENDINGS: Final[tuple[Ending, ...]] = (
    (SystemExit, lambda ended: ended.code),
    (KeyboardInterrupt, _on_interrupt),
    (BufferError, _on_view),
    (PktmendError, _on_ours),
    (OSError, _on_system),
    (MemoryError, _on_memory),
    (ImportError, _on_import),
    (UnicodeError, _on_letters),
    (RuntimeError, _on_threads),
)
