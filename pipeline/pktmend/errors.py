"""The errors of misuse and environment.  Packets never raise: a bad packet is data with a named reason.

    PktmendError                     exit code 1
        ConfigError(ValueError)      2: a value that cannot work, the caller's mistake
        OSFailure(OSError)           4: the system refused; errno and subject say what, and of which interface or file
            PrivilegeError           3: a capability is missing (also a PermissionError)
        FormatError(ValueError)      5: not a capture, or a broken one; offset says where
        StageError                   1: a stage, source or sink in Python (or a native stage) failed; see __cause__
            ViewError(BufferError)   1: it kept a view of a batch beyond its call

Each also inherits the standard exception of its kind, so that `except OSError` and `except ValueError` work.  The exit
code is that of the command line when the error ends it; a library user may ignore it.
"""

from __future__ import annotations

import os
from typing import Final

EXIT_PROBLEMS: Final = 1  # something is wrong with the packets, or a stage failed
EXIT_USAGE: Final = 2
EXIT_PRIVILEGE: Final = 3
EXIT_MISSING: Final = 4  # an interface, file or program that is missing or cannot be used
EXIT_DATA: Final = 5


class PktmendError(Exception):
    """Root of this tree.

    detail:    one sentence: what failed, and on what.
    hint:      what to do about it; may be empty.
    exit_code: of the command line when this ends it: 1 problems, 2 usage, 3 privilege, 4 missing, 5 data.
    str() is the detail, with the hint in parentheses.
    """

    exit_code: int = EXIT_PROBLEMS

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} ({self.hint})" if self.hint else self.detail


class ConfigError(PktmendError, ValueError):
    """A value that cannot work: the caller's mistake.  Exit code 2.

    options: the parameters of the command that it is about, by name.
    """

    exit_code = EXIT_USAGE

    def __init__(self, detail: str, hint: str = "", *, options: tuple[str, ...] = ()) -> None:
        super().__init__(detail, hint)
        self.options = options


class OSFailure(PktmendError, OSError):
    """The system refused.  Exit code 4.

    errno:    the system's number, or None if there is none; strerror: its words.
    subject:  the interface, file or program that it is about; may be empty.
    """

    exit_code = EXIT_MISSING

    def __init__(self, detail: str, hint: str = "", error: int = 0, subject: str = "") -> None:
        PktmendError.__init__(self, detail, hint)
        self.errno = error or None
        self.strerror = os.strerror(error) if error else None
        self.subject = subject


class PrivilegeError(OSFailure, PermissionError):
    """A capability is missing; the detail names it.  Exit code 3."""

    exit_code = EXIT_PRIVILEGE


class FormatError(PktmendError, ValueError):
    """A capture that is not one, or is broken.  Exit code 5.

    offset:   byte in the file at which reading stopped.
    subject:  the file; empty where only its bytes were known.
    """

    exit_code = EXIT_DATA

    def __init__(self, detail: str, hint: str = "", offset: int = 0, subject: str = "") -> None:
        super().__init__(detail, hint)
        self.offset = offset
        self.subject = subject


class StageError(PktmendError):
    """A stage failed, or a source or sink in Python.  Exit code 1.

    stage:    its name.  The original exception is __cause__; a native stage has none.
    """

    def __init__(self, detail: str, hint: str = "", stage: str = "") -> None:
        super().__init__(detail, hint)
        self.stage = stage


class ViewError(StageError, BufferError):
    """A stage kept a view of a batch beyond its call.  Exit code 1."""
