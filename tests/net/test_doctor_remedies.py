"""Every remedy that doctor prints works as it is pasted: run by a shell, with nothing added."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from doctoring import add_vxlan, doctor, link, send_bad, start_relay, the
from line import NO_PI, TAP, VNET_HDR, Line, open_tap_device, transfer
from pktmend.commands.doctor.checks import examine
from pktmend.commands.doctor.finding import HostFinding
from pktmend.commands.doctor.view import View, read_view
from pktmend.host.model import Interface
from pktmend.testbed import ovs
from pktmend.testbed.netns import end
from tools import PATIENCE, PKTMEND

pytestmark = pytest.mark.alone  # others' namespaces and drops are seen too

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # `pktmend` of this environment
RUNS_ON = ("pktmend bridge", "pktmend diagnose")  # until they are told to end


def paste(command: str, until: str = "", **environment: str) -> subprocess.Popen[str]:
    """Run lines in a shell; until they have ended, or have said *until*."""
    shell = subprocess.Popen(
        ["sh", "-ec", command],
        env={**os.environ, "PATH": PATH, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert shell.stdout is not None
    said = ""
    while until not in said or not until:
        line = shell.stdout.readline()
        said += line
        if not line:
            assert shell.wait() == 0 and not until, (command, said)
            break
    return shell


def stop(shell: subprocess.Popen[str]) -> None:
    """End what paste started: its own session, and no other."""
    if shell.poll() is None:
        os.killpg(shell.pid, signal.SIGTERM)
    shell.wait(PATIENCE)
    assert shell.stdout is not None
    shell.stdout.close()


def bridges_of(finding: dict[str, object]) -> list[str]:
    remedies = finding["remedy"]
    assert isinstance(remedies, list)
    return [r["command"] for r in remedies if "pktmend bridge" in r["command"]]


def assert_swift(line: Line) -> None:
    """TCP in both directions, and no super-frame is lost in the hop: each would cost a retransmission timeout."""
    hosts = (line.a, line.b)
    before = [host.kernel_counters()["TcpExtTCPTimeouts"] for host in hosts]
    for there, here in (hosts, hosts[::-1]):
        transfer(there, here, 1 << 20)
    line.assert_no_checksum_error()
    after = [host.kernel_counters()["TcpExtTCPTimeouts"] for host in hosts]
    assert all(now - then < 20 for then, now in zip(before, after, strict=True)), (before, after)  # without: over 100


def test_the_bridges_before_a_relay(line: Line) -> None:
    line.node.run("ip", "link", "add", "to-hop", "type", "bridge")  # the name is taken
    relay = start_relay(line)
    first, second = bridges_of(the(doctor(line.node, expect=1)[0], "userspace-hop"))
    assert first.count("\n") == second.count("\n") == 3 and "to-hop2" in first and "to-hop3" in second
    shells = [paste(first, "bridging"), paste(second, "bridging")]
    try:
        end(relay)  # as the remedies say: at-hop2 in pa's place, at-hop3 in pb's
        relay = line.node.spawn(
            sys.executable, "-P", "-m", "pktmend.testbed.relay", "at-hop2", "at-hop3", stdout=subprocess.PIPE
        )
        assert relay.stdout is not None and b"ready" in relay.stdout.readline()
        assert_swift(line)
    finally:
        for shell in shells:
            stop(shell)


def test_the_bridges_before_open_vswitch(line: Line) -> None:
    if not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    switch = ovs.OpenVSwitch(line.node)
    switch.ports("pa", "pb")
    commands = bridges_of(the(doctor(line.node, expect=1)[0], "userspace-hop"))
    shells = [paste(command, "bridging") for command in commands]  # they give at-hop to the switch by themselves
    try:
        assert len(shells) == 2
        time.sleep(0.5)
        assert_swift(line)
    finally:
        for shell in shells:
            stop(shell)


def with_guest(line: Line) -> HostFinding:
    """A TAP with the virtio-net header, held by us; a relay in another process reads it."""
    fd = open_tap_device(line.node, "tap0", TAP | NO_PI | VNET_HDR)
    line.testbed.on_exit(lambda: os.close(fd))
    relay = line.node.spawn(sys.executable, "-P", "-m", "pktmend.testbed.relay", "pa", "tap0", stdout=subprocess.PIPE)
    assert relay.stdout is not None
    relay.stdout.readline()
    return one("userspace-hop", read_view())


def one(name: str, view: View) -> HostFinding:
    return next(f for f in examine(view) if f.name == name)


def changed(view: View, host: str, name: str, **facts: object) -> View:
    """The same machine, an interface of which has other facts: what cannot be made here, as damaged frames."""

    def changed_one(i: Interface) -> Interface:
        return replace(i, **facts) if i.name == name and i.namespace.name == host else i  # type: ignore[arg-type]

    namespaces = tuple(replace(p, interfaces=tuple(map(changed_one, p.interfaces))) for p in view.machine.namespaces)
    return replace(view, machine=replace(view.machine, namespaces=namespaces))


def of_release(line: Line, release: str, name: str) -> HostFinding:
    add_vxlan(line.a, "noudpcsum")
    line.a.offload("eth0", tx=False)
    view = read_view()
    finding = one(name, replace(view, machine=replace(view.machine, release=release)))
    mine = line.a.namespace  # others of this machine are not ours to change
    return replace(finding, remedies=tuple(r for r in finding.remedies if not r.command or mine in r.command))


def with_errors(line: Line) -> HostFinding:
    send_bad(line, link(line.b, "eth0")["address"], 20)
    return next(
        f
        for f in examine(read_view())
        if f.name == "checksum-errors" and [n.name for n in f.namespaces] == [line.b.namespace]
    )


def pending_tso(line: Line) -> HostFinding:
    if not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    switch = ovs.OpenVSwitch(line.node)
    switch.ports("pa", "pb")
    switch.vsctl("set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
    return one("ovs-tso-pending", read_view())


def odd_name(line: Line) -> HostFinding:
    """A container may call its interface what it likes; pasted, that must stay a name."""
    line.a.run("ip", "link", "set", "dev", "eth0", "down")
    line.a.run("ip", "link", "set", "dev", "eth0", "name", "a;touch$IFS-x&")
    line.a.run("ip", "link", "set", "dev", "a;touch$IFS-x&", "up")
    start_relay(line)
    return one("userspace-hop", read_view())


SET_UPS: dict[str, Callable[[Line], HostFinding]] = {
    "guest": with_guest,
    "counted": with_errors,
    "tso set": pending_tso,
    "odd name": odd_name,
    "link errors": lambda line: one(
        "link-errors", changed(read_view(), line.a.namespace, "eth0", statistics={"rx_crc_errors": 3, "rx_packets": 9})
    ),
    "old veth": lambda line: of_release(line, "4.3.0", "kernel-veth-vouches"),
    "old nat": lambda line: of_release(line, "5.4.1", "kernel-nat-on-zero"),
    "old udp gso": lambda line: of_release(line, "6.11.1", "kernel-udp-gso-leaks"),
}


@pytest.mark.parametrize("name", SET_UPS)
def test_remedies_run_as_they_are_printed(line: Line, tmp_path: Path, name: str) -> None:
    finding = SET_UPS[name](line)
    assert finding.remedies
    for remedy in finding.remedies:
        assert remedy.effect and not any(word in remedy.command for word in ("...", "VETH", "VXLAN", "IFACE"))
        until = next((word for word in RUNS_ON if word in remedy.command), "")
        if "pktmend bridge" in remedy.command:
            continue  # has its own tests above
        if remedy.command.startswith("ovs-vsctl") and shutil.which("ovs-vsctl") is None:
            continue
        memory = str(tmp_path.with_name(f"{tmp_path.name}-memory"))
        for command in filter(None, (remedy.command, remedy.undo, remedy.plain)):
            stop(paste(f"cd {tmp_path}\n{command}", "watching" if until else "", XDG_STATE_HOME=memory))
    assert not list(tmp_path.iterdir())


def test_text_of_a_cure_that_is_no_command(line: Line) -> None:
    with_guest(line)
    done = subprocess.run(
        [*PKTMEND, "doctor", "tap0", "--netns", line.node.namespace],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "  * in the guest behind tap0" in done.stdout and "$ ethtool -K eth0" not in done.stdout
    shown = subprocess.run(
        [*PKTMEND, "doctor", "tap0", "--netns", line.node.namespace, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    remedies = json.loads(shown.stdout.splitlines()[0])["finding"]["remedy"]
    assert any(r["command"] == "" and "guest" in r["effect"] for r in remedies)
