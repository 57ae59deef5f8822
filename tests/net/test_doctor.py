"""`pktmend doctor` on real set-ups: what is healthy, what is not, and that the printed remedies cure it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from doctoring import add_vxlan, doctor, names, obey, placed, start_relay, the
from line import NO_PI, TAP, TUN_F_CSUM, VNET_HDR, Line, open_tap_device
from pktmend.commands.doctor.checks import examine
from pktmend.commands.doctor.kernels import BUGS, kernel_bugs
from pktmend.commands.doctor.view import read_view
from pktmend.testbed.netns import Testbed
from tools import PKTMEND, ROOT


def test_default_machine_gets_one_line(line: Line) -> None:
    found, summary = doctor(line.node, expect=0)
    assert found == []
    assert {i["name"]: i["peer"] and i["peer"]["namespace"] for i in summary["interfaces"] if i["name"] != "eth0"} == {
        "lo": None,
        "pa": line.a.namespace,
        "pb": line.b.namespace,
    }
    text = subprocess.run(
        [*PKTMEND, "doctor", "pa", "--netns", line.node.namespace],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "nothing found" in text.splitlines()[-1] and f"other end eth0 (netns {line.a.namespace})" in text


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
    assert placed(tap) == [("bad0", a.namespace)] and str(os.getpid()) in tap["title"]
    obey(tap, "tx off")
    assert names(doctor(a, expect=0)[0]) == set()
    for fd in fds:
        os.close(fd)


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
    add_vxlan(a, "noudpcsum")
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
        (["--netns", "no-such"], 4, "no network namespace, container or pod 'no-such'"),
        (["--watch", "0"], 2, "--watch"),
    ],
)
def test_refused_with_the_reason(words: list[str], code: int, says: str) -> None:
    done = subprocess.run([*PKTMEND, "doctor", *words], capture_output=True, text=True, check=False)
    assert done.returncode == code and says in done.stderr and not done.stdout


def test_commands_of_the_documentation(line: Line, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "doctor.md").read_text()
    commands = re.findall(r"^    pktmend (doctor|offload)( [^#\n]*)?", text, re.MULTILINE)
    assert len(commands) >= 8
    (tmp_path / "offload.toml").write_text(f'[[rule]]\ninterface = "eth0"\nnetns = "{line.a.namespace}"\ngso = "on"\n')
    for command, rest in commands:
        if rest.strip().endswith("--watch"):  # until a signal: test_offload_policy
            continue
        rest = rest.replace("--keep", f"--keep --policy {tmp_path / 'kept.toml'}")
        words = shlex.split(
            rest.replace("--netns web", f"--netns {line.a.namespace}").replace("--watch 5", "--watch 0.1")
        )
        if "--netns" not in words and "eth0" in words and "recipe" not in words:
            words = ["--netns", line.a.namespace, *words]
        done = subprocess.run(
            [*PKTMEND, command, *words],
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            cwd=tmp_path,
            check=False,
        )
        # the whole machine may hold others' problems
        assert done.returncode in ((0,) if "eth0" in words else (0, 1)), done.stderr


def test_every_finding_is_documented() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text()
    source = "".join(path.read_text() for path in (ROOT / "pipeline" / "pktmend" / "commands" / "doctor").glob("*.py"))
    found = set(re.findall(r"(?:HostFinding\(\s*name=|Bug\(\s*)\"([a-z0-9-]+)\"", source))
    assert len(found) > 20 and {name for name in found if f"`{name}`" not in text} == set()
