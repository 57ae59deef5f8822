"""`pktmend monitor`."""

from __future__ import annotations

import click

from pipeline.cli.options import configurable


@configurable
@click.command()
@click.option("-i", "interfaces", required=True, multiple=True, metavar="IFACE", help="What to watch; repeatable.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time.")
@click.option("--json", is_flag=True, help="A snapshot a second and a last one, NDJSON.")
@click.option("-p", "no_promiscuous", is_flag=True, help="Do not use promiscuous mode.")
def monitor(interfaces: tuple[str, ...], duration: float | None, json: bool, no_promiscuous: bool) -> None:
    """Watch interfaces: rates per status and cause, a line a second."""
    from pipeline.live import run_monitor

    run_monitor(interfaces, duration=duration, json=json, promiscuous=not no_promiscuous)
