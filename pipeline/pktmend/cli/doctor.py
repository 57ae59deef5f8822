"""`pktmend doctor`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.options import NETNS


@click.command()
@click.argument("interfaces", nargs=-1, metavar="[IFACE]...")
@NETNS
@click.option(
    "--watch",
    type=click.FloatRange(0, 3600, min_open=True),
    metavar="SECONDS",
    help="Watch for SECONDS what the kernel drops for its checksum: counters; with root and tracefs also where.",
)
@click.option("--json", is_flag=True, help="Print NDJSON: each finding, then a summary.")
def doctor(interfaces: tuple[str, ...], netns: str | None, watch: float | None, json: bool) -> None:
    """Find what in this machine's set-up will produce bad checksums; exit 1 if something will.

    Examine every interface of every namespace, or only each IFACE and what is on its path.
    """
    from pktmend.commands.doctor.run import run_doctor

    sys.exit(run_doctor(names=interfaces, netns=netns, watch=watch or 0.0, json=json))
