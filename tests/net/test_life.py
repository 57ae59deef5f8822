"""The bridge's life: counters under overload, signals, interfaces that are not as they should be, the monitor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

import frames as f
from flood import send_numbered
from line import Line, open_tap, transfer
from pktmend.testbed.netns import Host
from running import RunningBridge, assert_ledger
from tools import PATIENCE, PKTMEND, until

BURST = 500_000


def flood(host: Host, interface: str, count: int) -> None:
    """Send *count* small frames as fast as one socket can, which no kernel carries by itself."""
    with open_tap(host, interface) as out:
        send_numbered(out, f.leaked(f.ether / f.ip4 / f.udp / bytes(4))[:-4], 0, count)


@pytest.mark.parametrize("ring", ["v2", "v3"])
def test_every_frame_of_a_burst_is_in_one_counter(line: Line, ring: str) -> None:
    """The reader is stopped in the middle: the ring overflows, and the drops are counted."""
    line.silence()
    with line.bridged("--ring", ring, "--unidir") as bridge:
        flood(line.a, "eth0", BURST // 5)
        bridge.pause()
        flood(line.a, "eth0", BURST * 3 // 5)
        bridge.process.send_signal(signal.SIGCONT)
        flood(line.a, "eth0", BURST // 5)
        (there,) = bridge.stop()
        lost = int(line.a.run("cat", "/sys/class/net/eth0/statistics/tx_dropped").stdout)  # by the veth itself
    assert there["kernel_drops"] > 0
    assert there["arrived"] == BURST - lost
    assert there["sent"] == there["read"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_with_an_exact_snapshot(line: Line, number: int) -> None:
    with line.bridged() as bridge:
        transfer(line.a, line.b, 5 << 20)
        directions = bridge.stop(number)
    assert all(d["sent"] == d["read"] for d in directions) and sum(d["arrived"] for d in directions) > 0


def test_signal_ends_it_under_full_load(line: Line) -> None:
    line.b.spawn("iperf3", "-s")
    until(lambda: ":5201" in line.b.run("ss", "-Hltn").stdout, "listening")
    with line.bridged() as bridge:
        load = line.a.spawn("iperf3", "-c", "10.7.0.2", "-t", "100")
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["arrived"] > 1000, "the load")
        there, _ = bridge.stop()
        assert load.poll() is None, "the load ended first"
    assert there["arrived"] > 1000


def test_second_signal_ends_it_at_once(line: Line) -> None:
    with line.bridged() as bridge:
        bridge.process.send_signal(signal.SIGSTOP)
        bridge.process.send_signal(signal.SIGTERM)
        bridge.process.send_signal(signal.SIGCONT)
        bridge.process.send_signal(signal.SIGTERM)
        assert bridge.process.wait(PATIENCE) in (0, -signal.SIGTERM)


def test_usr1_prints_statistics_and_goes_on(line: Line) -> None:
    with line.bridged() as bridge:
        bridge.process.send_signal(signal.SIGUSR1)
        assert bridge.process.stderr is not None
        assert bridge.process.stderr.readline() == b"pa -> pb\n"
        line.a.run("ping", "-c1", "10.7.0.2")
        bridge.stop()


def test_snapshot_comes_each_second_and_duration_ends_it(line: Line) -> None:
    with line.bridged("--duration", "2.8") as bridge:
        line.a.run("ping", "-c1", "10.7.0.2")
        bridge.ended()
    assert 3 <= len(bridge.snapshots) <= 4
    for d in bridge.snapshots[-1]["directions"]:
        assert_ledger(d)
        assert set(d) >= {
            "from",
            "to",
            "kernel_seen",
            "kernel_drops",
            "read",
            "sent",
            "dropped",
            "truncated",
            "tx_error",
            "held",
            "repaired",
            "finished",
            "checks",
        }


def fails(line: Line, *argv: str) -> tuple[int, str]:
    """Run pktmend in node; its exit code and its one line."""
    done = line.node.run(*PKTMEND, *argv, check=False)
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_interfaces_that_cannot_be_bridged(line: Line) -> None:
    code, text = fails(line, "bridge", "-i", "pa", "-I", "nosuch")
    assert code == 4 and "nosuch" in text and "pa" in text and "pb" in text and "lo" in text
    code, text = fails(line, "bridge", "-i", "pa", "-I", "pa")
    assert code == 2 and "pa" in text
    code, text = fails(line, "bridge", "-i", "pa", "-I", "pb", "--finish", "eth7")
    assert code == 2 and "eth7" in text
    line.node.link("pb", state="down")
    code, text = fails(line, "bridge", "-i", "pa", "-I", "pb")
    assert code == 4 and "pb" in text and "down" in text


def test_without_cap_net_raw_it_is_exit_3(line: Line) -> None:
    done = line.node.run(
        "setpriv",
        "--bounding-set=-net_raw",
        "--inh-caps=-net_raw",
        *PKTMEND,
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
        check=False,
    )
    assert done.returncode == 3 and "CAP_NET_RAW" in done.stderr


def test_cap_net_raw_alone_is_enough(line: Line) -> None:
    caps = "-all,+net_raw"
    argv = [
        "setpriv",
        f"--bounding-set={caps}",
        f"--inh-caps={caps}",
        *PKTMEND,
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
    ]
    process = line.node.spawn(*argv, stderr=subprocess.PIPE)
    assert process.stderr is not None and b"bridging" in process.stderr.readline()
    line.a.run("ping", "-c1", "10.7.0.2")
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_errors_of_sending_are_counters_not_exceptions(line: Line) -> None:
    """A frame above the egress MTU: EMSGSIZE, counted; the next frame passes."""
    line.node.link("pb", mtu=600)
    with line.bridged("--unidir") as bridge, open_tap(line.a, "eth0") as out:
        out.send(f.raw(f.ether / f.ip4 / f.udp / bytes(1200)))
        out.send(f.raw(f.ether / f.ip4 / f.udp / bytes(100)))
        (there,) = bridge.stop()
    assert there["tx_error"] == {"EMSGSIZE": 1}
    assert there["sent"] >= 1


def test_link_down_under_traffic_is_counted_and_heals(line: Line) -> None:
    with line.bridged() as bridge:
        line.a.run("ping", "-c1", "10.7.0.2")
        line.node.link("pb", state="down")
        line.a.run("ping", "-c2", "-i0.2", "-W1", "10.7.0.2", check=False)
        line.node.link("pb", state="up")
        until(lambda: line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False).returncode == 0, "an answer")
        there, _ = bridge.stop()
    assert there["tx_error"].get("ENETDOWN", 0) >= 1


def test_monitor_tells_pending_from_bad(line: Line) -> None:
    with line.bridged():
        monitor = RunningBridge(line.node, "-i", "pa", program=("monitor",))
        transfer(line.a, line.b, 1 << 20)
        with open_tap(line.a, "eth0") as out:
            out.send(f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD))
        (d,) = monitor.stop()
    assert d["checks"]["tcp"]["pending"] > 10 and set(d["checks"]["tcp"]) <= {"pending", "good"}
    assert d["checks"]["udp"] == {"leaked": 1}
    assert d["kernel_seen"] == d["read"] + d["kernel_drops"]


def test_monitor_prints_a_line_a_second_for_people(line: Line) -> None:
    done = line.node.run(*PKTMEND, "monitor", "-i", "pa", "--duration", "2.8")
    assert sum("packets/s" in text for text in done.stdout.splitlines()) == 2
    assert json.dumps("pa")[1:-1] in done.stdout


def test_nothing_is_left_behind() -> None:
    """Worlds of this process that have ended left no namespace."""
    from pathlib import Path

    mine = [p.name for p in Path("/run/netns").glob(f"pktmend-{os.getpid()}-*")] if Path("/run/netns").exists() else []
    assert mine == []


def test_signal_is_handled_at_whatever_moment_it_comes(line: Line) -> None:
    """Many short lives: a signal must not meet a lock that its own handler needs."""
    for moment in range(12):
        with line.bridged() as bridge:
            time.sleep(0.05 + moment * 0.009)
            bridge.stop()


def test_flag_is_set_from_within_its_own_wait() -> None:
    """The handler runs on the thread that waits, at any instruction of the wait."""
    from pktmend.console.signals import Flag

    flag = Flag()
    hits = 0

    def handler(*_: object) -> None:
        nonlocal hits
        hits += 1
        flag.set()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        deadline = time.monotonic() + PATIENCE
        while hits < 2000 and time.monotonic() < deadline:
            flag.clear()
            flag.wait(0.00005)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits >= 2000
