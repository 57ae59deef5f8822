"""A leaky relay: copies frames between two interfaces and loses the metadata of partial checksums.

    python -m pktmend.testbed.relay A B

Deliberately what many userspace switches are: recv and send on plain AF_PACKET sockets.  Frames longer than the
egress takes are dropped and counted, as such a switch would.  Prints its counts when it is ended.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
from types import FrameType

from pktmend._kernel import lib
from pktmend.host.own_command import own_module
from pktmend.testbed.netns import Host, end


class Relay:
    """The leaky copy between two ports of *host*, none at first."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._program: subprocess.Popen[bytes] | None = None

    def ports(self, a: str, b: str) -> None:
        """Copy between these two from now on."""
        if self._program is not None:
            end(self._program)
        self._program = self.host.spawn(*own_module("pktmend.testbed.relay", a, b), stdout=subprocess.PIPE)
        assert self._program.stdout is not None
        self._program.stdout.readline()


def open_port(name: str) -> socket.socket:
    """Return a raw socket bound to *name* that does not see what it sends."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(lib.ETH_P_ALL))
    port.setsockopt(lib.SOL_PACKET, lib.PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    port.bind((name, lib.ETH_P_ALL))
    port.setblocking(False)
    return port


def relay(a: str, b: str) -> None:
    """Copy until SIGTERM or SIGINT."""
    ports = {}
    first, second = open_port(a), open_port(b)
    for source, target in ((first, second), (second, first)):
        ports[source.fileno()] = (source, target)
    poll = select.poll()
    for number in ports:
        poll.register(number, select.POLLIN)
    copied = dropped = 0
    ended = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("relay: ready", flush=True)
    buffer = bytearray(1 << 18)
    view = memoryview(buffer)
    while not ended:
        for number, _ in poll.poll(200):
            source, target = ports[number]
            for _ in range(64):
                try:
                    length = source.recv_into(buffer)
                except BlockingIOError:
                    break
                except OSError:  # the link went down; it may come back
                    break
                try:
                    target.send(view[:length])
                    copied += 1
                except OSError:
                    dropped += 1
    print(f"relay: copied {copied}, dropped {dropped}", flush=True)


if __name__ == "__main__":
    relay(*sys.argv[1:3])
