"""The monitor's writer without a network: each packet is in one place of the account, whatever stops the writing."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend import Frames, _core, verify
from pktmend.commands.monitor.options import WriteOptions
from pktmend.commands.monitor.spools import ALL_SPOOLS, FULL, Spools
from pktmend.commands.monitor.turnover import Turnover
from pktmend.commands.monitor.writer import NO_READER, Writer
from tools import until

ETHERNET = 1
FRAME = bytes(64)


def put(spool: _core.Spool, packets: int) -> None:
    """What a worker does with its packets."""
    batch = Frames([FRAME] * packets).batch()
    verify(batch)
    spool.stage(batch)


def spools_of(options: WriteOptions) -> tuple[Spools, list[tuple[str, str]]]:
    events: list[tuple[str, str]] = []
    return Spools(options, lambda kind, text: events.append((kind, text)), 1), events


def test_refused_packets_keep_the_reason_of_their_time() -> None:
    spools, _ = spools_of(WriteOptions("x"))
    spool = spools.new("eth0", ETHERNET)
    assert spool is not None
    put(spool, 2)
    spools.stop("ENOSPC")
    put(spool, 3)
    assert spools.account().not_written == {"ENOSPC": 3} and spools.account().buffered == 2
    assert spools.discard() and not spools.discard()
    spools.go_on()
    put(spool, 4)
    spools.stop("EPIPE")
    put(spool, 5)
    account = spools.account()
    assert (account.buffered, account.not_written, account.reason) == (4, {"ENOSPC": 5, "EPIPE": 5}, "EPIPE")


def test_a_retired_spool_is_counted_on() -> None:
    spools, _ = spools_of(WriteOptions("x"))
    first, second = spools.new("eth0", ETHERNET), spools.new("eth1", ETHERNET)
    assert first is not None and second is not None
    put(first, 3)
    spools.retire(first)
    assert spools.waiting() == [first]
    spools.stop("EIO")
    spools.discard()
    assert spools.waiting() == []
    put(second, 1)
    assert spools.account().not_written == {"EIO": 4}
    assert spools.interfaces == [("eth0", ETHERNET), ("eth1", ETHERNET)]


def test_a_file_has_room_for_4096_interfaces() -> None:
    spools, events = spools_of(WriteOptions("x"))
    for n in range(4096):
        spool = spools.new(f"eth{n}", ETHERNET)
        assert spool is not None
        spools.retire(spool)  # its memory is free for the next
        assert not spools.waiting()
    assert not events and spools.new("eth4096", ETHERNET) is None
    assert len(events) == 1 and "eth4096: not written" in events[0][1]
    assert spools.new("eth0", ETHERNET) is not None, "an interface that is there already"


def test_spools_of_newcomers_stay_within_the_memory_of_all() -> None:
    spools, events = spools_of(WriteOptions("x"))
    made = [spools.new(f"eth{n}", ETHERNET) for n in range(1000)]
    room = made.index(None)
    assert room >= 300 and not any(made[room:])
    assert len(events) == 1000 - room and "used up" in events[0][1]


def test_spools_of_many_workers_are_smaller() -> None:
    spools = Spools(WriteOptions("x"), lambda kind, text: None, 32)
    spool = spools.new("eth0", ETHERNET)
    assert spool is not None
    size = 28 + len(FRAME) + 4  # an enhanced packet block without options
    share = ALL_SPOOLS // 32
    for _ in range(share // size // 1000 + 1):
        put(spool, 1000)
    account = spools.account()
    assert account.not_written.keys() == {FULL} and account.buffered == share // size


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: now[0])
    yield now


def test_files_by_size_come_in_a_ring() -> None:
    turnover = Turnover(WriteOptions("x", megabytes=2, files=3))
    seen = []
    for _ in range(4):
        turnover.begin()
        seen.append(turnover.path)
        assert not turnover.is_due(2_000_000) and turnover.is_due(2_000_001)
        assert turnover.room(1_999_900) == 101
        assert turnover.advance()
    assert seen == ["x0", "x1", "x2", "x0"]


def test_files_by_time_end_after_so_many(clock: list[float]) -> None:
    turnover = Turnover(WriteOptions("%s", seconds=10, files=2))
    turnover.begin()
    assert turnover.path == "1000"
    clock[0] += 9.9
    assert not turnover.is_due(1 << 40)
    clock[0] += 0.1
    assert turnover.is_due(0) and turnover.advance()
    turnover.begin()
    assert turnover.path == "1010" and not turnover.is_due(0)
    clock[0] += 10
    assert turnover.is_due(0) and not turnover.advance()


class Recorder:
    """A writer of *path* and its events."""

    def __init__(self, path: Path, **options: int) -> None:
        self.events: list[str] = []
        self.writer = Writer(WriteOptions(str(path), **options), lambda _, text: self.events.append(text), dict, 1)
        spool = self.writer.spools.new("eth0", ETHERNET)
        assert spool is not None
        self.spool = spool

    def put(self, packets: int) -> None:
        put(self.spool, packets)


def test_what_it_has_taken_is_in_the_file_after_close(tmp_path: Path) -> None:
    path = tmp_path / "x"
    recorder = Recorder(path)
    recorder.put(5)
    recorder.writer.open()
    recorder.writer.start()
    recorder.put(7)
    recorder.writer.close()
    counts = recorder.writer.counts()
    assert (counts.written, counts.buffered, counts.not_written, counts.files) == (12, 0, {}, 1)
    assert counts.octets == path.stat().st_size > 12 * len(FRAME)
    assert counts.is_writing and not recorder.events


def test_a_name_that_cannot_be_opened_again_stops_it_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    recorder = Recorder(folder / "x")
    writer = recorder.writer
    writer.open()
    writer.start()
    recorder.put(2)
    until(lambda: writer.counts().written == 2)
    folder.rename(tmp_path / "away")
    writer.reopen()
    until(lambda: not writer.counts().is_writing)
    recorder.put(3)
    folder.mkdir()
    writer.reopen()
    until(lambda: writer.counts().is_writing)
    recorder.put(4)
    writer.close()
    counts = writer.counts()
    assert (counts.written, counts.not_written, counts.files) == (6, {"ENOENT": 3}, 2)
    assert counts.octets == sum((tmp_path / name / "x").stat().st_size for name in ("away", "folder"))
    assert ["writing stopped" in event for event in recorder.events] == [True, False]
    assert "opened again" in recorder.events[1]


def test_done_is_for_good(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "x", seconds=1, files=1)
    writer = recorder.writer
    writer.open()
    writer.start()
    recorder.put(2)
    until(lambda: writer.counts().written == 2)
    time.sleep(1)  # the age of the file
    recorder.put(1)
    until(lambda: writer.is_complete)
    writer.reopen()
    recorder.put(3)
    writer.close()
    counts = writer.counts()
    assert writer.is_complete and not counts.is_writing
    assert (counts.written, counts.buffered, counts.not_written) == (2, 0, {"file limit": 4})


def test_a_reader_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        recorder = Recorder(pipe)
        recorder.writer.open()
        recorder.writer.start()
        recorder.put(3000)
        recorder.writer.close()
    finally:
        os.close(reader)
    counts = recorder.writer.counts()
    assert counts.written + counts.not_written[NO_READER] == 3000 and counts.buffered == 0
    assert counts.written < 1000 and "nobody reads it" in recorder.events[-1]


def test_a_fault_of_the_thread_is_said_and_refuses_packets(tmp_path: Path) -> None:
    def kernel() -> dict[str, tuple[int, int]]:
        raise ZeroDivisionError("no counts")

    events: list[str] = []
    writer = Writer(WriteOptions(str(tmp_path / "x")), lambda _, text: events.append(text), kernel, 1)
    spool = writer.spools.new("eth0", ETHERNET)
    assert spool is not None
    writer.open()
    writer.start()
    writer.reopen()  # the file is ended with the kernel's counts
    until(lambda: not writer.counts().is_writing)
    put(spool, 3)
    writer.close()
    assert writer.counts().not_written == {"ZeroDivisionError": 3} and not writer.is_complete
    assert len(events) == 1 and "ZeroDivisionError: no counts; writing ended" in events[0]


def test_what_closing_a_file_says_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system over the network says at close() that its quota is exhausted."""

    class Remote(io.FileIO):
        def close(self) -> None:
            was_open = not self.closed
            super().close()
            if was_open:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr("builtins.open", lambda path, mode, **_: Remote(path, mode))
    recorder = Recorder(tmp_path / "x")
    recorder.writer.open()
    recorder.writer.start()
    recorder.put(2)
    recorder.writer.close()
    assert recorder.events == [f"{tmp_path / 'x'}: {os.strerror(errno.EDQUOT)}"]
    assert recorder.writer.counts().written == 2
