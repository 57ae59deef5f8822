"""`pktmend bench ...`."""

from __future__ import annotations

import click


@click.group()
def bench() -> None:
    """Measure this machine, peers beside it where they are installed."""


JSON = click.option("--json", is_flag=True, help="NDJSON, one object a line.")


@bench.command("sum")
@JSON
def bench_sum(json: bool) -> None:
    """Time the checksum kernels beside other programs' loops."""
    from pipeline.bench.sum import run_sum

    run_sum(json=json)


@bench.command("verify")
@JSON
def bench_verify(json: bool) -> None:
    """Time parsing and verifying a batch in cache, per frame mix."""
    from pipeline.bench.verify import run_verify

    run_verify(json=json)


@bench.command("bridge")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are over these.")
@click.option("--seconds", type=click.IntRange(min=1), default=3, show_default=True, help="Of each measurement.")
@click.option("--only", multiple=True, metavar="WORD", help="Forwarders whose name holds this; repeatable.")
@click.option("--picture", metavar="FILE.svg", default="", help="Draw the result.")
@JSON
def bench_bridge(rounds: int, seconds: int, only: tuple[str, ...], picture: str, json: bool) -> None:
    """Compare bridges on veth pairs: the kernel's, ours in each mode, tcpbridge, testpmd.  Root; extra `lab`."""
    from pipeline.bench.bridge import run_bridge_bench

    run_bridge_bench(json=json, rounds=rounds, seconds=seconds, only=only, picture=picture)
