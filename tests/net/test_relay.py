"""Behind a hop that loses the metadata: broken without us, cured with `--finish`, in both directions.

a(eth0) -- (pa) relay (py) -- (px) bridge (pb) -- (eth0)b
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from line import ADDRESSES, Line, await_reader, transfer
from pktmend.testbed import ovs
from pktmend.testbed.netns import Testbed, end
from running import RunningBridge
from tools import PATIENCE, PKTMEND, need

MEGABYTE = 1 << 20


@pytest.fixture(params=["relay", "ovs"])
def behind(request: pytest.FixtureRequest) -> Iterator[Line]:
    """A line whose a-side passes a leaky hop; a sends no super-frames, which that hop could not carry."""
    if request.param == "ovs" and not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    with Testbed() as testbed:
        line = Line(testbed)
        testbed.veth(line.node, "px", line.node, "py")
        line.a.offload("eth0", tso=False, gso=False)
        if request.param == "ovs":
            ovs.OpenVSwitch(line.node).ports("pa", "py")
        else:
            relay = line.node.spawn(
                sys.executable, "-P", "-m", "pktmend.testbed.relay", "pa", "py", stdout=subprocess.PIPE
            )
            assert relay.stdout is not None
            relay.stdout.readline()
        yield line


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_tcp_works_in_both_directions_and_what_the_relay_sees_is_complete(
    behind: Line, tmp_path: Path, mode: str
) -> None:
    need("tshark", "tcpdump")
    trace = tmp_path / "wire.pcap"
    bridge = RunningBridge(behind.node, "-i", "px", "-I", "pb", "--finish", "px", "--cut-through", mode)
    dump = behind.node.spawn(
        "tcpdump", "-Z", "root", "-i", "py", "-Q", "in", "-c", "3000", "-w", str(trace), stderr=subprocess.PIPE
    )
    assert dump.stderr is not None
    dump.stderr.readline()
    for version in (4, 6):
        behind.a.run("ping", "-c2", "-i0.2", ADDRESSES["b"][0 if version == 4 else 1])
        transfer(behind.a, behind.b, 10 * MEGABYTE, version=version)
        transfer(behind.b, behind.a, 20 * MEGABYTE, version=version)
    end(dump)
    there, back = bridge.stop()
    behind.assert_no_checksum_error()
    assert there["repaired"]["leaked"] > 100
    if mode == "off":
        assert back["finished"] > 100 and back["split"] > 100
    else:
        assert back["cut_through"]["super_frames"] > 100
    verdicts = subprocess.run(
        [
            "tshark",
            "-r",
            str(trace),
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:TRUE",
            "-T",
            "fields",
            "-e",
            "frame.len",
            "-e",
            "ip.checksum.status",
            "-e",
            "tcp.checksum.status",
            "-Y",
            "tcp",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(verdicts) > 500
    for verdict in verdicts:
        length, ip, tcp = verdict.split("\t")
        assert int(length) <= 1514 and ip in ("", "1") and tcp == "1", verdict


def test_ping_passes_and_tcp_dies_without_us(behind: Line) -> None:
    """The incident itself: the bridge is told to repair nothing, so the leaked SYN reaches b."""
    bridge = RunningBridge(behind.node, "-i", "px", "-I", "pb", "--repair", "none")
    behind.a.run("ping", "-c2", "-i0.2", "10.7.0.2")
    with pytest.raises(TimeoutError):
        transfer(behind.a, behind.b, 1000, seconds=2)
    assert behind.b.checksum_errors()["TcpInCsumErrors"] > 0
    there, _ = bridge.stop()
    assert there["checks"]["tcp"]["leaked"] > 0


def test_check_live_names_the_leak_and_exits_1(behind: Line) -> None:
    bridge = RunningBridge(behind.node, "-i", "px", "-I", "pb", "--repair", "none")
    check = behind.node.spawn(*PKTMEND, "check", "-i", "px", "-c", "30", "--json", stdout=subprocess.PIPE)
    assert check.stdout is not None
    await_reader(behind.node, "px", 2)  # beside the bridge
    with pytest.raises(TimeoutError):
        transfer(behind.a, behind.b, 1000, seconds=2)
    behind.a.spawn("ping", "-c40", "-i0.05", "10.7.0.2")  # the rest of the 30
    lines = [json.loads(line) for line in check.stdout]
    assert check.wait(PATIENCE) == 1
    assert lines[0]["checks"][-1]["cause"] == "leaked"
    assert lines[-1]["summary"]["packets"] == 30
    bridge.stop()
