"""`pktmend bench ...`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pktmend.cli.options import Once

if TYPE_CHECKING:
    from pktmend.commands.bench.session import Bench

JSON = click.option("--json", is_flag=True, help="NDJSON, one object a line.")
ROUNDS = click.option("--rounds", type=click.IntRange(min=1), help="Medians are over these.")
SECONDS = click.option("--seconds", type=click.IntRange(min=1), help="Of each measurement.")


@click.group()
def bench() -> None:
    """Measure this machine, peers beside it where they are installed; send and receive numbered frames."""


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all benches take."""
    for option in (
        click.option("--picture", metavar="FILE.svg", default="", help="Draw the bridges of the result."),
        click.option("--markdown", metavar="FILE.md", default="", help="Write the result as a page."),
        click.option("--compare", metavar="FILE", default="", help="Say what has changed since then, beyond noise."),
        click.option("--save", metavar="FILE", default="", help="Keep the result."),
        click.option("--quick", is_flag=True, help="One short round: shows that it works, not how fast."),
        JSON,
    ):
        command = option(command)
    return command


def _run(
    benches: list[Bench],
    skipped: tuple[str, ...] = (),
    *,
    json: bool,
    quick: bool,
    save: str,
    compare: str,
    markdown: str,
    picture: str,
) -> None:
    from pktmend.commands.bench.session import Output, run

    run(benches, Output(json=json, save=save, compare=compare, markdown=markdown, picture=picture), skipped=skipped)


@bench.command("sum")
@output_options
def bench_sum(**output: Any) -> None:
    """Time the checksum kernels beside other programs' loops."""
    from pktmend.commands.bench import suite

    _run([suite.sum_bench(quick=output["quick"])], **output)


@bench.command("verify")
@output_options
def bench_verify(**output: Any) -> None:
    """Time parsing and verifying a batch in cache, per frame mix."""
    from pktmend.commands.bench import suite

    _run([suite.verify_bench(quick=output["quick"])], **output)


@bench.command("read", short_help="Time capture files beside other programs.")
@ROUNDS
@output_options
def bench_read(rounds: int | None, **output: Any) -> None:
    """Check capture files from end to end, beside tcpdump, tshark, tcprewrite and dpkt."""
    from pktmend.commands.bench import suite

    _run([suite.read_bench(quick=output["quick"], rounds=rounds)], **output)


@bench.command("monitor", short_help="Time the monitor beside other programs.")
@ROUNDS
@click.option("--only", multiple=True, metavar="WORD", help="Readers whose name holds this, beside the walker.")
@output_options
def bench_monitor(rounds: int | None, only: tuple[str, ...], **output: Any) -> None:
    """Processor time of the monitor, a packet, beside an empty walker of the same ring.  Root; extra `lab`."""
    from pktmend.commands.bench import suite

    _run([suite.monitor_bench(quick=output["quick"], rounds=rounds, only=only)], **output)


@bench.command("stage", short_help="Time a stage that does nothing.")
@ROUNDS
@output_options
def bench_stage(rounds: int | None, **output: Any) -> None:
    """What a stage that does nothing costs the bridge, in Python and in C.  Root; extra `lab`."""
    from pktmend.commands.bench import suite

    _run([suite.stage_bench(quick=output["quick"], rounds=rounds)], **output)


@bench.command("bridge", short_help="Compare bridges, ours and others.")
@ROUNDS
@SECONDS
@click.option("--only", multiple=True, metavar="WORD", help="Forwarders whose name holds this; repeatable.")
@click.option(
    "--congestion", metavar="NAME", default="", help="TCP's congestion control; this machine's own if not told."
)
@output_options
def bench_bridge(
    rounds: int | None, seconds: int | None, only: tuple[str, ...], congestion: str, **output: Any
) -> None:
    """Compare bridges on veth pairs: the kernel's, ours in each mode, and those installed.  Root; extra `lab`."""
    from pktmend.commands.bench import suite

    _run(
        [suite.bridge_bench(quick=output["quick"], rounds=rounds, seconds=seconds, only=only, congestion=congestion)],
        **output,
    )


@bench.command("ring")
@ROUNDS
@SECONDS
@click.option("--scenario", multiple=True, type=click.Choice(["default", "tso-off", "udp-64"]), help="Repeatable.")
@output_options
def bench_ring(rounds: int | None, seconds: int | None, scenario: tuple[str, ...], **output: Any) -> None:
    """Sweep slot, block and ring sizes of the bridge.  Root; extra `lab`."""
    from pktmend.commands.bench import suite

    _run([suite.ring_bench(quick=output["quick"], rounds=rounds, seconds=seconds, scenarios=scenario)], **output)


@bench.command("all")
@output_options
def bench_all(**output: Any) -> None:
    """Run all of them but the sweep: about seven minutes.  Without root those that need no network."""
    from pktmend.commands.bench import suite

    benches, skipped = suite.all_benches(quick=output["quick"])
    _run(benches, skipped, **output)


@bench.command("gen", short_help="Send numbered frames, right or damaged.")
@click.option("-i", "interface", cls=Once, required=True, metavar="IFACE", help="Where the frames leave.")
@click.option(
    "--mix",
    default="64",
    show_default=True,
    metavar="SIZES",
    help="Octets of a frame without FCS, several with commas in turn, or imix.",
)
@click.option("--ip", "versions", type=click.Choice(["4", "6", "both"]), default="4", show_default=True)
@click.option("--protocol", type=click.Choice(["udp", "tcp", "both"]), default="udp", show_default=True)
@click.option("--flows", type=int, default=16, show_default=True, help="Source ports.")
@click.option("--rate", default="10000", show_default=True, metavar="N", help="Frames a second, or max.")
@click.option("--count", type=click.IntRange(min=0), default=0, metavar="N", help="End after so many frames.")
@click.option("--duration", type=float, default=10.0, show_default=True, metavar="SECONDS", help="End after this time.")
@click.option(
    "--damage",
    multiple=True,
    metavar="KIND=SHARE",
    help="Damage this share of the frames, such as leaked=1%; repeatable.  KIND: leaked, zero, length,"
    " not-complemented, byte-swapped, header-delta, bit-flip, corrupt, bad-seed.",
)
@click.option(
    "--offload",
    is_flag=True,
    help="Checksums leave unfinished, with the kernel's note, as from a container; TCP above the MTU leaves"
    " as super-frames.",
)
@click.option("--vlan", type=click.IntRange(0, 4095), metavar="ID", help="Tag the frames.")
@click.option("--to-mac", metavar="MAC", default="02:00:00:00:00:02", show_default=True)
@click.option("--from", "source", multiple=True, metavar="ADDRESS", help="Source address; one for each IP version.")
@click.option("--to", "target", multiple=True, metavar="ADDRESS", help="Target address; one for each IP version.")
@click.option("--force", is_flag=True, help="Also on the interface of this machine's default route.")
@JSON
def bench_gen(interface: str, json: bool, force: bool, **told: Any) -> None:
    """Send numbered frames, right or damaged in chosen ways; `monitor` or `bench receive` counts at the other end.

    Ends after ten seconds if not told otherwise.  Sends nothing but to the interface that is named.
    """
    from pktmend.commands.bench.generate import options_of, run_generator

    run_generator(interface, options_of(**told), json=json, force=force)


@bench.command("receive", short_help="Count the frames of `bench gen`.")
@click.option("-i", "interface", cls=Once, required=True, metavar="IFACE", help="Where the frames arrive.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time.")
@JSON
def bench_receive(interface: str, duration: float | None, json: bool) -> None:
    """Count the frames of `bench gen`: received, lost, twice, out of order, and their checksums."""
    from pktmend.commands.bench.receive import run_receiver

    run_receiver(interface, duration=duration, json=json)
