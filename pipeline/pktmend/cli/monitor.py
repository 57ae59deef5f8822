"""`pktmend monitor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pktmend.cli.options import (
    DURATION,
    LISTEN,
    MODE,
    NETNS,
    NO_NAMES,
    NO_PROMISCUOUS,
    NO_SECCOMP,
    PACKETS,
    TUNNEL,
    VERBOSE,
    Once,
    configurable,
    enter,
    learn_tunnels,
    take_interfaces,
)
from pktmend.cli.parameter_types import Seconds

if TYPE_CHECKING:
    from pktmend.commands.monitor import WriteOptions


@configurable
@click.command()
@click.option(
    "-i",
    "interfaces",
    multiple=True,
    metavar="IFACE",
    help="Watch this interface; repeatable.  A pattern such as 'veth*', and any for all, include interfaces that appear"
    " later.",
)
@NETNS
@click.option(
    "-Q",
    "direction",
    type=click.Choice(["in", "out", "inout"]),
    default="inout",
    show_default=True,
    help="Watch packets that come in, go out, or both.",
)
@NO_PROMISCUOUS
@click.option(
    "-B",
    "buffer_kib",
    type=click.IntRange(128, 16 << 20),
    metavar="KIB",
    help="Size of each ring.  [default: 32768, less if there are many]",
)
@PACKETS
@DURATION
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Use N threads for each interface; they share its flows (fanout).",
)
@click.option(
    "--json", is_flag=True, help="Print NDJSON: a snapshot every second, bad packets, events (see `pktmend schema`)."
)
@click.option("--plain", is_flag=True, help="Print a line every second, also on a terminal.")
@click.option(
    "--interval",
    type=Seconds(),
    metavar="SECONDS",
    help="Print every SECONDS (default 1), such as 10 or 1m; with --json what changed, and all of it once a minute.",
)
@click.option(
    "--bad-limit",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="Print at most N bad packets one by one, per second (or --interval), interface and cause.",
)
@click.option("-w", "write", cls=Once, metavar="FILE", help="Write packets to a pcapng file; - for standard output.")
@click.option("--bad-only", is_flag=True, help="Write bad packets only.")
@click.option(
    "-s",
    "snaplen",
    type=click.IntRange(0, (1 << 31) - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Write at most N bytes of each packet, 0 for all; the whole packet is checked either way.",
)
@click.option(
    "-C",
    "file_megabytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin another file (FILE1, FILE2, ...) beyond N million bytes.",
)
@click.option(
    "-G",
    "file_seconds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin another file after N seconds; FILE may hold strftime's %-sequences.",
)
@click.option(
    "-W",
    "file_count",
    type=click.IntRange(min=1),
    metavar="N",
    help="With -C, keep N files, in a ring.  With -G, stop after N files.",
)
@click.option(
    "--headers-only",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="Have the kernel hand over only the headers of TCP whose pending checksum they prove right (auto), or all"
    " packets whole (off).  Nothing is counted differently.",
)
@MODE
@LISTEN
@click.option(
    "--workloads",
    is_flag=True,
    help="Label the metrics with namespace, pod and container, and count the kernel's checksum errors of every network"
    " namespace; a process of its own keeps CAP_SYS_PTRACE for that.",
)
@click.option("--picture", metavar="FILE.svg", default="", help="Draw the live view at the end.")
@TUNNEL
@NO_SECCOMP
@VERBOSE
@NO_NAMES
@click.argument("expression", nargs=-1, metavar="[IFACE] [EXPRESSION]...")
def monitor(
    interfaces: tuple[str, ...],
    netns: str | None,
    no_promiscuous: bool,
    buffer_kib: int | None,
    packets: int | None,
    write: str | None,
    bad_only: bool,
    snaplen: int,
    file_megabytes: int | None,
    file_seconds: int | None,
    file_count: int | None,
    mode: str,
    tunnel: tuple[str, ...],
    no_seccomp: bool,
    interval: float | None,
    expression: tuple[str, ...],
    **options: Any,
) -> None:
    """Watch interfaces: rates per status and cause, live on a terminal, else a line every second.

    Without -i the first word is the IFACE.  EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.monitor import MonitorOptions, run_monitor

    if not interfaces:
        interfaces, expression = take_interfaces("monitor", (None,), expression[:1]), expression[1:]
    enter(netns)

    to_file = _write_options(
        write, bad_only, snaplen, file_megabytes or 0, file_seconds or 0, file_count or 0, int(mode, 8)
    )
    learn_tunnels(tunnel, is_live=True)
    run_monitor(
        MonitorOptions(
            tuple("*" if name == "any" else name for name in interfaces),
            promiscuous=not no_promiscuous,
            buffer_kib=buffer_kib or 0,
            packets=packets or 0,
            expression=" ".join(expression),
            write=to_file,
            mode=int(mode, 8),
            seccomp=not no_seccomp,
            interval=interval or 0,
            **options,
        )
    )


def _write_options(
    path: str | None, bad_only: bool, snaplen: int, megabytes: int, seconds: int, files: int, mode: int
) -> WriteOptions | None:
    """How to write to *path*; None without one, where no other option may be given."""
    if path is None:
        if bad_only or snaplen or megabytes or seconds or files:
            raise click.UsageError("--bad-only, -s, -C, -G and -W say how to write: with -w FILE")
        return None
    from pktmend.commands.monitor import WriteOptions

    return WriteOptions(
        path, only_bad=bad_only, snaplen=snaplen, megabytes=megabytes, seconds=seconds, files=files, mode=mode
    )
