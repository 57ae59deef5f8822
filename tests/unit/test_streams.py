"""Standard output and error: what is escaped, and what becomes of what nobody reads."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.console import streams
from pktmend.console.printable import printable, printable_json
from pktmend.console.report import print_json
from tools import until


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, é ü 字\tand\n", "plain text, é ü 字\tand\n"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x00\x7f", r"a\x0db\x00\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("eth\u202e0", r"eth\u202e0"),
        (os.fsdecode(b"b\xff"), r"b\xff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_json_stays_the_same_value() -> None:
    text = json.dumps({"name": "a\x1b\x9b\u202eb"}, ensure_ascii=False)
    escaped = printable_json(text)
    assert json.loads(escaped) == {"name": "a\x1b\x9b\u202eb"} and escaped.isascii()


def test_json_of_a_name_that_is_no_utf8() -> None:
    out = io.StringIO()
    print_json({os.fsdecode(b"k\xff"): [os.fsdecode(b"\xfe"), {"x": ("é", 1, None)}]}, out)
    assert json.loads(out.getvalue()) == {r"k\xff": [r"\xfe", {"x": ["é", 1, None]}]}


@pytest.fixture
def pipe() -> Iterator[tuple[int, streams.SafeStream]]:
    """The reading end of a pipe, and a stream into it."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    stream = streams.SafeStream(io.FileIO(writer, "wb"), "utf-8", write_through=True)
    yield reader, stream
    os.close(reader)
    stream.detach().close()


def everything(reader: int) -> bytes:
    found = b""
    while True:
        try:
            data = os.read(reader, 1 << 16)
        except BlockingIOError:
            return found
        if not data:
            return found
        found += data


def test_stream_escapes_and_raw_does_not(pipe: tuple[int, streams.SafeStream]) -> None:
    reader, stream = pipe
    print("\x1b[1m", file=stream)
    print("\x1b[2m", file=streams.terminal(stream), flush=True)
    assert everything(reader) == b"\\x1b[1m\n\x1b[2m\n"


def test_queue_writes_in_order_and_what_waits_at_the_end(pipe: tuple[int, streams.SafeStream]) -> None:
    reader, stream = pipe
    queue = streams.Queue(stream.fileno(), "out")
    stream.attach(queue)
    for n in range(1000):
        print(n, file=stream)
    stream.attach(None)
    queue.close(time.monotonic() + 10)
    assert everything(reader).split() == [str(n).encode() for n in range(1000)]
    assert queue.lost == 0


def test_nobody_who_prints_waits(pipe: tuple[int, streams.SafeStream], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times what the pipe and the queue hold: whole lines are lost, counted, and told once it is read again."""
    reader, stream = pipe
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", stream)
    output = streams.Unwaiting()
    output.start()
    line = "x" * 99
    printed = 4 * streams.LIMIT // 100
    for _ in range(printed):
        print(line, file=stream)
    lost = output.lost()["stderr"]
    assert 0 < lost < printed
    output.report()  # there is no room to say it
    found: list[bytes] = []
    until(lambda: bool(found.append(everything(reader))) or b"".join(found).count(b"x\n") == printed - lost, "all")
    output.report()
    output.report()
    output.close()
    lines = (b"".join(found) + everything(reader)).decode().splitlines()
    assert set(lines[:-1]) == {line}
    assert lines[-1].startswith(f"pktmend: stderr: {lost} lines of output were lost")


def test_end_does_not_wait_for_a_reader_that_hangs(pipe: tuple[int, streams.SafeStream]) -> None:
    reader, stream = pipe
    os.write(stream.fileno(), b"." * 65536)
    queue = streams.Queue(stream.fileno(), "out")
    stream.attach(queue)
    print("never read", file=stream)
    stream.attach(None)
    closing = threading.Thread(target=queue.close, args=(time.monotonic() + 0.1,))
    closing.start()
    closing.join(30)
    assert not closing.is_alive() and queue.lost == 1
    assert b"never" not in everything(reader)


def test_reader_that_has_gone_is_an_error_to_who_prints_next() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    queue = streams.Queue(writer, "out")
    queue.put(b"x\n")
    until(lambda: queue.error == errno.EPIPE, "the error")
    with pytest.raises(BrokenPipeError):
        queue.put(b"x\n")
    queue.close(time.monotonic())
    os.close(writer)


def test_full_disk_is_counted_and_an_error_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        stream = streams.SafeStream(full, "utf-8")
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", None)
        output = streams.Unwaiting()
        output.start()
        print("one\ntwo", file=stream)
        until(lambda: output.lost() == {"stdout": 2}, "the loss")
        with pytest.raises(OSError, match="No space left"):
            output.close()
        stream.detach()


def test_terminal_is_still_a_terminal() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "wb", buffering=0) as device:
        stream = streams.SafeStream(device, "utf-8")
        assert streams.terminal(stream).isatty() and streams.terminal(stream).fileno() == slave
        stream.detach()
    os.close(master)
