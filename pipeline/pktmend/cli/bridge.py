"""`pktmend bridge`."""

from __future__ import annotations

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
def bridge(
    a: str,
    b: str,
    unidir: bool,
    repair: str,
    corrupt: str,
    finish: tuple[str, ...],
    ring: str,
    workers: int,
    busy_poll: int,
    rx_usecs: int,
    no_coalesce: bool,
    stage: tuple[str, ...],
    on_error: str | None,
    isolate: bool,
    force: bool,
    user: str,
    no_seccomp: bool,
    verbose: bool,
    duration: float | None,
    json: bool,
) -> None:
    """Carry frames between two interfaces and repair their checksums on the way."""
    from pktmend.commands.bridge.run import BridgeOptions, run_bridge

    run_bridge(
        BridgeOptions(
            a=a,
            b=b,
            unidir=unidir,
            repair=repair,
            corrupt=corrupt,
            finish=finish,
            ring=int(ring[1:]),
            workers=workers,
            busy_poll_us=busy_poll,
            rx_usecs=rx_usecs,
            coalesce=not no_coalesce,
            stages=stage,
            on_error=on_error,
            isolate=isolate,
            force=force,
            user=user,
            seccomp=not no_seccomp,
            verbose=verbose,
            duration=duration,
            json=json,
        )
    )
