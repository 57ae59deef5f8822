"""`monitor --workloads`: a pod in a namespace of its own, its link on the node, and what its kernel drops."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from scapy.all import IP, Ether

import frames as f
from line import open_tap, put, states
from pktmend.commands.monitor.surveyor import Surveyor
from pktmend.testbed.netns import Host, Testbed
from running import RunningBridge
from scraping import fetch
from tools import PKTMEND, until
from watching import Pair, leaked

ID = "5f" * 32
UID = "0d9c3b8e-1111-4222-8333-444455556666"
LOG = f"/var/log/containers/web-1_shop_nginx-{ID}.log"  # as the kubelet names it
NET_RAW, SYS_PTRACE = 1 << 13, 1 << 19


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


@pytest.fixture
def pod(pair: Pair) -> Iterator[Host]:
    """Host a, with a process of a pod in it."""
    account = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")  # not ours: CAP_SYS_PTRACE is needed
    process = pair.a.spawn(*account, "sleep", "600")
    group = in_a_pod(process.pid)
    yield pair.a
    process.kill()
    process.wait()
    until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    remove(group)


def samples(host: Host) -> list[Sample]:
    return [s for family in text_string_to_metric_families(fetch(host, "/metrics", 9477)[1]) for s in family.samples]


def test_metrics_name_the_pod_and_what_its_kernel_drops(pair: Pair, pod: Host) -> None:
    to_pod = Ether(src="02:00:00:00:00:09", dst=pod.hardware_address("eth0")) / IP(src="10.7.0.2", dst="10.7.0.1")
    with open_tap(pair.node, "pa") as tap:
        for _ in range(6):  # leaked, to the pod's own stack
            put(tap, f.leaked(to_pod / f.udp / f.PAYLOAD))
    files = f'mount -t tmpfs none /var/log && mkdir -p {Path(LOG).parent} && touch {LOG} && exec "$@"'
    monitor = RunningBridge(
        pair.node,
        *("-i", "p*", "--listen", ":9477", "--workloads"),
        program=("monitor",),
        prefix=("sh", "-c", files, "sh"),
    )
    assert "watching" in monitor.first_line
    whose = {"namespace": "shop", "pod": "web-1", "container": "nginx"}

    def found(name: str, **labels: str) -> list[Sample]:
        return [s for s in samples(pair.node) if s.name == name and labels.items() <= s.labels.items()]

    until(lambda: bool(found("pktmend_bytes_total", interface="pa", **whose)), "the labels of the link")
    pair.send([leaked()] * 3)
    labels = {"interface": "pa", "cause": "leaked", **whose}
    until(lambda: [s.value for s in found("pktmend_bad_checks_total", **labels)] == [3.0], "what is leaked")
    counted = found("pktmend_workload_checksum_errors_total", counter="UdpInCsumErrors", **whose)
    assert [(s.value, s.labels["netns"]) for s in counted] == [(6.0, str(inode_of(pod)))]
    others = found("pktmend_workload_checksum_errors_total", counter="UdpInCsumErrors", netns=str(inode_of(pair.node)))
    assert [s.labels["pod"] for s in others] == [""]
    until(lambda: "pa shop/web-1 (nginx)" in fetch(pair.node, "/", 9477)[1], "the name on the page")
    assert privileges(monitor.process.pid) == {(NET_RAW, "2")}  # of the monitor, which takes rings later
    (helper,) = children(monitor.process.pid)
    assert privileges(helper) == {(SYS_PTRACE, "2")}
    os.kill(helper, signal.SIGKILL)
    until(lambda: not found("pktmend_bytes_total", interface="pa", **whose), "no label that nobody keeps true")
    monitor.listen()
    until(lambda: any("names pods" in text for text in monitor.said), "the notice")
    monitor.stop()


def inode_of(host: Host) -> int:
    return host.call(lambda: Path("/proc/thread-self/ns/net").stat().st_ino)


def privileges(pid: int) -> set[tuple[int, str]]:
    return {(int(each["CapPrm"], 16), each["Seccomp"]) for each in states(pid)}


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_surveyor_ends_with_its_monitor() -> None:
    """Whatever ends that: its end of the pipe closes."""
    surveyor = Surveyor()
    until(lambda: surveyor.poll(pytest.fail) or surveyor.latest is not None, "the first survey")
    (helper,) = children(os.getpid())
    surveyor.close()
    assert not Path(f"/proc/{helper}").exists()


def test_workloads_without_anything_that_serves_them_is_refused() -> None:
    done = subprocess.run([*PKTMEND, "monitor", "-i", "lo", "--workloads"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--listen" in done.stderr and done.stderr.count("\n") == 1
