"""Faults while the kernel carries: it goes on carrying, or the ring takes over, and each frame is in a counter.

What both have in common is in test_faults.py, whose bridges use cut-through as well.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cutting as c
from line import ADDRESSES, Line, open_tap, put, transfer
from running import RunningBridge
from test_faults import GONE, delete_and_remember, make_again
from test_isolation import FOREIGN, hooks
from tools import PATIENCE, until

ALONE = "the interface is another one now, and nobody attaches it there"
TCP4, UDP4 = c.Flow(4, True), c.Flow(4, False)


def grows(bridge: RunningBridge, look: Callable[[dict[str, Any]], int], direction: int = 0) -> Callable[[], bool]:
    """Does that number of a direction grow from now on?"""
    before = look(bridge.directions[direction]) if bridge.snapshots else 0
    return lambda: bool(bridge.snapshots) and look(bridge.directions[direction]) > before


def carried(d: dict[str, Any]) -> int:
    return int(d["cut_through"]["frames"])


def ping(line: Line) -> bool:
    return line.a.run("ping", "-c1", "-W1", ADDRESSES["b"][0], check=False).returncode == 0


def send_numbered(line: Line, kind: c.Kind, flow: c.Flow, numbers: range) -> None:
    with open_tap(line.a, "eth0", vnet=True) as out:
        for number in numbers:
            put(out, kind(flow, number))


def test_link_that_is_down_is_counted_by_the_ring(line: Line) -> None:
    """Of the frames that come once the bridge has said so, none is lost without a name."""
    line.silence()
    with line.bridged("--unidir") as bridge:
        line.node.link("pb", state="down")
        bridge.await_told(1)
        send_numbered(line, c.pending, UDP4, range(100))
        line.node.link("pb", state="up")
        bridge.await_told(2)
        time.sleep(0.02)
        send_numbered(line, c.pending, UDP4, range(50))
        (d,) = bridge.stop()
    assert d["tx_error"] == {"ENETDOWN": 100} and carried(d) == 50


def test_link_that_goes_down_is_noticed_at_once(line: Line) -> None:
    """Within milliseconds: what the kernel carries into a link that is down is lost."""
    line.silence()
    with line.bridged("--unidir") as bridge, open_tap(line.a, "eth0", vnet=True) as out:
        for number in range(600):  # one each millisecond
            if number == 100:
                line.node.link("pb", state="down")
            put(out, c.pending(UDP4, number))
            time.sleep(0.001)
        (d,) = bridge.stop()
    assert d["tx_error"]["ENETDOWN"] > 350 and d["arrived"] == 600


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_what_the_other_port_does_not_take_any_longer_is_counted(line: Line, options: tuple[str, ...]) -> None:
    """A smaller MTU holds for the very next frame; --finish splits to it."""
    line.silence()
    long, huge = c.Flow(4, False, 1200), c.Flow(4, True, 1200)
    with line.bridged("--unidir", *options) as bridge:
        send_numbered(line, c.good, long, range(20))
        line.node.link("pb", mtu=900)
        send_numbered(line, c.good, long, range(30))
        send_numbered(line, c.super_frame, huge, range(10))
        (d,) = bridge.stop()
    assert carried(d) == 20 and d["tx_error"]["EMSGSIZE"] == 30
    assert d["read"] == 40
    if options:
        assert d["split"] == 10


def test_port_that_is_made_again_is_cut_through_again(line: Line) -> None:
    with line.bridged() as bridge:
        transfer(line.a, line.b, 1 << 20)
        delete_and_remember(line)
        bridge.await_told(1)
        make_again(line)
        bridge.await_told(2)
        line.a.run("ip", "neigh", "flush", "dev", "eth0")
        until(lambda: ping(line), "a reply")
        there, back = grows(bridge, carried), grows(bridge, carried, 1)
        until(lambda: ping(line) and there() and back(), "frames that are carried")
        assert tuple(bridge.told()) == GONE


def test_renamed_port_is_cut_through_under_its_new_name(line: Line) -> None:
    with line.bridged() as bridge:
        transfer(line.a, line.b, 1 << 20)
        line.node.run("ip", "link", "set", "dev", "pa", "name", "other0")
        bridge.await_told(1)
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["from"] == "other0", "the new name")
        before = grows(bridge, carried)
        until(lambda: ping(line) and before(), "frames that are carried")
        there, _ = bridge.stop()
    assert there["from"] == "other0" and there["read"] <= 10


def test_internal_port_that_somebody_deletes_is_done_without(line: Line) -> None:
    line.silence()
    with line.bridged() as bridge:
        transfer(line.a, line.b, 1 << 20)
        line.node.run("ip", "link", "del", "dev", "pktmend0")
        bridge.await_told(1)
        send_numbered(line, c.leaked, UDP4, range(100))
        transfer(line.a, line.b, 1 << 20)
        told = bridge.told()
        there, back = bridge.directions
    assert told == ["pa: no cut-through any longer: its internal port pktmend0 is gone; the ring reads it"]
    assert there["repaired"] == {"leaked": 100} and there["read"] > 110 and carried(back) > 10
    line.assert_no_checksum_error()


def test_keeper_that_is_killed_is_told_and_the_port_made_again_is_read(line: Line) -> None:
    with line.bridged() as bridge:
        children = Path(f"/proc/{bridge.process.pid}/task/{bridge.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        bridge.await_told(2)
        before = grows(bridge, carried)
        until(lambda: ping(line) and before(), "what is attached lasts")
        delete_and_remember(line)
        bridge.await_told(3)
        make_again(line)
        bridge.await_told(5)
        line.a.run("ip", "neigh", "flush", "dev", "eth0")
        until(lambda: ping(line), "a reply")
        transfer(line.b, line.a, 1 << 20)
        told = bridge.told()
    assert sum("gone" in each and "cut-through" in each for each in told[:2]) == 2, told
    assert told[4] == f"pb: no cut-through any longer: {ALONE}; the ring reads it"
    line.assert_no_checksum_error()


def test_somebody_elses_filters_stay_and_come_after(line: Line) -> None:
    """A drop filter in clsact does not get what the kernel carries; it is there before, meanwhile and afterwards."""
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    line.node.run(*FOREIGN)
    before = hooks(line)
    with line.bridged() as bridge:
        transfer(line.a, line.b, 1 << 20)
        assert hooks(line) == before
        line.node.run("tc", "qdisc", "del", "dev", "pa", "clsact")
        transfer(line.a, line.b, 1 << 20)
        there, _ = bridge.stop()
        assert bridge.said == []
    assert carried(there) > 20 and there["read"] <= 10


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--isolate",)], ids=["plain", "workers", "isolated"])
def test_ports_that_come_and_go_under_load_leave_an_exact_ledger(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    frames = c.mixed(3000, UDP4, (c.good, c.pending, c.leaked, c.without))
    with line.bridged("--unidir", *options) as bridge, c.arrivals(line) as (out, _):
        for i in range(6):
            for frame in frames:
                put(out, frame)
            line.node.link("pb", state="up" if i % 2 else "down")
        (d,) = bridge.stop()  # which asserts it
    assert d["arrived"] == 6 * len(frames) - c.lost_by_veths(line, "eth0"), d
    assert carried(d) > 0 and d["tx_error"].get("ENETDOWN", 0) > 0


def test_wait_is_short(line: Line) -> None:
    """It ends in time though frames come without an end."""
    line.silence()
    with line.bridged("--unidir") as bridge:
        flood = line.a.spawn("ping", "-f", "-s", "10", ADDRESSES["b"][0])
        time.sleep(0.5)
        began = time.monotonic()
        bridge.stop()
        assert time.monotonic() - began < PATIENCE / 3
        flood.kill()
