"""Faults under traffic: service is back by itself, each event is told once, and the ledger holds."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from line import ADDRESSES, Line, transfer
from load import Load
from running import RunningBridge
from tools import PATIENCE, PKTMEND, read_up_to
from watching import load_beside_a_spinner

A_LOOK = 0.35  # it looks at its interfaces ten times a second: what it would say twice, it says in this time


@dataclass(frozen=True)
class Fault:
    """strike and heal: what happens.  lasts: seconds between.  told: what the bridge says, word for word, in order."""

    strike: Callable[[Line], object]
    heal: Callable[[Line], object]
    told: tuple[str, ...]
    lasts: float = 0.6
    options: tuple[str, ...] = ()


def delete_and_remember(line: Line) -> None:
    """b's next interface has the same Ethernet address: a's neighbour table stays right, and TCP goes on."""
    line.remembered = line.b.run("cat", "/sys/class/net/eth0/address").stdout.strip()  # type: ignore[attr-defined]
    line.node.run("ip", "link", "del", "dev", "pb")


def make_again(line: Line) -> None:
    line.cross()
    line.b.run("ip", "link", "set", "dev", "eth0", "address", line.remembered)  # type: ignore[attr-defined]


def set_mtu(line: Line, mtu: int) -> None:
    for host, name in ((line.node, "pb"), (line.b, "eth0"), (line.a, "eth0")):
        host.link(name, mtu=mtu)


def move_away(line: Line) -> None:
    line.node.run("ip", "link", "set", "dev", "pb", "netns", line.testbed.host("other").namespace)


def move_back(line: Line) -> None:
    subprocess.run(
        [
            "ip",
            "-n",
            line.node.namespace.removesuffix("node") + "other",
            "link",
            "set",
            "dev",
            "pb",
            "netns",
            line.node.namespace,
        ],
        check=True,
    )
    line.node.link("pb", state="up")


def rename(line: Line, old: str, new: str) -> None:
    line.node.run("ip", "link", "set", "dev", old, "name", new)


GONE = ("pb: the interface is gone; waiting for one of that name", "pb: the interface is back, bound again")
AGAIN = Fault(delete_and_remember, make_again, GONE, 1)
FAULTS = {
    "link down 5 s": Fault(
        lambda line: line.node.link("pb", state="down"),
        lambda line: line.node.link("pb", state="up"),
        ("pb: the link is down", "pb: the link is up"),
        5,
    ),
    "rename": Fault(
        lambda line: rename(line, "pb", "other0"),
        lambda line: rename(line, "other0", "pb"),
        (
            "pb: the interface is called other0 now; going on with it",
            "other0: the interface is called pb now; going on with it",
        ),
    ),
    "mtu 900": Fault(
        lambda line: set_mtu(line, 900),
        lambda line: set_mtu(line, 1500),
        ("pb: MTU 1500 is 900 now", "pb: MTU 900 is 1500 now"),
    ),
    "mtu 900, finish": Fault(
        lambda line: set_mtu(line, 900),
        lambda line: set_mtu(line, 1500),
        ("pb: MTU 1500 is 900 now", "pb: MTU 900 is 1500 now"),
        options=("--finish", "pb"),
    ),
    "deleted": AGAIN,
    "deleted, v3": Fault(AGAIN.strike, AGAIN.heal, GONE, options=("--ring", "v3")),
    "deleted, isolated, as nobody": Fault(AGAIN.strike, AGAIN.heal, GONE, options=("--isolate", "-Z", "nobody")),
    "deleted, three workers": Fault(AGAIN.strike, AGAIN.heal, GONE, options=("--workers", "3")),
    "moved away": Fault(move_away, move_back, GONE),
    "peer down": Fault(
        lambda line: line.b.link("eth0", state="down"), lambda line: line.b.link("eth0", state="up"), ()
    ),
    "offloads off": Fault(
        lambda line: line.node.offload("pb", tx=False),
        lambda line: line.node.offload("pb", tx=True),
        ("pb: segmentation offloads changed", "pb: segmentation offloads changed"),
    ),
    "hosts' offloads off": Fault(
        lambda line: line.a.offload("eth0", tx=False, gro=False),
        lambda line: line.a.offload("eth0", tx=True, tso=True, gro=True),
        (),
    ),
    "queueing discipline": Fault(
        lambda line: line.node.run("tc", "qdisc", "replace", "dev", "pb", "root", "pfifo"),
        lambda line: line.node.run("tc", "qdisc", "del", "dev", "pb", "root"),
        (),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_under_traffic(line: Line, name: str) -> None:
    fault = FAULTS[name]
    with line.bridged(*fault.options) as bridge, Load(line) as load:
        load.await_progress()
        fault.strike(line)
        bridge.await_told(len(fault.told) // 2)
        if fault.lasts > 2:  # down: the pings still come, and are counted
            time.sleep(1)
            assert load_beside_a_spinner(bridge, fault.lasts - 1) < 0.25
        else:
            time.sleep(fault.lasts)
        fault.heal(line)
        load.await_reply(time.time())
        load.await_progress()
        bridge.await_told(len(fault.told))
        time.sleep(A_LOOK)
        assert load.stream is not None
        load.stream.finish()
        told = bridge.told()
    assert tuple(told) == fault.told
    line.assert_no_checksum_error()
    there, back = bridge.directions
    assert there["arrived"] > 50 and back["arrived"] > 50
    assert min(there["arrived"], back["arrived"]) >= len(load.replies()) > 0
    if name == "link down 5 s":
        assert there["tx_error"]["ENETDOWN"] > 100  # of about 500 pings
    if name.startswith("deleted"):
        assert there["tx_error"]["ENXIO"] > 10


def test_host_and_its_namespace_vanish_and_come_back(line: Line) -> None:
    """pb goes with its peer; another host of the same addresses takes its place."""
    with line.bridged() as bridge, Load(line, with_stream=False) as load:
        subprocess.run(["ip", "netns", "delete", line.b.namespace], check=True)
        bridge.await_told(1)
        subprocess.run(["ip", "netns", "add", line.b.namespace], check=True)
        line.cross()
        line.a.run("ip", "neigh", "flush", "dev", "eth0")
        load.await_reply(time.time())
        transfer(line.a, line.b, 5 << 20)
        assert tuple(bridge.told(2)) == GONE
    line.assert_no_checksum_error()


def test_peer_alone_vanishes(line: Line) -> None:
    with line.bridged() as bridge, Load(line, with_stream=False):
        line.b.run("ip", "link", "del", "dev", "eth0")
        bridge.await_told(1)
        time.sleep(A_LOOK)
        assert bridge.told() == [GONE[0]]


def test_interface_of_another_kind_is_not_bound(line: Line) -> None:
    """pb is made again as a TUN, which takes no Ethernet frames, and then as it was."""
    with line.bridged() as bridge:
        line.node.run("ip", "link", "del", "dev", "pb")
        bridge.await_told(1)
        line.node.run("ip", "tuntap", "add", "dev", "pb", "mode", "tun")
        line.node.link("pb", state="up")
        bridge.await_told(2)
        time.sleep(A_LOOK)
        assert line.node.run("ip", "-s", "link", "show", "dev", "pb").stdout.split("TX:")[1].split()[6:8] == ["0", "0"]
        line.node.run("ip", "link", "del", "dev", "pb")
        line.cross()
        line.a.run("ip", "neigh", "flush", "dev", "eth0")
        told = bridge.told(3)
    kinds = "pb: the interface is back, but its frames are of another kind (ARPHRD 65534, before 1); waiting"
    assert told == [GONE[0], kinds, GONE[1]]


@pytest.mark.parametrize("command", [("bridge", "-i", "pa", "-I", "pb"), ("monitor", "-i", "pa", "--plain")])
def test_hang_up_drains_and_prints_the_summary(line: Line, command: tuple[str, ...]) -> None:
    process = line.node.spawn(*PKTMEND, *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and b"kernel saw" in out


def test_hang_up_is_ignored_under_nohup(line: Line) -> None:
    words = ("nohup", *PKTMEND, "bridge", "-i", "pa", "-I", "pb")
    process = line.node.spawn(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    read_up_to(b"bridging", process.stderr)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4 * A_LOOK)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def test_xdp_program_takes_the_gso_features_away(line: Line) -> None:
    """An XDP_PASS program on the peer of the egress, loaded under traffic: super-frames still arrive, split."""
    source = line.testbed.folder() / "pass.c"
    source.write_text(
        '__attribute__((section("xdp"), used)) int pass_all(void *c) { return 2; }\n'
        'char _license[] __attribute__((section("license"), used)) = "GPL";\n'
    )
    program = source.with_suffix(".o")
    compiled = subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(program)], check=False)
    if compiled.returncode:
        pytest.skip("no clang for BPF")
    with line.bridged() as bridge, Load(line) as load:
        done = line.b.run("ip", "link", "set", "dev", "eth0", "xdpdrv", "obj", str(program), "sec", "xdp", check=False)
        if done.returncode:
            pytest.skip(f"no XDP here: {done.stderr}")
        load.await_reply(time.time())
        load.await_progress()
        bridge.await_told(1)
        transfer(line.a, line.b, 10 << 20)
        transfer(line.b, line.a, 10 << 20)
        line.b.run("ip", "link", "set", "dev", "eth0", "xdpdrv", "off")
        load.await_progress()
        bridge.await_told(2)
        time.sleep(A_LOOK)
        assert load.stream is not None
        load.stream.finish()
        told = bridge.told()
    assert told == ["pb: segmentation offloads changed"] * 2
    line.assert_no_checksum_error()


def test_memory_limit_of_64_mebibytes(line: Line) -> None:
    """It starts, carries and ends inside such a memory cgroup, and is never short of memory."""
    places = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))
    top = next((place for place in places if (place / "cgroup.procs").exists()), None)
    if top is None:
        pytest.skip("no memory cgroup")
    group = top / f"pktmend-{line.testbed.number}-{time.monotonic_ns()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup: {error}")
    line.testbed.on_exit(group.rmdir)
    limit = next((group / n for n in ("memory.max", "memory.limit_in_bytes") if (group / n).exists()), None)
    if limit is None:
        pytest.skip("no memory controller")
    limit.write_text(str(64 << 20))
    with line.bridged("--workers", "2", preexec_fn=lambda: (group / "cgroup.procs").write_text("0")) as bridge:
        transfer(line.a, line.b, 100 << 20)
        transfer(line.b, line.a, 100 << 20)
        assert str(bridge.process.pid) in (group / "cgroup.procs").read_text().split()
        assert bridge.told() == []
    there, back = bridge.directions
    assert not there["truncated"] and not back["truncated"] and not there["kernel_drops"], there


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_keep_flows_in_order_and_count_together(line: Line, workers: int) -> None:
    with line.bridged("--workers", str(workers)) as bridge:
        for _ in range(4):
            transfer(line.a, line.b, 10 << 20)
            transfer(line.b, line.a, 10 << 20, version=6)
        directions = bridge.stop()
    line.assert_no_checksum_error()
    assert len(directions) == 2 and all(d["sent"] == d["read"] for d in directions)


@pytest.mark.parametrize(
    "options", [(), ("--busy-poll", "2000"), ("--isolate",)], ids=["plain", "busy poll", "isolated"]
)
def test_idle_it_costs_next_to_nothing(line: Line, options: tuple[str, ...]) -> None:
    line.silence()  # hosts that have just got their links say something by themselves
    with line.bridged(*options) as bridge:
        line.a.run("ping", "-c1", "-W9", ADDRESSES["b"][0])
        time.sleep(0.3)
        assert load_beside_a_spinner(bridge, 1) < 0.25
        bridge.stop()


def test_bridge_class_reads_what_was_told(line: Line) -> None:
    """An interface that is down at the start of the look is told once, not at every look."""
    with line.bridged() as bridge:
        assert isinstance(bridge, RunningBridge)
        line.node.link("pa", state="down")
        bridge.await_told(1)
        time.sleep(3 * A_LOOK)
        assert bridge.told() == ["pa: the link is down"]
