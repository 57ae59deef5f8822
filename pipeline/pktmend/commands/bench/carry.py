"""A bridge for measuring:   python -m pktmend.commands.bench.carry A B [NAME=VALUE ...]

With stage=MODULE:NAME, or nothing, it is the bridge of `pktmend bridge`.  With numbers (version, slot_size, slots,
block_size, blocks: see packetio.ring.Ring) it is made of the same parts around rings of that geometry.
SIGUSR1 prints how many frames have been read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pktmend.commands.bridge.bridge import FEW_CPUS, Bridge, stages_of
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.console.main_loop import main_loop
from pktmend.console.report import print_json
from pktmend.console.signals import Signals
from pktmend.packetio.emit import Emit
from pktmend.packetio.ring import Ring
from pktmend.runtime.pipeline import Pipeline, start_together, stop_all


@contextmanager
def with_rings(options: BridgeOptions, numbers: dict[str, int]) -> Iterator[Sequence[Pipeline]]:
    """Run pipelines for both directions over rings of that geometry."""
    with ExitStack() as stack:
        pipelines = []
        for source, target in ((options.a, options.b), (options.b, options.a)):
            emit = stack.enter_context(Emit(target, coalesce=True))
            layout, geometry = f"v{numbers['version']}", {k: n for k, n in numbers.items() if k != "version"}
            ring = stack.enter_context(Ring(source, ring=layout, outgoing=False, **geometry))  # type: ignore[arg-type]
            rx_usecs = options.rx_usecs if layout == "v2" else 0
            pipelines.append(Pipeline(ring, stages_of(options), emit, rx_usecs=rx_usecs))
        if len(os.sched_getaffinity(0)) <= FEW_CPUS:
            start_together(pipelines)
        else:
            for pipeline in pipelines:
                pipeline.start()
        try:
            yield pipelines
        finally:
            stop_all(pipelines)


def carry(a: str, b: str, settings: dict[str, str]) -> None:
    """Carry frames between *a* and *b* until a signal comes."""
    signals = Signals()
    stage = settings.pop("stage", "")
    options = BridgeOptions(a=a, b=b, stage=(stage,) if stage else (), cut_through="off")
    with ExitStack() as stack:
        if settings:
            pipelines = stack.enter_context(with_rings(options, {name: int(value) for name, value in settings.items()}))
        else:
            pipelines = stack.enter_context(Bridge(options)).pipelines
        print("carrying", file=sys.stderr, flush=True)
        main_loop(
            signals,
            lambda: pipelines,
            tick=0.02,
            on_report=lambda: print_json({"read": sum(p.counters().read for p in pipelines)}),
        )


if __name__ == "__main__":
    carry(sys.argv[1], sys.argv[2], dict(word.split("=", 1) for word in sys.argv[3:]))
