"""The order within a flow, whose frames take two ways: some the kernel carries, some the ring."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

import cutting as c
import frames as f
from flood import send_numbered
from line import Line, open_tap

COUNT = 8000
HEALTHY = (c.good, c.pending) * 3
OPTIONS = {
    "plain": (),
    "v3": ("--ring", "v3"),
    "workers": ("--workers", "3"),
    "one by one": ("--no-coalesce",),
    "busy poll": ("--busy-poll", "1000"),
}
FLOWS = {
    "tcp4": (c.Flow(4, True), (*HEALTHY, c.leaked, c.corrupt)),
    "tcp6": (c.Flow(6, True), (*HEALTHY, c.leaked, c.corrupt)),
    "udp4": (c.Flow(4, False), (*HEALTHY, c.leaked, c.without, c.corrupt)),
    "udp6": (c.Flow(6, False), (*HEALTHY, c.leaked, c.corrupt)),
}


def overtaken(numbers: list[int]) -> list[tuple[int, int]]:
    """The first places at which a frame came before one that was sent earlier."""
    return [(one, other) for one, other in pairwise(numbers) if other < one][:5]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("flow", FLOWS)
def test_frames_of_a_flow_arrive_in_order(line: Line, flow: str, options: str) -> None:
    line.silence()
    frames = c.mixed(COUNT, *FLOWS[flow])
    with line.bridged("--unidir", *OPTIONS[options]) as bridge, c.arrivals(line) as (out, numbers):
        c.send_all(out, frames)
        (d,) = bridge.stop()
    assert overtaken(numbers) == []
    c.assert_exact(line, d, COUNT, len(numbers))
    assert d["cut_through"]["frames"] > COUNT // 80 and d["cut_through"]["held"] > COUNT // 80, d


@pytest.mark.parametrize("options", ["plain", "workers"])
def test_joined_and_single_segments_arrive_in_order(line: Line, options: str) -> None:
    """Super-frames, pending and good segments that the kernel joins or does not, corrupt ones in between."""
    line.silence()
    flow = c.Flow(4, True)
    frames = c.mixed(COUNT // 2, flow, (c.super_frame, *HEALTHY, c.corrupt, c.leaked))
    with line.bridged("--unidir", *OPTIONS[options]) as bridge, c.arrivals(line) as (out, numbers):
        c.send_all(out, frames)
        (d,) = bridge.stop()
    assert overtaken(numbers) == []
    assert d["cut_through"]["super_frames"] > 20 and d["super_frames"] > 20, d


def test_offloads_toggled_under_traffic_keep_the_order(line: Line) -> None:
    """GRO and tx offload of the ports and of the sender go off and on meanwhile."""
    line.silence()
    frames = c.mixed(COUNT, c.Flow(4, True), (c.good, c.pending, c.corrupt))
    with line.bridged("--unidir") as bridge, c.arrivals(line) as (out, numbers):
        part = COUNT // 8
        for i in range(8):
            c.send_all(out, frames[i * part : (i + 1) * part])
            line.node.offload("pa", gro=bool(i % 2))
            line.node.offload("pb", tx=bool(i % 3))
        (d,) = bridge.stop()
    assert overtaken(numbers) == []
    assert d["cut_through"]["frames"] > 0 and d["read"] > 0


@pytest.mark.parametrize("options", ["plain", "workers"])
def test_order_holds_beside_a_flood_and_a_busy_processor(line: Line, options: str) -> None:
    line.silence()
    busy = [line.node.spawn("sh", "-c", "while :; do :; done") for _ in range(2)]
    frames = c.mixed(COUNT, c.Flow(4, False), (c.good, c.pending, c.leaked, c.without))
    is_over = threading.Event()

    def flood() -> None:
        head = f.put16(f.raw(f.Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:02") / f.ip6 / f.udp), 60, 1)
        with open_tap(line.a, "eth0") as out:
            while not is_over.is_set():
                send_numbered(out, head, 0, 512)

    with line.bridged("--unidir", *OPTIONS[options]) as bridge, c.arrivals(line) as (out, numbers):
        thread = threading.Thread(target=flood)
        thread.start()
        c.send_all(out, frames)
        is_over.set()
        thread.join()
        (d,) = bridge.stop()
        for each in busy:
            each.kill()
    assert overtaken(numbers) == []
    assert len(numbers) > COUNT // 100 and d["cut_through"]["frames"] > 0 and d["read"] > 0
