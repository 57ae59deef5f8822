"""`pktmend diagnose`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.options import AT, NO_NAMES, NO_PROMISCUOUS, PACKETS, TUNNEL, Once, learn_tunnels, require_one_source
from pktmend.errors import ConfigError


@click.command()
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Tap this interface.")
@click.option(
    "-I", "behind", cls=Once, metavar="IFACE", help="Tap this one too, behind the suspect hop: packets are matched."
)
@click.option("-r", "path", cls=Once, metavar="FILE", help="Read a capture file; - for standard input.")
@click.option("-R", "path_behind", cls=Once, metavar="FILE", help="Read this one too, taken behind the suspect hop.")
@click.option("--duration", type=float, metavar="SECONDS", help="Stop after SECONDS (default 10; with -c, none).")
@PACKETS
@click.option("--json", is_flag=True, help="Print NDJSON: each finding, the most important first, then the summary.")
@click.option("--explain", is_flag=True, help="List the causes that were considered too, and why each was dropped.")
@AT
@TUNNEL
@NO_PROMISCUOUS
@NO_NAMES
@click.argument("expression", nargs=-1)
def diagnose(
    interface: str | None,
    behind: str | None,
    path: str | None,
    path_behind: str | None,
    duration: float | None,
    packets: int | None,
    json: bool,
    explain: bool,
    at: str,
    tunnel: tuple[str, ...],
    no_promiscuous: bool,
    expression: tuple[str, ...],
) -> None:
    """Name the root cause of wrong checksums, the evidence, and the command that cures it; exit 1 if there is one.

    EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.diagnose.options import Options
    from pktmend.commands.diagnose.run import run_diagnose

    if behind and interface is None and path is None:
        raise ConfigError("-I is the second tap; the first is missing", "-i BEFORE -I BEHIND")
    if path_behind and interface is None and path is None:
        raise ConfigError("-R is the second capture; the first is missing", "-r BEFORE -R BEHIND")
    require_one_source("diagnose", path, interface, " ".join(expression))
    if (behind and not interface) or (path_behind and not path):
        raise ConfigError("the second tap is of another kind than the first", "-i A -I B, or -r BEFORE -R AFTER")
    learn_tunnels(tunnel, is_live=interface is not None)
    sys.exit(
        run_diagnose(
            Options(
                a=interface or path or "",
                b=behind or path_behind or "",
                is_live=interface is not None,
                packets=packets or 0,
                duration=duration,
                json=json,
                explain=explain,
                at_wire=at == "wire",
                expression=" ".join(expression),
                promiscuous=not no_promiscuous,
            )
        )
    )
