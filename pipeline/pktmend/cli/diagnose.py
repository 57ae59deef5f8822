"""`pktmend diagnose`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pktmend.cli.options import (
    AT,
    NETNS,
    NO_NAMES,
    NO_PROMISCUOUS,
    PACKETS,
    REPORT,
    TUNNEL,
    Once,
    enter,
    learn_tunnels,
    names_interface,
    require_one_interface,
    require_one_source,
    split_interface,
)
from pktmend.cli.parameter_types import Seconds
from pktmend.errors import ConfigError

PROTOCOLS = ("ip", "ip6", "tcp", "udp", "icmp", "icmp6", "sctp", "arp", "vlan")  # expressions of one word


@click.command()
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Tap this interface.")
@NETNS
@click.option(
    "-I", "behind", cls=Once, metavar="IFACE", help="Tap this one too, behind the suspect hop: packets are matched."
)
@click.option("-r", "path", cls=Once, metavar="FILE", help="Read a capture file; - for standard input.")
@click.option("-R", "path_behind", cls=Once, metavar="FILE", help="Read this one too, taken behind the suspect hop.")
@click.option(
    "--duration",
    type=Seconds(),
    metavar="SECONDS",
    help="Stop after SECONDS (default 10; with -c, none); without -i and -r: wait so long for the first drop.",
)
@PACKETS
@click.option("--json", is_flag=True, help="Print NDJSON: each finding, the most important first, then the summary.")
@click.option("--explain", is_flag=True, help="List the causes that were considered too, and why each was dropped.")
@REPORT
@AT
@TUNNEL
@NO_PROMISCUOUS
@NO_NAMES
@click.argument("expression", nargs=-1, metavar="[TARGET | [IFACE] EXPRESSION...]")
def diagnose(
    interface: str | None,
    netns: str | None,
    behind: str | None,
    path: str | None,
    path_behind: str | None,
    duration: float | None,
    packets: int | None,
    json: bool,
    explain: bool,
    report: str | None,
    at: str,
    tunnel: tuple[str, ...],
    no_promiscuous: bool,
    expression: tuple[str, ...],
) -> None:
    """Name the root cause of wrong checksums, the evidence, and the command that cures it; exit 1 if there is one.

    Without an interface and a file: wait until a packet is dropped for its checksum in any namespace, and find who
    spoilt it.  TARGET narrows that: an address, address:port, or the name of a pod, a container or a namespace.

    Without -i and -r the first word may be the IFACE.  EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.diagnose.options import Options
    from pktmend.commands.diagnose.run import run_diagnose

    if not (interface or path or behind or path_behind) and is_search(expression):
        refuse_tap_options(packets=packets is not None, at=at != "sender", no_promiscuous=no_promiscuous)
        if report:
            raise ConfigError("--report is written of one interface or file", "add -i IFACE or -r FILE")
        if netns and expression:
            raise ConfigError("--netns and a word both narrow the search", "one of them")
        sys.exit(_search(netns or "".join(expression), duration, tunnel, json=json, explain=explain))
    enter(netns)
    if path is None:
        interface, expression = split_interface(interface, expression)
    require_one_interface("diagnose", interface)
    _require_taps(interface, behind, path, path_behind, expression)
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
                report=report or "",
                at_wire=at == "wire",
                expression=" ".join(expression),
                promiscuous=not no_promiscuous,
            )
        )
    )


def _require_taps(
    interface: str | None, behind: str | None, path: str | None, path_behind: str | None, expression: tuple[str, ...]
) -> None:
    """Raise ConfigError unless there is a first tap, and a second one is of its kind."""
    if behind and interface is None and path is None:
        raise ConfigError("-I is the second tap; the first is missing", "-i BEFORE -I BEHIND")
    if path_behind and interface is None and path is None:
        raise ConfigError("-R is the second capture; the first is missing", "-r BEFORE -R BEHIND")
    require_one_source("diagnose", path, interface, " ".join(expression))
    if (behind and not interface) or (path_behind and not path):
        raise ConfigError("the second tap is of another kind than the first", "-i A -I B, or -r BEFORE -R AFTER")


def is_search(words: tuple[str, ...]) -> bool:
    """Is this no word, or one that narrows a search, rather than an interface, a file or an expression?"""
    if not words:
        return True
    word = words[0]
    return len(words) == 1 and word not in PROTOCOLS and not Path(word).is_file() and not names_interface(word)


def refuse_tap_options(**given: bool) -> None:
    """Raise ConfigError for what only a tap or a file can obey."""
    names = {"packets": "-c", "at": "--at", "no_promiscuous": "-p"}
    for option, is_given in given.items():
        if is_given:
            raise ConfigError(f"{names[option]} is about a tap or a file", "-i IFACE or -r FILE is missing")


def _search(target: str, duration: float | None, tunnel: tuple[str, ...], *, json: bool, explain: bool) -> int:
    from pktmend.commands.diagnose.search.options import SearchOptions
    from pktmend.commands.diagnose.search.run import run_search

    learn_tunnels(tunnel, is_live=True)
    wanted = {} if duration is None else {"duration": duration}
    return run_search(SearchOptions(target=target, json=json, explain=explain, **wanted))
