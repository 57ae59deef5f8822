"""An egress slower than what comes: its direction waits, the other does not, and every frame is accounted for."""

from __future__ import annotations

import re
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest
from scapy.all import Raw

import frames as f
from flood import Receiver, send_numbered
from line import Line, open_tap
from tools import PATIENCE, until

HEAD = f.put16(f.raw(f.ether / f.ip4 / f.udp / bytes(1400))[:-4], 40, 0)  # no UDP sum: the number changes, it need not
BACK = f.raw(f.ether / f.ip4 / f.udp / Raw(b"the other direction"))
PINGS = 100
NET_RAW = "-all,+net_raw"
# Without CAP_NET_ADMIN the send buffer is small: a shaper that holds its frames fills it.
ALONE = ("setpriv", f"--bounding-set={NET_RAW}", f"--inh-caps={NET_RAW}")
MODES: dict[str, tuple[str, ...]] = {
    "one thread": (),
    "v3": ("--ring", "v3"),
    "a thread each": ("--no-coalesce",),
    "finish": ("--finish", "pb"),
    "two workers": ("--workers", "2"),
}


def shape(line: Line, rate: str) -> None:
    """Let so much out of pb, and drop nothing."""
    line.node.run("tc", "qdisc", "add", "dev", "pb", "root", "tbf", "rate", rate, "burst", "5kb", "limit", "50mb")


def waiting(line: Line) -> int:
    """Frames that the shaper of pb holds."""
    said = re.search(r"backlog \S+ (\d+)p", line.node.run("tc", "-s", "qdisc", "show", "dev", "pb").stdout)
    assert said is not None
    return int(said[1])


class Flood(threading.Thread):
    """Numbered frames out of a, a few at a time, until it is ended; sent says how many."""

    def __init__(self, line: Line) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._out = open_tap(line.a, "eth0")
        self._end = threading.Event()
        self.start()

    def run(self) -> None:
        with self._out:
            while not self._end.wait(0.01):
                send_numbered(self._out, HEAD, self.sent, 20)
                self.sent += 20

    def finish(self) -> int:
        self._end.set()
        self.join()
        return self.sent


def times_of_pings(line: Line) -> list[float]:
    """How long each frame from b to a took, one after the other, in seconds."""
    took = []
    with open_tap(line.b, "eth0") as out, open_tap(line.a, "eth0") as back:
        back.settimeout(PATIENCE)
        for _ in range(PINGS):
            begin = time.monotonic()
            out.send(BACK)
            while back.recv(2000) != BACK:
                pass
            took.append(time.monotonic() - begin)
    return took


def assert_accounted_for(d: dict[str, Any], numbers: Any, total: int) -> None:
    assert (np.diff(numbers.astype(np.int64)) > 0).all(), "out of order or twice"
    assert d["kernel_seen"] == total
    assert d["sent"] == len(numbers)
    assert set(d["tx_error"]) <= {"EAGAIN"} and not d["dropped"] and d["held"] == 0


@pytest.mark.parametrize("mode", MODES)
def test_only_its_own_direction_waits(line: Line, mode: str) -> None:
    line.silence()
    shape(line, "10mbit")
    with line.bridged(*MODES[mode], prefix=ALONE) as bridge, open_tap(line.b, "eth0") as arriving:
        receiver = Receiver(arriving, HEAD)
        flood = Flood(line)
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["held"] > 0, "a batch that waits")
        took = times_of_pings(line)
        total = flood.finish()
        begin = time.monotonic()
        there, _ = bridge.stop()
        ended = time.monotonic() - begin
        until(lambda: waiting(line) == 0, "an empty shaper")
        numbers = receiver.finish()
    assert sorted(took)[PINGS // 2] < 0.05, took  # a batch that is waited for takes a second
    assert ended < 2
    if mode != "two workers":
        assert_accounted_for(there, numbers, total)
    assert there["sent"] == len(numbers)


def test_stop_does_not_wait_for_an_egress_that_never_has_room(line: Line) -> None:
    line.silence()
    shape(line, "8kbit")
    with line.bridged("--unidir", prefix=ALONE) as bridge:
        with open_tap(line.a, "eth0") as out:
            send_numbered(out, HEAD, 0, 6000)
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["held"] > 0, "a batch that waits")
        begin = time.monotonic()
        (d,) = bridge.stop(signal.SIGTERM)  # its ledger is checked there
        assert time.monotonic() - begin < 2
    assert d["held"] == 0 and d["tx_error"]["EAGAIN"] > 0 and d["kernel_seen"] == 6000


def test_room_that_comes_back_is_used(line: Line) -> None:
    """Frames that found no room for a moment leave later, all of them, in order."""
    line.silence()
    shape(line, "50mbit")
    total = 6000  # more than the send buffer holds, and less than the ring holds
    with line.bridged("--unidir", prefix=ALONE) as bridge, open_tap(line.b, "eth0") as arriving:
        receiver = Receiver(arriving, HEAD)
        with open_tap(line.a, "eth0") as out:
            send_numbered(out, HEAD, 0, total)
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["sent"] == total, "all frames sent")
        (d,) = bridge.stop()
        until(lambda: waiting(line) == 0, "an empty shaper")
        numbers = receiver.finish()
    assert_accounted_for(d, numbers, total)
    assert len(numbers) == total
