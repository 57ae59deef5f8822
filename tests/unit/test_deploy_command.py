"""`pktmend deploy`: what it prints is what lies in deploy/, and options change what they say and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from pktmend._version import VERSION
from pktmend.cli.deploy import CNIS as CHOICES
from pktmend.commands.deploy.cni import CNIS
from pktmend.commands.deploy.kinds import KINDS, MANIFESTS, Part
from tools import ROOT, run_inside

DEPLOY = ROOT / "deploy"
PARTS = [(kind, part) for kind, parts in KINDS.items() for part in parts]
MANIFEST_PARTS = [(kind, part) for kind, part in PARTS if kind in MANIFESTS]


def ident(value: Any) -> str:
    return value.name if isinstance(value, Part) else str(value)


def printed(*argv: str) -> str:
    done = run_inside("deploy", *argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def refused(*argv: str, code: int = 2) -> str:
    done = run_inside("deploy", *argv)
    assert (done.returncode, done.stdout) == (code, b""), done
    return done.stderr.decode()


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each single value of a document with where it stands."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, f"{path}/{key}")
    else:
        yield path, value


def changes(before: str, after: str) -> dict[str, Any]:
    """Return what *after* has otherwise, by place: number of the document, then keys."""
    old, new = dict(leaves(documents(before))), dict(leaves(documents(after)))
    assert old.keys() == new.keys()
    return {place: value for place, value in new.items() if value != old[place]}


def test_every_file_is_a_part_and_every_part_a_file() -> None:
    there = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file()}
    assert there == {part.path for _, part in PARTS}


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=ident)
def test_part_is_printed_as_it_lies_in_the_tree(kind: str, part: Part) -> None:
    if not part.head:
        assert printed(kind, part.name) == (DEPLOY / part.path).read_text()


def test_list_names_every_part() -> None:
    rows = [line.split(maxsplit=2) for line in printed().splitlines() if line]
    assert [(row[0], row[1].lstrip("+"), row[2]) for row in rows[: len(PARTS)]] == [
        (kind, part.name, part.what) for kind, part in PARTS
    ]
    assert {row[1] for row in rows if row[1].startswith("+")} == {"+podmonitor", "+rules", "+doctor", "+offload"}


def test_what_changes_or_examines_nodes_is_printed_only_where_it_is_named() -> None:
    assert printed("kubernetes") == (DEPLOY / "kubernetes" / "daemonset.yaml").read_text()


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*")), ids=lambda path: path.name)
def test_images_have_the_version_of_the_package(path: Path) -> None:
    if path.is_file():
        text = path.read_text()
        for line in text.splitlines():
            if "image: pktmend" in line or "./pktmend-" in line:
                assert VERSION in line


def test_several_manifests_are_one_stream_of_documents() -> None:
    names = [part.name for part in KINDS["kubernetes"]]
    together = documents(printed("kubernetes", *reversed(names)))
    assert together == [each for name in names for each in documents(printed("kubernetes", name))]


def test_several_files_of_another_kind_are_told_apart() -> None:
    text = printed("systemd")
    for part in KINDS["systemd"]:
        assert f"# {part.written_as}\n{(DEPLOY / part.path).read_text()}" in text


def test_rules_of_the_operator_are_prometheus_rules() -> None:
    (rule,) = documents(printed("kubernetes", "rules"))
    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus" / "pktmend.rules.yml").read_text())
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


def test_choices_of_the_option_are_the_presets() -> None:
    assert tuple(CNIS) == CHOICES


SANDBOX = "eebee1ce5568761d0f4a96b9a3f60cd9d1a3e9d2c1b7a8f6e5d4c3b2a1908f7e"  # 64 digits, as containerd has them
# what each CNI's own code makes of a pod, and of its tunnels
NAMES = {
    "antrea": [
        f"{'coredns-5d78c9869d-x7x2k'[:8]}-{hashlib.sha1(SANDBOX.encode()).hexdigest()[:6]}",
        f"web-{hashlib.sha1(b'another').hexdigest()[:6]}",
        "antrea-gw0",
        "genev_sys_6081",
        "vxlan_sys_4789",
    ],
    "calico": [
        f"cali{hashlib.sha1(b'namespace.podname').hexdigest()[:11]}",
        "vxlan.calico",
        "vxlan-v6.calico",
        "wireguard.cali",
        "wg-v6.cali",
        "tunl0",
    ],
    "cilium": ["lxc09fb3e1fb8d2", "lxc_health", "cilium_host", "cilium_net", "cilium_vxlan", "cilium_geneve"],
    "flannel": ["veth5c7a8a1e", "vethb3f1f2c0", "flannel.1", "flannel-v6.1", "flannel-wg"],
    "ovn": [
        SANDBOX[:15],
        "b47b1995ada84f4",
        "3031f43d67c167f",
        f"{SANDBOX[:13]}_3",
        f"{SANDBOX[:12]}_h",
        f"{SANDBOX[:8]}_net1_h",
        "ovn-k8s-mp0",
        "ovn0",
        "genev_sys_6081",
    ],
}
OTHERS = (
    *("lo", "eth0", "ens5", "enp0s31f6", "bond0", "wlan0", "docker0", "cni0", "kube-ipvs0", "nodelocaldns", "dummy0"),
    *("ovs-system", "br-int", "br-ex", "virbr0", "br-1a2b3c4d5e6f", "tailscale0"),
)


def test_rule_of_calico_is_its_own() -> None:
    """As felix's tests have it of pod "podname" in namespace "namespace", with the prefix "eni"."""
    assert "eni" + hashlib.sha1(b"namespace.podname").hexdigest()[:11] == "eni82111e10a96"


@pytest.mark.parametrize("cni", CNIS)
def test_preset_fits_what_its_cni_makes_and_no_other_interface(cni: str) -> None:
    def fits(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in CNIS[cni])

    assert all(len(name) <= 15 for name in NAMES[cni])
    assert [name for name in NAMES[cni] if not fits(name)] == []
    assert [name for name in OTHERS if fits(name)] == []
    assert [each for each in CNIS[cni] if not any(fnmatchcase(name, each) for name in NAMES[cni])] == []


@pytest.mark.parametrize("cni", CNIS)
def test_preset_is_all_that_changes_and_the_monitor_takes_it(cni: str, tmp_path: Path) -> None:
    before, after = printed("kubernetes"), printed("kubernetes", "--cni", cni)
    ((place, settings),) = changes(before, after).items()
    assert place == "/1/data/monitor.toml"
    wanted = "interfaces = [" + ", ".join(f'"{each}"' for each in CNIS[cni]) + "]"
    assert settings == documents(before)[1]["data"]["monitor.toml"].replace('interfaces = ["veth*"]', wanted)
    (tmp_path / "monitor.toml").write_text(settings)
    done = run_inside("monitor", "--config", str(tmp_path / "monitor.toml"), "--check-config")
    assert done.returncode == 0 and wanted.replace(", ", ",") in done.stdout.decode()


@pytest.mark.parametrize(("kind", "part"), MANIFEST_PARTS, ids=ident)
def test_image_and_namespace_are_put_everywhere_they_belong(kind: str, part: Part) -> None:
    before = printed(kind, part.name)
    image = "registry.example:5000/team/pktmend@sha256:" + 64 * "0"
    options = ("--namespace", "007", *(("--image", image) if "image:" in before else ()))
    found = changes(before, printed(kind, part.name, *options))
    old = dict(leaves(documents(before)))
    for place in old:
        if place.endswith("/metadata/namespace"):
            assert found.pop(place) == "007"  # a text, not a number
        elif place.endswith("/image"):
            assert found.pop(place) == image
    namespaces = [f"/{n}/metadata/name" for n, each in enumerate(documents(before)) if each["kind"] == "Namespace"]
    assert found == dict.fromkeys(namespaces, "007")
    text = printed(kind, part.name, "--namespace", "team-a")
    assert "-n pktmend" not in text and (f"-n {'team-a'} " in text) == ("-n pktmend" in before)


def test_workloads_are_the_lines_that_are_marked_so() -> None:
    before, after = printed("kubernetes"), printed("kubernetes", "--workloads", "--cni", "cilium")
    old, new = documents(before), documents(after)
    assert "\nworkloads = true\n" in new[1]["data"]["monitor.toml"] and new[1].keys() == old[1].keys()
    template = new[2]["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    name = "container.apparmor.security.beta.kubernetes.io/monitor"
    assert template["metadata"]["annotations"].pop(name) == "unconfined" and pod.pop("hostPID") is True
    assert pod["volumes"].pop() == {"name": "logs", "hostPath": {"path": "/var/log/containers"}}
    assert container["volumeMounts"].pop() == {"name": "logs", "mountPath": "/var/log/containers", "readOnly": True}
    assert container["securityContext"]["capabilities"].pop("add") == ["NET_RAW", "SYS_PTRACE"]
    assert old[2]["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"].pop("add")
    assert new[2] == old[2] and "# workloads" not in after


@pytest.mark.parametrize("name", ["Team", "a_b", "-a", "a-", "a" * 64, "a\nb: c", "a b", "a: {}"])
def test_namespace_that_is_none_is_refused(name: str) -> None:
    assert "no name of a namespace" in refused("kubernetes", "--namespace", name)


@pytest.mark.parametrize("name", ["a b", "a\nprivileged: true", '"', "a#b", "-a", "a" * 256, "{{x}}"])
def test_image_that_is_none_is_refused(name: str) -> None:
    assert "no name of an image" in refused("kubernetes", "--image", name)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("kubernetez", "did you mean 'kubernetes'?"),
        ("nonsense", "one of: kubernetes, dask"),
        ("kubernetes docter", "did you mean 'doctor'?"),
        ("systemd --cni calico", "--cni has no place in pktmend deploy systemd"),
        ("kubernetes doctor --cni calico", "--cni has no place in pktmend deploy kubernetes doctor"),
        ("kubernetes doctor --workloads", "--workloads has no place in pktmend deploy kubernetes doctor"),
        ("kubernetes podmonitor --image x", "--image has no place"),
        ("grafana --namespace x", "--namespace has no place"),
        ("kubernetes --cni weave", "'weave' is not one of"),
        ("kubernetes --force", "--force goes with -o DIR"),
        ("--cni calico", "what shall be deployed?"),
    ],
)
def test_what_does_not_fit_is_refused(argv: str, said: str) -> None:
    assert said in refused(*argv.split())


def test_folder_gets_the_files_by_their_own_names(tmp_path: Path) -> None:
    target = tmp_path / "new" / "units"
    said = printed("systemd", "-o", str(target))
    assert said.splitlines() == [str(target / part.written_as) for part in KINDS["systemd"]]
    for part in KINDS["systemd"]:
        path = target / part.written_as
        assert path.read_bytes() == (DEPLOY / part.path).read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) & 0o111 == 0
    assert len(list(target.iterdir())) == len(KINDS["systemd"])


def test_folder_keeps_what_is_there_unless_forced(tmp_path: Path) -> None:
    mine = tmp_path / "pktmend.rules.yml"
    mine.write_text("mine\n")
    said = refused("prometheus", "-o", str(tmp_path), code=4)
    assert str(mine) in said and "--force" in said
    assert [path.name for path in tmp_path.iterdir()] == ["pktmend.rules.yml"] and mine.read_text() == "mine\n"
    printed("prometheus", "-o", str(tmp_path), "--force")
    assert mine.read_bytes() == (DEPLOY / "prometheus" / "pktmend.rules.yml").read_bytes()


def test_link_that_leads_nowhere_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "pktmend.json").symlink_to(tmp_path / "elsewhere")
    assert "there already" in refused("grafana", "-o", str(tmp_path), code=4)


IN_DOCS = sorted(
    {
        line.strip()
        for page in sorted((ROOT / "docs").glob("*.md"))
        for line in page.read_text().splitlines()
        if line.startswith(("    pktmend deploy", "pktmend deploy"))
    }
)


@pytest.mark.parametrize("line", IN_DOCS)
def test_command_of_the_documents_works(line: str, tmp_path: Path) -> None:
    """As it stands there, but nothing is applied, enabled or written outside of a folder; promtool judges its files."""
    for old, new in (
        ("kubectl apply -f -", "grep -c apiVersion"),
        ("kubectl delete -f -", "grep -c apiVersion"),
        ("/etc/systemd/system", "units"),
        ("systemctl enable --now pktmend-offload", "ls units/pktmend-offload.service"),
        ("cp pktmend-*.whl image/", "ls image/Containerfile"),
        ("~/", "./"),
    ):
        line = line.replace(old, new)
    if "cd prometheus" in line and shutil.which("promtool"):
        line += " && promtool check rules pktmend.rules.yml && promtool test rules pktmend.rules.test.yml"
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_documents_have_such_commands() -> None:
    assert len(IN_DOCS) > 8 and any("kubernetes doctor" in line for line in IN_DOCS)
