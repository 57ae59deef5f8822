"""`pktmend check` and `pktmend fix`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.options import AT, STAGE, Once, require_one_source


@click.command()
@click.option("-r", "path", cls=Once, metavar="FILE", help="A capture file; - for standard input.")
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Or an interface.")
@click.option("-c", "packets", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option("--json", is_flag=True, help="NDJSON: each bad packet, then the summary.")
@click.option("--all", "every", is_flag=True, help="Every packet, not only bad ones.")
@AT
@STAGE
@click.option("-p", "no_promiscuous", is_flag=True, help="Do not use promiscuous mode.")
@click.option("-n", is_flag=True, hidden=True, help="For the habit: names are never resolved.")
@click.argument("expression", nargs=-1)
def check(
    path: str | None,
    interface: str | None,
    packets: int | None,
    json: bool,
    every: bool,
    at: str,
    stage: tuple[str, ...],
    no_promiscuous: bool,
    n: bool,
    expression: tuple[str, ...],
) -> None:
    """Check every checksum of a capture or of live packets; exit 1 if any is bad.

    EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.check import run_check

    require_one_source("check", path, interface, " ".join(expression))
    sys.exit(
        run_check(
            path=path,
            interface=interface,
            packets=packets or 0,
            json=json,
            every=every,
            at_wire=at == "wire",
            expression=" ".join(expression),
            promiscuous=not no_promiscuous,
            stages=stage,
        )
    )


@click.command()
@click.option("-r", "path", cls=Once, required=True, metavar="IN", help="A capture file; - for standard input.")
@click.option(
    "-w",
    "output",
    cls=Once,
    required=True,
    metavar="OUT",
    help="The repaired copy; - for standard output.  A name that ends in .pcap or .pcapng converts.",
)
@click.option(
    "--repair",
    type=click.Choice(["leaked", "all"]),
    default="leaked",
    show_default=True,
    help="leaked: what is unfinished, pending or leaked; all: recompute whatever can be.",
)
@AT
@click.option("--json", is_flag=True, help="The summary as NDJSON.")
def fix(path: str, output: str, repair: str, at: str, json: bool) -> None:
    """Repair a capture file to file: checksum fields change, nothing else."""
    from pktmend.commands.fix import run_fix

    run_fix(path=path, output=output, repair=repair, at_wire=at == "wire", json=json)
