"""`pktmend monitor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pktmend.cli.options import (
    DURATION,
    NO_NAMES,
    NO_PROMISCUOUS,
    NO_SECCOMP,
    PACKETS,
    TUNNEL,
    VERBOSE,
    Once,
    configurable,
    learn_tunnels,
)

if TYPE_CHECKING:
    from pktmend.commands.monitor import WriteOptions


@configurable
@click.command()
@click.option(
    "-i",
    "interfaces",
    required=True,
    multiple=True,
    metavar="IFACE",
    help="Watch this interface; repeatable.  A pattern such as 'veth*' includes interfaces that appear later.",
)
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
    type=click.IntRange(min=512),
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
    "--bad-limit",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="Print at most N bad packets one by one, per second, interface and cause.",
)
@click.option("-w", "write", cls=Once, metavar="FILE", help="Write packets to a pcapng file; - for standard output.")
@click.option("--bad-only", is_flag=True, help="Write bad packets only.")
@click.option(
    "-s",
    "snaplen",
    type=click.IntRange(min=0),
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
    "--listen", metavar="HOST:PORT", help="Serve Prometheus metrics and /healthz; :PORT listens on 127.0.0.1."
)
@click.option("--picture", metavar="FILE.svg", default="", help="Draw the live view at the end.")
@TUNNEL
@NO_SECCOMP
@VERBOSE
@NO_NAMES
@click.argument("expression", nargs=-1)
def monitor(
    interfaces: tuple[str, ...],
    direction: str,
    no_promiscuous: bool,
    buffer_kib: int | None,
    packets: int | None,
    duration: float | None,
    workers: int,
    json: bool,
    plain: bool,
    bad_limit: int,
    write: str | None,
    bad_only: bool,
    snaplen: int,
    file_megabytes: int | None,
    file_seconds: int | None,
    file_count: int | None,
    listen: str | None,
    picture: str,
    tunnel: tuple[str, ...],
    no_seccomp: bool,
    verbose: bool,
    expression: tuple[str, ...],
) -> None:
    """Watch interfaces: rates per status and cause, live on a terminal, else a line every second.

    EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.monitor import MonitorOptions, run_monitor

    to_file = _write_options(write, bad_only, snaplen, file_megabytes or 0, file_seconds or 0, file_count or 0)
    learn_tunnels(tunnel, is_live=True)
    serve = None
    if listen is not None:
        from pktmend.commands.monitor.metrics_server import Server

        serve = Server
    run_monitor(
        MonitorOptions(
            interfaces,
            direction=direction,
            promiscuous=not no_promiscuous,
            buffer_kib=buffer_kib or 0,
            packets=packets or 0,
            duration=duration,
            workers=workers,
            expression=" ".join(expression),
            json=json,
            plain=plain,
            bad_limit=bad_limit,
            write=to_file,
            listen=listen or "",
            picture=picture,
            seccomp=not no_seccomp,
            verbose=verbose,
        ),
        serve,
    )


def _write_options(
    path: str | None, bad_only: bool, snaplen: int, megabytes: int, seconds: int, files: int
) -> WriteOptions | None:
    """How to write to *path*; None without one, where no other option may be given."""
    if path is None:
        if bad_only or snaplen or megabytes or seconds or files:
            raise click.UsageError("--bad-only, -s, -C, -G and -W say how to write: with -w FILE")
        return None
    from pktmend.commands.monitor import WriteOptions

    return WriteOptions(path, only_bad=bad_only, snaplen=snaplen, megabytes=megabytes, seconds=seconds, files=files)
