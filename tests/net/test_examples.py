"""The examples that need interfaces, run as a user would, with warnings of what was never closed on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import frames as f
import pktmend
from line import await_reader, open_tap, seen
from pktmend.testbed.netns import Host, Testbed
from tools import PATIENCE, ROOT

STRICT = (sys.executable, "-X", "dev", "-W", "error::ResourceWarning")
RIGHT = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(RIGHT, 80, 0x4711)
LEAKED = f.leaked(f.ether / f.ip4 / f.tcp / f.PAYLOAD)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host, Host]]:
    """a(eth0) -- (veth-a) node (veth-b) -- (eth0)b"""
    with Testbed() as testbed:
        a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
        testbed.veth(a, "eth0", node, "veth-a")
        testbed.veth(b, "eth0", node, "veth-b")
        yield a, b, node


def test_bridge_repairs_and_drops_in_both_directions_and_closes_all(hosts: tuple[Host, Host, Host]) -> None:
    a, b, node = hosts
    program = node.spawn(
        *STRICT,
        str(ROOT / "examples" / "bridge.py"),
        "veth-a",
        "veth-b",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stderr is not None and b"carrying" in program.stderr.readline()
    with open_tap(a, "eth0") as left, open_tap(b, "eth0") as right:
        for out, back in ((left, right), (right, left)):
            out.send(CORRUPT)
            out.send(LEAKED)
            assert seen(back, lambda got: got[:12] == RIGHT[:12]) == RIGHT
    program.send_signal(signal.SIGTERM)
    said, complaints = program.communicate(timeout=PATIENCE)
    assert (program.returncode, complaints) == (0, b"")
    for line in said.decode().splitlines():
        assert "repaired {'leaked': 1}" in line and "dropped {'stage': 1}" in line
    assert said.startswith(b"veth-a -> veth-b: ") and said.count(b"\n") == 2


def test_first_words_of_the_package_leave_nothing_open(hosts: tuple[Host, Host, Host]) -> None:
    """The example of the package's docstring, ended by SIGINT."""
    a, b, node = hosts
    assert pktmend.__doc__ is not None
    example = pktmend.__doc__[pktmend.__doc__.index("from pktmend") : pktmend.__doc__.index("Plain calls")]
    program = node.spawn(*STRICT, "-c", example, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_reader(node, "veth-a")
    with open_tap(a, "eth0") as out, open_tap(b, "eth0") as back:
        out.send(CORRUPT)
        out.send(RIGHT)
        assert seen(back, lambda got: got[:12] == RIGHT[:12]) == RIGHT
    program.send_signal(signal.SIGINT)
    _, complaints = program.communicate(timeout=PATIENCE)
    assert b"KeyboardInterrupt" in complaints and b"ResourceWarning" not in complaints, complaints


def test_ring_takes_an_expression_and_gives_batches_after_stages(hosts: tuple[Host, Host, Host]) -> None:
    a, _, node = hosts
    ring = node.call(lambda: pktmend.Ring("veth-a", outgoing=False, packet_filter="tcp"))
    with ring, open_tap(a, "eth0") as out:
        out.send(f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD))
        out.send(CORRUPT)
        out.send(RIGHT)
        seen_here: list[int] = []
        for batch in ring.batches(pktmend.verify, timeout=1):
            seen_here += batch.status.tolist()
    assert seen_here == [pktmend.Status.BAD, pktmend.Status.GOOD]


LIVE = re.findall(
    r"^<!-- live -->\n```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL | re.MULTILINE
)


def test_live_code_of_the_page_reads_and_forwards(hosts: tuple[Host, Host, Host]) -> None:
    """What docs/python.md shows of interfaces: the first prints what is bad, the second passes what is good."""
    a, b, node = hosts
    reading, forwarding = LIVE
    datagram = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    with open_tap(a, "eth0") as out, open_tap(b, "eth0") as back:
        program = node.spawn(*STRICT, "-c", reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        await_reader(node, "veth-a")
        for _ in range(20):  # libpcap reads from there as well, before the ring does
            out.send(CORRUPT)  # of TCP: filtered
            out.send(f.put16(datagram, 60, 0x4711))
            time.sleep(0.05)
        said, complaints = program.communicate(timeout=PATIENCE)
        lines = set(said.decode().splitlines())
        assert (len(lines), complaints) == (1, b"") and lines.pop().split()[-1] == str(len(datagram))
        program = node.spawn(*STRICT, "-c", forwarding, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        await_reader(node, "veth-a")
        out.send(CORRUPT)
        out.send(RIGHT)
        assert seen(back, lambda got: got[:12] == RIGHT[:12]) == RIGHT
        assert program.communicate(timeout=PATIENCE) == (b"", b"") and program.returncode == 0
