"""Carry frames between two interfaces, repair what is leaked, drop what is corrupt: python bridge.py A B

Needs CAP_NET_RAW.  Ends with SIGINT or SIGTERM and prints what each direction counted.
"""

from __future__ import annotations

import signal
import sys
import threading

from pktmend import Batch, Emit, OnError, Pipeline, Ring, Status, Verdict, classify, count, repair, verify


def drop_bad(batch: Batch) -> None:
    """Drop packets that stay bad.  Reads: status.  Writes: verdict."""
    batch.mark(Verdict.DROP, status=Status.BAD)


def main(a: str, b: str) -> None:
    stages = [verify, classify, count, repair, drop_bad]
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (  # closed from the last to the first: the pipelines stop before their ends are closed
        Ring(a, ring="v2", outgoing=False) as from_a,
        Ring(b, ring="v2", outgoing=False) as from_b,
        Emit(a) as to_a,
        Emit(b) as to_b,
        Pipeline(from_a, stages, to_b, on_error=OnError.PASS) as there,
        Pipeline(from_b, stages, to_a, on_error=OnError.PASS) as back,
    ):
        there.start()
        back.start()
        print(f"carrying between {a} and {b}", file=sys.stderr, flush=True)
        while not stop.wait(0.1) and not there.is_done() and not back.is_done():
            pass
    for direction in (there.counters(), back.counters()):
        print(
            f"{direction.from_} -> {direction.to}: read {direction.read}, sent {direction.sent},"
            f" repaired {direction.repaired}, dropped {direction.dropped}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
