"""A leaky relay: copies frames between two interfaces and loses the metadata of partial checksums.

    python -m pktmend.testbed.relay A B [HABIT]

Deliberately what many userspace switches are: recv and send on plain AF_PACKET sockets.  Frames longer than the
egress takes are dropped and counted, as such a switch would.  Prints its counts when it is ended.  HABIT is one of

    flip   it damages, too: a bit in the payload of every 64th long frame from B
    fix    it makes the checksum of every TCP segment and UDP datagram over IPv4 anew, whatever it was before
"""

from __future__ import annotations

import select
import signal
import socket
import struct
import subprocess
import sys
from types import FrameType

from pktmend._core import checksum
from pktmend._kernel import lib
from pktmend.host.own_command import own_module
from pktmend.testbed.netns import Host, end

LONG, EVERY, PAYLOAD = 1200, 64, 100
SUMS = {socket.IPPROTO_TCP: 16, socket.IPPROTO_UDP: 6}  # where in the header


class Relay:
    """The leaky copy between two ports of *host*, none at first.  habit: flip or fix."""

    def __init__(self, host: Host, habit: str = "") -> None:
        self.host = host
        self._habit = habit
        self._program: subprocess.Popen[bytes] | None = None

    def ports(self, a: str, b: str) -> None:
        """Copy between these two from now on."""
        self.close()
        self._program = self.host.spawn(*own_module("pktmend.testbed.relay", a, b, self._habit), stdout=subprocess.PIPE)
        assert self._program.stdout is not None
        self._program.stdout.readline()

    def close(self) -> None:
        """Copy no more."""
        if self._program is not None:
            end(self._program)


def open_port(name: str) -> socket.socket:
    """Return a raw socket bound to *name* that does not see what it sends."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(lib.ETH_P_ALL))
    port.setsockopt(lib.SOL_PACKET, lib.PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    port.bind((name, lib.ETH_P_ALL))
    port.setblocking(False)
    return port


class Flip:
    """Damages every 64th long frame, each at another place, and tells nobody."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, frame: memoryview) -> None:
        """Flip a bit of this one if it is its turn."""
        if len(frame) > LONG:
            self._seen += 1
            if self._seen % EVERY == 0:
                frame[PAYLOAD + self._seen % (LONG - PAYLOAD)] ^= 1 << self._seen // EVERY % 8


def fix(frame: memoryview) -> None:
    """Make the checksum anew, blindly: what was damaged is right from then on."""
    if bytes(frame[12:14]) != b"\x08\x00" or frame[23] not in SUMS:
        return
    start, end = 14 + (frame[14] & 15) * 4, 14 + int.from_bytes(frame[16:18], "big")
    at = start + SUMS[frame[23]]
    frame[at : at + 2] = bytes(2)
    pseudo = bytes(frame[26:34]) + struct.pack("!BBH", 0, frame[23], end - start)
    frame[at : at + 2] = checksum(pseudo + bytes(frame[start:end])).to_bytes(2, "big")


def leave(frame: memoryview) -> None:
    """Change nothing."""


def relay(a: str, b: str, habit: str = "") -> None:
    """Copy until SIGTERM or SIGINT."""
    ports = {}
    first, second = open_port(a), open_port(b)
    changes = {first.fileno(): fix if habit == "fix" else leave}
    changes[second.fileno()] = Flip() if habit == "flip" else changes[first.fileno()]
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
                changes[number](view[:length])
                try:
                    target.send(view[:length])
                    copied += 1
                except OSError:
                    dropped += 1
    print(f"relay: copied {copied}, dropped {dropped}", flush=True)


if __name__ == "__main__":
    relay(*sys.argv[1:4])
