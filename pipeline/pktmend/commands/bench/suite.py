"""Which benches there are, in full and quick; made when they are asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from pktmend.commands.bench.session import Bench


def sum_bench(*, quick: bool) -> Bench:
    """Return `bench sum`."""
    from pktmend.commands.bench.sum import SumBench

    return SumBench(sizes=(20, 1500), rounds=1) if quick else SumBench()


def verify_bench(*, quick: bool) -> Bench:
    """Return `bench verify`."""
    from pktmend.commands.bench.verify import VerifyBench

    return VerifyBench(mixes=("64", "IMIX"), rounds=1) if quick else VerifyBench()


def read_bench(*, quick: bool, rounds: int | None = None) -> Bench:
    """Return `bench read`."""
    from pktmend.commands.bench.read import ReadBench

    return ReadBench(rounds or 1, frames=2400, large=0) if quick else ReadBench(rounds or 5)


def monitor_bench(*, quick: bool, rounds: int | None = None, only: Sequence[str] = ()) -> Bench:
    """Return `bench monitor`."""
    from pktmend.commands.bench.monitor import MonitorBench

    if quick:
        return MonitorBench(rounds or 1, frames=20_000, loads=("imix",), only=only)
    return MonitorBench(rounds or 3, only=only)


def watched_bench(*, quick: bool, rounds: int | None = None, only: Sequence[str] = ()) -> Bench:
    """Return the second half of `bench monitor`."""
    from pktmend.commands.bench.watched import WatchedBench

    return WatchedBench(rounds or 1, 1, only=only or ("monitor",)) if quick else WatchedBench(rounds or 5, only=only)


def monitor_benches(
    *, quick: bool, rounds: int | None = None, only: Sequence[str] = ()
) -> tuple[list[Bench], tuple[str, ...]]:
    """Return both halves of `bench monitor`, and why one of them cannot be measured here."""
    benches = [monitor_bench(quick=quick, rounds=rounds, only=only)]
    if shutil.which("iperf3") is None:
        return benches, ("what being watched costs is not measured: it needs iperf3",)
    return [*benches, watched_bench(quick=quick, rounds=rounds, only=only)], ()


def stage_bench(*, quick: bool, rounds: int | None = None) -> Bench:
    """Return `bench stage`."""
    from pktmend.commands.bench.stage import StageBench

    if quick:
        return StageBench(1, rounds or 1, milliseconds=100)
    return StageBench(rounds=rounds or 5)


def bridge_bench(
    *,
    quick: bool,
    rounds: int | None = None,
    seconds: int | None = None,
    only: Sequence[str] = (),
    congestion: str = "",
) -> Bench:
    """Return `bench bridge`; quick: ours and the kernel's, if none are named."""
    from pktmend.commands.bench.bridge import BridgeBench
    from pktmend.commands.bench.forwarders import KERNEL

    if quick:
        return BridgeBench(rounds or 1, seconds or 1, only=only or (KERNEL, "no-coalesce"), congestion=congestion)
    return BridgeBench(rounds or 4, seconds or 1, only=only, congestion=congestion)


def no_drop_bench(
    *,
    quick: bool,
    rounds: int | None = None,
    seconds: float | None = None,
    sizes: Sequence[int] = (),
    only: Sequence[str] = (),
    resolution: float = 0.02,
    tolerate: float = 0.0,
) -> Bench:
    """Return `bench no-drop`; quick: two sizes, coarsely."""
    from pktmend.commands.bench.no_drop import SIZES, NoDropBench

    if quick:
        return NoDropBench(rounds or 1, seconds or 0.2, tuple(sizes) or (64, 1518), only, 0.2, tolerate)
    return NoDropBench(rounds or 3, seconds or 1.0, tuple(sizes) or SIZES, only, resolution, tolerate)


def ring_bench(
    *, quick: bool, rounds: int | None = None, seconds: int | None = None, scenarios: Sequence[str] = ()
) -> Bench:
    """Return `bench ring`."""
    from pktmend.commands.bench.line import SCENARIOS
    from pktmend.commands.bench.ring import GEOMETRIES, RingBench

    chosen = tuple(scenarios) or tuple(SCENARIOS)
    if quick:
        return RingBench(rounds or 1, seconds or 1, chosen, (GEOMETRIES[4], GEOMETRIES[-2]))
    return RingBench(rounds or 3, seconds or 1, chosen)


def all_benches(*, quick: bool) -> tuple[list[Bench], tuple[str, ...]]:
    """Return all but the sweep and the search, and why some of them cannot be measured here."""
    benches = [sum_bench(quick=quick), verify_bench(quick=quick), read_bench(quick=quick)]
    if os.geteuid() != 0:
        return benches, ("monitor, stage, watched and bridge are not measured: making network namespaces needs root",)
    benches += [monitor_bench(quick=quick), stage_bench(quick=quick)]
    if shutil.which("iperf3") is None or shutil.which("ping") is None:
        return benches, ("watched and bridge are not measured: they need iperf3 and ping",)
    return [*benches, watched_bench(quick=quick), bridge_bench(quick=quick)], ()
