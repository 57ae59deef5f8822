"""`pktmend check` and `pktmend fix`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.options import (
    AT,
    NO_NAMES,
    NO_PROMISCUOUS,
    PACKETS,
    STAGE,
    TUNNEL,
    Once,
    learn_tunnels,
    require_one_source,
)


@click.command()
@click.option("-r", "path", cls=Once, metavar="FILE", help="Read a capture file; - for standard input.")
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Read an interface, until -c or a signal.")
@PACKETS
@click.option("--json", is_flag=True, help="Print NDJSON: each bad packet, then the summary.")
@click.option("--all", "every", is_flag=True, help="Print every packet, not only bad ones.")
@AT
@TUNNEL
@STAGE
@NO_PROMISCUOUS
@NO_NAMES
@click.argument("expression", nargs=-1)
def check(
    path: str | None,
    interface: str | None,
    packets: int | None,
    json: bool,
    every: bool,
    at: str,
    tunnel: tuple[str, ...],
    stage: tuple[str, ...],
    no_promiscuous: bool,
    expression: tuple[str, ...],
) -> None:
    """Check every checksum of a capture or of live packets; exit 1 if any is bad.

    EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.check import run_check

    require_one_source("check", path, interface, " ".join(expression))
    learn_tunnels(tunnel, is_live=interface is not None)
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
@click.option("-r", "path", cls=Once, required=True, metavar="IN", help="Read this capture file; - for standard input.")
@click.option(
    "-w",
    "output",
    cls=Once,
    required=True,
    metavar="OUT",
    help="Write the repaired copy; - for standard output.  A name that ends in .pcap or .pcapng converts.",
)
@click.option(
    "--repair",
    type=click.Choice(["leaked", "all"]),
    default="leaked",
    show_default=True,
    help="Complete partial checksums, pending or leaked (leaked), or recompute whatever can be (all).",
)
@AT
@TUNNEL
@click.option("--json", is_flag=True, help="Print the summary as NDJSON.")
def fix(path: str, output: str, repair: str, at: str, tunnel: tuple[str, ...], json: bool) -> None:
    """Repair a capture file to file: checksum fields change, nothing else."""
    from pktmend.commands.fix import run_fix

    learn_tunnels(tunnel, is_live=False)
    run_fix(path=path, output=output, repair=repair, at_wire=at == "wire", json=json)
