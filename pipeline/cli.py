"""The command line.  Options only: each command imports what it runs, so that start-up stays fast."""

from __future__ import annotations

import sys

import click

from pipeline.errors import EXIT_USAGE, PipelineError
from pipeline.names import VERSION

AT = click.option(
    "--at", type=click.Choice(["sender", "wire"]), default="sender", show_default=True,
    help="Where the capture was taken: beyond the sender (wire) an unfinished checksum has leaked.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="pktmend")
def pktmend() -> None:
    """Find, explain and repair wrong packet checksums on Linux."""


@pktmend.command()
@click.option("-i", "a", required=True, metavar="IFACE", help="One side.")
@click.option("-I", "b", required=True, metavar="IFACE", help="The other side.")
@click.option("--unidir", is_flag=True, help="Only from -i to -I.")
@click.option("--repair", type=click.Choice(["leaked", "all", "none"]), default="leaked", show_default=True,
              help="leaked: what is provably unfinished; all: recompute everything, corruption included.")
@click.option("--corrupt", type=click.Choice(["pass", "drop"]), default="pass", show_default=True,
              help="What becomes of packets that stay bad.")
@click.option("--finish", multiple=True, metavar="IFACE",
              help="Complete pending checksums and split super-frames in user space on frames leaving IFACE.")
@click.option("--ring", type=click.Choice(["v2", "v3"]), default="v2", show_default=True,
              help="v2: lowest delay; v3: densest.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
              help="Threads for each direction; flows keep their order (fanout).")
@click.option("--busy-poll", type=click.IntRange(0, 1_000_000), default=0, metavar="USEC",
              help="Look again without sleeping for so long after the last packet.")
@click.option("--no-coalesce", is_flag=True, help="Do not join consecutive segments of a flow to super-frames.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time.")
@click.option("--json", is_flag=True, help="A snapshot a second and a last one, NDJSON.")
def bridge(
    a: str, b: str, unidir: bool, repair: str, corrupt: str, finish: tuple[str, ...], ring: str,
    workers: int, busy_poll: int, no_coalesce: bool, duration: float | None, json: bool,
) -> None:
    """Carry frames between two interfaces and repair their checksums on the way."""
    from pipeline.bridge import BridgeOptions, run_bridge

    run_bridge(BridgeOptions(a=a, b=b, unidir=unidir, repair=repair, corrupt=corrupt, finish=finish,
                             ring=int(ring[1:]),
                             workers=workers, busy_poll_us=busy_poll, coalesce=not no_coalesce,
                             duration=duration, json=json))


@pktmend.command()
@click.option("-i", "interfaces", required=True, multiple=True, metavar="IFACE", help="What to watch; repeatable.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time.")
@click.option("--json", is_flag=True, help="A snapshot a second and a last one, NDJSON.")
@click.option("-p", "no_promiscuous", is_flag=True, help="Do not use promiscuous mode.")
def monitor(interfaces: tuple[str, ...], duration: float | None, json: bool, no_promiscuous: bool) -> None:
    """Watch interfaces: rates per status and cause, a line a second."""
    from pipeline.live import run_monitor

    run_monitor(interfaces, duration=duration, json=json, promiscuous=not no_promiscuous)


@pktmend.command()
@click.option("-r", "path", metavar="FILE", help="A capture file; - for standard input.")
@click.option("-i", "interface", metavar="IFACE", help="Or an interface.")
@click.option("-c", "packets", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option("--json", is_flag=True, help="NDJSON: each bad packet, then the summary.")
@click.option("--all", "every", is_flag=True, help="Every packet, not only bad ones.")
@AT
@click.option("-p", "no_promiscuous", is_flag=True, help="Do not use promiscuous mode.")
@click.option("-n", is_flag=True, hidden=True, help="For the habit: names are never resolved.")
@click.argument("expression", nargs=-1)
def check(
    path: str | None, interface: str | None, packets: int | None, json: bool, every: bool, at: str,
    no_promiscuous: bool, n: bool, expression: tuple[str, ...],
) -> None:
    """Check every checksum of a capture or of live packets; exit 1 if any is bad.

    EXPRESSION selects packets in tcpdump's language (libpcap).
    """
    from pipeline.check import run_check

    sys.exit(run_check(path=path, interface=interface, packets=packets or 0, json=json, every=every,
                       at_wire=at == "wire", expression=" ".join(expression), promiscuous=not no_promiscuous))


@pktmend.command()
@click.option("-r", "path", required=True, metavar="IN", help="A capture file; - for standard input.")
@click.option("-w", "output", required=True, metavar="OUT",
              help="The repaired copy; - for standard output.  A name that ends in .pcap or .pcapng converts.")
@click.option("--repair", type=click.Choice(["leaked", "all"]), default="leaked", show_default=True,
              help="leaked: what is unfinished, pending or leaked; all: recompute whatever can be.")
@AT
@click.option("--json", is_flag=True, help="The summary as NDJSON.")
def fix(path: str, output: str, repair: str, at: str, json: bool) -> None:
    """Repair a capture file to file: checksum fields change, nothing else."""
    from pipeline.fix import run_fix

    run_fix(path=path, output=output, repair=repair, at_wire=at == "wire", json=json)


@pktmend.command()
@click.option("--json", is_flag=True, help="NDJSON, one object a kernel.")
def kernels(json: bool) -> None:
    """List the SIMD kernels of the checksum engine."""
    import pipeline
    from pipeline.report import print_json

    for name, supported, active in pipeline.kernels():
        if json:
            print_json({"kernel": name, "supported": supported, "active": active})
        else:
            print(f"{name:10}{'supported' if supported else 'not on this machine'}{', active' if active else ''}")


@pktmend.group()
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


def main() -> None:
    """Run the command line; errors are one line on stderr and an exit code of DESIGN section 7."""
    try:
        pktmend.main(prog_name="pktmend", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.Abort:
        sys.exit(130)
    except PipelineError as error:
        print(f"pktmend: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
