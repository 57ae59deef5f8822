"""`check -i`: says that it is running, and ends by itself."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from pktmend.testbed.netns import Host, Testbed
from tools import PATIENCE, PKTMEND, run_pktmend


@pytest.fixture(scope="module")
def node() -> Iterator[Host]:
    with Testbed() as testbed:
        node, a = testbed.host("node"), testbed.host("a")
        testbed.veth(a, "eth0", node, "pa")
        yield node


def check(node: Host, *options: str) -> tuple[int, float, str, str]:
    began = time.monotonic()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = node.spawn(*PKTMEND, "check", "-i", "pa", *options, **pipes)
    out, said = process.communicate(timeout=PATIENCE)
    return process.returncode, time.monotonic() - began, out.decode(), said.decode()


def test_it_says_that_it_is_running_and_ends_by_itself_with_duration(node: Host) -> None:
    code, took, out, said = check(node, "--duration", "700ms", "udp port 9")
    assert code == 0 and took > 0.7, said
    assert said == "pktmend: watching pa, for 0.7 s\n"
    assert out.startswith("0 packets, ")


def test_it_says_how_it_can_be_ended(node: Host) -> None:
    process = node.spawn(*PKTMEND, "check", "-i", "pa", "-c", "1k", "udp port 9", stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b"pktmend: watching pa, until -c, --duration or a signal ends it\n"
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("options", [("-r", "x", "--duration", "1"), ("-i", "lo", "--duration", "0")])
def test_duration_is_of_an_interface(options: tuple[str, ...]) -> None:
    done = run_pktmend("check", *options)
    assert done.returncode == 2 and b"of -i IFACE" in done.stderr
