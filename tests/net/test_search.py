"""Bare `pktmend diagnose`: every drop is counted, what there is not is said.  The lab's cases: test_lab.py."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from doctoring import link, send_bad, start_relay
from line import Line
from pktmend.testbed.netns import end
from tools import PATIENCE, PKTMEND, need

pytestmark = pytest.mark.alone  # others' namespaces and drops are seen too

EACH = 125  # eight kinds of packets: 1,000


class Search:
    """A running `pktmend diagnose` without an interface, narrowed to the test's own namespace; its first line is there.

    options: more words.    wrapper: what runs it.    argv: the command.
    """

    def __init__(
        self, line: Line, *options: str, wrapper: tuple[str, ...] = (), argv: tuple[str, ...] = PKTMEND
    ) -> None:
        self.process = subprocess.Popen(
            [*wrapper, *argv, "diagnose", line.b.namespace, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        line.testbed.on_exit(lambda: end(self.process))
        assert self.process.stderr is not None
        self.first_line = self.process.stderr.readline().decode()
        assert "watching" in self.first_line, self.first_line

    def results(self, number: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the findings and the summary's `search`; number: of a signal to end it by."""
        if number:
            self.process.send_signal(number)
        out, error = self.process.communicate(timeout=PATIENCE)
        *found, last = [json.loads(row) for row in out.splitlines()]
        search: dict[str, Any] = last["summary"]["search"]
        self.error = error.decode()
        assert self.process.returncode == int("first" in search), self.error
        return [one["diagnosis"] for one in found], search


@contextmanager
def kept_up(send: Callable[[], object]) -> Iterator[None]:
    """Call *send* again and again meanwhile."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(0.05):
            send()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def bad_frames(line: Line, port: int) -> list[bytes]:
    """One frame of each kind with a wrong sum: SYNs, established TCP from *port*, UDP, of both versions."""
    from scapy.all import IP, TCP, UDP, Ether, IPv6

    mac = link(line.b, "eth0")["address"]
    frames = []
    for ip in (IP(src="10.7.0.1", dst="10.7.0.2"), IPv6(src="fd07::1", dst="fd07::2")):
        frames += [
            Ether(dst=mac) / ip / TCP(sport=1000, dport=8080, flags="S", chksum=0x1234),
            Ether(dst=mac) / ip / TCP(sport=1000, dport=8080, flags="PA", chksum=0x1234) / (b"y" * 700),
            Ether(dst=mac) / ip / UDP(sport=1, dport=9, chksum=0x1234) / (b"z" * 700),
            Ether(dst=mac) / ip / UDP(sport=1, dport=9, chksum=0x1234) / b"small",
        ]
    established = TCP(sport=port, dport=8080, flags="PA", seq=9, ack=9, chksum=0x1234)
    frames[1] = Ether(dst=mac) / IP(src="10.7.0.1", dst="10.7.0.2") / established / (b"y" * 700)
    return list(map(bytes, frames))


def test_none_of_1000_drops_is_missed(line: Line) -> None:
    """SYNs have no socket: what looks at the socket first misses them.  Another namespace has the same addresses."""
    other = line.testbed.host("z")
    line.testbed.veth(line.node, "pz", other, "eth0")
    for address in ("10.7.0.2/24", "fd07::2/64"):
        other.run("ip", "addr", "add", address, "dev", "eth0")
    start_relay(line)  # for the connection, whose sums are complete
    for host in (line.a, line.b):
        host.offload("eth0", tx=False)
    server = line.b.call(lambda: socket.create_server(("10.7.0.2", 8080)))
    client = line.a.call(lambda: socket.create_connection(("10.7.0.2", 8080), timeout=PATIENCE))
    peer, _ = server.accept()
    frames = bad_frames(line, client.getsockname()[1])
    search = Search(line, "--json", "--duration", "60")

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind(("pb", 0))
            for frame in frames * EACH:
                raw.send(frame)

    line.node.call(send)
    _, found = search.results(signal.SIGINT)
    for each in (peer, client, server):
        each.close()
    counters = line.b.checksum_errors()
    assert counters == {"TcpInCsumErrors": 500, "UdpInCsumErrors": 250, "Udp6InCsumErrors": 250}
    assert found["drops"]["counters"] == {f"netns {line.b.namespace}": counters}
    assert found["drops"]["total"] == 1000 and found["drops"]["events_lost"] == 0
    if not {"skb:kfree_skb", "tcp:tcp_bad_csum"} <= set(found["watched"]["tracepoints"]):
        pytest.skip(f"no tracepoints here: {search.error}")
    reasons = found["drops"]["reasons"]
    # of IPv6 datagrams that no socket waits for the kernel says NO_SOCKET: those are in the counters alone
    assert set(reasons) == {"TCP_CSUM", "UDP_CSUM"} and reasons["TCP_CSUM"] == 500 and reasons["UDP_CSUM"] >= 375
    assert found["first"]["flow"] == "10.7.0.1:1000 > 10.7.0.2:8080" and "tcp_v4_rcv" in found["first"]["location"]
    assert found["receiver"]["namespace"] == line.b.namespace


def test_flow_of_a_datagram_comes_from_a_tap(line: Line) -> None:
    """The kernel tells no addresses of UDP; these frames were wrong when they were made, so that no hop is blamed."""
    mac = link(line.b, "eth0")["address"]
    search = Search(line, "--json", "--duration", "60")
    with kept_up(lambda: send_bad(line, mac, 2)):
        [finding, *_], found = search.results()
    assert finding["cause"] in ("wrong-arithmetic", "corruption", "nat-without-update") and finding["packets"]
    assert found["first"]["flow"] == "10.7.0.1:1 > 10.7.0.2:9" and found["hop"] is None
    assert [step["interface"] for step in found["path"]] == ["pb", "eth0"]
    assert found["to"]["namespace"] == line.b.namespace and found["to"]["interface"] == "eth0"


WITHOUT = """
import pktmend.commands.diagnose.search.watch as watch
from pktmend.errors import OSFailure
def none():
    raise OSFailure("there is no tracefs")
watch.drop_events = none
from pktmend.cli import main
main()
"""


def test_without_tracepoints_the_counters_do(line: Line) -> None:
    """The whole way to the hop, by counters alone."""
    start_relay(line)
    with line.a.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        search = Search(line, "--json", "--duration", "60", argv=(sys.executable, "-P", "-c", WITHOUT))
        assert "tracepoints" not in search.first_line
        with kept_up(lambda: sender.sendto(b"x", ("10.7.0.2", 9))):
            [finding, *_], found = search.results()
    assert found["watched"]["tracepoints"] == [] and any("no tracefs" in what for what in found["unread"])
    assert finding["cause"] == "metadata-lost" and finding["confidence"] == "certain"
    assert (found["hop"]["before"]["interface"], found["hop"]["behind"]["interface"]) == ("pa", "pb")
    assert found["hop"]["kind"] == "packet" and found["hop"]["pid"] > 0
    assert found["from"]["namespace"] == line.a.namespace and found["to"]["namespace"] == line.b.namespace
    assert any(line.a.namespace in each["command"] and "tx off" in each["command"] for each in finding["remedy"])
    assert "UdpInCsumErrors" in found["drops"]["counters"][f"netns {line.b.namespace}"]


def test_without_privileges_it_says_what_it_could_not_look_at(line: Line) -> None:
    """Of a namespace that may not be entered, a process in it tells the counters."""
    need("setpriv")
    line.b.spawn("sleep", "600")
    script = 'umount -R /sys/kernel/tracing /sys/kernel/debug 2>/dev/null; exec setpriv --bounding-set=-sys_admin "$@"'
    search = Search(line, "--json", "--duration", "60", wrapper=("unshare", "-m", "sh", "-c", script, "-"))
    send_bad(line, link(line.b, "eth0")["address"], 7)
    [finding], found = search.results()
    assert finding["cause"] == "not-understood" and "7 packets" in finding["evidence"][0]
    assert found["drops"]["counters"] == {f"netns {line.b.namespace}": {"UdpInCsumErrors": 7}}
    for what in ("mounting it needs CAP_SYS_ADMIN", "entering a namespace needs CAP_SYS_ADMIN"):
        assert any(what in unread for unread in found["unread"]), found["unread"]


def test_nothing_drops_is_said_with_what_was_watched(line: Line) -> None:
    done = Search(line, "--duration", "0.3")
    out, error = done.process.communicate(timeout=PATIENCE)
    text = out.decode()
    assert done.process.returncode == 0 and "was dropped for its checksum within" in text
    assert line.b.namespace in text and "Watched: the checksum error counters of" in text
    if b"tracepoints" not in error:
        assert "tcp:tcp_bad_csum" in text and "skb:kfree_skb" in text
