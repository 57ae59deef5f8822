"""The command line.  One module for each command, loaded when it is asked for: start-up stays fast.

A module here holds options only; what runs is imported inside the function.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys

import click

from pktmend._version import VERSION
from pktmend.errors import EXIT_MISSING, EXIT_PROBLEMS, EXIT_USAGE, PktmendError

# command: (module, short help for the list, so that listing imports nothing)
COMMANDS = {
    "bridge": ("bridge", "Carry frames between two interfaces and repair their checksums on the way."),
    "monitor": ("monitor", "Watch interfaces: rates per status and cause, live, as events, metrics or files."),
    "check": ("files", "Check every checksum of a capture or of live packets; exit 1 if any is bad."),
    "diagnose": ("diagnose", "Name the root cause of wrong checksums, and the command that cures it."),
    "fix": ("files", "Repair a capture file to file: checksum fields change, nothing else."),
    "doctor": ("doctor", "Look for what in this machine's set-up will produce bad checksums."),
    "offload": ("offload", "Show or change an interface's offloads, in any namespace; restore undoes it."),
    "lab": ("lab", "Reproduce known causes of wrong checksums in throw-away network namespaces, and cure them."),
    "bench": ("bench", "Measure this machine, peers beside it where they are installed."),
    "stages": ("stages", "List the stages: the engine's own, with their cost on this machine, and installed ones."),
    "schema": ("schema", "Print the JSON Schema of what a command prints with --json."),
    "kernels": ("kernels", "List the SIMD kernels of the checksum engine."),
}


EXIT_PIPE = 128 + 13  # as a shell shows SIGPIPE


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
    """Run the command line; errors are a line on stderr and an exit code."""
    if not sys.flags.safe_path:
        del sys.path[0]  # the script's or, with -m, the current directory: nothing may be imported from there
    stdout = sys.stdout
    try:
        try:
            pktmend.main(prog_name="pktmend", standalone_mode=False)
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # here, where a full disk is still an error and not a traceback
    except click.BadParameter as error:
        if error.ctx is not None and error.param is not None and error.param_hint is None:
            error.param_hint = _source_of(error.ctx, error.param)
        error.show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except SystemExit as ended:  # EPIPE ends with 1 in click, "problems found" here; it wraps the stream that is broken
        sys.exit(EXIT_PIPE if sys.stdout is not stdout else ended.code)
    except click.Abort:
        sys.exit(130)
    except BufferError as error:  # a stage's view: in the way of closing, but what comes first says whose it is
        first = error if isinstance(error, PktmendError) else error.__context__
        print(f"pktmend: {first or error}", file=sys.stderr)
        sys.exit(EXIT_PROBLEMS)
    except PktmendError as error:
        print(f"pktmend: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_PIPE)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename is not None:
            raise
        print(f"pktmend: writing standard output: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer has nowhere to go
        sys.exit(EXIT_MISSING)
