"""The command line: app has the commands, endings what is said when one cannot go on, a module each their options.

Rules of this file:
1. It imports next to nothing: where app cannot be loaded, for want of descriptors or memory, that is a line as well.
2. Until app runs a Ctrl-C ends the process at once, and says nothing: there is nothing yet to clean up.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # typing itself is a while to load, in which a Ctrl-C would be told at length
if TYPE_CHECKING:
    from typing import Any, NoReturn

_EXIT_MISSING = 4  # pktmend.errors has it, which may be what cannot be loaded


def main() -> None:
    """Run the command line of the script `pktmend`."""
    _end_quietly()
    from pktmend.host.own_command import leave_start_folder

    leave_start_folder()
    run()


def run() -> NoReturn:
    """Run the command line; errors are a line on stderr and an exit code."""
    _end_quietly()
    gc.disable()  # while modules are loaded, which stay: to look for what does not takes a tenth of the start
    try:
        _keep_standard_streams()
        if sys.argv[1:] in (["--version"], ["-V"]) and _tell_version():
            sys.exit(0)
        import signal

        from pktmend.cli.running import call_of, run_call

        call, is_plain = call_of(sys.argv[1:])
    except (ImportError, OSError, MemoryError) as error:
        if sys.stderr is not None:
            words = getattr(error, "strerror", None) or str(error) or "out of memory"
            sys.stderr.write(f"pktmend: cannot start: {words}\n")
        sys.exit(_EXIT_MISSING)
    code: Any = None
    is_ours = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run_call(call)
        if is_ours:  # the interpreter's own end is not to be interrupted in words
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:
        code = 130
    if sys.flags.inspect:  # PYTHONINSPECT: no prompt with our privileges, whoever has set it
        os._exit(code if isinstance(code, int) else 0)
    if is_plain and isinstance(code, int):  # all is written and closed; to take the interpreter down takes 4 ms
        os._exit(code)
    sys.exit(code)


def _tell_version() -> bool:
    """Print the version without loading the rest; False where that must say what is wrong."""
    from pktmend._version import VERSION

    if "_PKTMEND_COMPLETE" in os.environ or sys.stdout is None or sys.flags.inspect:
        return False
    try:
        os.write(1, f"pktmend, version {VERSION}\n".encode())
    except OSError:
        return False
    return True


def _end_quietly() -> None:
    """Let a Ctrl-C end the process at once, unless it is ignored."""
    import _signal  # type: ignore[import-not-found]  # what signal is made of, in memory already

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _keep_standard_streams() -> None:
    """Open what is closed of 0, 1 and 2, so that no file or socket of ours is taken for standard output or error."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            for path, flags in ((os.devnull, os.O_RDWR), ("/", os.O_PATH)):
                try:
                    os.open(path, flags)  # the lowest that is free
                    break
                except FileNotFoundError:
                    continue


def __getattr__(name: str) -> Any:
    """Return a name of app, such as the group `pktmend`, or one of the modules here."""
    from importlib import import_module

    if name in ("COMMANDS", "pktmend"):
        return getattr(import_module("pktmend.cli.app"), name)
    raise AttributeError(f"module 'pktmend.cli' has no attribute {name!r}")
