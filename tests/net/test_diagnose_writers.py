"""Diagnosis where the sender is not who is seen on the wire: a pod inside a switch's tunnel, a program that writes into
a TAP or reads a TUN.  Only commands that can run are printed, and they cure.

a(eth0) -- (pa) node (pb) -- (eth0)b
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time

import pytest
from scapy.all import TCP

import frames as f
import tapes as t
from doctoring import doctor, the
from line import Line, transfer
from live_diagnosis import Diagnosis, during, evidence
from pktmend._kernel import lib
from pktmend.testbed import ovs
from pktmend.testbed.netns import Host

KNOCK = "import socket; s = socket.socket(); s.settimeout(1.6); s.connect_ex(('10.6.0.2', 80))"


@pytest.fixture
def wrapped(line: Line) -> Line:
    """A switch in user space wraps what a sends into VXLAN; b's kernel unwraps it."""
    if not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    line.silence()
    line.a.run("ip", "link", "set", "dev", "eth0", "mtu", "1400")
    line.b.run("ip", "addr", "flush", "dev", "eth0")
    line.b.address("eth0", "192.0.2.2/24")
    tunnel = ("type", "vxlan", "id", "7", "dstport", "4789", "remote", "192.0.2.1", "local", "192.0.2.2", "noudpcsum")
    line.b.run("ip", "link", "add", "vx7", "mtu", "1400", *tunnel)
    line.b.run("ip", "link", "set", "dev", "vx7", "up")
    line.b.address("vx7", "10.7.0.2/24")
    switch = ovs.OpenVSwitch(line.node)
    switch.vsctl("add-br", "phy", "--", "set", "bridge", "phy", "datapath_type=netdev", "--", "add-port", "phy", "pb")
    line.node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "phy")
    line.node.run("ip", "link", "set", "dev", "phy", "up")
    options = ("options:remote_ip=192.0.2.2", "options:key=7")
    switch.vsctl("add-port", "br0", "pa")
    switch.vsctl("add-port", "br0", "vx0", "--", "set", "interface", "vx0", "type=vxlan", *options)
    line.node.run("ip", "link", "set", "dev", "br0", "up")
    for _ in range(20):
        if line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False).returncode == 0:
            return line
    raise AssertionError("the tunnel does not carry")


def ping_and_fail(line: Line) -> None:
    line.a.run("ping", "-c2", "-i0.2", "10.7.0.2")
    with pytest.raises((TimeoutError, AssertionError)):
        transfer(line.a, line.b, 1000, seconds=1.6)


def test_cure_is_at_the_sender_of_what_is_inside(wrapped: Line) -> None:
    at_receiver, both = during(
        lambda: ping_and_fail(wrapped), (wrapped.b, ("-i", "eth0")), (wrapped.node, ("-i", "pa", "-I", "pb"))
    )
    for findings in (at_receiver, both):
        [finding] = findings
        assert (finding["cause"], finding["confidence"]) == ("metadata-lost", "certain")
        assert "ovs-vswitchd" in evidence(finding) and "a tunnel, 192.0.2.1 > 192.0.2.2" in evidence(finding)
        commands = [each["command"] for each in finding["remedy"]]
        assert commands[0] == f"pktmend offload -i eth0 --netns {wrapped.a.namespace} set tx off"
        assert not any("phy" in command or "userspace-tso" in command for command in commands)
    for each in at_receiver[0]["remedy"]:
        wrapped.b.run("sh", "-ec", each["command"])
    transfer(wrapped.a, wrapped.b, 100_000)


def open_device(host: Host, name: str, kind: int) -> int:
    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, lib.TUNSETIFF, struct.pack("16sH22x", name.encode(), kind | lib.IFF_NO_PI))
        return fd

    return host.call(make)


def test_program_that_writes_into_a_tap_is_named(line: Line) -> None:
    """A guest without its hypervisor's virtio-net header: SYNs with the seed, pings that are right."""
    line.silence()
    fd = open_device(line.a, "tap9", lib.IFF_TAP)
    try:
        line.a.link("tap9", state="up")
        line.a.address("tap9", "10.6.0.1/24")
        line.a.neighbour("tap9", "10.6.0.2", "02:00:00:00:00:99")
        to = line.a.hardware_address("tap9")

        def write() -> None:
            for n in range(5):
                packet = t.ip("10.6.0.2", "10.6.0.1") / TCP(sport=40000, dport=80, seq=1000 + n, flags="S")
                packet.src, packet.dst = "02:00:00:00:00:99", to
                os.write(fd, f.leaked(packet))
                time.sleep(0.02)

        (findings,) = during(write, (line.a, ("-i", "tap9")))
        errors = the(doctor(line.a, "tap9", expect=1)[0], "checksum-errors")
    finally:
        os.close(fd)
    [finding] = findings
    assert finding["cause"] == "metadata-lost" and finding["bridge"] is None
    assert f"(pid {os.getpid()}) writes them into tap9" in evidence(finding)
    assert [each["command"] for each in finding["remedy"]] == [""]
    assert errors["severity"] == "problem" and f"(pid {os.getpid()})" in "\n".join(errors["evidence"])


def test_tun_gets_no_bridge(line: Line) -> None:
    """A TUN carries no Ethernet: it is called a TUN, its program is named, and no bridge is advised."""
    line.silence()
    fd = open_device(line.a, "tun9", lib.IFF_TUN)
    fcntl.ioctl(fd, lib.TUNSETOFFLOAD, lib.TUN_F_CSUM)
    try:
        line.a.link("tun9", state="up")
        line.a.address("tun9", "10.6.0.1/24")
        (findings,) = during(lambda: line.a.run(sys.executable, "-c", KNOCK), (line.a, ("-i", "tun9")))
        [finding] = findings
        told = the(doctor(line.a, "tun9", expect=1)[0], "tap-without-vnet-header")
        for each in finding["remedy"]:
            line.a.run("sh", "-ec", each["command"])
        again = Diagnosis(line.a, "-i", "tun9")
        line.a.run(sys.executable, "-c", KNOCK)
        cured = again.stop()
    finally:
        os.close(fd)
    assert finding["cause"] == "tap-without-vnet-header" and finding["bridge"] is None
    assert "tun9 (this namespace) is a TUN with" in evidence(finding)
    assert f"(pid {os.getpid()})" in evidence(finding) and f"(pid {os.getpid()})" in told["title"]
    assert all(one["healthy"] for one in cured)
