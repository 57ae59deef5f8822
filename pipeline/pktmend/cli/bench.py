"""`pktmend bench ...`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pktmend.cli.groups import Group
from pktmend.cli.options import DURATION, NETNS, Once, enter, take_interfaces
from pktmend.cli.parameter_types import Count, Seconds

if TYPE_CHECKING:
    from pktmend.commands.bench.session import Bench

JSON = click.option("--json", is_flag=True, help="Print NDJSON, one object a line.")
ROUNDS = click.option("--rounds", type=click.IntRange(min=1), help="Measure this often and take medians.")
SCENARIO = "Run this scenario only; repeatable."
IP = "Send this IP version."
PROTOCOL = "Send this protocol."
SECONDS = click.option("--seconds", type=click.IntRange(min=1), help="Measure for so many seconds each.")


@click.group(cls=Group)
def bench() -> None:
    """Measure this machine beside the peers that are installed; send and receive numbered frames."""


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all benches take."""
    for option in (
        click.option("--picture", metavar="FILE.svg", default="", help="Draw the bridges of the result."),
        click.option("--markdown", metavar="FILE.md", default="", help="Write the result as a page."),
        click.option(
            "--compare",
            metavar="FILE",
            default="",
            help="Print what has changed against this saved result, beyond noise.",
        ),
        click.option("--save", metavar="FILE", default="", help="Save the result."),
        click.option("--quick", is_flag=True, help="Run one short round, to see that it works and not how fast."),
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
@click.option(
    "--only",
    multiple=True,
    metavar="WORD",
    help="Only readers whose name contains WORD, and the yardstick; repeatable.",
)
@output_options
def bench_monitor(rounds: int | None, only: tuple[str, ...], **output: Any) -> None:
    """Measure the monitor's processor time per packet, and what it costs a stream to be watched.  Root.

    Beside it an empty walker of the same ring, and nobody who watches.
    """
    from pktmend.commands.bench import suite

    _run(*suite.monitor_benches(quick=output["quick"], rounds=rounds, only=only), **output)


@bench.command("stage", short_help="Time a stage that does nothing.")
@ROUNDS
@output_options
def bench_stage(rounds: int | None, **output: Any) -> None:
    """Measure what a stage that does nothing costs the bridge, in Python and in C.  Root."""
    from pktmend.commands.bench import suite

    _run([suite.stage_bench(quick=output["quick"], rounds=rounds)], **output)


@bench.command("bridge", short_help="Compare bridges, ours and others.")
@ROUNDS
@SECONDS
@click.option("--only", multiple=True, metavar="WORD", help="Only forwarders whose name contains WORD; repeatable.")
@click.option("--congestion", metavar="NAME", default="", help="TCP congestion control (default: this machine's).")
@output_options
def bench_bridge(
    rounds: int | None, seconds: int | None, only: tuple[str, ...], congestion: str, **output: Any
) -> None:
    """Compare bridges on veth pairs: the kernel's, ours in each mode, and those installed.  Root."""
    from pktmend.commands.bench import suite

    _run(
        [suite.bridge_bench(quick=output["quick"], rounds=rounds, seconds=seconds, only=only, congestion=congestion)],
        **output,
    )


@bench.command("no-drop", short_help="Find the highest rate without loss.")
@ROUNDS
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Send for so many seconds in each trial.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(60, 1518),
    help="Only frames of this size, FCS included; repeatable (default: the seven of RFC 2544).",
)
@click.option(
    "--only",
    multiple=True,
    metavar="WORD",
    help="Only forwarders whose name contains WORD; repeatable (default: the kernel's bridge and two of ours).",
)
@click.option(
    "--resolution",
    type=click.FloatRange(0.001, 0.5),
    default=0.02,
    show_default=True,
    help="Search until this close, as a share of the highest rate offered.",
)
@click.option(
    "--tolerate",
    type=click.FloatRange(0, 0.5),
    default=0.0,
    show_default=True,
    help="Let a trial pass if it lost no more than this share.",
)
@output_options
def bench_no_drop(
    rounds: int | None,
    seconds: float | None,
    sizes: tuple[int, ...],
    only: tuple[str, ...],
    resolution: float,
    tolerate: float,
    **output: Any,
) -> None:
    """Find the highest rate at which no frame is lost, by size (RFC 2544 section 26.1), beside the kernel's bridge.

    Root.
    """
    from pktmend.commands.bench import suite

    made = suite.no_drop_bench(
        quick=output["quick"],
        rounds=rounds,
        seconds=seconds,
        sizes=sizes,
        only=only,
        resolution=resolution,
        tolerate=tolerate,
    )
    _run([made], **output)


@bench.command("ring")
@ROUNDS
@SECONDS
@click.option("--scenario", multiple=True, type=click.Choice(["default", "tso-off", "udp-64"]), help=SCENARIO)
@output_options
def bench_ring(rounds: int | None, seconds: int | None, scenario: tuple[str, ...], **output: Any) -> None:
    """Sweep slot, block and ring sizes of the bridge.  Root."""
    from pktmend.commands.bench import suite

    _run([suite.ring_bench(quick=output["quick"], rounds=rounds, seconds=seconds, scenarios=scenario)], **output)


@bench.command("all")
@output_options
def bench_all(**output: Any) -> None:
    """Run all of them but the sweep and the search: about eleven minutes.  Without root, those that need no network."""
    from pktmend.commands.bench import suite

    benches, skipped = suite.all_benches(quick=output["quick"])
    _run(benches, skipped, **output)


@bench.command("gen", short_help="Send numbered frames, right or damaged.")
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Send on this interface.")
@NETNS
@click.option(
    "--mix",
    default="64",
    show_default=True,
    metavar="SIZES",
    help="Frame sizes in bytes without FCS, separated by commas and sent in turn, or imix.",
)
@click.option("--ip", "versions", type=click.Choice(["4", "6", "both"]), default="4", show_default=True, help=IP)
@click.option("--protocol", type=click.Choice(["udp", "tcp", "both"]), default="udp", show_default=True, help=PROTOCOL)
@click.option("--flows", type=Count(), default=16, show_default=True, help="Send so many flows, by their source port.")
@click.option(
    "--rate", default="10000", show_default=True, metavar="N", help="Send N frames a second (500, 10k, 1M), or max."
)
@click.option(
    "--count", type=Count(min=0), default=0, metavar="N", help="Stop after N frames, such as 10k (default: none)."
)
@click.option(
    "--duration", type=Seconds(), default=10.0, show_default=True, metavar="SECONDS", help="Stop after SECONDS."
)
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
    help="Send partial checksums with the kernel's CHECKSUM_PARTIAL metadata, as a container does, and TCP above the"
    " MTU as super-frames.",
)
@click.option("--vlan", type=click.IntRange(0, 4095), metavar="ID", help="Tag the frames with this VLAN.")
@click.option(
    "--to-mac", metavar="MAC", default="02:00:00:00:00:02", show_default=True, help="Destination hardware address."
)
@click.option("--from", "source", multiple=True, metavar="ADDRESS", help="Source address; one for each IP version.")
@click.option("--to", "target", multiple=True, metavar="ADDRESS", help="Destination address; one for each IP version.")
@click.option("--force", is_flag=True, help="Send even on the interface of this machine's default route.")
@JSON
@click.argument("interfaces", nargs=-1, metavar="[IFACE]")
def bench_gen(
    interface: str | None, netns: str | None, interfaces: tuple[str, ...], json: bool, force: bool, **options: Any
) -> None:
    """Send numbered frames, right or damaged in chosen ways; `monitor` or `bench receive` counts at the other end.

    Nothing is sent but on IFACE.
    """
    from pktmend.commands.bench.generate import options_of, run_generator

    (name,) = take_interfaces("bench gen", (interface,), interfaces)
    enter(netns)
    run_generator(name, options_of(**options), json=json, force=force)


@bench.command("receive", short_help="Count the frames of `bench gen`.")
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Receive on this interface.")
@NETNS
@DURATION
@JSON
@click.argument("interfaces", nargs=-1, metavar="[IFACE]")
def bench_receive(
    interface: str | None, netns: str | None, interfaces: tuple[str, ...], duration: float | None, json: bool
) -> None:
    """Count the frames of `bench gen`: received, lost, twice, out of order, and their checksums."""
    from pktmend.commands.bench.receive import run_receiver

    (name,) = take_interfaces("bench receive", (interface,), interfaces)
    enter(netns)
    run_receiver(name, duration=duration, json=json)
