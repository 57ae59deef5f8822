"""The command line.  One module for each command, loaded when it is asked for: start-up stays fast.

A module here holds options only; what runs is imported inside the function.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

import click

from pktmend._version import VERSION
from pktmend.cli.groups import Group, epilog_of
from pktmend.cli.running import COMPLETE

# command: (module, short help for the list, so that listing imports nothing)
COMMANDS = {
    "bridge": ("bridge", "Carry frames between two interfaces and repair their checksums on the way."),
    "monitor": ("monitor", "Watch interfaces: rates per status and cause, live, as NDJSON, metrics or files."),
    "check": ("files", "Check every checksum of a capture or of live packets; exit 1 if any is bad."),
    "diagnose": ("diagnose", "Name the root cause of wrong checksums, and the command that cures it."),
    "fix": ("files", "Repair captures file to file: checksum fields change, nothing else."),
    "query": ("query", "Ask in SQL what `check -o` has written: worst hosts, when it began, by cause."),
    "doctor": ("doctor", "Find what in this machine's set-up will produce bad checksums."),
    "offload": ("offload", "Show or change an interface's offloads, in any namespace; restore undoes it."),
    "lab": ("lab", "Reproduce known causes of wrong checksums in throw-away network namespaces, and cure them."),
    "bench": ("bench", "Measure this machine beside the peers that are installed."),
    "extcap": ("extcap", "Capture in Wireshark from any namespace's interface, wrong checksums explained."),
    "deploy": ("deploy", "Print the files that run it as a service: Kubernetes, systemd, Prometheus, containers."),
    "stages": ("stages", "List the stages, with their cost on this machine; begin one of your own."),
    "schema": ("schema", "Print the JSON Schema of a command's --json output."),
    "kernels": ("kernels", "List the SIMD kernels of the checksum engine."),
    "example": ("example", "Print a capture to try the other commands on."),
    "help": ("help", "Show a command's help, or a page about a topic."),
    "completion": ("completion", "Print what completes words at the TAB key, for bash, zsh or fish."),
}


class Commands(Group):
    """The commands of COMMANDS, each imported at its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them, in the order of COMMANDS."""
        return list(COMMANDS)

    def find_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one; None if there is none of that name."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"pktmend.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=Commands,
    epilog=epilog_of(""),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, "-V", "--version", prog_name="pktmend")
def pktmend() -> None:
    """Find, explain and repair wrong packet checksums on Linux."""


def invoke(argv: list[str]) -> None:
    """Parse and call, or answer a shell that asks.

    Not by click's own main(), which ends with 1, "problems found" here, when a pipe breaks.
    """
    gc.enable()
    if COMPLETE in os.environ:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(pktmend, {}, "pktmend", COMPLETE, os.environ[COMPLETE]))
    with pktmend.make_context("pktmend", argv) as context:
        pktmend.invoke(context)
