"""`pktmend doctor` on hops that lose the metadata, and on those that keep it; the printed remedies cure."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from doctoring import add_vxlan, doctor, link, names, obey, placed, start_relay, the
from line import Line, transfer
from pktmend.testbed import ovs
from pktmend.testbed.netns import Host
from tools import PKTMEND, need

pytestmark = pytest.mark.alone  # others' namespaces and drops are seen too

REDIRECT = """
typedef unsigned u32;
static long (*redirect_map)(void *map, unsigned long long key, unsigned long long flags) = (void *)51;
struct { int (*type)[14]; int (*max_entries)[4]; u32 *key; u32 *value; } ports __attribute__((section(".maps"), used));
__attribute__((section("xdp"), used)) int forward(void *c) { return redirect_map(&ports, 0, 2); }
char _license[] __attribute__((section("license"), used)) = "GPL";
"""
PASS = '__attribute__((section("xdp"), used)) int pass(void *c) { return 2; }'
FORWARD = """
static long (*redirect)(unsigned interface, unsigned long long flags) = (void *)23;
__attribute__((section("xdp"), used)) int forward(void *c) { return redirect(%d, 0); }
char _license[] __attribute__((section("license"), used)) = "GPL";
"""


def test_relay_is_found_and_the_printed_remedy_cures_it(line: Line) -> None:
    start_relay(line)
    with pytest.raises((AssertionError, OSError)):
        transfer(line.a, line.b, 1 << 16, seconds=2)
    found, _ = doctor(line.a, "eth0", expect=1)
    hop = the(found, "userspace-hop")
    assert hop["severity"] == "problem" and "pa, pb" in hop["title"]
    assert {(i["name"], i["namespace"]) for i in hop["interfaces"]} == {
        ("pa", line.node.namespace),
        ("pb", line.node.namespace),
        ("eth0", line.a.namespace),
        ("eth0", line.b.namespace),
    }
    obey(hop, "tx off")
    assert "tx-checksum-ip-generic: off" in line.b.run("ethtool", "-k", "eth0").stdout
    transfer(line.a, line.b, 1 << 20)
    # both hosts have counted what was lost before: a warning, no problem
    found, _ = doctor(line.a, "eth0", expect=0)
    assert "userspace-hop-finished" in names(found) and "userspace-hop" not in names(found)


def test_who_only_watches_is_no_hop(line: Line) -> None:
    need("tcpdump")
    watchers = [
        line.node.spawn("tcpdump", "-Z", "root", "-i", "any", "-w", "/dev/null", stderr=subprocess.PIPE),
        line.node.spawn(*PKTMEND, "monitor", "-i", "pa", stderr=subprocess.PIPE),
    ]
    for name in ("pa", "pb"):
        dump = line.node.spawn("tcpdump", "-Z", "root", "-i", name, "-w", "/dev/null", stderr=subprocess.PIPE)
        watchers.append(dump)
    for each in watchers[:1] + watchers[2:]:
        assert each.stderr is not None
        each.stderr.readline()
    assert names(doctor(line.node, expect=0)[0]) == set()


def test_our_own_bridge_keeps_the_mark(line: Line) -> None:
    with line.bridged():
        assert names(doctor(line.node, expect=0)[0]) == set()
    with line.bridged("--cut-through", "off"):
        assert names(doctor(line.node, expect=0)[0]) == set()
        line.node.address("pa", "10.9.0.1/24")
        found, _ = doctor(line.node, expect=0)
        assert names(found) == {"address-on-port", "arp-flux"}  # pb answers for pa's address
        assert placed(the(found, "arp-flux")) == [("pb", line.node.namespace)]


def test_open_vswitch_and_its_tso_option(line: Line) -> None:
    if not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    switch = ovs.OpenVSwitch(line.node)
    switch.ports("pa", "pb")
    found, _ = doctor(line.a, "eth0", expect=1)
    hop = the(found, "userspace-hop")
    assert "Open vSwitch" in hop["title"]
    obey(hop, "userspace-tso-enable")
    found, _ = doctor(line.a, "eth0", expect=1)
    assert "datapath_type=netdev: br0" in the(found, "ovs-tso-pending")["evidence"][0]


def test_open_vswitch_with_tso_is_healthy(line: Line) -> None:
    if not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    switch = ovs.OpenVSwitch(line.node)
    switch.ports("pa", "pb")
    switch.restart(tso=True)
    found, _ = doctor(line.a, "eth0", expect=0)
    assert names(found) == {"ovs-userspace"} and "is on" in found[0]["title"]


def attach(host: Host, interface: str, folder: Path, source: str, mode: str = "xdpdrv") -> dict[str, Any]:
    """Compile and attach an XDP program; return what `ip` says of it."""
    need("clang")
    (folder / "p.c").write_text(source)
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-c", "p.c", "-o", "p.o"], cwd=folder, check=True)
    host.run("ip", "link", "set", "dev", interface, mode, "obj", str(folder / "p.o"), "sec", "xdp")
    program: dict[str, Any] = link(host, interface)["xdp"]["prog"]
    return program


@pytest.mark.parametrize(("source", "severity"), [(REDIRECT, "problem"), (PASS, "warning")], ids=["redirect", "pass"])
def test_xdp_before_a_sender_with_offload(line: Line, tmp_path: Path, source: str, severity: str) -> None:
    shown = attach(line.node, "pa", tmp_path, source)
    xdp = the(doctor(line.node, "pa")[0], "xdp-hop")
    assert xdp["severity"] == severity and shown["name"] in xdp["title"] and f"id {shown['id']}" in xdp["evidence"][0]
    obey(xdp, "tx off")
    assert names(doctor(line.node, "pa", expect=0)[0]) == set()


def test_generic_xdp_keeps_the_mark_and_drops_super_frames(line: Line, tmp_path: Path) -> None:
    for port, other in (("pa", "pb"), ("pb", "pa")):
        attach(line.node, port, tmp_path, FORWARD % link(line.node, other)["ifindex"], "xdpgeneric")
    with pytest.raises((AssertionError, OSError)):
        transfer(line.a, line.b, 1 << 20, seconds=2)
    line.assert_no_checksum_error()
    found, _ = doctor(line.node, expect=0)  # by interface number, without a map: it may redirect
    assert [f["name"] for f in found] == ["xdp-super-frames"] * 2
    for each in found:
        obey(each, "tso off")
    transfer(line.a, line.b, 1 << 20)
    transfer(line.b, line.a, 1 << 20)
    line.assert_no_checksum_error()
    assert names(doctor(line.node, expect=0)[0]) == set()


def test_a_tunnel_over_a_leaky_hop_is_named(line: Line) -> None:
    add_vxlan(line.a)
    start_relay(line)
    hop = the(doctor(line.a, "vx0", expect=1)[0], "userspace-hop")
    assert any("vx0" in line_ and "inner checksums" in line_ for line_ in hop["evidence"])


def test_sizes_above_64_kib_and_gro_before_a_hop(line: Line) -> None:
    line.a.run("ip", "link", "set", "dev", "eth0", "gro_max_size", "131072", "gso_max_size", "100000")
    big = the(doctor(line.a, expect=0)[0], "big-tcp")
    assert big["severity"] == "info" and set(big["evidence"]) >= {"gro_max_size 131072", "gso_max_size 100000"}
    start_relay(line)
    line.node.offload("pb", gro=True)
    found, _ = doctor(line.node, expect=1)
    assert the(found, "big-tcp")["severity"] == "warning"
    joined = the(found, "super-frames-into-hop")
    assert placed(joined) == [("pb", line.node.namespace)]
    obey(joined, "gro off")
    obey(the(found, "big-tcp"), "ip link set")
    assert not {"big-tcp", "super-frames-into-hop"} & names(doctor(line.node)[0])
