"""The ledger against an independent count: sent = arrived + what the counters say; in order; none twice."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from typing import Any

import numpy as np
import pytest

import frames as f
from flood import Receiver, send_numbered
from line import Line, open_tap
from pktmend import Emit, Pipeline, Ring, count, verify
from pktmend.testbed.netns import Host

MILLION = 1_000_000
HEAD = f.put16(f.raw(f.ether / f.ip4 / f.udp / bytes(4))[:-4], 40, 0)  # no UDP sum: the number changes, it need not


def unsent(d: dict[str, Any]) -> int:
    """What the counters say did not get through."""
    named = sum(d["dropped"].values()) + sum(d["tx_error"].values())
    return int(d["kernel_drops"] + named + d["truncated"] + d["held"])


def lost_on(host: Host, interface: str) -> int:
    """Frames that the veth itself lost, as its kernel counts them: its other end's backlog was full."""
    return int(host.run("cat", f"/sys/class/net/{interface}/statistics/tx_dropped").stdout)


def assert_all_accounted_for(line: Line, numbers: Any, d: dict[str, Any], total: int) -> None:
    steps = np.diff(numbers.astype(np.int64))
    assert (steps > 0).all(), f"out of order or twice at {numbers[:-1][steps <= 0][:5]}"
    before, behind = lost_on(line.a, "eth0"), lost_on(line.node, "pb")
    assert d["kernel_seen"] == total - before, (before, d)
    assert len(numbers) + unsent(d) == total - before - behind, (len(numbers), before, behind, d)


MODES = {
    "v2": ((), MILLION),
    "v3": (("--ring", "v3"), MILLION // 4),
    "one by one": (("--no-coalesce",), MILLION // 4),
    "three workers": (("--workers", "3"), MILLION // 4),
    "stopped 2 s": ((), MILLION // 2),
    "shared cpu": ((), MILLION // 4),
}


@pytest.mark.parametrize("mode", MODES)
def test_numbered_datagrams_at_full_speed_are_all_accounted_for(line: Line, mode: str) -> None:
    options, total = MODES[mode]
    line.silence()
    busy = line.node.spawn("taskset", "-c", "0", "sh", "-c", "while :; do :; done") if mode == "shared cpu" else None
    with (
        line.bridged("--unidir", *options) as bridge,
        open_tap(line.a, "eth0") as out,
        open_tap(line.b, "eth0") as back,
    ):
        receiver = Receiver(back, HEAD)
        if mode == "shared cpu":
            subprocess.run(["taskset", "-a", "-p", "-c", "0", str(bridge.process.pid)], capture_output=True, check=True)
        send_numbered(out, HEAD, 0, total // 2)
        if mode == "stopped 2 s":
            bridge.pause()
            waking = threading.Timer(2, bridge.process.send_signal, [signal.SIGCONT])
            waking.start()
        send_numbered(out, HEAD, total // 2, total - total // 2)
        if mode == "stopped 2 s":
            waking.join()
        (d,) = bridge.stop()  # it sends what its ring still holds
        numbers = receiver.finish()
        if busy is not None:
            busy.kill()
    assert_all_accounted_for(line, numbers, d, total)
    if mode == "stopped 2 s":
        assert d["kernel_drops"] > 0  # the ring did overflow
    if mode == "one by one":
        assert d["sent_frames"] == d["sent"]


@pytest.mark.parametrize(
    "geometry",
    [{"ring": "v3", "blocks": 2, "block_size": 1 << 17}, {"ring": "v2", "slots": 128}],
    ids=["two blocks", "128 slots"],
)
def test_tiny_ring_drops_and_counts(line: Line, geometry: dict[str, Any]) -> None:
    total = 200_000
    line.silence()
    with (
        line.node.call(lambda: Ring("pa", outgoing=False, **geometry)) as ring,
        line.node.call(lambda: Emit("pb")) as emit,
        open_tap(line.a, "eth0") as out,
        open_tap(line.b, "eth0") as back,
    ):
        receiver = Receiver(back, HEAD)
        pipeline = line.node.call(lambda: Pipeline(ring, [verify, count], emit))
        send_numbered(out, HEAD, 0, 5000)  # nobody reads yet: it overflows for certain
        pipeline.start()
        send_numbered(out, HEAD, 5000, total - 5000)
        pipeline.stop()
        pipeline.wait()
        numbers = receiver.finish()
        d = pipeline.counters().as_json()
    assert_all_accounted_for(line, numbers, d, total)
    assert d["kernel_drops"] > 0


def test_egress_that_has_no_room_is_counted(line: Line) -> None:
    """A slow queueing discipline drops under a flood: ENOBUFS, and nothing is lost in silence."""
    total = 50_000
    line.silence()
    line.node.run("tc", "qdisc", "add", "dev", "pb", "root", "tbf", "rate", "8mbit", "burst", "5kb", "limit", "20kb")
    with (
        line.bridged("--unidir", "--no-coalesce") as bridge,
        open_tap(line.a, "eth0") as out,
        open_tap(line.b, "eth0") as back,
    ):
        receiver = Receiver(back, HEAD)
        send_numbered(out, HEAD, 0, total)
        (d,) = bridge.stop()
        numbers = receiver.finish()
        said = re.search(r"dropped (\d+)", line.node.run("tc", "-s", "qdisc", "show", "dev", "pb").stdout)
    assert said is not None
    # sendmmsg keeps the error of a message to itself when others went before it; that one is tried again
    assert 1000 < d["tx_error"]["ENOBUFS"] <= int(said[1])
    assert_all_accounted_for(line, numbers, d, total)
