"""How pktmend starts itself: with the interpreter that runs it, and never with modules of the current folder.

`python -m` looks into the current folder first; run as root in a user's folder it would execute that user's code.
"""

from __future__ import annotations

import sys

PYTHON = (sys.executable, "-P")  # -P: the current folder and the script's are not on the path


def own_command(*argv: str) -> list[str]:
    """Return `pktmend` with these arguments."""
    return own_module("pktmend", *argv)


def own_module(module: str, *argv: str) -> list[str]:
    """Return one of our modules as a program."""
    return [*PYTHON, "-m", module, *argv]


def leave_start_folder() -> None:
    """Take off the module path what python put in front: the script's folder or, with -m, the current one.

    To be called once, before anything is imported that lies outside this package and the standard library.
    """
    if not sys.flags.safe_path:
        del sys.path[0]
