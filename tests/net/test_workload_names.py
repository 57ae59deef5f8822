"""Namespaces by the names of containers and pods, of real containers; interfaces by option and by word.

client (eth0) -- (eth0) web-0, a pod of two containers    web-1 (eth0, podnet1) -- (eth7, eth8) one of a hostile name
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containers import Node, Pod
from pktmend.errors import ConfigError, OSFailure, PktmendError
from pktmend.host.container_state import HOST_ROOT, States
from pktmend.host.namespaces import find_namespace, list_namespaces
from pktmend.host.workloads import workload_of, workloads
from pktmend.testbed.netns import Host, Testbed
from tools import PKTMEND

HOSTILE = "t\x1b]0;owned\x07"


class Cluster:
    """Three pods, and a host beside them."""

    def __init__(self, testbed: Testbed) -> None:
        node = Node(testbed)
        self.root = node.root
        self.client, self.web0, self.web1, self.bad = (testbed.host(n) for n in ("client", "web0", "web1", "bad"))
        testbed.veth(self.client, "eth0", self.web0, "eth0")
        testbed.veth(self.web1, "eth0", self.bad, "eth7")
        testbed.veth(self.web1, "podnet1", self.bad, "eth8")
        self.nginx: Pod = node.run(self.web0, "web-0")
        self.sidecar = node.run(self.web0, "web-0", "sidecar")
        self.other = node.run(self.web1, "web-1")
        node.run(self.bad, HOSTILE, "x", "kube-system")

    def pktmend(self, *argv: str, host: Host | None = None) -> subprocess.CompletedProcess[str]:
        words = [*PKTMEND, *argv]
        environment = os.environ | {HOST_ROOT: str(self.root)}
        return subprocess.run(
            host.argv(words) if host else words,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def json(self, *argv: str, host: Host | None = None) -> list[dict[str, Any]]:
        done = self.pktmend(*argv, "--json", host=host)
        assert done.returncode in (0, 1), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Testbed() as testbed:
        yield Cluster(testbed)


def inode(host: Host) -> int:
    return find_namespace(host.namespace).inode


def test_containers_are_found_by_process_and_by_namespace(cluster: Cluster) -> None:
    who = workload_of(cluster.nginx.pid, States((cluster.root,)))
    assert who is not None
    assert (who.runtime, who.id, who.label) == ("containerd", cluster.nginx.id, "pod default/web-0 (nginx)")
    assert workload_of(os.getpid(), States((cluster.root,))) is None
    found = workloads(list_namespaces(), (cluster.root,))
    assert [each.container for each in found[inode(cluster.web0)]] == ["nginx", "sidecar"]
    assert [each.pod for each in found[inode(cluster.web1)]] == ["web-1"]
    assert inode(cluster.client) not in found


def test_netns_takes_a_pod_a_container_and_an_id(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_ROOT, str(cluster.root))
    for word in ("default/web-0", "web-0", "sidecar", cluster.nginx.id[:10], str(cluster.nginx.pid)):
        assert find_namespace(word).inode == inode(cluster.web0), word
    assert find_namespace("web-1").inode == inode(cluster.web1)


@pytest.mark.parametrize(
    ("word", "kind", "says"),
    [
        ("nginx", ConfigError, r"not one container or pod but 2 \(name one of: default/web-0, default/web-1\)"),
        ("web-00", OSFailure, r"no network namespace, container or pod 'web-00' \(did you mean web-0 or web-1\?"),
        ("default/nothing-like-it", OSFailure, "a process id, a container or a pod"),
        ("x" * 5000, OSFailure, "no network namespace"),
    ],
)
def test_what_is_not_one_namespace_is_told(
    cluster: Cluster, word: str, kind: type[PktmendError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOST_ROOT, str(cluster.root))
    with pytest.raises(kind, match=says):
        find_namespace(word)


def test_offload_shows_the_pod(cluster: Cluster) -> None:
    (shown,) = cluster.json("offload", "eth0", "--netns", "sidecar")
    keys = {key: shown["offload"][key] for key in ("pod", "pod_namespace", "container")}
    assert keys == {"pod": "web-0", "pod_namespace": "default", "container": "nginx"}
    done = cluster.pktmend("offload", "podnet1", "show", "--netns", "web-1")
    assert done.stdout.splitlines()[0].endswith("pod default/web-1)"), done.stdout


def test_an_interface_elsewhere_is_told_with_the_command(cluster: Cluster) -> None:
    done = cluster.pktmend("monitor", "-i", "podnet1", "--duration", "0.2", "--json", host=cluster.client)
    assert done.returncode == 4
    place, _, command = done.stderr.strip().removesuffix(")").partition(": pktmend ")
    assert place.endswith(f"it is in netns {cluster.web1.namespace}, pod default/web-1"), place
    assert command == "monitor -i podnet1 --duration 0.2 --json --netns default/web-1"
    assert cluster.pktmend(*shlex.split(command), host=cluster.client).returncode == 0
    said = cluster.pktmend("offload", "podnet1", host=cluster.client).stderr
    assert "pktmend offload podnet1 --netns default/web-1" in said, said


def test_an_interface_of_the_shell_s_own_namespace_is_told(cluster: Cluster) -> None:
    done = cluster.pktmend("check", "-i", "eth0", "--duration", "1", "--netns=" + HOSTILE, host=cluster.client)
    assert done.returncode == 4
    assert "this shell's namespace" in done.stderr and "pktmend check -i eth0 --duration 1)" in done.stderr


def test_numbered_frames_pass_from_pod_to_pod(cluster: Cluster) -> None:
    words = [*PKTMEND, "bench", "receive", "eth7", "--netns", HOSTILE, "--duration", "20", "--json"]
    receiver = subprocess.Popen(
        words, env=os.environ | {HOST_ROOT: str(cluster.root)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with receiver:
        assert receiver.stderr is not None
        assert b"receiving on eth7" in receiver.stderr.readline()
        sent = cluster.json("bench", "gen", "-i", "eth0", "--netns", "default/web-1", "--count", "200", "--rate", "max")
        assert sent
        receiver.terminate()
        out, _ = receiver.communicate(timeout=60)
    (run,) = json.loads(out.splitlines()[-1])["received"]["runs"]
    assert (run["received"], run["lost"]) == (200, 0)


def test_check_and_diagnose_tap_the_pod(cluster: Cluster) -> None:
    """What is counted passes no interface of the caller's."""
    address = "10.9.0.1", "10.9.0.2"
    cluster.client.address("eth0", f"{address[0]}/24")
    cluster.web0.address("eth0", f"{address[1]}/24")
    environment = os.environ | {HOST_ROOT: str(cluster.root)}
    for argv in (("check", "eth0", "-c", "2", "icmp"), ("diagnose", "eth0", "-c", "2", "icmp")):
        words = [*PKTMEND, *argv, "--netns", "sidecar", "--json"]
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
            while tap.poll() is None:
                cluster.client.run("ping", "-c1", "-w1", address[1], check=False)
            assert tap.stdout is not None
            summary = json.loads(tap.stdout.read().splitlines()[-1])["summary"]
        assert summary["packets"] == 2 and summary["checks"]["icmp"] == {"good": 2}, summary


def test_any_watches_every_interface(cluster: Cluster) -> None:
    *_, last = cluster.json("monitor", "any", "--netns", "web-1", "--duration", "0.2")
    directions = last["snapshot"]["directions"]
    assert sorted(d["from"] for d in directions) == ["eth0", "lo", "podnet1"]
    assert {(d["pod_namespace"], d["pod"], d["container"]) for d in directions} == {("default", "web-1", "nginx")}


def test_a_monitor_says_whose_the_other_end_is(cluster: Cluster) -> None:
    done = cluster.pktmend("monitor", "-i", "eth0", "-i", "lo", "--plain", "--duration", "0.2", host=cluster.client)
    assert "eth0 (pod default/web-0): " in done.stdout and "lo: " in done.stdout, done


def test_a_bridge_runs_in_the_pod(cluster: Cluster) -> None:
    words = ("-I", "podnet1", "eth0", "--netns", "web-1", "--loop", "off", "--duration", "0.1")
    *_, last = cluster.json("bridge", *words)
    assert [d["from"] for d in last["snapshot"]["directions"]] == ["eth0", "podnet1"]


def test_commands_stay_those_of_the_shell_that_a_command_has_left(cluster: Cluster) -> None:
    """Once it has moved, its own namespace is another than the one in which what it prints is typed."""
    program = """if True:
        import sys
        from pktmend.host.namespaces import *
        move_to(find_namespace(sys.argv[1]))
        here, *others = list_namespaces().found
        print(here.inode, own_namespace().inode, here.is_own, here.command("ethtool -k eth0"))
        print([n.inode for n in others if n.is_own], call(shell_namespace(), lambda: own_namespace().inode))
    """
    name = cluster.web1.namespace
    words = [sys.executable, "-c", program, name]
    done = subprocess.run(cluster.client.argv(words), capture_output=True, text=True, check=True, timeout=60)
    there, shell = inode(cluster.web1), inode(cluster.client)
    assert done.stdout.splitlines() == [
        f"{there} {there} False ip netns exec {name} ethtool -k eth0",
        f"[{shell}] {shell}",
    ]


def test_doctor_prints_the_pod(cluster: Cluster) -> None:
    text = cluster.pktmend("doctor", "-i", "eth0", host=cluster.client).stdout
    assert f"other end eth0 (netns {cluster.web0.namespace}, pod default/web-0)" in text
    *_, summary = cluster.json("doctor", "eth0", "--netns", "web-0")
    places = {i["pod"]: i for i in summary["summary"]["interfaces"]}
    assert places["web-0"]["container"] == "nginx" and places["web-0"]["pod_namespace"] == "default"
    assert places["web-0"]["peer"]["pod"] == "" and places[""]["peer"]["pod"] == "web-0"


def test_a_hostile_name_does_not_command_the_terminal(cluster: Cluster) -> None:
    for argv in (
        ("offload", "eth7", "--netns", f"kube-system/{HOSTILE}"),
        ("monitor", "-i", "eth7", "--duration", "0.2"),
    ):
        done = cluster.pktmend(*argv)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stdout + done.stderr), (argv, done)
        assert "Traceback" not in done.stderr


def test_completion_offers_pods_and_containers(cluster: Cluster) -> None:
    words = ["pktmend", "doctor", "--netns", "default/web-"]
    environment = os.environ | {
        HOST_ROOT: str(cluster.root),
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_PKTMEND_COMPLETE": "bash_complete",
    }
    command = Path(PKTMEND[0]).with_name("pktmend")
    done = subprocess.run([command], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert [row.split(",")[1] for row in done.stdout.split()] == ["default/web-0", "default/web-1"]
