"""Traffic that runs across a fault: ping at 100/s and a TCP stream, from a to b."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import threading
import time

from line import ADDRESSES, Line
from tools import PATIENCE, until

CHUNK = 1 << 16
REPLY = re.compile(rb"^\[(\d+\.\d+)\] .*icmp_seq=(\d+)", re.MULTILINE)


class Stream:
    """A TCP connection that carries *rate* chunks of 64 KiB a second, hashed at both ends."""

    def __init__(self, line: Line, rate: float = 200) -> None:
        self.received = 0
        self._pause = 1 / rate
        self._is_over = False
        self._sent, self._got = hashlib.sha256(), hashlib.sha256()
        self._faults: list[BaseException] = []
        server = line.b.call(lambda: socket.create_server((ADDRESSES["b"][0], 0)))
        address = server.getsockname()
        self._out = line.a.call(lambda: socket.create_connection(address, timeout=PATIENCE))
        self._in, _ = server.accept()
        server.close()
        self._in.settimeout(PATIENCE)
        self._threads = [threading.Thread(target=self._guard, args=[each]) for each in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _guard(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except OSError as error:
            self._faults.append(error)

    def _send(self) -> None:
        with self._out:
            while not self._is_over:
                chunk = os.urandom(CHUNK)
                self._out.sendall(chunk)
                self._sent.update(chunk)
                time.sleep(self._pause)

    def _receive(self) -> None:
        with self._in:
            while data := self._in.recv(1 << 18):
                self._got.update(data)
                self.received += len(data)

    def finish(self) -> None:
        """End it; all that was sent has arrived, unchanged."""
        self._is_over = True
        for thread in self._threads:
            thread.join(2 * PATIENCE)
        assert not self._faults, self._faults
        assert self._sent.digest() == self._got.digest(), "what arrives of the stream differs"


class Load:
    """Both kinds of traffic; a context manager."""

    def __init__(self, line: Line, *, with_stream: bool = True) -> None:
        self._ping = line.a.spawn(
            "ping", "-D", "-n", "-i", "0.01", "-W", "1", ADDRESSES["b"][0], stdout=subprocess.PIPE
        )
        self._seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.stream = Stream(line) if with_stream else None
        self.await_reply(time.time())

    def _read(self) -> None:
        assert self._ping.stdout is not None
        while data := self._ping.stdout.read1(1 << 16):
            self._seen += data

    def replies(self) -> list[tuple[float, int]]:
        """Time and number of every answer so far."""
        return [(float(when), int(number)) for when, number in REPLY.findall(self._seen)]

    def await_reply(self, since: float, within: float = 2) -> None:
        """Wait for an answer later than *since* (time.time()); it must have come *within* so many seconds."""
        until(lambda: any(when > since for when, _ in self.replies()), "an answer")
        late = min(when for when, _ in self.replies() if when > since) - since
        assert late <= within, f"service is back only after {late:.2f} s"

    def await_progress(self, within: float = PATIENCE) -> None:
        """Wait until the stream goes on."""
        assert self.stream is not None
        before, deadline = self.stream.received, time.monotonic() + within
        while self.stream.received == before:
            assert time.monotonic() < deadline, "the TCP stream does not go on"
            time.sleep(0.01)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ping.terminate()
        self._ping.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.stream is not None and kind is None:
            self.stream.finish()
