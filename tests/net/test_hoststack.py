"""The host stack and other bridges beside ours: told, refused, kept out, and let in again whatever ends the bridge."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

import frames as f
from line import ADDRESSES, Bridge, Line, everything, open_tap, seen
from pktmend.testbed.netns import Testbed, end
from tools import PATIENCE, until

OWN = "10.7.0.77"  # of the node, on pa
FOREIGN = (
    "tc",
    "filter",
    "add",
    "dev",
    "pa",
    "ingress",
    "pref",
    "7",
    "handle",
    "0x9",
    "bpf",
    "da",
    "bytecode",
    "1,6 0 0 0",
)


def answers(line: Line) -> bool:
    """Does the node's own stack answer a for the address on pa?"""
    line.a.run("ip", "neigh", "flush", "dev", "eth0")
    return line.a.run("ping", "-c1", "-W1", "-n", OWN, check=False).returncode == 0


def hooks(line: Line, name: str = "pa") -> str:
    """What tc shows of the interface."""
    return (
        line.node.run("tc", "qdisc", "show", "dev", name).stdout
        + line.node.run("tc", "filter", "show", "dev", name, "ingress").stdout
    )


def refused(line: Line, *argv: str) -> str:
    """The one line of a bridge that does not start, with exit code 4."""
    done = line.node.run(sys.executable, "-P", "-m", "pktmend", "bridge", *argv, check=False, timeout=2 * PATIENCE)
    assert done.returncode == 4 and done.stderr.count("\n") == 1, (done.returncode, done.stderr)
    return done.stderr


# --- isolation ------------------------------------------------------------------------------------


def test_isolated_interfaces_are_the_bridges_alone(line: Line) -> None:
    """The node has an address and forwards; its own counters say what its stack got."""
    line.node.address("pa", f"{OWN}/24")
    line.node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    until(lambda: answers(line), "an answer")
    clean = hooks(line)
    with line.bridged("--isolate") as bridge:
        assert not answers(line)
        before = line.node.kernel_counters()["IpInReceives"]
        line.a.run("ping", "-c20", "-i0.01", "-W1", ADDRESSES["b"][0])
        line.a.run("ping", "-b", "-c3", "-i0.2", "-W1", "10.7.0.255", check=False)
        assert line.node.kernel_counters()["IpInReceives"] == before
        assert bridge.told() == [f"pa: the host's own {OWN}/24 is not reached through it while it is isolated"]
    assert hooks(line) == clean
    until(lambda: answers(line), "an answer")


def test_without_isolation_it_warns(line: Line) -> None:
    line.node.address("pa", f"{OWN}/24", "fd07::77/64")
    line.node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    with line.bridged() as bridge:
        told = bridge.told()
    assert len(told) == 3 and all("--isolate" in each for each in told), told
    assert f"pa: the host has {OWN}/24, fd07::77/64 on it" in told[0]  # and not its link-local address
    assert "pa: the host forwards IPv4" in told[1] and "pb: the host forwards IPv4" in told[2]


def test_nothing_is_told_of_interfaces_that_nobody_uses(line: Line) -> None:
    with line.bridged() as bridge:
        assert bridge.told() == []


def test_macvlan_on_an_interface_is_told(line: Line) -> None:
    line.node.run("ip", "link", "add", "mv0", "link", "pa", "type", "macvlan")
    with line.bridged() as bridge:
        assert [each for each in bridge.told() if "mv0" in each and each.startswith("pa: ")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_isolation_ends_with_the_bridge_and_takes_nothing_else_along(line: Line, number: int) -> None:
    """Somebody else's filter and queueing discipline on pa stay; pb has none before and none after."""
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    line.node.run(*FOREIGN)
    before = hooks(line), hooks(line, "pb")
    with line.bridged("--isolate", "-Z", "nobody") as bridge:
        during = hooks(line), hooks(line, "pb")
        assert all("1,6 0 0 2" in each for each in during) and "1,6 0 0 0" in during[0]
        holder = Path(f"/proc/{holder_of(bridge)}")
        bridge.process.send_signal(number)
        bridge.process.wait(PATIENCE)
        until(lambda: (hooks(line), hooks(line, "pb")) == before)
        until(lambda: not holder.exists() or " Z " in (holder / "stat").read_text())


def holder_of(bridge: Bridge) -> int:
    """The process that holds the isolation: the bridge's only child."""
    children = Path(f"/proc/{bridge.process.pid}/task/{bridge.process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def test_what_holds_the_isolation_is_deaf_to_signals_and_has_one_capability(line: Line) -> None:
    with line.bridged("--isolate") as bridge:
        holder = holder_of(bridge)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(holder, number)
        time.sleep(0.3)
        assert "1,6 0 0 2" in hooks(line)
        status = Path(f"/proc/{holder}/status").read_text()
        assert len(list(Path(f"/proc/{holder}/task").iterdir())) == 1
        for kind in ("CapEff", "CapPrm"):
            assert f"{kind}:\t0000000000001000" in status, status  # CAP_NET_ADMIN
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        assert bridge.told() == []


def test_both_killed_the_next_bridge_cleans_up(line: Line) -> None:
    clean = hooks(line)
    for options in ((), ("--isolate",)):
        with line.bridged("--isolate") as bridge:
            os.kill(holder_of(bridge), signal.SIGKILL)
            bridge.process.kill()
            bridge.process.wait(PATIENCE)
        assert "1,6 0 0 2" in hooks(line)
        with line.bridged(*options) as bridge:
            assert ("1,6 0 0 2" in hooks(line)) == bool(options)
            told = bridge.told()
        assert len(told) == (0 if options else 2) and all("undone" in each for each in told), told
        assert hooks(line) == clean


def test_without_the_privilege_it_says_how_to_clean_up(line: Line) -> None:
    clean = hooks(line)
    with line.bridged("--isolate") as bridge:
        os.kill(holder_of(bridge), signal.SIGKILL)
        until(lambda: "stay so until" in read_line(bridge))
        bridge.process.terminate()
        bridge.process.wait(PATIENCE)
    raw = "-all,+net_raw"
    line.node.run(
        "setpriv",
        f"--bounding-set={raw}",
        f"--inh-caps={raw}",
        sys.executable,
        "-P",
        "-m",
        "pktmend",
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
        "--duration",
        "0.2",
    )
    done = line.node.run(
        "setpriv",
        f"--bounding-set={raw}",
        f"--inh-caps={raw}",
        sys.executable,
        "-P",
        "-m",
        "pktmend",
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
        "--duration",
        "0.2",
    )
    commands = re.findall(r"undo it by: (tc .*)", done.stderr)
    assert len(commands) == 2
    for command in commands:
        line.node.run(*command.split())
    assert hooks(line) == clean


def read_line(bridge: Bridge) -> str:
    assert bridge.process.stderr is not None
    return bridge.process.stderr.readline().decode()


def test_isolation_needs_cap_net_admin(line: Line) -> None:
    raw = "-all,+net_raw"
    done = line.node.run(
        "setpriv",
        f"--bounding-set={raw}",
        f"--inh-caps={raw}",
        sys.executable,
        "-P",
        "-m",
        "pktmend",
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
        "--isolate",
        check=False,
    )
    assert done.returncode == 3 and "CAP_NET_ADMIN" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_isolation_follows_a_new_name_and_a_new_interface(line: Line) -> None:
    other = line.world.host("other")
    with line.bridged("--isolate") as bridge:
        line.node.run("ip", "link", "set", "dev", "pb", "name", "other0")
        bridge.await_told(1)
        line.node.run("ip", "link", "del", "dev", "other0")
        line.cross("other0")
        until(lambda: "1,6 0 0 2" in hooks(line, "other0"))
        line.node.run("ip", "link", "set", "dev", "other0", "netns", other.namespace)
        assert "bpf" not in other.run("tc", "filter", "show", "dev", "other0", "ingress", check=False).stdout
        other.run("ip", "link", "set", "dev", "other0", "netns", line.node.namespace)
        line.node.link("other0", state="up")
        until(lambda: "1,6 0 0 2" in hooks(line, "other0"))
        until(lambda: line.a.run("ping", "-c1", "-W1", ADDRESSES["b"][0], check=False).returncode == 0)
        bridge.told()
    assert "bpf" not in hooks(line, "other0") and "clsact" not in hooks(line, "other0")


# --- other bridges --------------------------------------------------------------------------------


def test_second_bridge_on_an_interface_is_refused(line: Line) -> None:
    line.world.veth(line.node, "pc", line.node, "pd")
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


def test_claim_goes_over_to_the_new_interface(line: Line) -> None:
    line.world.veth(line.node, "pc", line.node, "pd")
    with line.bridged("-Z", "nobody") as bridge:
        line.node.run("ip", "link", "del", "dev", "pb")
        line.cross()
        until(lambda: line.a.run("ping", "-c1", "-W1", ADDRESSES["b"][0], check=False).returncode == 0)
        assert "bridged already" in refused(line, "-i", "pb", "-I", "pc")
        bridge.stop()


def test_new_interface_that_another_bridge_took_first_is_left_to_it(line: Line) -> None:
    line.world.veth(line.node, "pc", line.node, "pd")
    with line.bridged() as bridge:
        line.node.run("ip", "link", "del", "dev", "pb")
        line.world.veth(line.b, "eth0", line.node, "px")
        other = Bridge(line.node, "-i", "px", "-I", "pc")
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
        back = Bridge(line.node, "-i", "pb", "-I", "pa", "--unidir")
        line.a.run("ping", "-c2", "-i0.2", "-W1", ADDRESSES["b"][0])
        assert "bridged already" in refused(line, "-i", "pa", "-I", "pb", "--unidir")
        back.stop()
        there.stop()


def test_forced_second_bridge_carries_frames_twice_and_says_so(line: Line) -> None:
    frame = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    with line.bridged() as bridge:
        second = Bridge(line.node, "-i", "pa", "-I", "pb", "--force")
        with open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
            out.send(frame)
            for _ in range(2):
                seen(back, lambda got: got == frame)
        told = second.told()
        bridge.stop()
    assert len(told) == 2 and all("bridged already" in each and "twice" in each for each in told), told


@pytest.mark.parametrize("kind", ["bridge", "openvswitch"])
def test_port_of_another_bridge_is_refused(line: Line, kind: str) -> None:
    if line.node.run("ip", "link", "add", "br0", "type", kind, check=False).returncode:
        pytest.skip(f"this kernel makes no {kind}")
    line.node.run("ip", "link", "set", "dev", "pa", "master", "br0")
    text = refused(line, "-i", "pa", "-I", "pb")
    assert "'pa'" in text and "'br0'" in text and "nomaster" in text and kind in text
    with line.bridged("--force") as bridge:
        assert any("br0" in each for each in bridge.told())
    line.node.run("ip", "link", "set", "dev", "pa", "nomaster")
    with line.bridged() as bridge:
        bridge.stop()


# --- frames that come round -----------------------------------------------------------------------


def test_two_ends_of_one_pair_are_refused(line: Line) -> None:
    line.world.veth(line.node, "pc", line.node, "pd")
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
    with Testbed() as world:
        one, two = world.host("one"), world.host("two")
        for name in ("x", "y"):
            world.veth(one, name, two, name)
        bridges = [Bridge(host, "-i", "x", "-I", "y") for host in (one, two)]
        with open_tap(one, "x") as out:
            out.send(f.raw(f.Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / f.ip4 / f.udp / f.PAYLOAD))
        time.sleep(1)
        directions = [bridge.stop() for bridge in bridges]
        assert directions[0][0]["read"] > 1000  # it did go round
        for bridge in bridges:
            end(bridge.process)
