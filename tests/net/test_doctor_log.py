"""`pktmend doctor` and the kernel's log, and devices that this kernel may not have."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doctoring import obey, placed, the
from line import Line
from pktmend.host import machine, rtnetlink
from pktmend.testbed.netns import Host
from tools import need


def with_log(log: Path, interface: str, host: Host) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """Examine an interface where *log* is the kernel's: exit code, findings, summary."""
    argv = f"exec {sys.executable} -P -m pktmend doctor {interface} --netns {host.namespace} --json"
    script = f"mount --bind {log} /dev/kmsg\n{argv}"
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], capture_output=True, check=False)
    *found, last = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [each["finding"] for each in found], last["summary"]


@pytest.mark.parametrize(("age", "severity"), [(20, "problem"), (3000, "warning")])
def test_failures_of_hardware_are_counted_by_interface(line: Line, tmp_path: Path, age: int, severity: str) -> None:
    log = tmp_path / "kmsg"
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    if severity == "warning" and uptime < 700:
        pytest.skip("this machine was switched on just now: nothing is older than ten minutes in its log")
    at = int(max(0.0, uptime - age) * 1e6)
    failed = f"{at},-;eth0: hw csum failure"
    log.write_text(f"3,1,{failed}\n3,2,{failed}\n4,3,{at},-;x: caps=(0x0, 0x0)\n")
    code, found, summary = with_log(log, "eth0", line.b)
    failure, other = the(found, "hw-csum-failure"), the(found, "bad-offload")
    assert failure["severity"] == other["severity"] == severity and code == int(severity == "problem")
    assert "2 lines `eth0: hw csum failure`" in failure["evidence"][0] and "1 line `x: caps=(`" in other["evidence"][0]
    assert ("eth0", line.b.namespace) in placed(failure) and placed(other) == []
    assert "the log does not tell which" in failure["evidence"][1]
    assert "no interface is called 'x'" in other["evidence"][1]
    assert not any("log" in what for what in summary["unread"])


def test_one_interface_of_that_name_gets_a_command(line: Line, tmp_path: Path) -> None:
    line.b.run("ip", "link", "set", "dev", "eth0", "down")
    line.b.run("ip", "link", "set", "dev", "eth0", "name", "onlyhere")
    log = tmp_path / "kmsg"
    log.write_text("3,1,1,-;onlyhere: hw csum failure\n")
    failure = the(with_log(log, "onlyhere", line.b)[1], "hw-csum-failure")
    assert placed(failure) == [("onlyhere", line.b.namespace)] and "onlyhere" in failure["title"]
    obey(failure, "rx off")
    assert "rx-checksumming: off" in line.b.run("ethtool", "-k", "onlyhere").stdout


def test_a_log_that_may_not_be_read_is_said(line: Line) -> None:
    need("setpriv")
    if Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() != "1":
        pytest.skip("everybody may read the kernel's log here")
    argv = ("doctor", "eth0", "--netns", line.b.namespace, "--json")
    drop = ("setpriv", "--bounding-set=-syslog")
    done = subprocess.run(
        [*drop, sys.executable, "-P", "-m", "pktmend", *argv], capture_output=True, text=True, check=False
    )
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert done.returncode == 0 and any("kernel's log" in what and "CAP_SYSLOG" in what for what in summary["unread"])


def test_netkit_has_another_end_as_veth_has(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """This kernel may not have netkit: what it says of a veth is told as of netkit, which answers alike."""

    def as_netkit() -> list[rtnetlink.Link]:
        return [replace(each, kind="netkit") if each.kind == "veth" else each for each in rtnetlink.read_links()]

    monkeypatch.setattr(machine, "read_links", as_netkit)
    found = machine.read_machine()
    [end] = [i for i in found.interfaces() if i.namespace.word == line.a.namespace and i.name == "eth0"]
    peer = found.peer_of(end)
    assert end.kind == "netkit" and peer is not None and peer.name == "pa"
