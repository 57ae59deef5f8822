"""`pktmend monitor`."""

from __future__ import annotations

import click

from pktmend.cli.options import Once, configurable


@configurable
@click.command()
@click.option(
    "-i",
    "interfaces",
    required=True,
    multiple=True,
    metavar="IFACE",
    help="What to watch; repeatable.  A pattern such as 'veth*' also takes those that come later.",
)
@click.option(
    "-Q",
    "direction",
    type=click.Choice(["in", "out", "inout"]),
    default="inout",
    show_default=True,
    help="Packets that come in, go out, or both.",
)
@click.option("-p", "no_promiscuous", is_flag=True, help="Do not use promiscuous mode.")
@click.option(
    "-B",
    "buffer_kib",
    type=click.IntRange(min=512),
    metavar="KIB",
    help="Size of each ring.  [default: 32768, less where there are many]",
)
@click.option("-c", "packets", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Threads for each interface, sharing its flows (fanout).",
)
@click.option("--json", is_flag=True, help="NDJSON: a snapshot a second, bad packets, events (see `pktmend schema`).")
@click.option("--plain", is_flag=True, help="A line a second, also on a terminal.")
@click.option(
    "--bad-limit",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="Bad packets told one by one: at most N per second, interface and cause.",
)
@click.option("-w", "write", cls=Once, metavar="FILE", help="Write packets to a pcapng file; - for standard output.")
@click.option("--bad-only", is_flag=True, help="Write bad packets only.")
@click.option(
    "-s",
    "snaplen",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Write at most N octets of each packet; it is judged whole.  0: all.",
)
@click.option(
    "-C",
    "file_megabytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin another file (FILE1, FILE2, ...) beyond N million octets.",
)
@click.option(
    "-G",
    "file_seconds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin another file after N seconds; FILE may hold strftime's %-letters.",
)
@click.option(
    "-W",
    "file_count",
    type=click.IntRange(min=1),
    metavar="N",
    help="With -C: keep N files, in a ring.  With -G: end after N files.",
)
@click.option("--listen", metavar="HOST:PORT", help="Serve Prometheus metrics and /healthz; :PORT is 127.0.0.1 only.")
@click.option("--picture", metavar="FILE.svg", default="", help="At the end, draw the live view.")
@click.option("--no-seccomp", is_flag=True, help="Do not filter system calls once it runs.")
@click.option("-v", "--verbose", is_flag=True, help="Tell which privileges every thread has kept.")
@click.option("-n", is_flag=True, hidden=True, help="For the habit: names are never resolved.")
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
    no_seccomp: bool,
    verbose: bool,
    n: bool,
    expression: tuple[str, ...],
) -> None:
    """Watch interfaces: rates per status and cause, live on a terminal, else a line a second.

    EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pktmend.commands.monitor import MonitorOptions, WriteOptions, run_monitor

    to_file = None
    if write is not None:
        to_file = WriteOptions(
            write,
            only_bad=bad_only,
            snaplen=snaplen,
            megabytes=file_megabytes or 0,
            seconds=file_seconds or 0,
            files=file_count or 0,
        )
    elif bad_only or snaplen or file_megabytes or file_seconds or file_count:
        raise click.UsageError("--bad-only, -s, -C, -G and -W say how to write: with -w FILE")
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
