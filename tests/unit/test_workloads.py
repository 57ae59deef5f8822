"""Containers and pods, by their control group and what their runtimes write down.

The layouts are those of the runtimes' documents, and of nodes as they publish them: nothing here was made by pktmend.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pktmend.host.container_state import States
from pktmend.host.workloads import Workload, label_of, workload_in, workload_of

ID = "6a825448c5ef07ac0c3b99532b18bdec0e1d0bb1eb41b4672d570634a1409a85"
SANDBOX = "446c65ab43d490ab8d7f693a46050db88f66a2bf657eda0c3de8bc8bab516be4"
UID = "005f082b-5fd9-4650-8ef4-473e63bc2d13"
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
CRI = {
    "io.kubernetes.cri.container-name": "nginx",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.sandbox-id": SANDBOX,
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-namespace": "default",
    "io.kubernetes.cri.sandbox-uid": UID,
}
KUBELET = {
    "io.kubernetes.container.name": "nginx",
    "io.kubernetes.pod.name": "web-0",
    "io.kubernetes.pod.namespace": "default",
    "io.kubernetes.pod.uid": UID,
}
PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"


def put(root: Path, path: str, value: object) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))


def docker(root: Path, labels: dict[str, str], folder: str = "var/lib/docker") -> None:
    value = {"ID": ID, "Name": "/web", "State": {"Running": True, "Pid": 4711}, "Config": {"Labels": labels}}
    put(root, f"{folder}/containers/{ID}/config.v2.json", value)


def bundle(annotations: dict[str, str] | None) -> dict[str, object]:
    value: dict[str, object] = {"ociVersion": "1.1.0", "process": {"args": ["nginx"]}, "root": {"path": "rootfs"}}
    return value if annotations is None else value | {"annotations": annotations}


def containerd(root: Path, folder: str, annotations: dict[str, str] | None, name: str = ID) -> None:
    put(root, f"{folder}/{name}/config.json", bundle(annotations))


def stored(root: Path, folder: str, name: str = "web", file: str = "containers.json") -> None:
    metadata = json.dumps({"image-name": "nginx", "name": name, "created-at": 1711141194})
    rows = [{"id": SANDBOX, "names": None}, {"id": ID, "names": [name], "layer": "67b0", "metadata": metadata}]
    put(root, f"{folder}/{file}", rows)


TASKS = "run/containerd/io.containerd.runtime.v2.task"
OVERLAY = "run/containers/storage/overlay-containers"
POD = Workload("", ID, "nginx", "web-0", "default")
WEB = Workload("", ID, "web", "", "")


def layouts() -> dict[str, tuple[str, object, str, Workload]]:
    """Return {layout: (path of the control group, what lays the files, runtime, who it is)}."""
    v1 = f"/kubepods/burstable/pod{UID}/{ID}"
    user = "/user.slice/user-1000.slice/user@1000.service/user.slice"
    home = "home/ann/.local/share"
    return {
        "docker, systemd": (f"/system.slice/docker-{ID}.scope", lambda r: docker(r, {}), "docker", WEB),
        "docker, cgroupfs": (f"/docker/{ID}", lambda r: docker(r, {}), "docker", WEB),
        "docker, systemd in it": (f"/docker/{ID}/init.scope", lambda r: docker(r, {}), "docker", WEB),
        "docker, a parent of its own": (f"/ecs/task/{ID}", lambda r: docker(r, {}), "docker", WEB),
        "docker, snap": (
            f"/docker/{ID}",
            lambda r: docker(r, {}, "var/snap/docker/common/var-lib-docker"),
            "docker",
            WEB,
        ),
        "docker, of a user": (
            f"{user}/docker-{ID}.scope",
            lambda r: (put(r, "etc/passwd", PASSWD), docker(r, {}, f"{home}/docker")),
            "docker",
            WEB,
        ),
        "docker, Kubernetes": (v1, lambda r: docker(r, KUBELET), "docker", POD),
        "containerd, systemd": (
            f"{SLICE}/cri-containerd-{ID}.scope",
            lambda r: containerd(r, f"{TASKS}/k8s.io", CRI),
            "containerd",
            POD,
        ),
        "containerd, cgroupfs": (v1, lambda r: containerd(r, f"{TASKS}/k8s.io", CRI), "containerd", POD),
        "containerd, mixed drivers": (
            f"/system.slice/containerd.service/kubepods-pod{UID.replace('-', '_')}.slice:cri-containerd:{ID}",
            lambda r: containerd(r, f"{TASKS}/k8s.io", CRI),
            "containerd",
            POD,
        ),
        "containerd, another cgroup namespace": (
            f"/../cri-containerd-{ID}.scope",
            lambda r: containerd(r, f"{TASKS}/k8s.io", CRI),
            "containerd",
            POD,
        ),
        "containerd, k3s": (
            v1,
            lambda r: containerd(r, "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io", CRI),
            "containerd",
            POD,
        ),
        "nerdctl": (
            f"/system.slice/nerdctl-{ID}.scope",
            lambda r: containerd(r, f"{TASKS}/default", {"nerdctl/name": "web"}),
            "containerd",
            WEB,
        ),
        "ctr": (
            "/default/web",
            lambda r: containerd(r, f"{TASKS}/default", None, "web"),
            "containerd",
            Workload("", "web", "web", "", ""),
        ),
        "cri-o": (
            f"{SLICE}/crio-{ID}.scope/container",
            lambda r: put(r, f"{OVERLAY}/{ID}/userdata/config.json", bundle(KUBELET)),
            "cri-o",
            POD,
        ),
        "cri-o, cgroupfs": (
            f"/kubepods/burstable/pod{UID}/crio-{ID}",
            lambda r: put(r, f"{OVERLAY}/{ID}/userdata/config.json", bundle(KUBELET)),
            "cri-o",
            POD,
        ),
        "podman": (
            f"/machine.slice/libpod-{ID}.scope/container",
            lambda r: stored(r, "var/lib/containers/storage/overlay-containers"),
            "podman",
            WEB,
        ),
        "podman, --rm": (
            f"/libpod_parent/libpod-{ID}",
            lambda r: stored(r, OVERLAY, file="volatile-containers.json"),
            "podman",
            WEB,
        ),
        "podman, of a user": (
            f"{user}/libpod-{ID}.scope/container",
            lambda r: (put(r, "etc/passwd", PASSWD), stored(r, f"{home}/containers/storage/overlay-containers")),
            "podman",
            WEB,
        ),
        "runc": (
            "/web",
            lambda r: put(r, "run/runc/web/state.json", {"id": "web", "config": {"labels": ["bundle=/x"]}}),
            "runc",
            Workload("", "web", "web", "", ""),
        ),
        "runc, systemd": (
            "/system.slice/runc-web.scope",
            lambda r: put(r, "run/runc/web/state.json", {"id": "web"}),
            "runc",
            Workload("", "web", "web", "", ""),
        ),
        "runc of containerd": (
            v1,
            lambda r: put(
                r,
                f"run/containerd/runc/k8s.io/{ID}/state.json",
                {"config": {"labels": [f"{key}={value}" for key, value in CRI.items()]}},
            ),
            "runc",
            POD,
        ),
        "kubelet's links": (
            f"{SLICE}/cri-containerd-{ID}.scope",
            lambda r: put(r, f"var/log/containers/web-0_default_nginx-{ID}.log", ""),
            "containerd",
            POD,
        ),
        "kubelet's folders": (
            f"{SLICE}/cri-containerd-{ID}.scope",
            lambda r: put(r, f"var/log/pods/default_web-0_{UID}/nginx/0.log", ""),
            "containerd",
            Workload("", ID, "", "web-0", "default"),
        ),
        "lxc": ("/lxc.payload.web/init.scope", lambda r: None, "lxc", Workload("", "web", "web", "", "")),
        "lxc, older": ("/lxc/web", lambda r: None, "lxc", Workload("", "web", "web", "", "")),
        "nspawn": (
            r"/machine.slice/machine-my\x2dweb.scope/payload",
            lambda r: None,
            "nspawn",
            Workload("", "my-web", "my-web", "", ""),
        ),
        "a virtual machine": (
            r"/machine.slice/machine-qemu\x2d3\x2dweb.scope/libvirt/emulator",
            lambda r: None,
            "qemu",
            Workload("", "web", "web", "", ""),
        ),
    }


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("layout", layouts())
def test_a_container_is_named(layout: str, version: int, tmp_path: Path) -> None:
    path, lay, runtime, who = layouts()[layout]
    lay(tmp_path)  # type: ignore[operator]
    groups = (
        f"0::{path}\n" if version == 2 else f"12:cpu,cpuacct:{path}\n3:memory:{path}\n1:name=systemd:{path}\n0::/\n"
    )
    expected = Workload(runtime, who.id, who.container, who.pod, who.pod_namespace)
    assert workload_in(groups, States((tmp_path,))) == expected


def test_the_second_root_is_looked_at(tmp_path: Path) -> None:
    docker(tmp_path / "host", {})
    found = workload_in(f"0::/docker/{ID}\n", States((tmp_path, tmp_path / "host")))
    assert found is not None
    assert found.label == "container web"


def test_a_pod_s_sandbox_has_no_container_name(tmp_path: Path) -> None:
    annotations = {k: v for k, v in CRI.items() if k != "io.kubernetes.cri.container-name"}
    containerd(tmp_path, f"{TASKS}/k8s.io", annotations, SANDBOX)
    put(tmp_path, f"{OVERLAY}/{ID}/userdata/config.json", bundle(KUBELET | {"io.kubernetes.container.name": "POD"}))
    for part, runtime in ((f"cri-containerd-{SANDBOX}.scope", "containerd"), (f"crio-{ID}.scope", "cri-o")):
        found = workload_in(f"0::{SLICE}/{part}\n", States((tmp_path,)))
        assert found is not None
        assert (found.runtime, found.container, found.label) == (runtime, "", "pod default/web-0")


def test_of_containers_in_a_container_the_inner_one_that_is_known_counts(tmp_path: Path) -> None:
    docker(tmp_path, {})
    groups = f"0::/docker/{ID}/kubelet.slice/kubelet-kubepods.slice/cri-containerd-{SANDBOX}.scope\n"
    outer = workload_in(groups, States((tmp_path,)))
    assert outer == Workload("docker", ID, "web", "", "")
    containerd(tmp_path, f"{TASKS}/k8s.io", CRI, SANDBOX)
    inner = workload_in(groups, States((tmp_path,)))
    assert inner == Workload("containerd", SANDBOX, "nginx", "web-0", "default")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/init.scope",
        "/user.slice/user-1000.slice/session-3.scope",
        "/system.slice/docker.service",
        f"/system.slice/crio-conmon-{ID}.scope",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        "/lxc.monitor.web",
        "/../..",
        "",
    ],
)
def test_what_is_no_container_has_no_name(path: str, tmp_path: Path) -> None:
    docker(tmp_path, {})
    put(tmp_path, "run/state.json", {"id": "x"})  # what ".." below run/runc would come to
    (tmp_path / "run/runc").mkdir()
    assert workload_in(f"0::{path}\n", States((tmp_path,))) is None


def test_a_user_cannot_name_his_processes_after_the_machine_s_containers(tmp_path: Path) -> None:
    docker(tmp_path, {})
    put(tmp_path, "etc/passwd", PASSWD)
    put(tmp_path, "run/runc/web/state.json", {"id": "web"})
    below = "0::/user.slice/user-1000.slice/user@1000.service"
    found = workload_in(f"{below}/docker-{ID}.scope\n", States((tmp_path,)))
    assert found == Workload("docker", ID, "", "", "")
    assert workload_in(f"{below}/web\n", States((tmp_path,))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"Name": 5}',
        '{"Config": {"Labels": []}}',
        "[" * 100_000,
        "\udcff",
        '{"Name": "\\ud800"}',
    ],
)
def test_files_that_say_nothing_leave_the_id(text: str, tmp_path: Path) -> None:
    file = tmp_path / f"var/lib/docker/containers/{ID}/config.v2.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    found = workload_in(f"0::/docker/{ID}\n", States((tmp_path,)))
    assert found == Workload("docker", ID, "", "", "")
    assert found.label == f"container {ID[:12]}"


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / f"var/lib/docker/containers/{ID}/config.v2.json"
    file.parent.mkdir(parents=True)
    os.mkfifo(file)  # to open it would wait for ever
    assert workload_in(f"0::/docker/{ID}\n", States((tmp_path,))) == Workload("docker", ID, "", "", "")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    docker(tmp_path, {})
    with (tmp_path / f"var/lib/docker/containers/{ID}/config.v2.json").open("r+b") as file:
        file.truncate(1 << 40)
    assert workload_in(f"0::/docker/{ID}\n", States((tmp_path,))) == Workload("docker", ID, "", "", "")


def test_long_names_are_cut(tmp_path: Path) -> None:
    containerd(tmp_path, f"{TASKS}/k8s.io", CRI | {"io.kubernetes.cri.sandbox-name": "x" * 10_000})
    found = workload_in(f"0::{SLICE}/cri-containerd-{ID}.scope\n", States((tmp_path,)))
    assert found is not None
    assert found.pod == "x" * 252 + "…"


def test_a_process_that_has_ended_is_in_no_container() -> None:
    assert workload_of(1 << 22) is None


def test_the_containers_of_a_pod_have_one_label() -> None:
    pod = [Workload("containerd", str(n), name, "web-0", "default") for n, name in enumerate(("nginx", "", "sidecar"))]
    assert [each.label for each in pod[:2]] == ["pod default/web-0 (nginx)", "pod default/web-0"]
    assert label_of(pod) == "pod default/web-0"
    assert label_of([*pod, Workload("docker", "x", "web", "", "")]) == "pod default/web-0 and 1 more"
    assert label_of([]) == ""
