"""`pktmend bridge`."""

from __future__ import annotations

from typing import Any

import click

from pktmend.cli.options import (
    DURATION,
    LISTEN,
    NETNS,
    NO_SECCOMP,
    ON_ERROR,
    STAGE,
    TUNNEL,
    VERBOSE,
    Once,
    configurable,
    enter,
    learn_tunnels,
    take_interfaces,
)


@configurable
@click.command()
@click.option("-i", "a", cls=Once, metavar="IFACE", help="Use this interface as one side of the bridge.")
@click.option("-I", "b", cls=Once, metavar="IFACE", help="Use this interface as the other side.")
@click.option("--unidir", is_flag=True, help="Carry frames from -i to -I only.")
@click.option(
    "--repair",
    type=click.Choice(["leaked", "all", "none"]),
    default="leaked",
    show_default=True,
    help="Complete what is provably partial (leaked), recompute everything, corruption included (all), or nothing.",
)
@click.option(
    "--corrupt",
    type=click.Choice(["pass", "drop"]),
    default="pass",
    show_default=True,
    help="Pass or drop packets that stay bad.",
)
@click.option(
    "--finish",
    multiple=True,
    metavar="IFACE",
    help="Complete pending checksums and split super-frames in user space in frames leaving IFACE; for both: repeat.",
)
@click.option(
    "--cut-through",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="Let the kernel carry by itself what is provably healthy, where it can (auto), or read all frames (off).",
)
@click.option(
    "--ring",
    type=click.Choice(["v2", "v3"]),
    default="v2",
    show_default=True,
    help="Receive ring (TPACKET): v2 has the lowest delay, v3 packs frames most densely.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Use N threads for each direction; each flow keeps its order.",
)
@click.option(
    "--busy-poll",
    type=click.IntRange(0, 1_000_000),
    default=0,
    show_default=True,
    metavar="USEC",
    help="Poll without sleeping for USEC microseconds after the last packet: less delay, more CPU.",
)
@click.option(
    "--rx-usecs",
    type=click.IntRange(0, 100_000),
    default=75,
    show_default=True,
    metavar="USEC",
    help="Under load, poll every USEC microseconds instead of waking for each frame; 0 wakes for each (v2 only).",
)
@click.option("--no-coalesce", is_flag=True, help="Do not coalesce consecutive segments of a flow into super-frames.")
@TUNNEL
@STAGE
@ON_ERROR
@click.option(
    "--isolate",
    is_flag=True,
    help="Keep the host's own stack away from both interfaces while the bridge runs (tc ingress drop).",
)
@click.option(
    "--loop",
    type=click.Choice(["warn", "stop", "off"]),
    default="warn",
    show_default=True,
    help="If another path joins both sides, tell (warn) or also block until it is gone (stop); off sends no probes.",
)
@click.option("--force", is_flag=True, help="Run although another bridge has one of the interfaces.")
@click.option("-Z", "--user", metavar="USER", default="", help="Change to USER after the set-up.")
@NO_SECCOMP
@VERBOSE
@DURATION
@click.option("--json", is_flag=True, help="Print NDJSON: a snapshot every second, and a last one.")
@LISTEN
@click.option(
    "--workloads",
    is_flag=True,
    help="Label these metrics with the namespace, pod and container at either end; a process of its own keeps"
    " CAP_SYS_PTRACE for that.",
)
@NETNS
@click.argument("interfaces", nargs=-1, metavar="[IFACE]...")
def bridge(a: str | None, b: str | None, netns: str | None, interfaces: tuple[str, ...], **options: Any) -> None:
    """Carry frames between two interfaces and repair their checksums on the way.

    Each IFACE stands for -i, then -I, where that is not given.
    """
    from pktmend.commands.bridge.options import BridgeOptions
    from pktmend.commands.bridge.run import run_bridge

    a, b = take_interfaces("bridge", (a, b), interfaces)
    enter(netns)
    learn_tunnels(options["tunnel"], is_live=True)
    run_bridge(BridgeOptions(a=a, b=b, **options))
