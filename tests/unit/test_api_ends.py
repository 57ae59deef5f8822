"""The ends of a pipeline in Python: frames as a source, a function as a sink, and sources and sinks of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.all import RawPcapReader, wrpcap

import frames as f
import pktmend
from pktmend import (
    Batch,
    Capture,
    Frames,
    Function,
    Pipeline,
    Status,
    Verdict,
    Writer,
    classify,
    count,
    verify,
)
from tools import Collect

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(GOOD, 90, 0x4711)
LEAKED = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)


# --- frames as a source


def test_frames_keep_bytes_times_and_order_over_many_batches(tmp_path: Path) -> None:
    made = [bytes([n % 251]) * (14 + n % 90) for n in range(1000)]
    times: list[int] = []

    def record(batch: Batch) -> None:
        assert len(batch) <= 64
        times.extend(zip(batch.number, batch.time_ns, strict=True))

    path = tmp_path / "x.pcap"
    with Pipeline(
        Frames(((n * 1_000, frame) for n, frame in enumerate(made)), batch_size=64),
        [record],
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
