"""Cut-through: the kernel carries what is healthy, the ring all else; each frame in one counter; nothing is left."""

from __future__ import annotations

import shutil
import signal
import struct
import time
from pathlib import Path

import pytest

import cutting as c
import frames as f
from line import ADDRESSES, Line, everything, open_tap, put, transfer
from pktmend.host import ethtool
from pktmend.testbed.netns import end
from running import RunningBridge
from tools import PATIENCE, until

FLOWS = {"tcp4": c.Flow(4, True), "tcp6": c.Flow(6, True), "udp4": c.Flow(4, False), "udp6": c.Flow(6, False)}
QUIET = 0.012  # longer than a flow stays with the ring behind the last suspect


def known_traffic() -> list[tuple[str, c.Kind, int]]:
    """(flow, kind, how many), each told from all others by its number."""
    kinds = (c.good, c.pending, c.leaked, c.corrupt)
    return [(flow, kind, 3 + i + 4 * j) for i, flow in enumerate(FLOWS) for j, kind in enumerate(kinds)]


def send_known(line: Line) -> int:
    """Send it, a kind at a time; how many frames."""
    total = 0
    with open_tap(line.a, "eth0", vnet=True) as out:
        for flow, kind, count in known_traffic():
            for number in range(count):
                put(out, kind(FLOWS[flow], number))
            total += count
            time.sleep(QUIET)
    return total


def expected(*kinds: c.Kind) -> dict[str, int]:
    """How many checks of TCP and of UDP frames of these kinds have."""
    found: dict[str, int] = {}
    for flow, kind, count in known_traffic():
        if kind in kinds:
            found[flow[:3]] = found.get(flow[:3], 0) + count
    return found


@pytest.mark.parametrize("options", [(), ("--ring", "v3"), ("--workers", "2"), ("--isolate",)], ids=" ".join)
def test_known_traffic_is_counted_exactly(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    with line.bridged("--unidir", "--no-coalesce", *options) as bridge:
        total = send_known(line)
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["arrived"] == total, "all of it")
        (d,) = bridge.stop()
    cut = d["cut_through"]
    for proto in ("tcp", "udp"):
        assert cut["checks"][proto] == {
            "pending": expected(c.pending)[proto],
            "good": expected(c.good)[proto],
        }
        assert d["checks"][proto] == {
            **cut["checks"][proto],
            "leaked": expected(c.leaked)[proto],
            "corrupt": expected(c.corrupt)[proto],
        }
    carried, up = sum(expected(c.good, c.pending).values()), sum(expected(c.leaked, c.corrupt).values())
    assert (d["arrived"], cut["frames"], d["kernel_seen"], cut["lost"]) == (total, carried, up, 0)
    assert d["sent"] == up and d["repaired"] == {"leaked": sum(expected(c.leaked).values())}
    sizes = [len(kind(FLOWS[flow], 0)) - 10 for flow, kind, n in known_traffic() for _ in range(n)]
    assert cut["octets"] + d["octets"] == sum(sizes)


@pytest.mark.parametrize("repair", ["leaked", "all", "none"])
@pytest.mark.parametrize("fate", ["pass", "drop"])
def test_what_is_repaired_passed_or_dropped_is_as_without(line: Line, repair: str, fate: str) -> None:
    """The same frames with and without cut-through: what leaves is byte for byte the same."""
    line.silence()
    left: dict[str, list[bytes]] = {}
    for mode in ("auto", "off"):
        argv = (
            "--unidir",
            "--no-coalesce",
            "--loop",
            "off",
            "--cut-through",
            mode,
            "--repair",
            repair,
            "--corrupt",
            fate,
        )
        with line.bridged(*argv) as bridge, open_tap(line.b, "eth0", vnet=True) as back:
            send_known(line)
            left[mode] = sorted(everything(back, 0.3))
            (d,) = bridge.stop()
            assert ("cut_through" in d) == (mode == "auto")
    assert left["auto"] == left["off"] and left["off"]


def test_ordinary_traffic_costs_the_ring_nothing(line: Line) -> None:
    """TCP, UDP, ping, ARP and ND between two hosts: all of it is carried, each way."""
    with line.bridged() as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 5 << 20, version=version)
            transfer(line.b, line.a, 5 << 20, version=version)
            line.a.run("ping", "-c5", "-i0.05", "-W2", ADDRESSES["b"][0 if version == 4 else 1])
        directions = bridge.stop()
        assert bridge.said == []
    line.assert_no_checksum_error()
    for d in directions:
        cut = d["cut_through"]
        assert d["read"] <= 10, d["checks"]  # MLD reports have a hop-by-hop header
        assert cut["no_checksum"] >= 1 and cut["checks"]["icmp"]["good"] >= 5 and cut["checks"]["icmpv6"]["good"] >= 5
        assert cut["super_frames"] > 50 and cut["checks"]["tcp"]["pending"] > 50


def test_tag_in_the_metadata_is_carried_along(line: Line) -> None:
    """A tag that the kernel strips on the way in: frames are healthy, and their tag leaves with them."""
    line.silence()
    with (
        line.bridged("--unidir") as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
        open_tap(line.b, "eth0") as back,
    ):
        tag = struct.pack("!HH", 0x8100, 5 << 13 | 7)
        for flow in FLOWS.values():
            frame = c.good(flow, 1)
            put(out, frame[:22] + tag + frame[22:])
            vnet, frame = c.pending(flow, 2)[:10], c.pending(flow, 2)[10:]
            flags, gso, head, size, start, offset = struct.unpack("=BBHHHH", vnet)
            put(out, struct.pack("=BBHHHH", flags, gso, head, size, start + 4, offset) + frame[:12] + tag + frame[12:])
        got = [back.recvmsg(1 << 16, 256) for _ in range(2 * len(FLOWS))]
        (d,) = bridge.stop()
    for _, ancillary, _, _ in got:
        ((_, _, auxdata),) = ancillary
        assert struct.unpack("=3I4H", auxdata)[5:] == (5 << 13 | 7, 0x8100)
    assert d["cut_through"]["frames"] == len(got) and d["read"] == 0


def test_segments_are_joined_where_many_come_one_by_one(line: Line) -> None:
    """GRO goes on in that direction alone, and only for a sender that segments by itself."""

    def gro() -> tuple[bool, bool]:
        found = line.node.call(lambda: [ethtool.features_of(name)["rx-gro"] for name in ("pa", "pb")])
        return found[0], found[1]

    before = gro()
    with line.bridged() as bridge:
        transfer(line.a, line.b, 60 << 20)
        assert gro() == before == (False, False)
        line.a.offload("eth0", tso=False)
        transfer(line.a, line.b, 60 << 20)
        until(lambda: gro() == (True, False), "segments are joined")
        transfer(line.a, line.b, 20 << 20)
        there = bridge.stop()[0]
    assert there["cut_through"]["super_frames"] > 100 and gro() == before


@pytest.mark.parametrize("option", ["", "pass", "drop"])
def test_finish_leaves_nothing_partial_and_nothing_long(line: Line, option: str) -> None:
    """The port's own tx offload goes off: the kernel completes and segments what it carries, the ring what it reads."""
    argv = ("--finish", "pb", *(("--corrupt", option) if option else ()))
    with line.bridged(*argv) as bridge, open_tap(line.b, "eth0", vnet=True) as back:
        transfer(line.a, line.b, 4 << 20)
        with open_tap(line.a, "eth0", vnet=True) as out:
            for number in range(20):
                put(out, c.super_frame(FLOWS["tcp4"], number))
                put(out, c.pending(FLOWS["udp6"], number))
        frames = everything(back)
        there, _ = bridge.stop()
    assert there["cut_through"]["super_frames"] > 10
    assert max(len(frame) for frame in frames) <= 10 + 1514 and all(frame[:2] == b"\0\0" for frame in frames)
    line.assert_no_checksum_error()


def test_tx_offload_that_somebody_switches_on_is_finished_in_user_space(line: Line) -> None:
    with line.bridged("--finish", "pb") as bridge:
        line.node.offload("pb", tx=True)
        time.sleep(0.3)
        with open_tap(line.b, "eth0", vnet=True) as back:
            transfer(line.a, line.b, 1 << 20)
            frames = everything(back)
        there, _ = bridge.stop()
    assert all(frame[0] & f.NEEDS_CSUM == 0 for frame in frames) and there["finished"] > 10


# --- where it is not used -------------------------------------------------------------------------


def without_reason(line: Line, *argv: str, prefix: tuple[str, ...] = ()) -> str:
    """What a bridge says that carries everything by its rings; "" if nothing."""
    with line.bridged(*argv, prefix=prefix) as bridge:
        transfer(line.a, line.b, 1 << 20)
        told = bridge.told()
    assert all("cut_through" not in d and d["arrived"] == d["kernel_seen"] for d in bridge.directions)
    assert bridge.directions[0]["read"] > 10
    (text,) = told or [""]
    return text.removeprefix("no cut-through, all frames take the ring: ")


def test_switched_off_it_is_silent_and_all_frames_take_the_ring(line: Line) -> None:
    assert without_reason(line, "--cut-through", "off") == ""


CAPABILITIES = {
    "raw": ("net_raw",),
    "raw and admin": ("net_raw", "net_admin"),
    "without raw for bpf": ("net_raw", "net_admin", "perfmon"),
}


@pytest.mark.parametrize("held", CAPABILITIES)
def test_with_fewer_capabilities_the_ring_carries_and_one_line_says_why(line: Line, held: str) -> None:
    names = "".join(f",+{name}" for name in CAPABILITIES[held])
    prefix = ("setpriv", f"--bounding-set=-all{names}", f"--inh-caps=-all{names}")
    assert without_reason(line, prefix=prefix) == "needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"


def test_four_capabilities_are_enough(line: Line) -> None:
    names = "".join(f",+{name}" for name in ("net_raw", "net_admin", "bpf", "perfmon"))
    prefix = ("setpriv", f"--bounding-set=-all{names}", f"--inh-caps=-all{names}")
    with line.bridged(prefix=prefix) as bridge:
        transfer(line.a, line.b, 1 << 20)
        there, _ = bridge.stop()
        assert bridge.said == []
    assert there["cut_through"]["frames"] > 10


STAGE = """
class Sees:
    {declaration}
    def __init__(self):
        self.packets = 0
    def __call__(self, batch):
        self.packets += len(batch)
    def counters(self):
        return {{"seen": self.packets}}
"""


@pytest.mark.parametrize("is_content", [False, True])
def test_a_stage_sees_every_frame_unless_it_says_otherwise(line: Line, is_content: bool) -> None:
    source = line.testbed.folder() / "sees.py"
    source.write_text(STAGE.format(declaration="suspects_only = True" if is_content else "pass"))
    line.silence()
    with line.bridged("--unidir", "--no-coalesce", "--stage", f"{source}:Sees") as bridge:
        total = send_known(line)
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["arrived"] == total, "all of it")
        (d,) = bridge.stop()
    seen = d["stages"][0]["counters"]["seen"]
    if is_content:
        assert seen == d["read"] == sum(expected(c.leaked, c.corrupt).values()) and "cut_through" in d
    else:
        assert seen == total and "a stage of yours sees every frame" in bridge.said[0]


def test_host_that_uses_an_interface_is_not_cut_off(line: Line) -> None:
    line.node.address("pa", "10.7.0.77/24")
    with line.bridged() as bridge:
        line.a.run("ping", "-c2", "-i0.1", "-W2", "10.7.0.77")
        told = bridge.told()
    assert any("no cut-through" in each and "10.7.0.77/24 on pa" in each and "--isolate" in each for each in told)


def test_host_stack_gets_nothing_while_it_is_in_force(line: Line) -> None:
    """A forwarding host: no warning, and its own counters say that its stack saw none of the frames."""
    line.node.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    with line.bridged() as bridge:
        before = line.node.kernel_counters()["IpInReceives"]
        transfer(line.a, line.b, 1 << 20)
        send_known(line)
        assert line.node.kernel_counters()["IpInReceives"] == before
        assert bridge.told() == []


# --- nothing is left ------------------------------------------------------------------------------


def traces(line: Line) -> dict[str, str]:
    """Interfaces, filters and offloads of the node, as ip, tc and ethtool show them."""
    links = line.node.run("ip", "-o", "link", "show").stdout
    shown = {"links": "\n".join(sorted(each.split()[1] for each in links.splitlines()))}
    for name in ("pa", "pb"):
        shown[f"{name} qdisc"] = line.node.run("tc", "qdisc", "show", "dev", name).stdout
        shown[f"{name} filter"] = line.node.run("tc", "filter", "show", "dev", name, "ingress").stdout
        shown[f"{name} offloads"] = line.node.run("ethtool", "-k", name).stdout
        shown[f"{name} flags"] = line.node.run("cat", f"/sys/class/net/{name}/flags").stdout
        if shutil.which("bpftool"):
            shown[f"{name} tcx"] = line.node.run("bpftool", "net", "show", "dev", name, check=False).stdout
    return shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("options", [(), ("--finish", "pa", "--finish", "pb"), ("--isolate",)], ids=" ".join)
def test_nothing_is_left_whatever_ends_it(line: Line, number: int, options: tuple[str, ...]) -> None:
    clean = traces(line)
    with line.bridged(*options) as bridge:
        transfer(line.a, line.b, 1 << 20)
        assert traces(line) != clean
        bridge.process.send_signal(number)
        bridge.process.wait(PATIENCE)
        until(lambda: traces(line) == clean, "all is as it was")


def test_only_its_own_interfaces_are_touched(line: Line) -> None:
    line.testbed.veth(line.node, "pc", line.node, "pd")
    before = [line.node.run("ethtool", "-k", name).stdout for name in ("pc", "pd")]
    peers = [host.run("ethtool", "-k", "eth0").stdout for host in (line.a, line.b)]
    with line.bridged("--finish", "pb"):
        assert [line.node.run("ethtool", "-k", name).stdout for name in ("pc", "pd")] == before
        assert [host.run("ethtool", "-k", "eth0").stdout for host in (line.a, line.b)] == peers


def test_verbose_says_what_is_set_otherwise(line: Line) -> None:
    with line.bridged("--finish", "pb", "--verbose") as bridge:
        told = bridge.told(3)
    assert "pa: rx-gro on while TCP segments arrive one by one" in told
    assert any(each.startswith("pb: until") and "tx-checksum-ip-generic off" in each for each in told)


def test_two_bridges_in_a_row(line: Line) -> None:
    """a - node - middle - b: each has its own programs; a leaked frame is repaired by the first."""
    middle = line.testbed.host("middle")
    line.node.run("ip", "link", "del", "dev", "pb")
    line.testbed.veth(line.node, "pb", middle, "pc")
    line.testbed.veth(middle, "pd", line.b, "eth0")
    line.b.address("eth0", f"{ADDRESSES['b'][0]}/24", f"{ADDRESSES['b'][1]}/64")
    second = RunningBridge(middle, "-i", "pc", "-I", "pd")
    with line.bridged() as bridge:
        transfer(line.a, line.b, 10 << 20)
        transfer(line.b, line.a, 10 << 20, version=6)
        with open_tap(line.a, "eth0", vnet=True) as out:
            for number in range(50):
                put(out, c.leaked(FLOWS["udp4"], number))
        time.sleep(0.3)
        first, other = bridge.stop()[0], second.stop()[0]
    end(second.process)
    line.assert_no_checksum_error()
    assert first["repaired"] == {"leaked": 50} and "leaked" not in other["checks"].get("udp", {})
    assert first["cut_through"]["frames"] > 10 and other["cut_through"]["frames"] > 10


@pytest.mark.parametrize("options", [(), ("--workers", "3"), ("--ring", "v3")], ids=" ".join)
def test_flood_of_all_kinds_ends_with_an_exact_ledger(line: Line, options: tuple[str, ...]) -> None:
    """As many as one socket sends, stopped in the middle: each frame has arrived, or is in a counter."""
    line.silence()
    kinds = (c.good, c.pending, c.leaked, c.corrupt, c.without)
    frames = c.mixed(4000, FLOWS["udp4"], kinds)
    with line.bridged("--unidir", *options) as bridge, c.arrivals(line) as (out, numbers):
        for _ in range(5):
            for frame in frames:
                put(out, frame)
        (d,) = bridge.stop()
    c.assert_exact(line, d, 5 * len(frames), len(numbers))


def test_reader_that_is_stopped_drops_what_is_for_the_ring_and_nothing_else(line: Line) -> None:
    """While all its threads stand still the kernel goes on carrying: TCP does not notice."""
    with line.bridged() as bridge:
        bridge.pause()
        transfer(line.a, line.b, 5 << 20)
        bridge.process.send_signal(signal.SIGCONT)
        bridge.stop()
    line.assert_no_checksum_error()
