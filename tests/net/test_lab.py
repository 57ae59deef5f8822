"""`pktmend lab`: every case for real, as a user runs it; and that nothing of it is left, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas import valid
from tools import PATIENCE, PKTMEND, ROOT, left, need, read_up_to, until

LAB = (*PKTMEND, "lab")
EXPECTED = {
    "veth": "offload-pending",
    "corrupt-veth": "vouched-for-bad",
    "ovs-netdev": "metadata-lost",
    "ovs-tap": "metadata-lost",
    "ovs-vxlan": "metadata-lost",
    "relay": "metadata-lost",
    "netkit": "metadata-lost",
    "tap": "tap-without-vnet-header",
    "microvm": "metadata-lost",
    "microvm-persistent": "tap-without-vnet-header",
    "microvm-lso": "metadata-lost",
    "microvm-ip-zero": "ip-header-never-filled",
    "xdp": "xdp-hop",
    "vxlan": "tunnel-inner-unfinished",
    "vxlan-port": "tunnel-inner-unfinished",
    "vxlan-nat": "nat-on-zero",
    "nat-delta": "nat-without-update",
    "dhcp": "dhcp-raw-client",
    "bit-errors": "bit-errors",
    "blind-fixer": "metadata-lost",
    "few-drops": "metadata-lost",
}
MICROVMS = ("microvm", "microvm-persistent", "microvm-lso", "microvm-ip-zero")
NAMED = ("ovs-netdev", "ovs-vxlan", "relay", "tap", "blind-fixer", *MICROVMS)
MARKED = ("microvm-lso", "microvm-ip-zero")  # what is small has its mark there, and is pending for certain

# What bare `pktmend diagnose` finds beside it: causes, and between which interfaces packets are spoilt.
SEARCHED: dict[str, tuple[set[str], list[str]]] = {
    "veth": (set(), []),
    "corrupt-veth": (set(), []),  # nothing is dropped: that is the trouble
    "ovs-netdev": ({"metadata-lost"}, ["port-a", "port-b"]),
    "ovs-tap": ({"metadata-lost"}, ["tap0", "port-b"]),
    "ovs-vxlan": ({"metadata-lost"}, ["port-a", "port-b"]),
    "relay": ({"metadata-lost"}, ["port-a", "port-b"]),
    "netkit": ({"metadata-lost"}, ["port-a", "port-b"]),
    "tap": ({"tap-without-vnet-header"}, ["eth0", "tap0"]),
    "microvm": ({"metadata-lost"}, ["eth0", "tap0"]),
    "microvm-persistent": ({"tap-without-vnet-header"}, ["tap0", "eth0"]),
    "microvm-lso": ({"metadata-lost"}, ["eth0", "tap0"]),
    "microvm-ip-zero": ({"ip-header-never-filled"}, ["eth0", "tap0"]),
    "xdp": ({"xdp-hop"}, ["eth0", "eth0"]),  # neither port of the node shows frames that XDP redirects
    "vxlan": (
        {"tunnel-inner-unfinished", "metadata-lost"},
        ["port-a", "port-b"],
    ),  # the outer sum of ICMP is partial too
    "vxlan-port": ({"tunnel-inner-unfinished"}, ["port-a", "port-b"]),
    "vxlan-nat": ({"nat-on-zero"}, ["port-a", "port-b"]),
    "nat-delta": ({"nat-without-update"}, ["port-a", "port-b"]),
    "dhcp": ({"dhcp-raw-client"}, ["port-b", "port-a"]),
    "bit-errors": ({"bit-errors"}, ["port-b", "port-a"]),
    "blind-fixer": ({"metadata-lost"}, ["port-a", "port-b"]),
    "few-drops": ({"metadata-lost"}, ["port-a", "port-b"]),
}


def programs(pid: int) -> list[int]:
    """Return the programs in those namespaces."""
    ask = ["ip", "netns", "pids"]
    found = [subprocess.run([*ask, name], capture_output=True, check=True).stdout for name in left(pid)]
    return [int(number) for text in found for number in text.split()]


def alive(pids: list[int]) -> list[int]:
    """Return those that still run (one that has ended and waits for its parent does not)."""
    states = {pid: Path(f"/proc/{pid}/stat") for pid in pids}
    return [pid for pid, path in states.items() if path.exists() and ") Z " not in path.read_text()]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the lab's temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@dataclass
class Ended:
    """A case that has ended: what it said, and what it left behind."""

    code: int
    out: str
    error: str
    left: list[str]


Results = dict[str, Future[Ended]]


def run_case(name: str, folder: Path) -> Ended:
    """Run a case with --json, its temporary files in *folder*."""
    lab = subprocess.Popen(
        [*LAB, "run", name, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    try:
        out, error = lab.communicate(timeout=4 * PATIENCE)
    except subprocess.TimeoutExpired:
        lab.terminate()
        out, error = lab.communicate(timeout=PATIENCE)
    return Ended(lab.returncode, out, error, [*left(lab.pid), *(path.name for path in folder.iterdir())])


@pytest.fixture(scope="module")
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """The chosen cases: they wait more than they work, and each has its own testbed, so two run at a time."""
    chosen = [
        item.callspec.params["name"]
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_case_is_seen_diagnosed_and_cured"
    ]
    pool = ThreadPoolExecutor(2)
    yield {name: pool.submit(run_case, name, tmp_path_factory.mktemp(f"lab-{name}")) for name in chosen}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", EXPECTED)
def test_case_is_seen_diagnosed_and_cured(name: str, ended: Results) -> None:
    done = ended[name].result()
    if done.code == 4 and ("not installed" in done.error or "this kernel has no netkit" in done.error):
        pytest.skip(done.error.strip())
    *steps, last = valid("lab", done.out)
    assert {line["type"] for line in steps} == {"step"}
    failed = [line["step"]["what"] for line in steps if not line["step"]["holds"]]
    assert list(last) == ["type", "lab"], done.error
    lab = last["lab"]
    names = {"name", "symptom_seen", "expected_cause", "diagnosis", "findings", "rejected", "cured", "search"}
    assert set(lab) == names
    assert lab["name"] == name and lab["expected_cause"] == EXPECTED[name]
    assert lab["symptom_seen"] and lab["cured"] and not failed, (failed, done.error)
    assert set(lab["diagnosis"]) == {"cause", "confidence", "remedy"}
    assert lab["diagnosis"]["cause"] == EXPECTED[name], lab
    assert lab["diagnosis"]["confidence"] in ("certain", "likely", "possible")
    assert done.code == 0 and done.error == "" and done.left == []
    assert_certain_is_right(lab)
    assert_search_found(lab["search"], *SEARCHED[name])
    assert name not in NAMED or lab["search"]["program"], "the process that lost the mark is named"


def assert_search_found(search: dict[str, Any], causes: set[str], hop: list[str]) -> None:
    """Bare `pktmend diagnose` knows of neither interface, and names the cause and both sides of the hop."""
    found = {one["cause"] for one in search["causes"]}
    assert found <= causes and bool(found) == bool(causes), search
    assert (search["hop"] or []) == hop, search


def assert_certain_is_right(lab: dict[str, Any]) -> None:
    """Whatever is certain is the case's cause, or true of every host: stacks hand over whole super-frames."""
    first, *others = lab["findings"]
    assert first == {name: lab["diagnosis"][name] for name in ("cause", "confidence")}
    certain = {one["cause"] for one in lab["findings"] if one["confidence"] == "certain"}
    true = {lab["expected_cause"], "super-frames", *(["offload-pending"] if lab["name"] in MARKED else [])}
    assert certain <= true, lab["findings"]
    assert lab["expected_cause"] not in lab["rejected"] and first not in others


def test_list_names_every_case() -> None:
    done = subprocess.run([*LAB, "list", "--json"], capture_output=True, text=True, check=True)
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == list(EXPECTED)
    text = subprocess.run([*LAB, "list"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in text.splitlines()] == list(EXPECTED)


def test_documentation_has_every_case_with_its_cause() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \| .* \| `([a-z-]+)` \|", (ROOT / "docs" / "lab.md").read_text(), re.MULTILINE)
    assert dict(table) == EXPECTED and len(table) == len(EXPECTED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_case_leaves_nothing(number: int, temporary: Path) -> None:
    need("curl", "ping")
    lab = subprocess.Popen([*LAB, "run", "relay"], stdout=subprocess.PIPE, text=True)
    assert lab.stdout is not None
    read_up_to("curl", lab.stdout)
    until(lambda: len(programs(lab.pid)) >= 3)  # the relay, the web server, curl, which is waiting
    running = programs(lab.pid)
    lab.send_signal(number)
    lab.send_signal(number)  # an impatient user does not stop the clean-up
    lab.communicate(timeout=PATIENCE)
    assert lab.returncode == 128 + number
    assert left(lab.pid) == [] and alive(running) == [] and list(temporary.iterdir()) == []


def test_kept_case_can_be_entered_and_removed_as_it_says(temporary: Path) -> None:
    need("curl", "ping")
    lab = subprocess.Popen([*LAB, "run", "relay", "--keep"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, error = lab.communicate(timeout=4 * PATIENCE)
    assert "taken down" not in out
    try:
        enter = re.findall(r"^  (ip netns exec .*) bash$", error, re.MULTILINE)
        assert len(enter) == 3
        a = enter[0].split()
        assert subprocess.run([*a, "ping", "-c1", "-W9", "10.7.0.2"], capture_output=True, check=False).returncode == 0
        get = [*a, "curl", "-s", "--connect-timeout", "1", "http://10.7.0.2:8080/"]
        assert subprocess.run(get, capture_output=True, check=False).returncode == 28  # it is broken again, as found
    finally:
        running = programs(lab.pid)
        remove = error.split("To remove all of it:\n")[1]
        subprocess.run(["sh", "-c", remove], check=True)
    assert len(running) >= 2
    until(lambda: alive(running) == [])
    assert left(lab.pid) == []
    assert list(temporary.iterdir()) == []


def test_missing_program_is_named_with_its_package() -> None:
    need("unshare", "ovs-vswitchd")
    hide = 'mount --bind /dev/null $(command -v ovs-vswitchd) && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "-", *LAB, "run", "ovs-netdev", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4 and done.stdout == ""
    assert done.stderr == "pktmend: not installed: ovs-vswitchd (apt-get install openvswitch-switch)\n"


def test_unknown_case_is_told_and_exits_2() -> None:
    done = subprocess.run([*LAB, "run", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "corrupt-veth" in done.stderr and done.stderr.count("\n") == 1


def test_without_root_it_says_so_and_exits_3() -> None:
    done = subprocess.run(["unshare", "--user", *LAB, "run", "veth"], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "root" in done.stderr and done.stderr.count("\n") == 1
