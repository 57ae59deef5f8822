"""`pktmend offload`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.options import NETNS, Once


@click.command()
@click.option("-i", "interface", cls=Once, required=True, metavar="IFACE", help="Act on this interface.")
@NETNS
@click.option("--all", "every", is_flag=True, help="Show every feature, not only those with short names.")
@click.option(
    "--json", is_flag=True, help="Print one NDJSON object: the features, what was changed, what changed with it."
)
@click.argument("action", type=click.Choice(["show", "set", "restore"]), default="show")
@click.argument("words", nargs=-1, metavar="[FEATURE on|off]...")
def offload(
    interface: str,
    netns: str | None,
    every: bool,
    json: bool,
    action: str,
    words: tuple[str, ...],
) -> None:
    """Show or change the offloads of an interface; restore undoes exactly what set changed.

    FEATURE is one of ethtool's short names (tx, rx, sg, tso, gso, gro, lro) or a feature's full name.
    """
    from pktmend.commands.offload import run_offload

    if words and action != "set":
        raise click.UsageError(f"{action} takes no features")
    sys.exit(run_offload(interface=interface, action=action, words=words, netns=netns, json=json, every=every))
