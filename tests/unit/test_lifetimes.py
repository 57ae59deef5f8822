"""Views of frames that outlive what they were read from: the memory behind them stays, and is given back with the last.

Each runs in a process of its own: what dangles ends it, or reads what somebody else has put there.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)

HEAD = """
import gc, sys, weakref
from pktmend import Capture, Frames, Pipeline, StageError

path = sys.argv[1]
kept = []

def keep(batch):
    kept.append(batch.frame(0))

def read_once():
    source = Capture(path)
    try:
        Pipeline(source, [keep]).run()
    except StageError as error:  # it kept a view
        error.__traceback__ = None
    return source
"""


def run(path: Path, program: str) -> str:
    """Run it after HEAD and return what it printed; memory that is given back is not kept by malloc."""
    wrpcap(str(path), [GOOD] * 30_000, linktype=1)
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    signal_name = signal.Signals(-done.returncode).name if done.returncode < 0 else ""
    assert done.returncode == 0, (signal_name, done.stderr)
    return done.stdout.strip()


def test_frame_outlives_a_capture_that_was_never_closed(tmp_path: Path) -> None:
    assert (
        run(
            tmp_path / "x.pcap",
            """
source = read_once()
del source
gc.collect()
others = [bytearray(b"x") * (1 << 20) for _ in range(8)]  # where its memory was
print(kept[0].tobytes().hex())
""",
        )
        == GOOD.hex()
    )


def test_closing_is_refused_while_a_frame_is_held_and_works_after(tmp_path: Path) -> None:
    assert (
        run(
            tmp_path / "x.pcap",
            """
source = read_once()
try:
    source.close()
except BufferError as error:
    print("refused")
kept.clear()
gc.collect()
source.close()
""",
        )
        == "refused"
    )


def test_view_in_a_reference_cycle_is_collected(tmp_path: Path) -> None:
    """The collector takes a cycle apart in its own order: the view must still find its batch when it is let go of."""
    assert (
        run(
            tmp_path / "x.pcap",
            """
class Holder:
    pass

source = read_once()
holder = Holder()
holder.self, holder.view = holder, kept.pop()
gone = weakref.ref(holder)
del holder
try:
    source.close()
except BufferError:
    print("held", end=" ")
gc.collect()
source.close()
print(gone() is None)
""",
        )
        == "held True"
    )


def test_exporter_of_a_view_gives_no_second_one(tmp_path: Path) -> None:
    assert (
        run(
            tmp_path / "x.pcap",
            """
batch = Frames([bytes(100)]).batch()
view = batch.frame(0)
exporter = view.obj
view.release()
try:
    memoryview(exporter)
except BufferError as error:
    print(error)
""",
        )
        == "this view was given out already; ask the batch for another"
    )


def test_view_of_a_frame_given_by_the_program_outlives_batch_and_pipeline(tmp_path: Path) -> None:
    """A stage that keeps views, in a pipeline that goes on all the same: nothing that they show is given back."""
    assert (
        run(
            tmp_path / "x.pcap",
            """
from pktmend import OnError

Pipeline(Frames((bytes([n]) * 1400 for n in range(100)), batch_size=10), [keep], on_error=OnError.PASS).run()
gc.collect()
others = [bytearray(b"x") * 1400 for _ in range(1000)]  # where their memory was
print([view.tobytes() == bytes([10 * n]) * 1400 for n, view in enumerate(kept)].count(True))
""",
        )
        == "10"
    )


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="counts of this interpreter")
def test_capture_that_is_dropped_gives_its_memory_back_at_once(tmp_path: Path) -> None:
    """Without the collector's help: no cycle holds it."""
    assert (
        run(
            tmp_path / "x.pcap",
            """
gc.disable()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def once():
    source = Capture(path)
    Pipeline(source, []).run()
for _ in range(5):
    once()
before = resident()
for _ in range(50):
    once()
print(resident() - before < 8 << 20)
""",
        )
        == "True"
    )


def test_copy_keeps_what_its_source_reads_from(tmp_path: Path) -> None:
    """The collector may take the source apart first, and the copy says to its reader that it is gone."""
    assert (
        run(
            tmp_path / "x.pcap",
            """
from pktmend import Copy

with Capture(path) as capture, Copy(sys.argv[1] + ".copy", capture) as copy:
    source, sink = capture.open(), copy.open(0)
    of_source, of_sink = (set(map(id, gc.get_referents(end))) for end in (source, sink))
    print(id(source) in of_sink, bool(of_source & of_sink - {id(type(source)), id(type(sink))}))
""",
        )
        == "True True"
    )
