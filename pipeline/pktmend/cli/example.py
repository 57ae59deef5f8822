"""`pktmend example`."""

from __future__ import annotations

import sys

import click

from pktmend.errors import ConfigError


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
def example(name: str | None) -> None:
    """Print a capture to try the other commands on; without NAME, list those there are."""
    from pktmend.commands import pages

    if name is None:
        click.echo("\n".join(pages.examples()))
        return
    data = pages.example(name)
    if sys.stdout is None or sys.stdout.isatty():
        raise ConfigError("a capture is nothing for a terminal", f"pktmend example {name} > {name}.pcap")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
