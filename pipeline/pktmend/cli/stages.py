"""`pktmend stages`."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", is_flag=True, help="Print NDJSON, one object a stage.")
def stages(json: bool) -> None:
    """List the stages: the engine's own, with their cost on this machine, and those of installed packages.

    The cost is for a good packet of 64 and of 1500 bytes in cache.
    """
    from pktmend.commands.stages import run_stages

    run_stages(json=json)
