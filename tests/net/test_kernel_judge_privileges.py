"""What loading the kernel's part needs, and that nothing after it needs anything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kernel_judging import need_kernel_judge
from pktmend.commands.doctor.system import cut_through
from pktmend.commands.doctor.view import read_view
from pktmend.packetio import libbpf
from tools import need

LOAD = """
from pktmend.packetio.kernel_judge import KernelJudge, obstacle
print(obstacle() or "fine")
with KernelJudge() as judge:
    print(judge.counts().arrived)
"""
CONFINED = """
from pktmend.host.privileges import harden
from pktmend.packetio.kernel_judge import KernelJudge
judge = KernelJudge()
assert harden(seccomp=True, groups=("packets",)) == ""
judge.configure(enabled=True, target=7, tunnel_ports=[5000])
judge.set_clear(judge.issued)
print(judge.counts().arrived)
judge.close()
print("closed")
"""


def run(code: str, *capabilities: str, argv: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python as root with no more than these capabilities."""
    need("setpriv")
    names = ",".join(["-all", *(f"+{each}" for each in capabilities)])
    return subprocess.run(
        ["setpriv", f"--bounding-set={names}", f"--inh-caps={names}", sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_three_capabilities_are_enough() -> None:
    need_kernel_judge()
    done = run(LOAD, "bpf", "perfmon", "net_admin")
    assert (done.returncode, done.stdout) == (0, "fine\n0\n"), done.stderr


@pytest.mark.parametrize("capabilities", [(), ("net_raw",), ("net_admin",), ("bpf", "perfmon"), ("bpf", "net_admin")])
def test_what_is_missing_is_said(capabilities: tuple[str, ...]) -> None:
    need_kernel_judge()
    done = run(LOAD, *capabilities)
    assert done.returncode == 1
    assert "PrivilegeError" in done.stderr and "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN" in done.stderr


def test_what_comes_after_needs_no_privilege_and_no_call() -> None:
    need_kernel_judge()
    done = run(CONFINED, "bpf", "perfmon", "net_admin", "setpcap")
    assert (done.returncode, done.stdout) == (0, "0\nclosed\n"), done.stderr


@pytest.mark.parametrize(("capabilities", "is_said"), [(("net_raw", "net_admin"), True), ((), False)])
def test_doctor_says_why_the_kernel_carries_nothing(capabilities: tuple[str, ...], is_said: bool) -> None:
    """Where not even packet sockets are allowed another finding says so."""
    need_kernel_judge()
    done = run("from pktmend.cli import main; main()", *capabilities, argv=("doctor", "--json"))
    found = [json.loads(line).get("finding", {}) for line in done.stdout.splitlines()]
    said = [each for each in found if each.get("name") == "no-cut-through"]
    assert len(said) == is_said, done.stderr
    assert not said or ("CAP_BPF" in said[0]["evidence"][0] and said[0]["severity"] == "info")


def test_doctor_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", "libbpf.so.none")
    (found,) = cut_through(read_view())
    assert found.name == "no-cut-through" and found.remedies[0].command == "apt install libbpf1"
