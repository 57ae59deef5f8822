"""`--workloads` of monitor and bridge: pods in namespaces of their own, their links on the node, and the counts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from scapy.all import IP, Ether

import frames as f
from line import Line, open_tap, put, states
from pktmend.serving.surveyor import Surveyor
from pktmend.testbed.netns import Host, Testbed
from running import RunningBridge
from scraping import fetch
from tools import PKTMEND, until
from watching import Pair, leaked

ID, OTHER_ID = "5f" * 32, "6a" * 32
UID = "0d9c3b8e-1111-4222-8333-444455556666"
# As the kubelet names them; in a folder that only those see who are begun with SEES_LOGS.
LOGS = [f"/var/log/containers/{name}.log" for name in (f"web-1_shop_nginx-{ID}", f"db-0_shop_postgres-{OTHER_ID}")]
FILES = f'mount -t tmpfs none /var/log && mkdir /var/log/containers && touch {" ".join(LOGS)} && exec "$@"'
SEES_LOGS = ("sh", "-c", FILES, "sh")
NET_ADMIN, NET_RAW, SYS_PTRACE = 1 << 12, 1 << 13, 1 << 19
WEB = {"namespace": "shop", "pod": "web-1", "container": "nginx"}


def in_a_pod(pid: int, ident: str = ID) -> Path:
    """Move a process into a control group as the kubelet makes it; return that, or skip.  ident: of the container."""
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"):
        group = Path(top) / "kubepods" / f"pod{UID}" / ident
        if not (Path(top) / "cgroup.procs").exists():
            continue
        try:
            group.mkdir(parents=True)
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            remove(group)
            continue
        return group
    pytest.skip("no control group can be made here")


def remove(group: Path) -> None:
    for each in (group, group.parent, group.parent.parent):
        with suppress(OSError):
            each.rmdir()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Testbed() as testbed:
        yield Pair(testbed)


@contextmanager
def pod_in(host: Host, ident: str = ID) -> Iterator[Host]:
    """A host with a process of a pod in it."""
    account = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")  # not ours: CAP_SYS_PTRACE is needed
    process = host.spawn(*account, "sleep", "600")
    group = None
    try:
        group = in_a_pod(process.pid, ident)
        yield host
    finally:
        process.kill()
        process.wait()
        if group is not None:
            empty = group
            until(lambda: not (empty / "cgroup.procs").read_text(), "the group is empty")
            remove(group)


@pytest.fixture
def pod(pair: Pair) -> Iterator[Host]:
    """Host a, with a process of a pod in it."""
    with pod_in(pair.a) as host:
        yield host


def samples(host: Host, port: int = 9477) -> list[Sample]:
    text = fetch(host, "/metrics", port)[1]
    return [s for family in text_string_to_metric_families(text) for s in family.samples]


def test_metrics_name_the_pod_and_what_its_kernel_drops(pair: Pair, pod: Host) -> None:
    to_pod = Ether(src="02:00:00:00:00:09", dst=pod.hardware_address("eth0")) / IP(src="10.7.0.2", dst="10.7.0.1")
    with open_tap(pair.node, "pa") as tap:
        for _ in range(6):  # leaked, to the pod's own stack
            put(tap, f.leaked(to_pod / f.udp / f.PAYLOAD))
    monitor = RunningBridge(
        pair.node,
        *("-i", "p*", "--listen", ":9477", "--workloads"),
        program=("monitor",),
        prefix=SEES_LOGS,
    )
    assert "watching" in monitor.first_line

    def found(name: str, **labels: str) -> list[Sample]:
        return [s for s in samples(pair.node) if s.name == name and labels.items() <= s.labels.items()]

    until(lambda: bool(found("pktmend_bytes_total", interface="pa", **WEB)), "the labels of the link")
    pair.send([leaked()] * 3)
    labels = {"interface": "pa", "cause": "leaked", **WEB}
    until(lambda: [s.value for s in found("pktmend_bad_checks_total", **labels)] == [3.0], "what is leaked")
    counted = found("pktmend_workload_checksum_errors_total", counter="UdpInCsumErrors", **WEB)
    assert [(s.value, s.labels["netns"]) for s in counted] == [(6.0, str(inode_of(pod)))]
    others = found("pktmend_workload_checksum_errors_total", counter="UdpInCsumErrors", netns=str(inode_of(pair.node)))
    assert [s.labels["pod"] for s in others] == [""]
    until(lambda: "pa shop/web-1 (nginx)" in fetch(pair.node, "/", 9477)[1], "the name on the page")
    assert privileges(monitor.process.pid) == {(NET_RAW, "2")}  # of the monitor, which takes rings later
    (helper,) = children(monitor.process.pid)
    assert privileges(helper) == {(SYS_PTRACE, "2")}
    os.kill(helper, signal.SIGKILL)
    until(lambda: not found("pktmend_bytes_total", interface="pa", **WEB), "no label that nobody keeps true")
    monitor.listen()
    until(lambda: any("names pods" in text for text in monitor.said), "the notice")
    monitor.stop()


def inode_of(host: Host) -> int:
    return host.call(lambda: Path("/proc/thread-self/ns/net").stat().st_ino)


def privileges(pid: int) -> set[tuple[int, str]]:
    return {(int(each["CapPrm"], 16), each["Seccomp"]) for each in states(pid)}


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_metrics_of_a_bridge_name_the_pods_at_both_ends(line: Line) -> None:
    line.silence()
    names = [f"{end}_{word}" for end in ("from", "to") for word in WEB]
    ends = {"from": "pa", "to": "pb"}
    whose = dict(zip(names, ("shop", "web-1", "nginx", "shop", "db-0", "postgres"), strict=True))
    argv = ("--listen", ":9479", "--workloads", "--isolate")

    def found(name: str, **labels: str) -> list[Sample]:
        of_it = [s for s in samples(line.node, 9479) if s.name == f"pktmend_bridge_{name}"]
        return [s for s in of_it if labels.items() <= s.labels.items()]

    with pod_in(line.a), pod_in(line.b, OTHER_ID), line.bridged(*argv, prefix=SEES_LOGS) as bridge:
        until(lambda: bool(found("read_total", **ends, **whose)), "whose both ends are")
        with open_tap(line.a, "eth0") as tap:
            for _ in range(3):
                put(tap, leaked())
        repaired = {"cause": "leaked", **ends, **whose}
        until(lambda: [s.value for s in found("repaired_total", **repaired)] == [3.0], "what is repaired")
        back = found("read_total", **{"from": "pb", "to": "pa"})
        assert [(s.labels["from_pod"], s.labels["to_pod"]) for s in back] == [("db-0", "web-1")]
        assert {s.labels["interface"]: s.labels["pod"] for s in found("attachment_in_force", purpose="isolation")} == {
            "pa": "web-1",
            "pb": "db-0",
        }
        assert "pa shop/web-1 (nginx) \N{RIGHTWARDS ARROW} pb shop/db-0 (postgres)" in fetch(line.node, "/", 9479)[1]
        assert privileges(bridge.process.pid) == {(0, "2")}
        helpers = {pid: privileges(pid) for pid in children(bridge.process.pid)}
        assert sorted(map(sorted, helpers.values())) == [[(NET_ADMIN, "2")], [(SYS_PTRACE, "2")]]
        (surveyor,) = (pid for pid, has in helpers.items() if has == {(SYS_PTRACE, "2")})
        os.kill(surveyor, signal.SIGKILL)
        until(lambda: bool(found("read_total", **ends, **dict.fromkeys(names, ""))), "no label that nobody keeps true")
        bridge.listen()
        until(lambda: any("names pods" in text for text in bridge.said), "the notice")
        bridge.stop()


def test_surveyor_ends_with_its_monitor() -> None:
    """Whatever ends that: its end of the pipe closes."""
    with closing(Surveyor()) as surveyor:
        until(lambda: surveyor.poll(pytest.fail) or surveyor.latest is not None, "the first survey")
        assert privileges(surveyor.pid) == {(SYS_PTRACE, "2")}
    assert not Path(f"/proc/{surveyor.pid}").exists()


@pytest.mark.parametrize("command", ["monitor -i lo", "bridge -i lo -I eth0"])
def test_workloads_without_anything_that_serves_them_is_refused(command: str) -> None:
    argv = [*PKTMEND, *command.split(), "--workloads"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--listen" in done.stderr and done.stderr.count("\n") == 1
