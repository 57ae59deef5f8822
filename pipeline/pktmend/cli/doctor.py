"""`pktmend doctor`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.options import NETNS, REPORT
from pktmend.cli.parameter_types import Seconds


@click.command()
@click.option("-i", "more", multiple=True, metavar="IFACE", help="Examine this interface, as the words; repeatable.")
@click.argument("interfaces", nargs=-1, metavar="[IFACE]...")
@NETNS
@click.option(
    "--watch",
    type=Seconds(0, 3600, min_open=True),
    metavar="SECONDS",
    help="Watch for SECONDS what the kernel drops for its checksum: counters; with root and tracefs also where.",
)
@click.option("--json", is_flag=True, help="Print NDJSON: each finding, then a summary.")
@REPORT
@click.option(
    "--graph", type=click.Choice(["mermaid", "svg"]), help="Print a drawing of the paths instead of findings."
)
def doctor(
    more: tuple[str, ...],
    interfaces: tuple[str, ...],
    netns: str | None,
    watch: float | None,
    json: bool,
    report: str | None,
    graph: str | None,
) -> None:
    """Find what in this machine's set-up will produce bad checksums; exit 1 if something will.

    Examine every interface of every namespace, or only each IFACE and what is on its path.
    """
    from pktmend.commands.doctor.run import run_doctor

    names = tuple(dict.fromkeys((*more, *interfaces)))
    names = () if "any" in names else names
    sys.exit(
        run_doctor(names=names, netns=netns, watch=watch or 0.0, json=json, report=report or "", graph=graph or "")
    )
