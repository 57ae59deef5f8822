"""Protocols that need both directions: DHCP, neighbour discovery with duplicates, multicast, spanning tree."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from line import ADDRESSES, Line
from pktmend.testbed.netns import end
from tools import PATIENCE, need, read_up_to

LEASE = "10.8.0.50"
OPTIONS = {
    "plain": (),
    "v3": ("--ring", "v3"),
    "finish": ("--finish", "pa", "--finish", "pb"),
    "isolated": ("--isolate",),
}


@pytest.mark.parametrize("options", OPTIONS)
def test_dhcp_client_gets_its_lease_through_the_bridge(line: Line, options: str) -> None:
    """dnsmasq at b, busybox's client at a: broadcasts, raw sockets that check sums themselves, a lease."""
    need("dnsmasq", "udhcpc")
    folder = line.testbed.folder()
    line.b.address("eth0", "10.8.0.1/24")
    script = folder / "script"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "$ip" > "$LEASE"\nexit 0\n')
    script.chmod(0o755)
    server = line.b.spawn(
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=eth0",
        f"--dhcp-range={LEASE},{LEASE},255.255.255.0,1h",
        f"--dhcp-leasefile={folder}/leases",
        "--user=root",
        "--log-facility=-",
        "--dhcp-authoritative",
        "--no-ping",
        f"--pid-file={folder}/pid",
        stderr=subprocess.PIPE,
    )
    assert server.stderr is not None
    read_up_to(b"DHCP, IP range", server.stderr)
    with line.bridged(*OPTIONS[options]) as bridge:
        done = line.a.run(
            "env",
            f"LEASE={folder}/lease",
            "udhcpc",
            "-i",
            "eth0",
            "-f",
            "-n",
            "-q",
            "-t",
            "5",
            "-T",
            "2",
            "-s",
            str(script),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        there, back = bridge.stop()
    end(server)
    assert (folder / "lease").read_text().strip() == LEASE
    assert LEASE in (folder / "leases").read_text()
    assert there["dropped"] == back["dropped"] == {}


def addresses(line: Line) -> dict[str, dict[str, bool]]:
    """a's IPv6 addresses and their flags."""
    (link,) = json.loads(line.a.run("ip", "-j", "-6", "addr", "show", "dev", "eth0").stdout)
    return {each["local"]: each for each in link["addr_info"]}


def settled(line: Line, address: str) -> dict[str, bool]:
    """Wait for the end of duplicate address detection."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = addresses(line)[address]
        if not found.get("tentative") or found.get("dadfailed"):
            return found
        time.sleep(0.05)
    raise AssertionError("duplicate address detection did not end")


def test_duplicate_address_is_detected_across_the_bridge(line: Line) -> None:
    """The kernel of a asks, from the unspecified address to a solicited-node group; b's kernel defends its address."""
    for scope in ("all", "eth0"):
        line.a.run("sysctl", "-qw", f"net.ipv6.conf.{scope}.accept_dad=1")
    with line.bridged() as bridge:
        line.a.run("ping", "-6", "-c1", "-W3", ADDRESSES["b"][1])
        line.a.run("ip", "addr", "add", f"{ADDRESSES['b'][1]}/64", "dev", "eth0")
        line.a.run("ip", "addr", "add", "fd07::5/64", "dev", "eth0")
        assert settled(line, ADDRESSES["b"][1]).get("dadfailed")
        assert not settled(line, "fd07::5").get("dadfailed")
        line.a.run("ping", "-6", "-c2", "-i0.2", "-W3", "-I", "fd07::5", ADDRESSES["b"][1])
        bridge.stop()


def test_neighbours_are_found_anew_and_groups_are_reached(line: Line) -> None:
    with line.bridged() as bridge:
        for _ in range(2):
            for host in (line.a, line.b):
                host.run("ip", "neigh", "flush", "dev", "eth0")
            line.a.run("ping", "-c1", "-W3", ADDRESSES["b"][0])
            line.b.run("ping", "-6", "-c1", "-W3", ADDRESSES["a"][1])
        link_local = line.a.run("ping", "-6", "-c2", "-i0.2", "-W3", "ff02::1%eth0").stdout
        assert "2 received" in link_local
        bridge.stop()


def test_spanning_tree_of_the_neighbours_sees_through(line: Line) -> None:
    """Two parallel bridges between two kernel bridges are a loop; their spanning tree finds and opens it."""
    line.testbed.veth(line.a, "eth1", line.node, "pc")
    line.testbed.veth(line.b, "eth1", line.node, "pd")
    for host in (line.a, line.b):
        host.run(
            "ip", "link", "add", "br0", "type", "bridge", "stp_state", "1", "forward_delay", "200", "hello_time", "100"
        )
        for name in ("eth0", "eth1"):
            host.run("ip", "link", "set", "dev", name, "master", "br0")
    from running import RunningBridge

    bridges = [RunningBridge(line.node, "-i", x, "-I", y) for x, y in (("pa", "pb"), ("pc", "pd"))]
    for host in (line.a, line.b):
        host.run("ip", "link", "set", "dev", "br0", "up")

    def states() -> list[str]:
        return [
            port["linkinfo"]["info_slave_data"]["state"]
            for host in (line.a, line.b)
            for port in json.loads(host.run("ip", "-j", "-d", "link", "show", "master", "br0").stdout)
        ]

    deadline = time.monotonic() + 2 * PATIENCE
    while sorted(states()) != ["blocking", "forwarding", "forwarding", "forwarding"]:
        assert time.monotonic() < deadline, states()
        time.sleep(0.2)
    for bridge in bridges:
        bridge.stop()
        end(bridge.process)
