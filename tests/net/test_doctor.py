"""`pktmend doctor` on real set-ups: what is healthy, what is not, and that the printed remedies cure it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from line import NO_PI, TAP, TUN_F_CSUM, VNET_HDR, Line, open_tap_device, transfer
from pktmend.commands.doctor.checks import examine
from pktmend.commands.doctor.kernels import BUGS, kernel_bugs
from pktmend.commands.doctor.view import read_view
from pktmend.testbed import ovs
from pktmend.testbed.netns import Host, Testbed, end
from tools import PATIENCE, ROOT, need, until

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


@pytest.fixture
def testbed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        yield testbed


def doctor(host: Host, *words: str, expect: int | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the findings and the summary of `pktmend doctor --netns HOST`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pktmend", "doctor", "--netns", host.namespace, *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    *findings, summary = lines
    found, last = [f["finding"] for f in findings], summary["summary"]
    assert done.returncode == int(any(f["severity"] == "problem" for f in found)), done.stderr
    assert (last["problems"], last["warnings"], last["infos"]) == tuple(
        sum(f["severity"] == word for f in found) for word in ("problem", "warning", "info")
    )
    ranks = [("problem", "warning", "info").index(f["severity"]) for f in found]
    assert ranks == sorted(ranks)
    if expect is not None:
        assert done.returncode == expect, done.stdout
    return found, last


def names(found: list[dict[str, Any]]) -> set[str]:
    return {f["name"] for f in found}


def the(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the one finding of that name."""
    [one] = [f for f in found if f["name"] == name]
    return one


def obey(finding: dict[str, Any], word: str) -> None:
    """Run the remedies that contain *word*, exactly as they are printed."""
    commands = [r["command"] for r in finding["remedy"] if word in r["command"]]
    assert commands
    for command in commands:
        done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)


def link(host: Host, interface: str) -> dict[str, Any]:
    """What `ip -d -j link` shows of an interface."""
    shown: dict[str, Any] = json.loads(host.run("ip", "-d", "-j", "link", "show", "dev", interface).stdout)[0]
    return shown


def start_relay(line: Line) -> subprocess.Popen[bytes]:
    relay = line.node.spawn(sys.executable, "-P", "-m", "pktmend.testbed.relay", "pa", "pb", stdout=subprocess.PIPE)
    assert relay.stdout is not None
    relay.stdout.readline()
    return relay


def test_default_machine_gets_one_line(line: Line) -> None:
    found, summary = doctor(line.node, expect=0)
    assert found == []
    assert {i["name"]: i["peer"] and i["peer"]["namespace"] for i in summary["interfaces"] if i["name"] != "eth0"} == {
        "lo": None,
        "pa": line.a.namespace,
        "pb": line.b.namespace,
    }
    text = subprocess.run(
        [sys.executable, "-P", "-m", "pktmend", "doctor", "pa", "--netns", line.node.namespace],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "nothing found" in text.splitlines()[-1] and f"other end eth0 (netns {line.a.namespace})" in text


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
        line.node.spawn(sys.executable, "-P", "-m", "pktmend", "monitor", "-i", "pa", stderr=subprocess.PIPE),
    ]
    for name in ("pa", "pb"):
        dump = line.node.spawn("tcpdump", "-Z", "root", "-i", name, "-w", "/dev/null", stderr=subprocess.PIPE)
        watchers.append(dump)
    for each in watchers[:1] + watchers[2:]:
        assert each.stderr is not None
        each.stderr.readline()
    assert names(doctor(line.node, expect=0)[0]) == set()


def test_our_own_bridge_keeps_the_note(line: Line) -> None:
    with line.bridged():
        assert names(doctor(line.node, expect=0)[0]) == set()
        line.node.address("pa", "10.9.0.1/24")
        found, _ = doctor(line.node, expect=0)
        assert names(found) == {"address-on-port", "arp-flux"}  # pb answers for pa's address
        assert the(found, "arp-flux")["interfaces"] == [{"name": "pb", "namespace": line.node.namespace}]


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


def test_addresses_beside_a_hop_and_their_remedies(line: Line) -> None:
    start_relay(line)
    line.node.run("ip", "link", "add", "br9", "type", "bridge")
    line.node.link("br9", state="up")
    line.node.address("br9", "10.9.0.1/24")
    line.node.address("pb", "10.9.1.1/24")
    found, _ = doctor(line.node)
    flux = the(found, "arp-flux")
    assert {i["name"] for i in flux["interfaces"]} == {"pa", "pb"} and "10.9.0.1/24" in flux["evidence"][0]
    obey(flux, "arp_ignore=1")
    obey(the(found, "address-on-port"), "address del")
    assert not {"arp-flux", "address-on-port"} & names(doctor(line.node)[0])


def test_address_on_a_port_of_the_kernel_bridge(testbed: Testbed) -> None:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    a.run("ip", "link", "add", "br0", "type", "bridge")
    a.run("ip", "link", "set", "dev", "eth0", "master", "br0")
    assert names(doctor(a, expect=0)[0]) == set()
    a.address("eth0", "10.9.0.1/24", "fd09::1/64")
    port = the(doctor(a, expect=0)[0], "address-on-port")
    assert "bridge br0" in port["title"]
    obey(port, "address del")
    assert names(doctor(a, expect=0)[0]) == set()


def test_two_interfaces_in_one_network(testbed: Testbed) -> None:
    a = testbed.host("a")
    testbed.veth(a, "x", a, "y")
    a.address("x", "10.9.0.1/24")
    a.address("y", "10.9.0.2/24")
    flux = the(doctor(a, expect=0)[0], "same-network")
    assert flux["severity"] == "warning" and "10.9.0.0/24" in flux["title"]
    obey(flux, "arp_ignore=1")
    assert names(doctor(a, expect=0)[0]) == set()


def test_tap_with_checksum_offload_needs_the_header(testbed: Testbed) -> None:
    a = testbed.host("a")
    fds = [
        open_tap_device(a, "bad0", TAP | NO_PI, TUN_F_CSUM),
        open_tap_device(a, "good0", TAP | NO_PI | VNET_HDR, TUN_F_CSUM),
        open_tap_device(a, "good1", TAP | NO_PI),
    ]
    found, _ = doctor(a, expect=1)
    tap = the(found, "tap-without-vnet-header")
    assert tap["interfaces"] == [{"name": "bad0", "namespace": a.namespace}] and str(os.getpid()) in tap["title"]
    obey(tap, "tx off")
    assert names(doctor(a, expect=0)[0]) == set()
    for fd in fds:
        os.close(fd)


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


def test_generic_xdp_keeps_the_note_and_drops_super_frames(line: Line, tmp_path: Path) -> None:
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


def test_tunnel_settings_that_need_the_other_end(testbed: Testbed) -> None:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    make = ["ip", "link", "add"]
    kind = ["type", "vxlan", "local", "10.1.0.1", "remote", "10.1.0.2", "dev", "eth0"]
    a.run(*make, "fine0", *kind, "id", "1", "dstport", "4781", "noudpcsum")
    a.run(*make, "fine1", *kind, "id", "2", "dstport", "4782", "udp6zerocsumtx", "udp6zerocsumrx")
    assert names(doctor(a, expect=0)[0]) == set()
    a.run(*make, "odd0", *kind, "id", "3", "dstport", "4783", "udp6zerocsumtx")
    a.run(*make, "odd1", *kind, "id", "4", "dstport", "4784", "remcsumtx")
    found, _ = doctor(a, expect=0)
    assert {(f["name"], f["interfaces"][0]["name"]) for f in found} == {
        ("tunnel-zero-v6", "odd0"),
        ("tunnel-remcsum", "odd1"),
    }
    for each in found:
        obey(each, "link show")


def test_a_tunnel_over_a_leaky_hop_is_named(line: Line) -> None:
    line.a.run(
        "ip",
        "link",
        "add",
        "vx0",
        "type",
        "vxlan",
        "id",
        "7",
        "dstport",
        "4789",
        "dev",
        "eth0",
        "local",
        "10.7.0.1",
        "remote",
        "10.7.0.2",
    )
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
    assert joined["interfaces"] == [{"name": "pb", "namespace": line.node.namespace}]
    obey(joined, "gro off")
    obey(the(found, "big-tcp"), "ip link set")
    assert not {"big-tcp", "super-frames-into-hop"} & names(doctor(line.node)[0])


def test_packets_dropped_for_their_checksum_are_counted(line: Line) -> None:
    mac = link(line.b, "eth0")["address"]
    send_bad(line, mac, 50)
    judge = json.loads(line.b.run("nstat", "-a", "-z", "-j", "UdpInCsumErrors").stdout)["kernel"]["UdpInCsumErrors"]
    errors = the(doctor(line.b, expect=0)[0], "checksum-errors")
    assert judge == 50 and errors["evidence"] == ["UdpInCsumErrors 50"] and errors["severity"] == "warning"
    assert "50 packets" in errors["title"] and "none of them within the last 0." in errors["title"]
    assert "since boot" in errors["why"] and "None is rising now" in errors["why"]
    assert errors["remedy"][0]["command"] == f"ip netns exec {line.b.namespace} pktmend diagnose -i eth0"
    assert names(doctor(line.a, "lo", expect=0)[0]) == set()


def send_bad(line: Line, mac: str, n: int) -> None:
    """Send datagrams with a wrong checksum to b, raw."""
    from scapy.all import IP, UDP, Ether

    frame = bytes(Ether(dst=mac) / IP(src="10.7.0.1", dst="10.7.0.2") / UDP(sport=1, dport=9, chksum=0x1234) / b"bad")

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
            s.bind(("pb", 0))
            for _ in range(n):
                s.send(frame)

    line.node.call(send)
    time.sleep(0.05)


def test_counters_that_rise_now_are_a_problem(line: Line) -> None:
    """What was counted before is told from what is counted while doctor looks, by sending all the while."""
    mac = link(line.b, "eth0")["address"]
    send_bad(line, mac, 30)
    is_over = threading.Event()

    def keep_sending() -> None:
        while not is_over.is_set():
            send_bad(line, mac, 10)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        began = time.monotonic()
        found, _ = doctor(line.b, expect=1)
        assert time.monotonic() - began < 1.5  # 0.4 s of it between both looks; Python's start on a busy machine
    finally:
        is_over.set()
        sender.join()
    errors = the(found, "checksum-errors")
    rose = re.fullmatch(r"UdpInCsumErrors (\d+), \+(\d+) now", errors["evidence"][0])
    assert errors["severity"] == "problem" and rose and 10 < int(rose[2]) <= int(rose[1]) - 30
    assert "diagnose" in errors["why"] and errors["remedy"]


def test_without_tracefs_the_counters_are_watched(line: Line) -> None:
    """A mount namespace without tracefs, whatever this machine has mounted."""
    script = (
        f"umount /sys/kernel/tracing 2>/dev/null; umount -R /sys/kernel/debug 2>/dev/null; exec {sys.executable} "
        f"-P -m pktmend doctor eth0 --netns {line.b.namespace} --watch 60 --json"
    )
    watch = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line.testbed.on_exit(lambda: end(watch))
    assert watch.stderr is not None
    told = watch.stderr.readline().decode()
    assert "tracefs is not mounted" in told and "mount -t tracefs" in told and "counters instead" in told
    send_bad(line, link(line.b, "eth0")["address"], 20)
    watch.terminate()  # noticed long before the 60 s are over
    out, _ = watch.communicate(timeout=PATIENCE)
    *found, summary = [json.loads(line_) for line_ in out.decode().splitlines()]
    errors = the([f["finding"] for f in found], "checksum-errors")
    assert errors["evidence"] == ["UdpInCsumErrors 20, +20 now"] and errors["severity"] == "problem"
    assert any("tracefs" in what for what in summary["summary"]["unread"]) and watch.returncode == 1


def test_reasons_of_drops_are_watched(line: Line, tmp_path: Path) -> None:
    script = (
        f"mount -t tracefs tracefs /sys/kernel/tracing && exec {sys.executable} -P -m pktmend doctor eth0 "
        f"--netns {line.b.namespace} --watch 60 --json"
    )
    watch = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line.testbed.on_exit(lambda: end(watch))
    mac = link(line.b, "eth0")["address"]
    enabled = f"proc/{watch.pid}/root/sys/kernel/tracing/instances/pktmend-*/events/skb/kfree_skb/enable"
    until(lambda: watch.poll() is not None or any(path.read_text() == "1\n" for path in Path("/").glob(enabled)))
    send_bad(line, mac, 200)
    watch.terminate()  # ends the watching early; what was seen is reported
    out, err = watch.communicate(timeout=PATIENCE)
    if b"mount" in err or b"drop reasons" in err:
        pytest.skip(f"no tracefs or no drop reasons here: {err.decode().strip()}")
    found = [json.loads(line_)["finding"] for line_ in out.decode().splitlines()[:-1]]
    [dropped] = [f for f in found if f["name"] == "dropped-now" and "UDP_CSUM" in f["title"]]
    assert dropped["severity"] == "problem" and watch.returncode == 1
    assert not list(Path("/sys/kernel/tracing").glob("instances/pktmend-*"))


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("4.3.0", {"kernel-veth-vouches", "kernel-nat-on-zero", "kernel-csum-valid"}),
        ("4.4.0-31-generic", {"kernel-nat-on-zero", "kernel-csum-valid"}),
        ("5.4.40", {"kernel-nat-on-zero", "kernel-csum-valid", "kernel-udp-gso-refused"}),
        ("5.4.41", {"kernel-csum-valid", "kernel-udp-gso-refused"}),
        ("5.7.0", {"kernel-csum-valid", "kernel-udp-gso-refused"}),
        ("5.15.82", {"kernel-udp-gso-refused"}),
        ("6.1.0-18-amd64", {"kernel-udp-gso-refused"}),
        ("6.11.4", {"kernel-udp-gso-leaks"}),
        ("6.11.5", set()),
        ("6.12.1", set()),
    ],
)
def test_kernel_versions_and_their_bugs(testbed: Testbed, release: str, expected: set[str]) -> None:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    a.offload("eth0", tx=False)
    a.run(
        "ip",
        "link",
        "add",
        "vx0",
        "type",
        "vxlan",
        "id",
        "7",
        "dstport",
        "4789",
        "dev",
        "eth0",
        "local",
        "10.7.0.1",
        "remote",
        "10.7.0.2",
        "noudpcsum",
    )
    view = read_view()
    old = replace(view, machine=replace(view.machine, release=release))
    found = {f.name for f in kernel_bugs(old)}
    # whether this machine has a NIC of its own decides on that one; everything else is ours
    assert found - {"kernel-csum-valid"} == expected - {"kernel-csum-valid"}
    if any(i.kind == "physical" for i in view.machine.interfaces()):
        assert found == expected
    assert found <= {bug.name for bug in BUGS}


def test_finding_of_another_path_is_not_reported(line: Line, testbed: Testbed) -> None:
    start_relay(line)
    c, d = testbed.host("c"), testbed.host("d")
    testbed.veth(c, "eth0", d, "eth0")
    assert names(doctor(c, expect=0)[0]) == set()
    assert "userspace-hop" in {f.name for f in examine(read_view())}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["eth9"], 4, "no interface 'eth9'"),
        (["--netns", "no-such"], 4, "no network namespace 'no-such'"),
        (["--watch", "0"], 2, "--watch"),
    ],
)
def test_refused_with_the_reason(words: list[str], code: int, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pktmend", "doctor", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code and says in done.stderr and not done.stdout


def test_commands_of_the_documentation(line: Line, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "doctor.md").read_text()
    commands = re.findall(r"^    pktmend (doctor|offload)( [^#\n]*)?", text, re.MULTILINE)
    assert len(commands) >= 8
    for command, rest in commands:
        words = rest.replace("--netns web", f"--netns {line.a.namespace}").replace("--watch 5", "--watch 0.1").split()
        if "--netns" not in words and "eth0" in words:
            words = ["--netns", line.a.namespace, *words]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pktmend", command, *words],
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            check=False,
        )
        # the whole machine may hold others' problems
        assert done.returncode in ((0,) if "eth0" in words else (0, 1)), done.stderr


def test_every_finding_is_documented() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text()
    source = "".join(path.read_text() for path in (ROOT / "pipeline" / "pktmend" / "commands" / "doctor").glob("*.py"))
    found = set(re.findall(r"(?:HostFinding\(\s*name=|Bug\(\s*)\"([a-z0-9-]+)\"", source))
    assert len(found) > 20 and {name for name in found if f"`{name}`" not in text} == set()
