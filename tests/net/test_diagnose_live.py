"""Diagnosis of live testbeds: what is healthy stays healthy, what is broken is named, and the printed commands cure it.

a(eth0) -- (pa) node (pb) -- (eth0)b
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import frames as f
from line import Line, open_tap, transfer
from live_diagnosis import Diagnosis, during, evidence, names
from pktmend._kernel import lib
from pktmend.commands.diagnose.api import diagnose
from pktmend.testbed import bpf, ovs
from pktmend.testbed.middlebox import Middlebox
from pktmend.testbed.netns import end
from tools import PATIENCE, PKTMEND, need


def ping_and_fail(line: Line) -> None:
    """ICMP passes, TCP does not."""
    line.a.run("ping", "-c2", "-i0.2", "10.7.0.2")
    with pytest.raises(TimeoutError):
        transfer(line.a, line.b, 1000, seconds=1.6)  # the SYN is sent again after a second


def exchange(line: Line) -> None:
    """Both pass."""
    line.a.run("ping", "-c2", "-i0.2", "10.7.0.2")
    transfer(line.a, line.b, 1 << 20)
    transfer(line.a, line.b, 1 << 20, version=6)


@pytest.fixture
def bridged(line: Line) -> Line:
    """A line joined by the kernel's bridge, which loses nothing."""
    line.node.run("ip", "link", "add", "br0", "type", "bridge")
    for port in ("pa", "pb"):
        line.node.run("ip", "link", "set", "dev", port, "master", "br0")
    line.node.run("ip", "link", "set", "dev", "br0", "up")
    return line


@contextmanager
def relayed(line: Line) -> Iterator[int]:
    """A line joined by a copy between packet sockets; yields its process id."""
    line.a.offload("eth0", tso=False, gso=False)
    relay = line.node.spawn(sys.executable, "-P", "-m", "pktmend.testbed.relay", "pa", "pb", stdout=subprocess.PIPE)
    assert relay.stdout is not None
    relay.stdout.readline()
    yield relay.pid
    end(relay)


# --- healthy ------------------------------------------------------------------------------------------------------


def test_default_veth_is_healthy_at_every_tap(bridged: Line) -> None:
    taps = [
        (bridged.a, ("-i", "eth0")),
        (bridged.b, ("-i", "eth0")),
        (bridged.node, ("-i", "pa")),
        (bridged.node, ("-i", "pa", "-I", "pb")),
    ]
    for findings in during(lambda: exchange(bridged), *taps):
        assert names(findings) == ["offload-pending", "super-frames"] and findings[0]["confidence"] == "certain"
        assert "acknowledged" in evidence(findings[0])
    assert "pending then pending" in evidence(findings[0])


def test_firewall_is_not_called_a_leak(bridged: Line) -> None:
    """TCP is dropped, ping passes, all sums are pending: as with a leak, but no hop loses the mark."""
    need("nft")
    bridged.b.run(
        "nft",
        "add table ip t; add chain ip t in { type filter hook input priority 0; }; "
        "add rule ip t in meta l4proto tcp drop",
    )
    for findings in during(lambda: ping_and_fail(bridged), (bridged.a, ("-i", "eth0")), (bridged.node, ("-i", "pa"))):
        assert names(findings) == ["offload-pending"] and findings[0]["confidence"] == "likely"
        assert "firewall" in evidence(findings[0]) and "ICMP between the two passes" in evidence(findings[0])


def test_finished_checksums_are_nothing_wrong(bridged: Line) -> None:
    for host in (bridged.a, bridged.b):
        host.offload("eth0", tx=False)
    (findings,) = during(lambda: exchange(bridged), (bridged.node, ("-i", "pb")))
    assert [name for name in names(findings) if name != "super-frames"] in (["nothing-wrong"], ["offload-pending"])


def route(line: Line) -> None:
    """Make node a router with 10.8.0.0/24 on b's side and masquerading."""
    line.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    line.node.address("pa", "10.7.0.254/24")
    line.node.address("pb", "10.8.0.254/24")
    line.b.address("eth0", "10.8.0.2/24")
    line.a.run("ip", "route", "add", "10.8.0.0/24", "via", "10.7.0.254")
    line.node.run(
        "nft",
        "add table ip t; add chain ip t post { type nat hook postrouting priority 100; }; "
        "add rule ip t post oifname pb masquerade",
    )


def test_nat_that_updates_is_healthy_and_what_it_rewrites_is_said(line: Line) -> None:
    need("nft")
    route(line)
    (findings,) = during(
        lambda: transfer(line.a, line.b, 1 << 20, address="10.8.0.2"), (line.node, ("-i", "pa", "-I", "pb"))
    )
    assert names(findings)[0] == "offload-pending"
    assert "source address" in evidence(findings[0]) and "TTL" in evidence(findings[0])


# --- broken -------------------------------------------------------------------------------------------------------


def test_relay_is_found_at_the_receiver_and_the_printed_commands_cure_it(line: Line) -> None:
    with relayed(line) as pid:
        (findings,) = during(lambda: ping_and_fail(line), (line.b, ("-i", "eth0")))
        (finding,) = findings
        assert (finding["cause"], finding["confidence"]) == ("metadata-lost", "certain")
        text = evidence(finding)
        assert f"(pid {pid}) carries frames of pa" in text and f"eth0 (netns {line.a.namespace})" in text
        assert "TcpInCsumErrors +" in text
        packet = finding["packets"][0]
        assert packet["proto"] == "tcp" and packet["stored"] == packet["seed"] != packet["expected"]
        assert finding["bridge"].startswith(f"ip netns exec {line.node.namespace} pktmend bridge ")
        commands = [each["command"] for each in finding["remedy"]]
        assert commands == [
            f"pktmend offload -i eth0 --netns {line.a.namespace} set tx off",
            "pktmend offload -i eth0 set tx off",
        ]
        for command in commands:
            line.b.run("sh", "-c", command)
        (findings,) = during(lambda: transfer(line.a, line.b, 1 << 20), (line.b, ("-i", "eth0")))
        assert all(one["healthy"] for one in findings)


def test_relay_is_found_before_the_hop_and_by_two_taps(line: Line) -> None:
    with relayed(line):
        before, both = during(
            lambda: ping_and_fail(line), (line.a, ("-i", "eth0")), (line.node, ("-i", "pa", "-I", "pb"))
        )
    assert [(one["cause"], one["confidence"]) for one in before] == [("metadata-lost", "likely")]
    assert "sent again" in evidence(before[0]) and "packet sockets" in evidence(before[0])
    assert [(one["cause"], one["confidence"]) for one in both] == [("metadata-lost", "certain")]
    assert "tcp checksums pending before it are leaked behind it" in evidence(both[0])


def test_open_vswitch_is_named_and_its_own_option_offered(line: Line) -> None:
    if not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    line.a.offload("eth0", tso=False, gso=False)
    ovs.OpenVSwitch(line.node).ports("pa", "pb")
    (findings,) = during(lambda: ping_and_fail(line), (line.b, ("-i", "eth0")))
    assert names(findings) == ["metadata-lost"] and "ovs-vswitchd" in evidence(findings[0])
    assert any("userspace-tso-enable=true" in each["command"] for each in findings[0]["remedy"])


def test_rewriting_without_update_is_seen_by_two_taps(bridged: Line) -> None:
    """nft writes bytes of the header as they are (taps see a frame before its ingress hook does)."""
    need("nft")
    bridged.a.offload("eth0", tx=False)
    bridged.node.run(
        "nft",
        "add table netdev t; "
        "add chain netdev t in { type filter hook ingress device pa priority 0; }; "
        "add rule netdev t in meta l4proto tcp @th,16,16 set 81",
    )
    (findings,) = during(lambda: ping_and_fail(bridged), (bridged.node, ("-i", "pa", "-I", "pb")))
    assert names(findings)[0] == "nat-without-update" and findings[0]["confidence"] in ("certain", "likely")
    assert "target port" in evidence(findings[0])


def test_tap_without_vnet_header(line: Line) -> None:
    """The stack sends into a TAP that asked for checksum offload and cannot be told of it."""

    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, lib.TUNSETIFF, struct.pack("16sH22x", b"tap0", lib.IFF_TAP | lib.IFF_NO_PI))
        fcntl.ioctl(fd, lib.TUNSETOFFLOAD, lib.TUN_F_CSUM)
        return fd

    fd = line.a.call(make)
    try:
        line.a.link("tap0", state="up")
        line.a.address("tap0", "10.6.0.1/24")
        line.a.run("ip", "neigh", "add", "10.6.0.2", "lladdr", "02:00:00:00:00:02", "dev", "tap0")

        def knock() -> None:
            line.a.run(
                sys.executable,
                "-c",
                "import socket; s = socket.socket(); s.settimeout(1.6);s.connect_ex(('10.6.0.2', 80))",
            )

        (findings,) = during(knock, (line.a, ("-i", "tap0")))
    finally:
        os.close(fd)
    assert [(one["cause"], one["confidence"]) for one in findings] == [("tap-without-vnet-header", "certain")]
    assert findings[0]["remedy"][0]["command"] == "pktmend offload -i tap0 set tx off"


def test_xdp_redirect(line: Line) -> None:
    """Programs of the lab hand frames from pa to pb and back."""
    line.a.offload("eth0", tso=False, gso=False)
    Middlebox(line.node, "pa", "pb", kind=lib.BPF_PROG_TYPE_XDP)
    for host in (line.a, line.b):  # a veth takes redirected frames only while its peer has a program, too
        bpf.attach(host, "eth0", lib.BPF_PROG_TYPE_XDP, bpf.leave(lib.XDP_PASS))
    (findings,) = during(lambda: ping_and_fail(line), (line.b, ("-i", "eth0")))
    assert names(findings) == ["xdp-hop"] and "pa (netns" in evidence(findings[0])


def test_flagged_frame_with_another_value_is_a_bad_seed_live(line: Line) -> None:
    import frames as f

    packet = f.ether / f.ip4 / f.udp / f.PAYLOAD
    wrong = f.vnet(packet) + f.put16(f.raw(packet), 40, 0x4711)

    def inject() -> None:
        with open_tap(line.a, "eth0", vnet=True) as out:
            for _ in range(3):
                out.send(wrong)

    (findings,) = during(inject, (line.node, ("-i", "pa")))
    assert names(findings) == ["bad-seed"] and findings[0]["packets"][0]["stored"] == "4711"


def test_as_a_function(line: Line) -> None:
    """From another thread and namespace than the main one's."""
    with relayed(line):
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(line.b.call, lambda: diagnose("eth0", duration=5))
            time.sleep(0.5)
            ping_and_fail(line)
        assert [(one.cause, one.confidence) for one in found.result()] == [("metadata-lost", "certain")]


# --- the command --------------------------------------------------------------------------------------------------


def test_ends_by_count_and_by_signal(line: Line) -> None:
    line.silence()
    counted = Diagnosis(line.node, "-i", "pa", "-c", "4")
    endless = Diagnosis(line.node, "-i", "pb", "--duration", "100")
    for host in (line.a, line.b):
        with open_tap(host, "eth0") as out:
            for _ in range(6):
                out.send(f.raw(f.ether / f.ip4 / f.udp))
    assert names(counted.results()) == ["nothing-wrong"] and counted.summary["summary"]["packets"] == 4
    assert names(endless.stop()) == ["nothing-wrong"] and endless.summary["summary"]["packets"] == 6


def test_missing_privilege_is_exit_3() -> None:
    command = [*PKTMEND, "diagnose", "-i", "lo"]
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3 and "CAP_NET_RAW" in done.stderr and done.stderr.count("\n") == 1


def test_recording_of_two_taps_leaves_nothing_behind(bridged: Line) -> None:
    folder = bridged.testbed.folder()
    command = [*PKTMEND, "diagnose", "-i", "pa", "-I", "pb", "--duration", "1"]
    process = bridged.node.spawn(*command, env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.PIPE)
    assert process.wait(PATIENCE) == 0 and list(folder.iterdir()) == []


def test_metadata_that_points_elsewhere_is_named(bridged: Line) -> None:
    """Into a right datagram's payload, and at a port before a seed."""
    udp, syn = f.ether / f.ip4 / f.udp / f.PAYLOAD, f.ether / f.ip4 / f.tcp

    def send() -> None:
        with open_tap(bridged.a, "eth0", vnet=True) as out:
            for _ in range(3):
                out.send(struct.pack("=BBHHHH", f.NEEDS_CSUM, 0, 0, 0, 50, 6) + f.raw(udp))
                out.send(struct.pack("=BBHHHH", f.NEEDS_CSUM, 0, 0, 0, 20, 16) + f.leaked(syn))

    [findings] = during(send, (bridged.b, ("-i", "eth0", "tcp or udp")))
    assert names(findings) == ["misplaced-completion"]
    assert findings[0]["confidence"] == "certain" and findings[0]["counts"] == {"stray-csum-metadata": 6}
