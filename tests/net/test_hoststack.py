"""The host stack and other bridges beside ours: told, refused, or taken over from."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import frames as f
from line import ADDRESSES, Line, everything, open_tap, seen
from pktmend.commands.bridge.host_use import HostUse, require_free
from pktmend.errors import OSFailure
from pktmend.testbed.netns import Testbed, end
from running import RunningBridge
from tools import PATIENCE, PKTMEND, need, until

OWN = "10.7.0.77"  # of the node, on pa


def refused(line: Line, *argv: str) -> str:
    """The one line of a bridge that does not start, with exit code 4."""
    done = line.node.run(*PKTMEND, "bridge", *argv, check=False, timeout=2 * PATIENCE)
    assert done.returncode == 4 and done.stderr.count("\n") == 1, (done.returncode, done.stderr)
    return done.stderr


def test_without_isolation_it_warns(line: Line) -> None:
    line.node.address("pa", f"{OWN}/24", "fd07::77/64")
    line.node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    with line.bridged() as bridge:
        told = bridge.told()
    assert len(told) == 4 and all("--isolate" in each for each in told), told
    assert f"pa: the host has {OWN}/24, fd07::77/64 on it" in told[0]  # and not its link-local address
    assert "pa: the host forwards IPv4" in told[1] and "pb: the host forwards IPv4" in told[2]


def test_nothing_is_told_of_interfaces_that_nobody_uses(line: Line) -> None:
    with line.bridged() as bridge:
        assert bridge.told() == []


def test_macvlan_on_an_interface_is_told(line: Line) -> None:
    line.node.run("ip", "link", "add", "mv0", "link", "pa", "type", "macvlan")
    with line.bridged() as bridge:
        assert [each for each in bridge.told() if "mv0" in each and each.startswith("pa: ")]


# --- other bridges --------------------------------------------------------------------------------


def test_second_bridge_on_an_interface_is_refused(line: Line) -> None:
    line.testbed.veth(line.node, "pc", line.node, "pd")
    with line.bridged() as bridge:
        for pair in (("pa", "pb"), ("pb", "pa"), ("pa", "pc"), ("pc", "pb")):
            text = refused(line, "-i", pair[0], "-I", pair[1])
            assert f"process {bridge.process.pid}" in text and "bridged already" in text, text
        line.node.run("ip", "link", "set", "dev", "pa", "name", "renamed0")
        assert "bridged already" in refused(line, "-i", "renamed0", "-I", "pc")
        bridge.process.kill()
        bridge.process.wait(PATIENCE)
    line.node.run("ip", "link", "set", "dev", "renamed0", "name", "pa")
    with line.bridged() as bridge:  # nothing is left of the claim
        bridge.stop()


def test_lock_goes_over_to_the_new_interface(line: Line) -> None:
    line.testbed.veth(line.node, "pc", line.node, "pd")
    with line.bridged("-Z", "nobody") as bridge:
        line.node.run("ip", "link", "del", "dev", "pb")
        line.cross()
        until(lambda: line.a.run("ping", "-c1", "-W1", ADDRESSES["b"][0], check=False).returncode == 0)
        assert "bridged already" in refused(line, "-i", "pb", "-I", "pc")
        bridge.stop()


def test_new_interface_that_another_bridge_took_first_is_left_to_it(line: Line) -> None:
    line.testbed.veth(line.node, "pc", line.node, "pd")
    with line.bridged() as bridge:
        line.node.run("ip", "link", "del", "dev", "pb")
        line.testbed.veth(line.b, "eth0", line.node, "px")
        other = RunningBridge(line.node, "-i", "px", "-I", "pc")
        line.node.run("ip", "link", "set", "dev", "px", "name", "pb")
        bridge.await_told(2)
        other.stop()
        told = bridge.told(3)
    assert [each.partition(": ")[2][:30] for each in told] == [
        "the interface is gone; waiting",
        "the interface is back, but ano",
        "the interface is back, bound a",
    ], told


def test_opposite_directions_may_be_two_processes(line: Line) -> None:
    with line.bridged("--unidir") as there:
        back = RunningBridge(line.node, "-i", "pb", "-I", "pa", "--unidir")
        line.a.run("ping", "-c2", "-i0.2", "-W1", ADDRESSES["b"][0])
        assert "bridged already" in refused(line, "-i", "pa", "-I", "pb", "--unidir")
        back.stop()
        there.stop()


def test_forced_second_bridge_carries_frames_twice_and_says_so(line: Line) -> None:
    frame = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    with line.bridged() as bridge:
        second = RunningBridge(line.node, "-i", "pa", "-I", "pb", "--force")
        with open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
            out.send(frame)
            for _ in range(2):
                seen(back, lambda got: got == frame)
        told = second.told()
        bridge.stop()
    assert len(told) == 3 and all("bridged already" in each and "twice" in each for each in told[:2]), told


# How each is made, gets pa and lets it go, and what the user is told: Open vSwitch's port is none of `ip link`'s.
PORTS = {
    "bridge": (
        ("ip", "link", "add", "br0", "type", "bridge"),
        ("ip", "link", "set", "dev", "pa", "master", "br0"),
        ("ip", "link", "set", "dev", "pa", "nomaster"),
        "ip link set dev pa nomaster",
    ),
    "openvswitch": (
        ("ovs-dpctl", "add-dp", "br0"),
        ("ovs-dpctl", "add-if", "br0", "pa"),
        ("ovs-dpctl", "del-if", "br0", "pa"),
        "ovs-vsctl del-port pa",
    ),
}


@pytest.mark.parametrize("kind", PORTS)
def test_port_of_another_bridge_is_refused(line: Line, kind: str) -> None:
    add, enslave, leave, hint = PORTS[kind]
    need(add[0])
    if line.node.run(*add, check=False).returncode:
        pytest.skip(f"this kernel makes no {kind}")
    line.node.run(*enslave)
    text = refused(line, "-i", "pa", "-I", "pb")
    assert "'pa'" in text and "'br0'" in text and hint in text and kind in text
    with line.bridged("--force") as bridge:
        assert any("br0" in each for each in bridge.told())
    line.node.run(*leave)
    with line.bridged() as bridge:
        bridge.stop()


def test_port_of_open_vswitch_leaves_by_its_own_command() -> None:
    """The link of its datapath takes no `nomaster`."""
    with pytest.raises(OSFailure) as refusal:
        require_free(HostUse("pa", master="ovs-system", master_kind="openvswitch"))
    assert refusal.value.hint == "ovs-vsctl del-port pa; or --force" and "'ovs-system'" in refusal.value.detail


# --- frames that come round -----------------------------------------------------------------------


def test_two_ends_of_one_pair_are_refused(line: Line) -> None:
    line.testbed.veth(line.node, "pc", line.node, "pd")
    assert "one veth pair" in refused(line, "-i", "pc", "-I", "pd", "--force")


@pytest.mark.parametrize(
    "options",
    [(), ("--ring", "v3"), ("--workers", "2"), ("--no-coalesce",)],
    ids=["plain", "v3", "workers", "one by one"],
)
def test_no_frame_goes_back_where_it_came_from(line: Line, options: tuple[str, ...]) -> None:
    """100 frames each way at once; each side sees what the other sent, and nothing of its own."""
    line.silence()
    there = [f.raw(f.ether / f.ip4 / f.udp / bytes([i] * 60)) for i in range(100)]
    back = [
        f.raw(f.Ether(src="02:00:00:00:00:02", dst="ff:ff:ff:ff:ff:ff") / f.ip4 / f.udp / bytes([i] * 60))
        for i in range(100)
    ]
    with line.bridged(*options) as bridge, open_tap(line.a, "eth0") as a, open_tap(line.b, "eth0") as b:
        for first, second in zip(there, back, strict=True):
            a.send(first)
            b.send(second)
            time.sleep(0.001)
        bridge.stop()
        assert everything(b) == there and everything(a) == back


def test_ring_of_two_bridges_is_survived() -> None:
    """A loop without spanning tree: a broadcast goes round for ever.  Both still end, and count right."""
    with Testbed() as testbed:
        one, two = testbed.host("one"), testbed.host("two")
        for name in ("x", "y"):
            testbed.veth(one, name, two, name)
        bridges = [RunningBridge(host, "-i", "x", "-I", "y") for host in (one, two)]
        frame = f.raw(f.Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / f.ip4 / f.udp / f.PAYLOAD)

        def goes_round() -> bool:
            """Has it gone round?  One that a queue dropped goes no further, so each look sends another."""
            with open_tap(one, "x") as out:
                out.send(frame)
            return bool(bridges[0].snapshots) and any(
                d["arrived"] > 1000 for d in bridges[0].directions
            )  # one way or other

        until(goes_round, "the storm")
        for bridge in bridges:
            bridge.stop()
        for bridge in bridges:
            end(bridge.process)
