"""Options that several commands share."""

from __future__ import annotations

import click

AT = click.option(
    "--at", type=click.Choice(["sender", "wire"]), default="sender", show_default=True,
    help="Where the capture was taken: beyond the sender (wire) an unfinished checksum has leaked.",
)
NETNS = click.option("--netns", metavar="NAME|PID", help="The namespace it is in: a name of `ip netns`, or a process.")
