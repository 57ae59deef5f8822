"""`pktmend bridge`."""

from __future__ import annotations

from typing import Any

import click

from pktmend.cli.options import ON_ERROR, STAGE, Once, configurable


@configurable
@click.command()
@click.option("-i", "a", cls=Once, required=True, metavar="IFACE", help="One side.")
@click.option("-I", "b", cls=Once, required=True, metavar="IFACE", help="The other side.")
@click.option("--unidir", is_flag=True, help="Only from -i to -I.")
@click.option(
    "--repair",
    type=click.Choice(["leaked", "all", "none"]),
    default="leaked",
    show_default=True,
    help="leaked: what is provably unfinished; all: recompute everything, corruption included.",
)
@click.option(
    "--corrupt",
    type=click.Choice(["pass", "drop"]),
    default="pass",
    show_default=True,
    help="What becomes of packets that stay bad.",
)
@click.option(
    "--finish",
    multiple=True,
    metavar="IFACE",
    help="Complete pending checksums and split super-frames in user space on frames leaving IFACE.",
)
@click.option(
    "--ring", type=click.Choice(["v2", "v3"]), default="v2", show_default=True, help="v2: lowest delay; v3: densest."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Threads for each direction; flows keep their order.",
)
@click.option(
    "--busy-poll",
    type=click.IntRange(0, 1_000_000),
    default=0,
    metavar="USEC",
    help="Look again without sleeping for so long after the last packet.",
)
@click.option(
    "--rx-usecs",
    type=click.IntRange(0, 100_000),
    default=75,
    show_default=True,
    metavar="USEC",
    help="Under load, look for frames so often instead of being woken for each (v2; 0: be woken).",
)
@click.option("--no-coalesce", is_flag=True, help="Do not join consecutive segments of a flow to super-frames.")
@STAGE
@ON_ERROR
@click.option(
    "--isolate",
    is_flag=True,
    help="Keep the host's own stack away from both interfaces (tc ingress drop) while it runs.",
)
@click.option("--force", is_flag=True, help="Go on where another bridge has an interface already.")
@click.option("-Z", "--user", metavar="USER", default="", help="Run as USER once everything is set up.")
@click.option("--no-seccomp", is_flag=True, help="Do not filter system calls once everything is set up.")
@click.option("-v", "--verbose", is_flag=True, help="Tell which privileges every thread has kept.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time.")
@click.option("--json", is_flag=True, help="A snapshot a second and a last one, NDJSON.")
def bridge(**options: Any) -> None:
    """Carry frames between two interfaces and repair their checksums on the way."""
    from pktmend.commands.bridge.options import BridgeOptions
    from pktmend.commands.bridge.run import run_bridge

    run_bridge(BridgeOptions(**options))
