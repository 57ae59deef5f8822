"""The image of the Containerfile, of Debian's packages and our wheel, run as the manifests and the Containerfile ask.

Capabilities, read-only root, seccomp profile, volumes and command are the manifest's own (oci.py); what is seen,
counted and repaired is traffic that this test makes outside.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from scapy.all import IP, UDP, Ether

import frames as f
from debian import CONTAINERFILE, root_file_system
from line import Line, open_tap, put, states
from oci import Container, Spec
from pktmend.testbed.netns import Host, Testbed, end
from scraping import fetch
from test_workload_metrics import in_a_pod, remove
from tools import PATIENCE, PKTMEND, need, until
from watching import leaked

NODE = "10.7.0.9"
NET_RAW = 1 << 13


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    need("runc")
    with root_file_system() as found:
        yield found


def manifest(*words: str) -> list[dict[str, Any]]:
    argv = [*PKTMEND, "deploy", "kubernetes", *words]
    return list(yaml.safe_load_all(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))


def pod_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (daemonset,) = (each for each in documents if each["kind"] == "DaemonSet")
    pod: dict[str, Any] = daemonset["spec"]["template"]["spec"]
    return pod


def data_of(documents: list[dict[str, Any]]) -> dict[str, str]:
    (config,) = (each for each in documents if each["kind"] == "ConfigMap")
    data: dict[str, str] = config["data"]
    return data


def get(host: Host, path: str, port: int) -> tuple[int, str]:
    """Ask the node from another host, as a probe or a Prometheus does; (0, "") if nobody listens."""
    return fetch(host, path, port, address=NODE)


def bad_checks(text: str) -> dict[tuple[str, str], float]:
    """Return pktmend_bad_checks_total by interface and cause, where it is not 0."""
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    wanted = [s for s in samples if s.name == "pktmend_bad_checks_total" and s.value]
    return {(s.labels["interface"], s.labels["cause"]): s.value for s in wanted}


def send(host: Host, frames: list[bytes]) -> None:
    with open_tap(host, "eth0") as out:
        for frame in frames:
            put(out, frame)


def test_monitor_of_the_manifest_sees_answers_and_counts(root: Path, testbed: Testbed) -> None:
    node, pod = testbed.host("node"), testbed.host("pod")
    testbed.veth(pod, "eth0", node, "cali82111e10a96")
    pod.address("eth0", "10.7.0.1/24")
    node.address("cali82111e10a96", f"{NODE}/24")
    documents = manifest("--cni", "calico")
    spec = Spec(pod_of(documents), files={"settings": data_of(documents)}, values={"POD_IP": NODE})
    (port,) = (each["containerPort"] for each in spec.container["ports"])
    probes = [spec.container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe")]
    assert [probe["port"] for probe in probes] == ["metrics"] * 2
    container = Container(spec, root, node)
    until(lambda: get(pod, probes[0]["path"], port)[0] == 200, f"an answer; it says {container.said}")
    send(pod, [leaked()] * 7)
    until(lambda: sum(bad_checks(get(pod, "/metrics", port)[1]).values()) >= 7, "the count")
    assert bad_checks(get(pod, "/metrics", port)[1]) == {("cali82111e10a96", "leaked"): 7.0}
    for status in (states(container.pid)[0], container.bounds()):  # of the monitor, and of anything else in there
        assert {int(status[kind], 16) for kind in ("CapBnd", "CapPrm", "CapEff")} <= {NET_RAW, 0}
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert "Read-only file system" in container.run("touch", "/opt/x").stderr
    assert container.run("touch", "/tmp/x").returncode == 0
    assert "not permitted" in container.run("unshare", "-m", "true").stderr
    assert container.stop() == 0, container.said
    last = container.lines[-1]["snapshot"]
    assert last["bad"]["packets"] == 7 and container.lines[0]["event"]["kind"] == "start"


def test_pod_that_comes_later_is_watched_by_the_manifest_as_well(root: Path, testbed: Testbed) -> None:
    """Nothing is there when the monitor begins; the pattern is one of `[0-9a-f]`."""
    node, pod = testbed.host("node"), testbed.host("pod")
    documents = manifest("--cni", "ovn")
    testbed.veth(pod, "eth0", node, "uplink")
    pod.address("eth0", "10.7.0.1/24")
    node.address("uplink", f"{NODE}/24")
    spec = Spec(pod_of(documents), files={"settings": data_of(documents)}, values={"POD_IP": NODE})
    container = Container(spec, root, node)
    until(lambda: get(pod, "/healthz", 9478)[0] == 200, f"an answer; it says {container.said}")
    late = testbed.host("late")
    testbed.veth(late, "eth0", node, "eebee1ce5568761")
    until(lambda: "eebee1ce5568761" in get(pod, "/metrics", 9478)[1], "the new interface")
    send(late, [leaked()] * 3)
    until(lambda: bad_checks(get(pod, "/metrics", 9478)[1]) == {("eebee1ce5568761", "leaked"): 3.0}, "its count")


def test_workloads_of_the_manifest_are_named(root: Path, testbed: Testbed) -> None:
    """A process of a pod, in a control group as a kubelet makes it; the runtime's log file names it."""
    node, pod = testbed.host("node"), testbed.host("pod")
    testbed.veth(pod, "eth0", node, "lxc09fb3e1fb8d2")
    pod.address("eth0", "10.7.0.1/24")
    node.address("lxc09fb3e1fb8d2", f"{NODE}/24")
    logs = testbed.folder()
    ident = secrets.token_hex(32)  # the other test of workloads may run beside this one
    (logs / f"web-1_shop_nginx-{ident}.log").touch()
    process = pod.spawn("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "600")
    group = in_a_pod(process.pid, ident)
    testbed.on_exit(lambda: remove(group))
    testbed.on_exit(lambda: end(process))
    documents = manifest("--cni", "cilium", "--workloads")
    files = {"settings": data_of(documents)}
    container = Container(Spec(pod_of(documents), files, {"logs": logs}, {"POD_IP": NODE}), root, node)
    until(lambda: get(pod, "/healthz", 9478)[0] == 200, f"an answer; it says {container.said}")
    send(pod, [leaked()] * 2)
    wanted = {
        "interface": "lxc09fb3e1fb8d2",
        "cause": "leaked",
        "namespace": "shop",
        "pod": "web-1",
        "container": "nginx",
    }

    def is_named() -> bool:
        families = text_string_to_metric_families(get(pod, "/metrics", 9478)[1])
        return any(s.labels == wanted and s.value == 2 for family in families for s in family.samples)

    until(is_named, f"the pod's name; it says {container.said}")


def test_bridge_repairs_as_the_containerfile_says(root: Path, line: Line) -> None:
    """`podman run ... pktmend bridge -i A -I B`: its flags are the container's, its words are the command."""
    (words,) = re.findall(r"^#   podman run (.*) pktmend (bridge .*)$", CONTAINERFILE.read_text(), re.MULTILINE)
    flags = shlex.split(words[0])
    assert "--network=host" in flags and "--cap-drop=all" in flags
    added = [flag.partition("=")[2].upper().split(",") for flag in flags if flag.startswith("--cap-add=")]
    security = {
        "runAsUser": 0,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": added[0]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    argv = [*words[1].replace("-i A -I B", "-i pa -I pb").split(), "--json"]
    pod = {"hostNetwork": True, "containers": [{"args": argv, "securityContext": security}]}
    container = Container(Spec(pod), root, line.node)
    until(lambda: "bridging" in container.said, f"the bridge; it says {container.said}")
    line.a.run("ping", "-c1", "-W9", "10.7.0.2")
    to_b = Ether(src=line.a.hardware_address("eth0"), dst=line.b.hardware_address("eth0"))

    def listening() -> Any:
        import socket

        s = socket.socket(type=socket.SOCK_DGRAM)
        s.bind(("10.7.0.2", 5000))
        s.settimeout(PATIENCE)
        return s

    with line.b.call(listening) as receiver:
        send(
            line.a, [f.leaked(to_b / IP(src="10.7.0.1", dst="10.7.0.2") / UDP(sport=4000, dport=5000) / f.PAYLOAD)] * 5
        )
        assert [receiver.recv(999) for _ in range(5)] == [bytes(f.PAYLOAD)] * 5
    assert line.b.checksum_errors() == {}
    assert container.stop() == 0, container.said
    directions = container.lines[-1]["snapshot"]["directions"]
    assert [d["repaired"] for d in directions] == [{"leaked": 5}, {}]


def test_doctor_of_the_manifest_finds_the_pod_and_its_pod_is_not_ready(root: Path, line: Line) -> None:
    """Some datagrams that a young namespace dropped, all that came; the probe tells a kubelet."""
    line.b.spawn("sleep", "600")  # a namespace is found by its processes
    mac = line.b.hardware_address("eth0")
    to_b = Ether(dst=mac) / IP(src="10.7.0.1", dst="10.7.0.2") / UDP(sport=4000, dport=5000) / f.PAYLOAD
    with open_tap(line.node, "pb") as out:
        for _ in range(17):
            put(out, f.leaked(to_b))
    until(lambda: line.b.checksum_errors() == {"UdpInCsumErrors": 17}, "the kernel's count")
    pod = pod_of(manifest("doctor"))
    (one,) = pod["containers"]
    assert "--watch 20" in one["command"][2]
    one["command"][2] = one["command"][2].replace("--watch 20", "--watch 1 --json")
    container = Container(Spec(pod, hosts={"logs": line.testbed.folder()}), root, line.node)
    probe = one["readinessProbe"]["exec"]["command"]
    until(lambda: container.run("cat", "/tmp/code").returncode == 0, f"the code; it says {container.said}")
    assert container.run("cat", "/tmp/code").stdout == "1\n" and container.run(*probe).returncode == 1
    findings = [each["finding"] for each in container.lines if "finding" in each]
    about = [
        each for each in findings if each["name"] == "checksum-errors" and "UdpInCsumErrors 17" in each["evidence"]
    ]
    assert [each["severity"] for each in about] == ["problem"], (findings, container.said)
    assert container.run("sh", "-c", "echo 0 >/tmp/code").returncode == 0 == container.run(*probe).returncode


def test_policy_of_the_manifest_reaches_into_namespaces_and_remembers(root: Path, testbed: Testbed) -> None:
    node, pod = testbed.host("node"), testbed.host("pod")
    pod.spawn("sleep", "600")
    name = f"pol{os.getpid()}"
    documents = manifest("offload")
    rules = data_of(documents)["offload.toml"]
    rules = re.sub(r'^pod = .*\ninterface = ".*"$', f'interface = "{name}*"', rules, flags=re.MULTILINE)
    assert f'[[rule]]\ninterface = "{name}*"\ntx = "off"\n' in rules
    state = testbed.folder()
    spec = Spec(pod_of(documents), files={"rules": {"offload.toml": rules}}, hosts={"logs": state, "state": state})
    pod.run("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", "other")
    container = Container(spec, root, node)

    def tx(interface: str) -> str:
        shown = pod.run("ethtool", "-k", interface).stdout
        return re.findall(r"tx-checksum-ip-generic: (\w+)", shown)[0]

    until(lambda: tx(f"{name}a") == "off", f"the change; it says {container.said}")
    pod.run("ip", "link", "add", f"{name}b", "type", "veth", "peer", "name", "other2")
    until(lambda: tx(f"{name}b") == "off", f"the change of what came later; it says {container.said}")
    assert tx("other") == "on" and json.loads((state / "offload.json").read_text())
    undone = container.run("pktmend", "offload", "restore", "--all")
    assert undone.returncode == 0, undone.stderr
    assert tx(f"{name}a") == "on" == tx(f"{name}b")
    assert container.stop() == 0, container.said
