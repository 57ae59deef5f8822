"""The command line.  One module for each command, loaded when it is asked for: start-up stays fast.

A module here holds options only; what runs is imported inside the function.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

import click

from pktmend._version import VERSION
from pktmend.console.streams import protect
from pktmend.errors import EXIT_MISSING, EXIT_PROBLEMS, EXIT_USAGE, PktmendError
from pktmend.host.own_command import leave_start_folder

# command: (module, short help for the list, so that listing imports nothing)
COMMANDS = {
    "bridge": ("bridge", "Carry frames between two interfaces and repair their checksums on the way."),
    "monitor": ("monitor", "Watch interfaces: rates per status and cause, live, as NDJSON, metrics or files."),
    "check": ("files", "Check every checksum of a capture or of live packets; exit 1 if any is bad."),
    "diagnose": ("diagnose", "Name the root cause of wrong checksums, and the command that cures it."),
    "fix": ("files", "Repair a capture file to file: checksum fields change, nothing else."),
    "doctor": ("doctor", "Find what in this machine's set-up will produce bad checksums."),
    "offload": ("offload", "Show or change an interface's offloads, in any namespace; restore undoes it."),
    "lab": ("lab", "Reproduce known causes of wrong checksums in throw-away network namespaces, and cure them."),
    "bench": ("bench", "Measure this machine beside the peers that are installed."),
    "stages": ("stages", "List the stages: the engine's own, with their cost on this machine, and installed ones."),
    "schema": ("schema", "Print the JSON Schema of a command's --json output."),
    "kernels": ("kernels", "List the SIMD kernels of the checksum engine."),
}


EXIT_INTERRUPTED = 128 + 2  # as a shell shows SIGINT
EXIT_PIPE = 128 + 13  # SIGPIPE
COMPLETE = "_PKTMEND_COMPLETE"  # a shell asks for completions (click's name)


class Commands(click.Group):
    """The commands of COMMANDS, each imported at its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pktmend.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="pktmend")
def pktmend() -> None:
    """Find, explain and repair wrong packet checksums on Linux."""


def _source_of(context: click.Context, parameter: click.Parameter) -> str | None:
    """Return the name of the variable or file that set *parameter*; None if that was the command line."""
    from pktmend.console import settings

    origin = settings.origin_of(context, parameter)
    if origin in (settings.COMMAND_LINE, settings.DEFAULT):
        return None
    return f"'{parameter.opts[-1]}' (set by {origin})"


def main() -> None:
    """Run the command line of the script `pktmend`."""
    leave_start_folder()
    run()


def run() -> NoReturn:
    """Run the command line; errors are a line on stderr and an exit code."""
    if sys.stderr is None:  # closed before this process began: what nobody can read goes nowhere
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - it lasts as long as the process
    protect()
    try:
        try:
            _invoke(sys.argv[1:])
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # here, where a full disk is still an error and not a traceback
    except BaseException as error:
        sys.exit(_exit_code(error))
    sys.exit(0)


def _invoke(argv: list[str]) -> None:
    """Parse and call; not by click's own main(), which ends with 1, "problems found" here, when a pipe breaks."""
    if COMPLETE in os.environ:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(pktmend, {}, "pktmend", COMPLETE, os.environ[COMPLETE]))
    with pktmend.make_context("pktmend", argv) as context:
        pktmend.invoke(context)


def _exit_code(error: BaseException) -> str | int | None:
    """Say what ended the command, by the first entry of _ENDINGS that fits; raises what is none of them."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:  # of whatever class
        return _on_broken_pipe()
    for kind, ending in _ENDINGS:
        if isinstance(error, kind):
            return ending(error)
    raise error


def _say(text: object, code: int) -> int:
    with suppress(OSError):  # standard error may be on the same full disk
        print(f"pktmend: {text}", file=sys.stderr, flush=True)
    return code


def _on_usage(error: click.ClickException) -> int:
    if isinstance(error, click.BadParameter) and error.ctx and error.param and error.param_hint is None:
        error.param_hint = _source_of(error.ctx, error.param)
    error.show()
    return EXIT_USAGE


def _on_interrupt(_: BaseException) -> int:
    print(file=sys.stderr)  # behind the ^C of the terminal
    return EXIT_INTERRUPTED


def _on_view(error: BufferError) -> int:
    """A stage's view was in the way of closing; what came first says whose it is."""
    first = error if isinstance(error, PktmendError) else error.__context__
    return _say(first or error, EXIT_PROBLEMS)


def _on_broken_pipe() -> int:
    _abandon_output()
    return EXIT_PIPE


def _on_full_disk(error: OSError) -> int:
    """What is written to standard output does not name a file."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename is not None:
        raise error
    code = _say(f"writing standard output: {error.strerror}", EXIT_MISSING)
    _abandon_output()
    return code


def _abandon_output() -> None:
    """Drop what is left in the buffers: its reader is gone."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # the filter of system calls is on: nothing is opened for writing any more
        sys.stdout = sys.stderr = None
        return
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


# From the special to the general: what ended the command, and what says so and returns the exit code.
_ENDINGS: Final[tuple[tuple[type[BaseException], Callable[[Any], str | int | None]], ...]] = (
    (click.exceptions.Exit, lambda ended: ended.exit_code),
    (click.ClickException, _on_usage),
    (SystemExit, lambda ended: ended.code),
    (click.Abort, _on_interrupt),
    (KeyboardInterrupt, _on_interrupt),
    (BufferError, _on_view),
    (PktmendError, lambda error: _say(error, error.exit_code)),
    (OSError, _on_full_disk),
)
