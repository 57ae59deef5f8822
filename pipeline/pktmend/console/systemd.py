"""Report to the service manager: the datagrams of sd_notify(3) over NOTIFY_SOCKET.

Without NOTIFY_SOCKET nothing is sent.  The socket is opened at once and kept, so that it works after privileges, the
file system or system calls are taken away.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

STATUS_SECONDS = 5.0
LONGEST_NUMBER = 20  # of microseconds, in digits


class Service:
    """One long-running command as its service manager sees it; every call returns at once.

    The watchdog is fed at half its period, and only if every worker has made progress since the last time.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self._half_period = 0.0
        self._beats: Sequence[int] = ()
        self._fed = self._reported = time.monotonic()
        address = environment.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@"):
            return
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            period = environment.get("WATCHDOG_USEC", "")
            is_number = period.isascii() and period.isdigit() and len(period) < LONGEST_NUMBER
            self._half_period = int(period) / 2e6 if is_number else 0.0
        import socket  # only under a service manager

        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            connection.setblocking(False)
            connection.connect("\0" + address[1:] if address[0] == "@" else address)
            connection.bind("")  # to a name that the kernel picks: nobody binds it to a file later
            connection.shutdown(socket.SHUT_RD)  # and nobody sends anything there
        except OSError:
            connection.close()
            return
        self._socket = connection

    def ready(self, status: str) -> None:
        """Packets are being served."""
        self._send("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """It has been asked to end, and drains."""
        self._send("STOPPING=1")

    def is_status_due(self) -> bool:
        """Is it time to say something new?  Saves putting it into words."""
        return self._socket is not None and time.monotonic() - self._reported >= STATUS_SECONDS

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._reported = time.monotonic()
        self._send(f"STATUS={text}")

    def feed(self, beats: Sequence[int]) -> None:
        """Feed the watchdog when it is due and each of *beats* (see Pipeline.beats) has risen since it was last fed."""
        now = time.monotonic()
        if not self._half_period or now - self._fed < self._half_period:
            return
        if len(beats) != len(self._beats) or all(n > before for n, before in zip(beats, self._beats, strict=True)):
            self._fed, self._beats = now, list(beats)
            self._send("WATCHDOG=1")

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, *lines: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # a manager that is restarting: the next message reaches it
                text = "\n".join(line.replace("\n", " ") for line in lines)
                self._socket.send(text.encode("utf-8", "backslashreplace"))
