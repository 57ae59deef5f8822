"""The errors of misuse and environment.  Packets never raise: a bad packet is data with a named reason.

Each also inherits the standard exception of its kind, so that `except OSError` and `except ValueError` work.
"""

from __future__ import annotations

import os
from typing import Final

EXIT_PROBLEMS: Final = 1
EXIT_USAGE: Final = 2
EXIT_PRIVILEGE: Final = 3
EXIT_MISSING: Final = 4
EXIT_DATA: Final = 5


class PktmendError(Exception):
    """Root of this tree.

    detail:    one sentence, what and where.
    hint:      what to do about it; may be empty.
    exit_code: of the command line when this ends it: 1 problems, 2 usage, 3 privilege, 4 missing, 5 data.
    """

    exit_code: int = EXIT_PROBLEMS

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} ({self.hint})" if self.hint else self.detail


class ConfigError(PktmendError, ValueError):
    """A value that cannot work: the caller's mistake.

    options: the parameters of the command that it is about, by name.
    """

    exit_code = EXIT_USAGE

    def __init__(self, detail: str, hint: str = "", *, options: tuple[str, ...] = ()) -> None:
        super().__init__(detail, hint)
        self.options = options


class OSFailure(PktmendError, OSError):
    """The system refused: errno, the interface or file it was about, and a hint."""

    exit_code = EXIT_MISSING

    def __init__(self, detail: str, hint: str = "", error: int = 0, interface: str = "") -> None:
        PktmendError.__init__(self, detail, hint)
        self.errno = error or None
        self.strerror = os.strerror(error) if error else None
        self.interface = interface


class PrivilegeError(OSFailure, PermissionError):
    """A capability is missing; the detail names it."""

    exit_code = EXIT_PRIVILEGE


class FormatError(PktmendError, ValueError):
    """A capture file that is not one, or is broken: offset is the octet in the file where reading stopped."""

    exit_code = EXIT_DATA

    def __init__(self, detail: str, hint: str = "", offset: int = 0) -> None:
        super().__init__(detail, hint)
        self.offset = offset


class StageError(PktmendError):
    """A stage failed; the original is __cause__, stage names it."""

    def __init__(self, detail: str, hint: str = "", stage: str = "") -> None:
        super().__init__(detail, hint)
        self.stage = stage


class ViewError(StageError, BufferError):
    """A stage kept a view of a batch beyond its call."""
