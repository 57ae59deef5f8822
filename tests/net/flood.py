"""Numbered frames as fast as one thread can send and receive them: sendmmsg and recvmmsg over NumPy's memory."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

LIBC = ctypes.CDLL(None, use_errno=True)
AT_ONCE = 512
ROOM = 2048
MESSAGE = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u8"),
        ("vectors", "u8"),
        ("vector_count", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "u8"),
        ("length", "u8"),
    ]
)  # struct mmsghdr on 64 bits
VECTOR = np.dtype([("base", "u8"), ("length", "u8")])
PACKET_STATISTICS, SO_RCVBUFFORCE = 6, 33


def _messages(frames: NDArray[np.uint8]) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return mmsghdr and iovec arrays over the rows of *frames*."""
    count, size = frames.shape
    vectors = np.zeros(count, VECTOR)
    vectors["base"] = frames.ctypes.data + np.arange(count, dtype=np.uint64) * size
    vectors["length"] = size
    messages = np.zeros(count, MESSAGE)
    messages["vectors"] = vectors.ctypes.data + np.arange(count, dtype=np.uint64) * VECTOR.itemsize
    messages["vector_count"] = 1
    return messages, vectors


def send_numbered(out: socket.socket, head: bytes, first: int, count: int) -> None:
    """Send *count* frames: *head* and a number of four bytes each.  One that the kernel refuses is tried again."""
    frames = np.zeros((AT_ONCE, len(head) + 4), np.uint8)
    frames[:, : len(head)] = np.frombuffer(head, np.uint8)
    messages, vectors = _messages(frames)
    for at in range(first, first + count, AT_ONCE):
        numbers = np.arange(at, min(at + AT_ONCE, first + count), dtype=">u4")
        frames[: len(numbers), len(head) :] = numbers.view(np.uint8).reshape(-1, 4)
        done = 0
        while done < len(numbers):
            n = LIBC.sendmmsg(out.fileno(), ctypes.c_void_p(messages[done:].ctypes.data), len(numbers) - done, 0)
            if n > 0:
                done += n
            elif ctypes.get_errno() not in (errno.ENOBUFS, errno.EAGAIN):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    del vectors


class Flows:
    """UDP frames over IPv4 whose ports are new every few frames; every eighth one is "leaked", the others "absent".

    The ports are no part of the pseudo header: a leaked checksum stays one.
    """

    def __init__(self, kinds: dict[str, bytes]) -> None:
        self.flows = 0
        size = len(kinds["absent"])
        self._frames = np.zeros((AT_ONCE, size), np.uint8)
        self._frames[:] = np.frombuffer(kinds["absent"], np.uint8)
        self._frames[:, 40:42] = 0
        self._frames[::8] = np.frombuffer(kinds["leaked"], np.uint8)
        self._messages, self._vectors = _messages(self._frames)

    def send(self, out: socket.socket, count: int) -> int:
        """Send up to AT_ONCE frames, four to a flow; return how many the kernel took."""
        ports = (self.flows + np.arange(count) // 4).astype(">u4")
        self._frames[:count, 34:38] = ports.view(np.uint8).reshape(-1, 4)
        self.flows += count // 4
        n = LIBC.sendmmsg(out.fileno(), ctypes.c_void_p(self._messages.ctypes.data), count, 0)
        return max(0, int(n))


class Receiver:
    """Collects the numbers that arrive on a packet socket behind *head*, on a thread; super-frames hold several."""

    def __init__(self, tap: socket.socket, head: bytes) -> None:
        try:
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 30)
        except PermissionError:
            pytest.skip("a receive buffer for a flood needs CAP_NET_ADMIN in the first user namespace")
        tap.settimeout(None)
        self._tap, self._head = tap, head
        self._found: list[NDArray[np.uint32]] = []
        self._is_over = False
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def _receive(self) -> None:
        frames = np.zeros((AT_ONCE, ROOM), np.uint8)
        messages, vectors = _messages(frames)
        ours = np.frombuffer(self._head[:12], np.uint8)
        while not self._is_over:
            n = LIBC.recvmmsg(self._tap.fileno(), ctypes.c_void_p(messages.ctypes.data), AT_ONCE, 0x40, None)
            if n <= 0:  # MSG_DONTWAIT: nothing there
                time.sleep(0.0005)
                continue
            self._last = time.monotonic()
            lengths = (messages["length"][:n] & 0xFFFFFFFF).astype(int)
            for i in np.nonzero((frames[:n, :12] == ours).all(axis=1))[0]:
                self._found.append(frames[i, len(self._head) : lengths[i]].copy().view(">u4"))
        del vectors

    def finish(self, quiet: float = 0.3) -> NDArray[np.uint32]:
        """Wait until nothing has come for *quiet* seconds; the numbers in the order of arrival, none lost here."""
        while time.monotonic() - self._last < quiet:
            time.sleep(0.05)
        self._is_over = True
        self._thread.join()
        lost = int.from_bytes(self._tap.getsockopt(263, PACKET_STATISTICS, 8)[4:8], "little")
        assert lost == 0, f"the test's own socket lost {lost} frames"
        return np.concatenate(self._found) if self._found else np.zeros(0, np.uint32)
