"""`pktmend bench receive`: count what `pktmend bench gen` has numbered: received, lost, twice, out of order.

Numbers are recorded by a native stage (ext/bench/arrivals.c) behind `verify`: a super-frame that a bridge has made of
several frames counts for each of them.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from pktmend._core import NativeStage
from pktmend.commands.bench._traffic import ffi, lib
from pktmend.console.main_loop import main_loop
from pktmend.console.plural import quantity
from pktmend.console.report import check_lines, print_json
from pktmend.console.signals import Signals
from pktmend.errors import ConfigError
from pktmend.packetio.ring import Ring
from pktmend.runtime.native_stages import wrap_native
from pktmend.runtime.pipeline import Pipeline
from pktmend.runtime.stages import classify, count, verify


class Arrivals:
    """What has arrived, by run; stage records the numbers of a batch.  Reads: l4, protocol, flags, frames."""

    def __init__(self) -> None:
        self._c = ffi.new("traffic_arrivals *")
        context = int(ffi.cast("uintptr_t", self._c))
        self.stage: NativeStage = wrap_native(
            lib.pktmend_stage_of_traffic_record, context=context, name="record numbers"
        )

    @property
    def foreign(self) -> int:
        """Frames without a number."""
        return int(self._c.foreign)

    def runs(self) -> list[dict[str, int]]:
        """Return each sender's run: lost are the numbers missing between the lowest and the highest that came."""
        found = []
        for i in range(self._c.runs):
            r = self._c.run[i]
            found.append(
                {
                    "run": r.id,
                    "received": r.received,
                    "lost": r.highest - r.lowest + 1 - r.received,
                    "duplicates": r.duplicates,
                    "reordered": r.reordered,
                    "late": r.late,
                    "first": r.lowest,
                    "last": r.highest,
                    "octets": r.bytes,
                }
            )
        return found


def run_line(run: dict[str, int]) -> str:
    """One line on a sender's run; what is lost before its first frame or after its last cannot show in the numbers."""
    return (
        f"  run {run['run']}: {quantity(run['received'], 'frame')} received, {run['octets']} bytes; numbers "
        f"{run['first']} to {run['last']}, of which {run['lost']} missing; {run['duplicates']} came twice, "
        f"{run['reordered']} out of order, {run['late']} so late that they may be repeats"
    )


def run_receiver(interface: str, *, duration: float | None, json: bool) -> None:
    """Count until the duration is over or a signal comes; print each run and what became of the checksums."""
    if duration is not None and not 0 < duration < math.inf:
        raise ConfigError(f"--duration {duration}", "seconds above 0")
    signals = Signals()
    arrivals = Arrivals()
    with Ring(interface, outgoing=False) as ring:
        pipeline = Pipeline(ring, [verify, classify, count, arrivals.stage])
        pipeline.start()
        print(f"pktmend: receiving on {interface}", file=sys.stderr, flush=True)
        try:
            main_loop(
                signals,
                lambda: [pipeline],
                duration=duration,
                on_report=lambda: _print(pipeline, arrivals, json=False, file=sys.stderr),
            )
        finally:
            pipeline.stop()
            pipeline.wait()
        _print(pipeline, arrivals, json=json, file=sys.stdout)


def _print(pipeline: Pipeline, arrivals: Arrivals, *, json: bool, file: Any) -> None:
    d = pipeline.counters()
    if json:
        print_json(
            {
                "received": {
                    "interface": d.from_,
                    "frames": d.read,
                    "kernel_drops": d.kernel_drops,
                    "foreign": arrivals.foreign,
                    "runs": arrivals.runs(),
                    "checks": d.checks,
                }
            },
            kind="received",
        )
        return
    print(
        f"{d.from_}: {quantity(d.read, 'frame')} read, {d.kernel_drops} dropped by the kernel before that, "
        f"{arrivals.foreign} not of `bench gen`",
        file=file,
    )
    for run in arrivals.runs():
        print(run_line(run), file=file)
    print("\n".join(check_lines(d.checks)), file=file, flush=True)
