"""The kernel's own NAT beside a hop that rewrites without updating: conntrack's tuples are evidence.

a(eth0 10.7.0.1) -- (pa 10.7.0.254) node, masquerade (pb 10.8.0.254) -- (eth0 10.8.0.2) b
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

import frames as f
import tapes as t
from line import open_tap, put
from live_diagnosis import during, evidence, names
from pktmend.errors import OSFailure
from pktmend.testbed.netns import Host, Testbed
from tools import need


def masquerade(node: Host) -> None:
    """Source NAT on what leaves pb, by nftables; skip where the kernel or the program is missing."""
    need("nft")
    rules = (
        "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100 ; }; "
        "add rule ip nat post oifname pb masquerade"
    )
    try:
        node.run("nft", rules)
    except OSFailure as error:
        pytest.skip(f"no nftables NAT in this kernel: {error}")


def tracked(node: Host) -> str:
    """The kernel's own table in text, the judge."""
    path = Path("/proc/thread-self/net/nf_conntrack")
    return node.call(lambda: path.read_text() if path.exists() else "")


def test_conntrack_names_the_original_of_what_was_translated() -> None:
    with Testbed() as testbed:
        a, node, b = (testbed.host(name) for name in ("a", "node", "b"))
        testbed.veth(a, "eth0", node, "pa")
        testbed.veth(b, "eth0", node, "pb")
        for host, name, address in (
            (a, "eth0", "10.7.0.1/24"),
            (node, "pa", "10.7.0.254/24"),
            (node, "pb", "10.8.0.254/24"),
            (b, "eth0", "10.8.0.2/24"),
        ):
            host.address(name, address)
        a.run("ip", "route", "add", "default", "via", "10.7.0.254")
        node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        masquerade(node)

        def ask() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("10.7.0.1", 4000))
                s.sendto(b"make an entry", ("10.8.0.2", 4001))
                s.sendto(b"and another", ("10.8.0.3", 4001))

        def rewrite_without_update() -> None:
            """What leaves pb as if something else had done the same translation and left the sum alone."""
            tap = open_tap(node, "pb")
            for n in range(5):
                old = t.udp("10.7.0.1", "10.8.0.2", 4000, 4001, bytes([n]) * 40)
                new = t.udp("10.8.0.254", "10.8.0.2", 4000, 4001, bytes([n]) * 40)
                put(tap, f.put16(f.raw(new), 40, f.get16(f.raw(old), 40)))
            tap.close()

        a.call(ask)
        judge = tracked(node)
        if judge:
            assert re.search(r"src=10\.7\.0\.1 dst=10\.8\.0\.2 .*src=10\.8\.0\.2 dst=10\.8\.0\.254 ", judge), judge
            assert "dst=10.8.0.3 " in judge
        at_node, at_b = during(rewrite_without_update, (node, ("-i", "pb")), (b, ("-i", "eth0")))
    translated = "translates 10.7.0.1 > 10.8.0.2 to 10.8.0.254 > 10.8.0.2"
    assert names(at_node) == names(at_b) == ["nat-without-update"]
    assert f"conntrack of this namespace {translated}" in evidence(at_node[0])
    assert f"conntrack of netns {node.namespace} {translated}" in evidence(at_b[0])  # by the other end of b's veth
    assert "10.8.0.3" not in evidence(at_node[0])  # another connection through the same NAT
