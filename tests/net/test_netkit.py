"""Pairs of netkit, which Cilium has instead of veths: read by the doctor, and bridged, where the kernel has them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from line import Line, transfer
from pktmend.errors import OSFailure
from pktmend.host import machine
from pktmend.testbed.netns import Testbed

MEGABYTE = 1 << 20


@pytest.fixture
def netkit() -> Iterator[Line]:
    with Testbed() as testbed:
        try:
            line = Line(testbed, 9000, is_netkit=True)
        except OSFailure as error:
            pytest.skip(error.detail)
        yield line


def test_both_ends_are_read_as_the_kernel_has_them(netkit: Line) -> None:
    """Each in its namespace, with what is set on one of them; the doctor finds nothing wrong."""
    a = netkit.a
    a.run("ip", "link", "set", "dev", "eth0", "gso_max_size", "30000")
    [link] = json.loads(a.run("ip", "-d", "-j", "link", "show", "dev", "eth0").stdout)
    found = machine.read_machine()
    [end] = [i for i in found.interfaces() if i.namespace.word == a.namespace and i.name == "eth0"]
    peer = found.peer_of(end)
    assert peer is not None and (peer.name, peer.namespace.word) == ("pa", netkit.node.namespace)
    assert end.kind == peer.kind == link["linkinfo"]["info_kind"] == "netkit"
    assert (end.mtu, peer.mtu) == (link["mtu"], 9000) and end.sizes["gso_max_size"] == 30000
    assert found.peer_of(peer) == end and end.leaves_checksums
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pktmend", "doctor", "eth0", "--netns", a.namespace, "--json"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("options", [(), ("--finish", "pa", "--finish", "pb")], ids=["plain", "finish"])
def test_tcp_through_the_bridge(netkit: Line, options: tuple[str, ...]) -> None:
    """The mark of partial checksums travels as on veth; what is finished leaves complete."""
    with netkit.bridged(*options) as bridge:
        for version in (4, 6):
            transfer(netkit.a, netkit.b, 10 * MEGABYTE, version=version)
            transfer(netkit.b, netkit.a, 10 * MEGABYTE, version=version)
        there, back = bridge.stop()
    netkit.assert_no_checksum_error()
    for direction in (there, back):
        assert direction["dropped"] == {} and direction["tx_error"] == {}, direction
        assert set(direction["checks"]["tcp"]) <= {"pending", "good"} and direction["checks"]["tcp"]["pending"] > 100
        assert direction["repaired"] == {}
