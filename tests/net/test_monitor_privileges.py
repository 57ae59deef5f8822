"""What a running monitor may still do, and that it does all of its work under the filter on system calls."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from line import states
from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, need
from watching import Monitor, Pair, corrupt, good, leaked, until

NET_RAW, DAC_OVERRIDE = 1 << 13, 1 << 1


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Testbed() as testbed:
        yield Pair(testbed)


def capabilities(monitor: Monitor) -> int:
    """Return what every thread has kept, once all have been started; each is under the filter."""
    until(lambda: len(states(monitor.process.pid)) >= 2, "the worker's thread")
    until(lambda: {each["Seccomp"] for each in states(monitor.process.pid)} == {"2"}, "the filter on every thread")
    found = states(monitor.process.pid)
    assert {each["NoNewPrivs"] for each in found} == {"1"}
    (kept,) = {int(each["CapPrm"], 16) for each in found}
    assert {int(each["CapEff"], 16) for each in found} == {kept}
    return kept


def test_plain_monitor_keeps_nothing_and_tells_so(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--json", "-v")
    assert capabilities(monitor) == 0
    monitor.wait_for("privileges", "Seccomp 2 (filter)")
    until(lambda: len(monitor.told("privileges")) == len(states(monitor.process.pid)), "a line for each thread")
    pair.send([good(), leaked(), corrupt()])
    monitor.process.send_signal(signal.SIGUSR1)
    until(lambda: len(monitor.bad) == 2)
    last = monitor.end(signal.SIGINT)
    assert last["bad"]["packets"] == 2


def test_without_the_filter_the_rest_is_given_up_all_the_same(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--json", "--no-seccomp")
    want = {("0" * 16, "1", "0")}
    until(lambda: {(s["CapEff"], s["NoNewPrivs"], s["Seccomp"]) for s in states(monitor.process.pid)} == want)
    monitor.end()


def test_metrics_are_scraped_under_the_filter(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--json", "--listen", "127.0.0.1:9477")
    pair.send([leaked()])

    def scrape() -> str:
        url = "http://127.0.0.1:9477/metrics"
        return pair.node.call(lambda: urllib.request.urlopen(url, timeout=PATIENCE).read().decode())

    until(lambda: 'pktmend_bad_checks_total{cause="leaked",interface="pa"} 1.0' in scrape(), "the leaked one")
    assert "process_open_fds" in scrape()
    assert capabilities(monitor) == 0
    monitor.end()


def test_files_are_turned_over_moved_and_opened_again_under_the_filter(pair: Pair, tmp_path: Path) -> None:
    need("capinfos")
    name = tmp_path / "ring.pcapng"
    monitor = Monitor(pair.node, "-i", "pa", "--json", "-w", str(name), "-C", "1", "-W", "3")
    for _ in range(4):
        pair.send([good(1400)] * 400)
    until(lambda: (tmp_path / "ring.pcapng2").exists())
    assert capabilities(monitor) == DAC_OVERRIDE
    (tmp_path / "ring.pcapng2").rename(tmp_path / "moved")
    monitor.process.send_signal(signal.SIGHUP)
    monitor.wait_for("writer", "opened again")
    pair.send([good()])
    last = monitor.end()
    assert last["file"]["not_written"] == {} and last["file"]["written"] >= 1601


def test_interfaces_come_and_go_under_the_filter(pair: Pair) -> None:
    """Sockets are made anew: that capability stays, and the filter lets it be used."""
    monitor = Monitor(pair.node, "-i", "p*", "--json", "udp or tcp")
    assert capabilities(monitor) == NET_RAW
    pair.a.run("ip", "link", "delete", "dev", "eth0")
    monitor.wait_for("interface", "gone")
    pair.testbed.veth(pair.a, "eth0", pair.node, "pa")
    monitor.wait_for("interface", "watched from now on")
    pair.send([leaked()])
    until(lambda: len(monitor.bad) == 1)
    monitor.end()


def test_interface_made_again_is_bound_again_under_the_filter(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--json")
    pair.a.run("ip", "link", "delete", "dev", "eth0")
    monitor.wait_for("interface", "gone")
    pair.testbed.veth(pair.a, "eth0", pair.node, "pa")
    monitor.wait_for("interface", "bound again")
    pair.send([leaked()])
    until(lambda: len(monitor.bad) == 1)
    monitor.end()


def test_picture_is_drawn_under_the_filter(pair: Pair, tmp_path: Path) -> None:
    pytest.importorskip("rich")
    drawn = tmp_path / "view.svg"
    done = pair.node.run(*PKTMEND, "monitor", "-i", "pa", "--duration", "1.3", "--picture", str(drawn))
    assert done.returncode == 0 and drawn.read_text().startswith("<svg")


PROBES = """
import os, socket, subprocess, sys
from pktmend.commands.monitor import options, sandbox
o = options.MonitorOptions(("lo",), listen=":0", write=options.WriteOptions("x") if sys.argv[1] == "write" else None)
assert sandbox.harden(o) == ""
def number(function):
    try:
        function()
    except OSError as error:
        return error.errno
    return 0
print([number(each) for each in (
    lambda: os.execv("/bin/true", ["true"]), os.fork, lambda: subprocess.run(["true"]),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0), lambda: socket.socket().connect(("127.0.0.1", 1)),
    lambda: os.kill(os.getppid(), 0))])
"""


@pytest.mark.parametrize("how", ["plain", "write"])
def test_filter_refuses_what_a_monitor_does_not_need(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROBES, how], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert eval(done.stdout) == [errno.EPERM] * 6


@pytest.mark.parametrize("duration", [False, True], ids=["signal", "duration"])
def test_a_reader_that_hangs_does_not_hold_up_the_end(pair: Pair, tmp_path: Path, *, duration: bool) -> None:
    """Frames that the pipe does not take are counted and reported, and not waited for."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held: list[int] = []
    reader = threading.Thread(target=lambda: held.append(os.open(pipe, os.O_RDONLY)))
    reader.start()
    monitor = Monitor(pair.node, "-i", "pa", "--json", "-w", str(pipe), *(["--duration", "2"] if duration else []))
    reader.join()
    pair.send([good(1400)] * 300)
    monitor.await_read(300)
    last = monitor.last() if duration else monitor.end()
    os.close(held[0])
    file = last["file"]
    assert file["buffered"] == 0 and file["not_written"].get("no reader", 0) > 200, file
    assert file["written"] + file["not_written"]["no reader"] == last["directions"][0]["read"]
    assert any("nobody reads it" in text for text in monitor.told("writer"))


@pytest.mark.parametrize(
    ("output", "status", "seconds"),
    [("| true; exit ${PIPESTATUS[0]}", 141, PATIENCE), ("> /dev/full", 4, 2), (">&-", 0, 2)],
)
def test_output_that_goes_nowhere_ends_it_without_a_traceback(
    pair: Pair, output: str, status: int, seconds: float
) -> None:
    """Under the filter nothing is opened for writing any more, /dev/null neither."""
    command = f"{sys.executable} -P -m pktmend monitor -i pa --duration {seconds} {output}"
    process = pair.node.spawn("bash", "-c", command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, errors
    said = {
        141: [],
        4: ["pktmend: the duration is over", "pktmend: writing standard output: No space left on device"],
        0: ["pktmend: the duration is over"],
    }[status]
    assert errors.decode().splitlines() == ["pktmend: watching pa", *said]
