"""Batches one after another, without a pipeline; and what is closed, and when."""

from __future__ import annotations

import gc
import gzip
import itertools
import os
from pathlib import Path

import pytest
from scapy.all import IP, UDP, wrpcap

import frames as f
import pktmend
from judging import FIRST, LIVE
from pktmend import (
    Batch,
    Capture,
    Cause,
    Classify,
    Copy,
    Frames,
    Pipeline,
    Status,
    Verify,
    Writer,
    classify,
    count,
    repair,
    verify,
)
from tapes import File
from tools import until

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(GOOD, 90, 0x4711)
LEAKED = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.pcap"
    wrpcap(str(path), [GOOD, CORRUPT, LEAKED] * 1000, linktype=1)
    return path


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
