"""Isolation of the bridge's interfaces from the host stack: until the bridge ends, whatever ends it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from line import ADDRESSES, Line
from pktmend.host import tcx
from running import RunningBridge
from tools import PATIENCE, PKTMEND, until

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


CLASSIC = "-all,+net_raw,+net_admin,+setuid,+setgid"  # no CAP_BPF: nothing can be loaded, clsact it is


@pytest.fixture(params=["tcx", "clsact"])
def how(request: pytest.FixtureRequest, line: Line) -> str:
    """The mechanism that the bridge has to use."""
    if request.param == "tcx" and not line.node.call(lambda: tcx.is_supported(line.node.index("pa"))):
        pytest.skip("no tcx here: Linux 6.6")
    return str(request.param)


@contextmanager
def isolated(line: Line, how: str, *argv: str) -> Iterator[RunningBridge]:
    """Run the bridge with --isolate, by that mechanism, and nothing else attached."""
    prefix = () if how == "tcx" else ("setpriv", f"--bounding-set={CLASSIC}", f"--inh-caps={CLASSIC}")
    with line.bridged("--isolate", "--cut-through", "off", *argv, prefix=prefix) as bridge:
        yield bridge


def is_isolated(line: Line, how: str, name: str = "pa") -> bool:
    """Does the kernel list a program that drops, by that mechanism?"""
    if how == "clsact":
        return "1,6 0 0 2" in hooks(line, name)
    return bool(line.node.call(lambda: tcx.query(line.node.index(name), "ingress")))


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


def test_isolated_interfaces_are_the_bridges_alone(line: Line, how: str) -> None:
    """The node has an address and forwards; its own counters say what its stack got."""
    line.node.address("pa", f"{OWN}/24")
    line.node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    until(lambda: answers(line), "an answer")
    clean = hooks(line)
    with isolated(line, how) as bridge:
        assert not answers(line)
        before = line.node.kernel_counters()["IpInReceives"]
        line.a.run("ping", "-c20", "-i0.01", "-W1", ADDRESSES["b"][0])
        line.a.run("ping", "-b", "-c3", "-i0.2", "-W1", "10.7.0.255", check=False)
        assert line.node.kernel_counters()["IpInReceives"] == before
        assert bridge.told() == [f"pa: the host's own {OWN}/24 is not reached through it while it is isolated"]
    assert hooks(line) == clean
    until(lambda: answers(line), "an answer")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_isolation_ends_with_the_bridge_and_takes_nothing_else_along(line: Line, how: str, number: int) -> None:
    """Somebody else's filter and queueing discipline on pa stay; pb has none before and none after."""
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    line.node.run(*FOREIGN)
    before = hooks(line), hooks(line, "pb")
    with isolated(line, how, "-Z", "nobody") as bridge:
        assert is_isolated(line, how) and is_isolated(line, how, "pb") and "1,6 0 0 0" in hooks(line)
        holder = Path(f"/proc/{holder_of(bridge)}")
        bridge.process.send_signal(number)
        bridge.process.wait(PATIENCE)
        until(lambda: (hooks(line), hooks(line, "pb")) == before)
        until(lambda: not is_isolated(line, "tcx") and not is_isolated(line, "tcx", "pb"))
        until(lambda: not holder.exists() or " Z " in (holder / "stat").read_text())


def holder_of(bridge: RunningBridge) -> int:
    """The process that holds the isolation: the bridge's only child."""
    children = Path(f"/proc/{bridge.process.pid}/task/{bridge.process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def test_what_holds_the_isolation_ignores_signals_and_has_one_capability(line: Line, how: str) -> None:
    with isolated(line, how) as bridge:
        holder = holder_of(bridge)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(holder, number)
        time.sleep(0.3)
        assert is_isolated(line, how)
        status = Path(f"/proc/{holder}/status").read_text()
        assert len(list(Path(f"/proc/{holder}/task").iterdir())) == 1
        for kind in ("CapEff", "CapPrm"):
            assert f"{kind}:\t0000000000001000" in status, status  # CAP_NET_ADMIN
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        assert bridge.told() == []


def kill_both(bridge: RunningBridge) -> None:
    os.kill(holder_of(bridge), signal.SIGKILL)
    bridge.process.kill()
    bridge.process.wait(PATIENCE)


def test_both_killed_a_link_goes_with_them(line: Line) -> None:
    with isolated(line, "tcx") as bridge:
        assert is_isolated(line, "tcx")
        kill_both(bridge)
    until(lambda: not is_isolated(line, "tcx") and not is_isolated(line, "tcx", "pb"))


def test_both_killed_the_next_bridge_cleans_up(line: Line) -> None:
    clean = hooks(line)
    for options in ((), ("--isolate",)):
        with isolated(line, "clsact") as bridge:
            kill_both(bridge)
        assert is_isolated(line, "clsact")
        with line.bridged("--cut-through", "off", *options) as bridge:
            assert not is_isolated(line, "clsact") and is_isolated(line, "tcx") == bool(options)
            told = bridge.told()
        assert len(told) == (0 if options else 2) and all("undone" in each for each in told), told
        assert hooks(line) == clean


def test_next_bridge_takes_over_what_was_left_in_clsact(line: Line) -> None:
    clean = hooks(line)
    with isolated(line, "clsact") as bridge:
        kill_both(bridge)
    with isolated(line, "clsact") as bridge:
        assert is_isolated(line, "clsact") and hooks(line).count("1,6 0 0 2") == 1
        assert bridge.told() == []
    assert hooks(line) == clean


def test_keeper_killed_the_isolation_lasts_as_long_as_the_bridge(line: Line) -> None:
    with isolated(line, "tcx") as bridge:
        bridge.listen()
        os.kill(holder_of(bridge), signal.SIGKILL)
        bridge.await_told(2)
        assert is_isolated(line, "tcx") and is_isolated(line, "tcx", "pb")
        told = bridge.told()
    assert len(told) == 2 and all("lasts until the bridge ends" in each for each in told), told
    until(lambda: not is_isolated(line, "tcx") and not is_isolated(line, "tcx", "pb"))


def test_without_the_privilege_it_says_how_to_clean_up(line: Line) -> None:
    clean = hooks(line)
    with isolated(line, "clsact") as bridge:
        os.kill(holder_of(bridge), signal.SIGKILL)
        until(lambda: "stays so until" in read_line(bridge))
        bridge.process.terminate()
        bridge.process.wait(PATIENCE)
    raw = "-all,+net_raw"
    bridging = ("bridge", "-i", "pa", "-I", "pb", "--duration", "0.2")
    done = line.node.run("setpriv", f"--bounding-set={raw}", f"--inh-caps={raw}", *PKTMEND, *bridging)
    commands = re.findall(r"undo it by: (tc .*)", done.stderr)
    assert len(commands) == 2
    for command in commands:
        line.node.run(*command.split())
    assert hooks(line) == clean


def read_line(bridge: RunningBridge) -> str:
    assert bridge.process.stderr is not None
    return bridge.process.stderr.readline().decode()


def test_isolation_needs_cap_net_admin(line: Line) -> None:
    raw = "-all,+net_raw"
    done = line.node.run(
        "setpriv",
        f"--bounding-set={raw}",
        f"--inh-caps={raw}",
        *PKTMEND,
        "bridge",
        "-i",
        "pa",
        "-I",
        "pb",
        "--isolate",
        check=False,
    )
    assert done.returncode == 3 and "CAP_NET_ADMIN" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_isolation_follows_a_new_name_and_a_new_interface(line: Line, how: str) -> None:
    other = line.testbed.host("other")
    with isolated(line, how) as bridge:
        line.node.run("ip", "link", "set", "dev", "pb", "name", "other0")
        bridge.await_told(1)
        line.node.run("ip", "link", "del", "dev", "other0")
        line.cross("other0")
        until(lambda: is_isolated(line, how, "other0"))
        line.node.run("ip", "link", "set", "dev", "other0", "netns", other.namespace)
        index = other.index("other0")
        until(lambda: not other.call(lambda: tcx.query(index, "ingress")))
        assert "bpf" not in other.run("tc", "filter", "show", "dev", "other0", "ingress", check=False).stdout
        other.run("ip", "link", "set", "dev", "other0", "netns", line.node.namespace)
        line.node.link("other0", state="up")
        until(lambda: is_isolated(line, how, "other0"))
        until(lambda: line.a.run("ping", "-c1", "-W1", ADDRESSES["b"][0], check=False).returncode == 0)
        bridge.told()
    assert not is_isolated(line, "tcx", "other0")
    assert "bpf" not in hooks(line, "other0") and "clsact" not in hooks(line, "other0")
