"""`pktmend check` and `pktmend fix`."""

from __future__ import annotations

import math
import sys

import click

from pktmend.cli.options import (
    AT,
    DURATION,
    MODE,
    NETNS,
    NO_NAMES,
    NO_PROMISCUOUS,
    PACKETS,
    REPORT,
    STAGE,
    TUNNEL,
    Once,
    enter,
    learn_tunnels,
    require_files,
    require_one_interface,
    require_one_source,
    split_interface,
)
from pktmend.errors import ConfigError

JOBS = click.option(
    "--jobs", type=click.IntRange(1, 1024), metavar="N", help="Read so many files at once.  [default: the cores]"
)


@click.command()
@click.option("-r", "path", cls=Once, metavar="FILE", help="Read a capture file; - for standard input.")
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Read an interface, until -c, --duration or a signal.")
@NETNS
@PACKETS
@DURATION
@click.option("--json", is_flag=True, help="Print NDJSON: each bad packet, then the summary.")
@click.option("--all", "every", is_flag=True, help="Print every packet, not only bad ones.")
@click.option("--all-bad", is_flag=True, help="Print every bad packet, not only the first ten of each cause.")
@click.option("--filter", "packet_filter", cls=Once, metavar="EXPRESSION", help="Select packets where PATHs are named.")
@JOBS
@click.option(
    "-o", "folder", cls=Once, metavar="DIR", help="Write what was found as Parquet below DIR, for `pktmend query`."
)
@click.option(
    "--rows",
    type=click.Choice(["checks", "packets"]),
    default="checks",
    show_default=True,
    help="What a row of -o is: one a check, or one a packet.",
)
@click.option(
    "--scheduler", cls=Once, metavar="URL", default="", help="Have the workers of this Dask scheduler read PATHs."
)
@click.option(
    "-w",
    "write",
    cls=Once,
    metavar="FILE.pcapng",
    help="Write the packets, each bad one with a comment that says why; - for standard output.",
)
@REPORT
@MODE
@AT
@TUNNEL
@STAGE
@NO_PROMISCUOUS
@NO_NAMES
@click.argument("words", nargs=-1, metavar="[PATH|IFACE|EXPRESSION]...")
def check(
    path: str | None,
    interface: str | None,
    netns: str | None,
    packets: int | None,
    duration: float | None,
    json: bool,
    every: bool,
    all_bad: bool,
    packet_filter: str | None,
    jobs: int | None,
    write: str | None,
    report: str | None,
    mode: str,
    folder: str | None,
    rows: str,
    scheduler: str,
    at: str,
    tunnel: tuple[str, ...],
    stage: tuple[str, ...],
    no_promiscuous: bool,
    words: tuple[str, ...],
) -> None:
    """Check every checksum of captures or of live packets; exit 1 if any is bad.

    PATH is a capture file, plain or compressed with gzip, zstd or xz, a folder with all below it, a pattern in quotes,
    a URL such as s3://bucket/folder, or - for standard input.  With -r or -i the words are an EXPRESSION that selects
    packets in tcpdump's language (libpcap) instead.  A first word that is an interface and no file stands for -i IFACE.
    """
    from pktmend.commands.check import HandOn, RowsTo, run_check

    enter(netns)
    if path is None:
        interface, words = split_interface(interface, words)
    has_option = path is not None or interface is not None
    _require_check(path, interface, packet_filter, words, duration, folder)
    _require_scheduled(scheduler, has_option or every or all_bad or "-" in words)
    learn_tunnels(tunnel, is_live=interface is not None)
    sys.exit(
        run_check(
            path=path,
            interface=interface,
            packets=packets or 0,
            duration=duration,
            json=json,
            every=every,
            all_bad=all_bad,
            at_wire=at == "wire",
            expression=packet_filter or (" ".join(words) if has_option else ""),
            promiscuous=not no_promiscuous,
            stages=stage,
            paths=() if has_option else words,
            jobs=jobs or 0,
            hand_on=HandOn(write=write or "", report=report or "", mode=int(mode, 8)),
            rows=RowsTo(folder, rows == "packets") if folder is not None else None,
            scheduler=scheduler,
            tunnels=tunnel,
        )
    )


def _require_check(
    path: str | None,
    interface: str | None,
    packet_filter: str | None,
    words: tuple[str, ...],
    duration: float | None,
    folder: str | None,
) -> None:
    """Raise ConfigError unless it is said once what check reads, and the options fit that."""
    require_one_interface("check", interface)
    has_option = path is not None or interface is not None
    if has_option and packet_filter is not None and words:
        raise ConfigError("the filter was given twice", "leave out --filter, or the words")
    if words and not has_option:
        require_files(words)
    else:
        require_one_source("check", path, interface, "")
    if duration is not None and (interface is None or not 0 < duration < math.inf):
        raise ConfigError(f"--duration {duration:g}", "seconds above 0, of -i IFACE")
    if folder is not None and interface is not None:
        raise ConfigError("-o goes with captures", "monitor -w FILE, then check FILE -o DIR")


def _require_scheduled(scheduler: str, has_others: bool) -> None:
    if scheduler and has_others:
        raise ConfigError("--scheduler goes with PATHs, and prints sums and the first bad packets", "rows: -o DIR")


@click.command()
@click.option("-r", "path", cls=Once, metavar="IN", help="Read this capture file; - for standard input.")
@click.option(
    "-w",
    "output",
    cls=Once,
    metavar="OUT",
    help="Write the repaired copy of IN; - for standard output.  A name that ends in .pcap or .pcapng converts.",
)
@click.option("-o", "folder", cls=Once, metavar="DIR", help="Write the repaired copies of PATHs below this folder.")
@click.option(
    "--repair",
    type=click.Choice(["leaked", "all"]),
    default="leaked",
    show_default=True,
    help="Complete partial checksums, pending or leaked (leaked), or recompute whatever can be (all).",
)
@click.option(
    "--only", cls=Once, metavar="CAUSE,...", default="", help="Repair these causes only, such as pending,leaked."
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Write nothing; say what would be repaired.")
@click.option(
    "--filter", "packet_filter", cls=Once, metavar="EXPRESSION", help="Repair these packets, copy the others."
)
@JOBS
@MODE
@AT
@TUNNEL
@click.option("--annotate", is_flag=True, help="Say in a comment on each packet what was wrong, where OUT is pcapng.")
@click.option("--json", is_flag=True, help="Print the summary as NDJSON.")
@click.argument("words", nargs=-1, metavar="[PATH|EXPRESSION]...")
def fix(
    path: str | None,
    output: str | None,
    folder: str | None,
    repair: str,
    only: str,
    is_dry: bool,
    packet_filter: str | None,
    jobs: int | None,
    mode: str,
    at: str,
    tunnel: tuple[str, ...],
    annotate: bool,
    json: bool,
    words: tuple[str, ...],
) -> None:
    """Repair captures file to file: checksum fields change, nothing else; exit 1 if a bad one is left as it is.

    Either -r IN -w OUT, behind which an EXPRESSION selects packets in tcpdump's language (libpcap), or PATH... -o DIR:
    captures, folders with all below them, patterns in quotes.
    """
    from pktmend.commands.fix import fix_one, job_of

    if path is not None and words and packet_filter is not None:
        raise ConfigError("the filter was given twice", "leave out --filter, or the words")
    _require_ends(path, output, folder, words, is_dry=is_dry)
    if path is None:
        require_files(words)
    job = job_of(
        repair=repair,
        only=only,
        at_wire=at == "wire",
        expression=packet_filter or (" ".join(words) if path is not None else ""),
        mode=int(mode, 8),
        is_dry=is_dry,
    )
    learn_tunnels(tunnel, is_live=False)
    if path is not None:
        sys.exit(fix_one(path, output, job, json=json, annotate=annotate))
    if annotate:
        raise ConfigError("--annotate goes with one capture", "-r IN -w OUT.pcapng")
    from pktmend.commands.fix.many import fix_many  # starting threads takes a while to load

    sys.exit(fix_many(words, folder, job, jobs=jobs or 0, json=json))


def _require_ends(
    path: str | None, output: str | None, folder: str | None, words: tuple[str, ...], *, is_dry: bool
) -> None:
    """Raise ConfigError unless it is said what fix reads, and where it writes."""
    if path is None and not words:
        raise ConfigError("fix needs a capture file", "-r IN -w OUT, or PATH... -o DIR")
    if path is not None and folder is not None:
        raise ConfigError("-o DIR goes with PATH...", f"fix {path} -o {folder}, or -r IN -w OUT")
    if path is None and output is not None:
        raise ConfigError("-w OUT goes with -r IN", f"fix -r {words[0]} -w {output}, or PATH... -o DIR")
    if not is_dry and path is not None and output is None:
        raise ConfigError("fix needs a file to write", f"fix -r {path} -w OUT, or --dry-run")
    if not is_dry and path is None and folder is None:
        raise ConfigError("fix needs a folder to write into", "PATH... -o DIR, -r IN -w OUT, or --dry-run")
