"""The units of deploy/ under a real systemd, Debian's, booted: ready, watchdog, reload, restart, confinement."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.all import IP, UDP, Ether

import frames as f
from booted import Machine
from debian import root_file_system
from line import Line, open_tap, put, states
from pktmend.testbed.netns import Testbed
from tools import need, until
from watching import leaked

BRIDGE, MONITOR, OFFLOAD = "pktmend-bridge@web", "pktmend-monitor@edge", "pktmend-offload"
NET_RAW = 1 << 13


class Site:
    """A line whose node is the machine, with a third link `edge`, and the settings of the three units."""

    def __init__(self, testbed: Testbed, root: Path) -> None:
        self.line = Line(testbed)
        self.line.silence()
        testbed.veth(self.line.a, "eth1", self.line.node, "edge")
        self.line.node.run("ip", "link", "add", "pol0", "type", "veth", "peer", "name", "other")
        self.machine = Machine(root, self.line.node)
        write = self.machine.write
        write("/etc/pktmend/bridge-web.toml", 'a = "pa"\nb = "pb"\n')
        write("/etc/pktmend/bridge-typo.toml", 'a = "pa"\nfinsh = ["pa"]\n')
        write("/etc/pktmend/monitor-edge.toml", 'interfaces = ["edge"]\nwrite = "bad.pcapng"\nbad-only = true\n')
        write("/etc/pktmend/offload.toml", '[[rule]]\ninterface = "pol*"\ntx = "off"\n')

    def repairs(self) -> bool:
        """Does a leaked datagram from a arrive at b whole?"""
        a, b = self.line.a, self.line.b
        ends = Ether(src=a.hardware_address("eth0"), dst=b.hardware_address("eth0")) / IP(
            src="10.7.0.1", dst="10.7.0.2"
        )
        receiver = b.call(lambda: socket.socket(type=socket.SOCK_DGRAM))
        with receiver, open_tap(a, "eth0") as out:
            receiver.bind(("10.7.0.2", 5000))
            receiver.settimeout(1)
            put(out, f.leaked(ends / UDP(sport=4000, dport=5000) / f.PAYLOAD))
            try:
                return receiver.recv(999) == bytes(f.PAYLOAD)
            except TimeoutError:
                return False

    def feature(self, interface: str, feature: str) -> str:
        """`on` or `off`."""
        shown = self.line.node.run("ethtool", "-k", interface).stdout
        return re.findall(rf"^\s*{feature}: (\w+)", shown, re.MULTILINE)[0]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    need("systemd-nspawn")
    with root_file_system() as root, Testbed() as testbed:
        yield Site(testbed, root)


def started(machine: Machine, unit: str) -> int:
    """Have it run, and return its main process as it is called out here."""
    machine.systemctl("start", unit)
    assert machine.show(unit, "ActiveState") == "active" and machine.show(unit, "Type") == "notify"
    return machine.outside(machine.main(unit))


def confined(pid: int, most: int, effective: int = 0) -> None:
    """The kernel's word for it, of every thread: the capabilities that it might have, and those that it has."""
    for state in states(pid):
        assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2"
        assert int(state["CapBnd"], 16) in (0, most) and int(state["CapEff"], 16) == effective, state


def within(pid: int, *argv: str) -> str:
    """Run a program as root in the mount namespace of a service; return what it says of its failure."""
    done = subprocess.run(["nsenter", f"--target={pid}", "--mount", *argv], capture_output=True, text=True, check=False)
    assert done.returncode, argv
    return done.stderr


def test_bridge_is_ready_when_start_returns_and_is_confined(site: Site) -> None:
    pid = started(site.machine, BRIDGE)
    assert site.repairs()  # at the first try
    status = site.machine.show(BRIDGE, "StatusText")
    assert "pa" in status and "pb" in status
    assert site.machine.show(BRIDGE, "WatchdogUSec") == "30s"
    confined(pid, NET_RAW)
    assert all(int(state["Uid"].split()[0]) >= 61184 for state in states(pid))  # DynamicUser's range
    assert "Read-only file system" in within(pid, "touch", "/usr/x")
    assert "Read-only file system" in within(pid, "touch", "/etc/pktmend/x")
    assert "No such file" in within(pid, "ls", "/dev/net")
    assert not Path(f"/proc/{pid}/ns/mnt").samefile(f"/proc/{site.machine.outside(1)}/ns/mnt")


def test_bridge_that_is_killed_is_there_again(site: Site) -> None:
    pid = started(site.machine, BRIDGE)
    before = int(site.machine.show(BRIDGE, "NRestarts"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: int(site.machine.show(BRIDGE, "NRestarts")) == before + 1, "the restart")
    until(lambda: site.machine.show(BRIDGE, "ActiveState") == "active", "the bridge")
    assert site.machine.outside(site.machine.main(BRIDGE)) != pid
    assert site.repairs()


def test_bridge_that_hangs_is_started_again_by_the_watchdog(site: Site) -> None:
    """With a shorter period than the unit's 30 s, by a drop-in."""
    drop_in = "[Service]\nWatchdogSec=3\n"
    site.machine.write("/etc/systemd/system/pktmend-bridge@.service.d/watchdog.conf", drop_in)
    site.machine.systemctl("daemon-reload")
    site.machine.systemctl("restart", BRIDGE)
    assert site.machine.show(BRIDGE, "WatchdogUSec") == "3s"
    with pytest.raises(AssertionError):  # it is fed
        until(lambda: site.machine.show(BRIDGE, "NRestarts") != "0", "a restart", 4)
    os.kill(site.machine.outside(site.machine.main(BRIDGE)), signal.SIGSTOP)
    until(lambda: site.machine.show(BRIDGE, "NRestarts") == "1", "the restart")
    assert "Watchdog timeout" in site.machine.journal("-u", BRIDGE)
    until(lambda: site.machine.show(BRIDGE, "ActiveState") == "active", "the bridge")
    assert site.repairs()


def test_wrong_settings_are_not_tried_again(site: Site) -> None:
    unit = "pktmend-bridge@typo"
    assert site.machine.run("systemctl", "start", unit).returncode
    assert site.machine.show(unit, "ExecMainStatus") == "2"
    assert site.machine.show(unit, "ActiveState") == "failed" and site.machine.show(unit, "NRestarts") == "0"
    assert "bridge-typo.toml:2: unknown key 'finsh'" in site.machine.journal("-u", unit)


def test_monitor_begins_its_file_anew_when_it_is_reloaded(site: Site) -> None:
    pid = started(site.machine, MONITOR)
    confined(pid, NET_RAW)
    folder = site.machine.root / "var" / "lib" / "private" / "pktmend"
    file, moved = folder / "bad.pcapng", folder / "bad.pcapng.1"

    def is_leaked_packet_in(path: Path) -> bool:
        with open_tap(site.line.a, "eth1") as out:
            put(out, leaked())
        return path.exists() and bytes(f.PAYLOAD) in path.read_bytes()

    until(lambda: is_leaked_packet_in(file), "the packet in its file")
    site.machine.run("mv", "/var/lib/private/pktmend/bad.pcapng", "/var/lib/private/pktmend/bad.pcapng.1")
    site.machine.systemctl("reload", MONITOR)
    until(lambda: is_leaked_packet_in(file), "a new file")
    assert moved.exists() and site.machine.outside(site.machine.main(MONITOR)) == pid
    assert site.machine.show(MONITOR, "ActiveState") == "active"
    site.machine.systemctl("stop", MONITOR)
    assert site.machine.show(MONITOR, "Result") == "success"


def test_policy_is_kept_read_again_and_undone(site: Site) -> None:
    pid = started(site.machine, OFFLOAD)
    bits = {
        name: 1 << n for name, n in {"NET_BROADCAST": 11, "NET_ADMIN": 12, "SYS_PTRACE": 19, "SYS_ADMIN": 21}.items()
    }
    confined(pid, sum(bits.values()), sum(bits.values()))
    assert "Read-only file system" in within(pid, "touch", "/usr/x")
    until(lambda: site.feature("pol0", "tx-checksum-ip-generic") == "off", "the rule")
    site.line.node.run("ip", "link", "add", "pol1", "type", "veth", "peer", "name", "other1")
    until(lambda: site.feature("pol1", "tx-checksum-ip-generic") == "off", "the rule on what comes later")
    gro = site.feature("pol0", "generic-receive-offload")
    other = {"on": "off", "off": "on"}[gro]
    rules = f'[[rule]]\ninterface = "pol*"\ntx = "off"\ngro = "{other}"\n'
    site.machine.write("/etc/pktmend/offload.toml", rules)
    site.machine.systemctl("reload", OFFLOAD)
    until(lambda: site.feature("pol0", "generic-receive-offload") == other, "the new rule")
    assert site.machine.outside(site.machine.main(OFFLOAD)) == pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: site.machine.show(OFFLOAD, "NRestarts") == "1", "the restart")
    until(lambda: site.machine.show(OFFLOAD, "ActiveState") == "active", "the policy")
    undone = site.machine.run("pktmend", "offload", "restore", "--all")
    assert undone.returncode == 0, undone.stderr
    assert site.feature("pol0", "tx-checksum-ip-generic") == "on" == site.feature("pol1", "tx-checksum-ip-generic")
    assert site.feature("pol0", "generic-receive-offload") == gro
    site.machine.systemctl("stop", OFFLOAD)
