"""The public Python face: names, sources and sinks of one's own, batches one after another, what is closed and when."""

from __future__ import annotations

import ast
import gc
import gzip
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.all import IP, UDP, RawPcapReader, wrpcap

import frames as f
import pktmend
from judging import FIRST, LIVE
from pktmend import (
    Batch,
    Capture,
    Cause,
    Classify,
    Copy,
    Emit,
    Frames,
    Function,
    NativeStage,
    Null,
    Pipeline,
    Repair,
    Ring,
    Status,
    Verdict,
    Verify,
    Writer,
    classify,
    count,
    repair,
    verify,
)
from tapes import File
from tools import ROOT, Collect, until

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(GOOD, 90, 0x4711)
LEAKED = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)
UDP_RIGHT = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.pcap"
    wrpcap(str(path), [GOOD, CORRUPT, LEAKED] * 1000, linktype=1)
    return path


# --- names


def stub_names() -> dict[str, str]:
    """Return the module of each name in __init__.pyi."""
    tree = ast.parse((ROOT / "pipeline" / "pktmend" / "__init__.pyi").read_text())
    return {
        alias.asname or "": node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_names_at_run_time_are_those_of_the_stub() -> None:
    stub = stub_names()
    assert sorted(pktmend.__all__) == sorted(stub)
    for name, module in stub.items():
        assert getattr(pktmend, name) is getattr(sys.modules[module], name)


def test_every_name_is_listed_star_imported_and_nothing_else() -> None:
    names: dict[str, object] = {}
    exec("from pktmend import *", names)
    assert set(names) - {"__builtins__"} == set(pktmend.__all__)
    assert {name for name in dir(pktmend) if not name.startswith("__")} == set(pktmend.__all__)
    with pytest.raises(AttributeError, match="no attribute 'verify_with'"):
        getattr(pktmend, "verify_with")  # noqa: B009


def test_import_alone_loads_no_extension() -> None:
    program = "import sys, pktmend; print(sorted(m for m in sys.modules if m.startswith('pktmend')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pktmend', 'pktmend._version']"


def test_public_names_come_from_no_command_but_diagnose() -> None:
    """Which is why it is looked up when it is used: the package stands below its commands."""
    above = {name for name, module in stub_names().items() if ".commands." in module or ".cli" in module}
    assert above == {"Diagnosis", "diagnose"}


# --- frames as a source


def test_frames_keep_bytes_times_and_order_over_many_batches(tmp_path: Path) -> None:
    made = [bytes([n % 251]) * (14 + n % 90) for n in range(1000)]
    times: list[int] = []

    def note(batch: Batch) -> None:
        assert len(batch) <= 64
        times.extend(zip(batch.number, batch.time_ns, strict=True))

    path = tmp_path / "x.pcap"
    with Pipeline(
        Frames(((n * 1_000, frame) for n, frame in enumerate(made)), batch_size=64),
        [note],
        Writer(path, file_format="pcap"),
    ) as pipeline:
        pipeline.run()
    assert times == [(n + 1, n * 1_000) for n in range(1000)]
    with RawPcapReader(str(path)) as reader:
        assert [bytes(frame) for frame, _ in reader] == made


def test_frames_of_a_live_source_pass_one_by_one() -> None:
    """With batch_size=1 a frame is through before the next is asked for."""
    seen: list[bytes] = []

    def ask() -> Iterator[bytes]:
        for n in range(3):
            assert len(seen) == n
            yield bytes([n]) * 60

    Pipeline(Frames(ask(), batch_size=1), [], Function(lambda b: seen.append(bytes(b.frame(0))))).run()
    assert seen == [bytes([n]) * 60 for n in range(3)]


def test_list_of_frames_is_read_again_and_as_one_batch() -> None:
    frames = Frames([GOOD, CORRUPT, LEAKED], flags=int(pktmend.PacketFlag.METADATA))
    for _ in range(2):
        sink = Collect()
        p = Pipeline(frames, [verify, classify, count], sink)
        p.run()
        assert sink.frames == [GOOD, CORRUPT, LEAKED]
        assert p.counters().checks == {
            "ip": {"good": 3},
            "tcp": {"good": 1, "corrupt": 1},
            "udp": {"leaked": 1},
        }
    batch = frames.batch()
    verify(batch)
    assert list(batch.status) == [Status.GOOD, Status.BAD, Status.BAD]
    assert len(Frames([]).batch()) == 0


def test_what_the_iterable_raises_comes_after_the_frames_before_it() -> None:
    def fails() -> Iterator[bytes]:
        yield GOOD
        yield CORRUPT
        raise KeyError("no more")

    sink = Collect()
    with pytest.raises(pktmend.StageError, match="KeyError") as caught:
        Pipeline(Frames(fails()), [verify], sink).run()
    assert isinstance(caught.value.__cause__, KeyError) and sink.frames == [GOOD, CORRUPT]
    with pytest.raises(pktmend.StageError, match="bytes-like"):
        Pipeline(Frames(["text"]), []).run()  # type: ignore[list-item]
    with pytest.raises(pktmend.ConfigError, match="iterable of frames"):
        Frames(GOOD)  # type: ignore[arg-type]


def test_failing_source_is_not_blamed_on_the_sink(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    wrpcap(str(path), [GOOD] * 3, linktype=1)
    path.write_bytes(path.read_bytes()[:-1])
    sink = Collect()
    with Capture(path) as source, pytest.raises(pktmend.FormatError, match=r"cut\.pcap") as caught:
        Pipeline(source, [], sink).run()
    assert caught.value.subject == str(path) and sink.frames == [GOOD] * 2


# --- a function as a sink, and ends of one's own


def test_function_takes_what_passes_and_counts_it_as_sent() -> None:
    got: list[int] = []
    p = Pipeline(
        Frames([GOOD, CORRUPT] * 10),
        [verify, lambda batch: batch.mark(Verdict.DROP, status=Status.BAD)],
        Function(lambda batch: got.extend(batch.where())),
    )
    p.run()
    d = p.counters()
    assert got == list(range(0, 20, 2)) and (d.sent, d.dropped, d.to) == (10, {"stage": 10}, None)


def test_function_that_raises_or_keeps_a_view_ends_the_pipeline() -> None:
    kept: list[object] = []

    def take(batch: Batch) -> None:
        kept.append(batch.frame(0))

    with pytest.raises(pktmend.ViewError, match="take"):
        Pipeline(Frames([GOOD]), [], Function(take)).run()
    with pytest.raises(pktmend.StageError, match="ZeroDivisionError"):
        Pipeline(Frames([GOOD]), [], Function(lambda batch: 1 // 0)).run()
    with pytest.raises(pktmend.ConfigError, match="cannot be called"):
        Function(3)  # type: ignore[arg-type]


class Counting:
    """Both ends: gives two frames, takes them again."""

    name = "mine"

    def __init__(self, closed: list[object]) -> None:
        self.taken = 0
        self.closed = closed

    def open(self, capacity: int = 0) -> pktmend._core.Source | pktmend._core.Sink:
        return Function(self).open(capacity) if capacity else Frames([GOOD, GOOD]).open()

    def __call__(self, batch: Batch) -> None:
        self.taken += len(batch)

    def close(self) -> None:
        self.closed.append(self)


def test_source_and_sink_of_ones_own_need_open_alone_and_may_have_a_name_and_close() -> None:
    closed: list[object] = []
    source, sink = Counting(closed), Counting(closed)
    with Pipeline(source, [], sink) as p:
        p.run()
        assert (p.counters().from_, p.counters().to, p.counters().read) == ("mine", "mine", 2)
        assert not closed
    assert sink.taken == 2 and closed == [sink, source]
    with pytest.raises(pktmend.ConfigError, match="'eth0' is no source"):
        Pipeline("eth0")  # type: ignore[arg-type]
    with pytest.raises(pktmend.ConfigError, match=r"print.* is no sink"):
        Pipeline(source, [], print)  # type: ignore[arg-type]


# --- batches, without a pipeline


def test_batches_of_a_capture_after_stages(capture: Path) -> None:
    bad = total = 0
    with Capture(capture) as source:
        for batch in source.batches(Verify(at_wire=True), classify):
            total += len(batch)
            bad += len(batch.where(status=Status.BAD))
    assert (bad, total) == (2000, 3000)


def test_batch_is_a_buffererror_at_the_next_step_while_a_view_is_alive(capture: Path) -> None:
    with Capture(capture) as source:
        batches = source.batches(verify)
        view = next(batches).frame(0)
        with pytest.raises(BufferError, match="1 view"):
            next(batches)
        view.release()
        assert list(batches) == []  # the error has ended it
    frames = Frames([GOOD] * 4, batch_size=2).batches()
    column = next(frames).status
    with pytest.raises(BufferError):
        next(frames)
    column.release()


def test_batches_left_in_their_midst_let_the_rest_be_read(capture: Path) -> None:
    with Capture(capture) as source:
        for batch in source.batches(verify):
            first = len(batch)
            break
        rest = sum(len(batch) for batch in source.batches(verify))
    assert first + rest == 3000 and first > 0


def test_batches_tell_a_broken_file_after_what_came_before(tmp_path: Path, capture: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(capture.read_bytes()[:-1])
    total = 0
    with Capture(cut) as source, pytest.raises(pktmend.FormatError, match=r"cut\.pcap.*byte"):
        for batch in source.batches():
            total += len(batch)
    assert total == 2999


def test_broken_compression_is_told_to_pipelines_and_batches_alike(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "x.pcap.gz"
    packed = bytearray(gzip.compress(capture.read_bytes()))
    packed[-8] ^= 1  # the sum over all of it: every packet is there
    path.write_bytes(packed)
    with Capture(path) as source, pytest.raises(pktmend.FormatError, match="CRC"):
        Pipeline(source, []).run()
    with Capture(path) as source, pytest.raises(pktmend.FormatError, match="CRC"):
        for _ in source.batches():
            pass


def test_stage_that_remembers_does_so_from_batch_to_batch() -> None:
    """A source NAT that forgot the sum, seen from both sides in two batches; the corrupt packet makes it look out."""
    before = f.ether / IP(src="10.7.0.1", dst="198.51.100.7") / UDP(sport=40000, dport=443) / FIRST
    behind = f.ether / IP(src="203.0.113.9", dst="198.51.100.7") / UDP(sport=40000, dport=443) / FIRST
    frames = [CORRUPT, f.raw(before), f.put16(f.raw(behind), 40, f.get16(f.raw(before), 40))]
    own = Classify()
    judged: dict[str, list[int]] = {}
    for name, stages in {"shared": [classify], "own": [own]}.items():
        batches = Frames(frames, flags=LIVE, batch_size=1).batches(verify, *stages)
        judged[name] = [cause for batch in batches for cause in batch.cause.tolist()]
    assert judged == {key: [Cause.CORRUPT, Cause.NONE, Cause.NAT_DELTA] for key in ("shared", "own")}
    called = [Frames([frame], flags=LIVE).batch() for frame in frames]
    for stage in (verify, own, classify):
        for batch in called:
            stage(batch)
        if stage is own:
            assert called[2].cause[0] == Cause.NAT_DELTA
    assert called[2].cause[0] in (Cause.CORRUPT, Cause.BIT_FLIP)  # the shared one knows the batch at hand


# --- what is closed, and when


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_with_closes_everything_also_after_an_error(tmp_path: Path, capture: Path) -> None:
    before = descriptors()

    def broken(batch: Batch) -> None:
        raise KeyError("nothing")

    with pytest.raises(pktmend.StageError), Pipeline(Capture(capture), [broken], Writer(tmp_path / "y.pcapng")) as p:
        p.run()
    with Pipeline(Capture(capture), [verify], Writer(tmp_path / "z.pcap", file_format="pcap")) as p:
        p.start()  # and nobody waits: the end of the block stops it
    with Pipeline(Capture(capture)):
        pass  # never begun
    with Capture(capture) as source, Copy(tmp_path / "copy.pcap", source) as sink:
        Pipeline(source, [verify, repair], sink).run()
    assert (tmp_path / "copy.pcap").read_bytes() == capture.read_bytes()
    del p  # a pipeline has a descriptor to be woken by
    assert descriptors() == before


def test_end_of_the_block_raises_what_ended_a_pipeline_that_nobody_waited_for(capture: Path) -> None:
    def broken(batch: Batch) -> None:
        raise KeyError("nothing")

    with pytest.raises(pktmend.StageError, match="broken"), Pipeline(Capture(capture), [broken]) as p:
        p.start()
        while not p.is_done():
            pass
    with pytest.raises(ZeroDivisionError), Pipeline(Capture(capture), [broken]) as p:
        p.start()
        raise ZeroDivisionError


def test_end_of_the_block_stops_a_source_that_never_ends() -> None:
    with Pipeline(Frames(itertools.repeat(GOOD)), [count]) as p:
        p.start()
        until(lambda: p.counters().read > 0)
    assert p.is_done() and p.counters().read == p.counters().packets


def test_copy_is_closed_before_its_source_and_so_complete(tmp_path: Path) -> None:
    """What follows the last packet of a full batch is written when the copy is closed."""
    path, file = tmp_path / "x.pcapng", File().section().interface()
    for _ in range(1024):  # packets of a batch of a capture
        file.packet(GOOD)
    path.write_bytes(file.block(5, bytes(12)).data)  # interface statistics
    source = Capture(path)
    with Pipeline(source, [verify], Copy(tmp_path / "y.pcapng", source)) as p:
        p.run()
    assert (tmp_path / "y.pcapng").read_bytes() == path.read_bytes()


def test_error_of_reading_is_not_told_as_one_of_writing(tmp_path: Path, capture: Path) -> None:
    with Capture(capture) as source, Writer(tmp_path / "y.pcapng") as sink:
        folder = os.open(tmp_path, os.O_RDONLY)
        os.dup2(folder, source.fileno())
        os.close(folder)
        with pytest.raises(pktmend.OSFailure, match=r"^reading: Is a directory"):
            Pipeline(source, [], sink).run()


def test_without_with_the_ends_stay_open(capture: Path) -> None:
    with Capture(capture) as source:
        Pipeline(source).run()
        assert os.fstat(source.fileno()).st_size == source.offset == capture.stat().st_size


def test_closing_twice_is_closing_once(tmp_path: Path, capture: Path) -> None:
    source = Capture(capture)
    writer, copy = Writer(tmp_path / "a.pcapng"), Copy(tmp_path / "b.pcap", source)
    for _ in range(2):
        copy.close()
        writer.close(received=7)  # it writes this once, and not to a file that may be another's by now
        source.close()
    with pytest.raises(pktmend.ConfigError, match="closed"):
        next(source.batches())


# --- stages, options, errors


def test_verify_and_repair_with_options_are_stages_of_their_own() -> None:
    assert isinstance(verify, Verify) and isinstance(repair, Repair) and isinstance(Verify(), NativeStage)
    batch = Frames([LEAKED, CORRUPT]).batch()
    verify(batch)
    assert list(batch.status) == [Status.PENDING, Status.BAD]
    Verify(expected=True, at_wire=True)(batch)
    assert list(batch.status) == [Status.BAD, Status.BAD]
    assert batch.checks_of(0)[1].expected == int.from_bytes(UDP_RIGHT[40:42])
    classify(batch)
    Repair("leaked")(batch)
    assert batch.head(0) == UDP_RIGHT and batch.head(1) == CORRUPT


def test_wrong_words_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(pktmend.ConfigError, match="v2 or v3"):
        Ring("nosuch0", ring="v4")
    with pytest.raises(pktmend.ConfigError, match="pcap or pcapng"):
        Writer(tmp_path / "x", file_format="zip")
    assert not (tmp_path / "x").exists()
    with pytest.raises(pktmend.ConfigError, match="link type"):
        Frames([GOOD], link=1 << 16).batch()


@pytest.mark.parametrize("make", [Ring, Emit, Capture])
def test_oserror_says_what_it_is_about(make: type) -> None:
    with pytest.raises(OSError, match="nosuch0") as caught:
        make("nosuch0")
    assert isinstance(caught.value, pktmend.OSFailure)
    assert (caught.value.subject, caught.value.exit_code) == ("nosuch0", 4)


def test_exit_codes_and_parents_of_all_errors_are_those_of_the_readme() -> None:
    """Exit codes: ... 1 problems found, 2 usage, 3 missing privilege, 4 an interface or file ..., 5 not a capture."""
    assert {
        name: (getattr(pktmend, name).exit_code, parent, issubclass(getattr(pktmend, name), parent))
        for name, parent in {
            "PktmendError": Exception,
            "ConfigError": ValueError,
            "OSFailure": OSError,
            "PrivilegeError": PermissionError,
            "FormatError": ValueError,
            "StageError": pktmend.PktmendError,
            "ViewError": BufferError,
        }.items()
    } == {
        "PktmendError": (1, Exception, True),
        "ConfigError": (2, ValueError, True),
        "OSFailure": (4, OSError, True),
        "PrivilegeError": (3, PermissionError, True),
        "FormatError": (5, ValueError, True),
        "StageError": (1, pktmend.PktmendError, True),
        "ViewError": (1, BufferError, True),
    }


def test_null_counts_and_keeps_nothing() -> None:
    p = Pipeline(Frames([GOOD] * 5), [count], Null())
    p.run()
    assert (p.counters().read, p.counters().dropped) == (5, {"no-sink": 5})
