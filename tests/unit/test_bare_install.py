"""`pip install pktmend` alone does the daily work; what needs an extra says so in a line and ends with 4.

Every command runs from a wheel in an environment of its own, outside of this tree, where nothing else is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installed import leaf_commands
from tools import ROOT

LEAKED = ROOT / "examples" / "leaked.pcap"
OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
PLACE = "import sysconfig; print(sysconfig.get_path('purelib'))"
EXTRAS = ("jinja2", "prometheus_client", "rich", "zstandard", "pyarrow", "duckdb", "distributed", "fsspec", "isal")
# what a command may end with here, its extras aside: all but "a traceback"
DONE, FOUND, PROGRAM, PRIVILEGE = 0, 1, 4, 3
RUNS = {
    "bridge": ("bridge -i lo -I nosuch0", {PROGRAM}),
    "monitor": ("monitor -i lo --duration 0.3", {DONE}),
    "check": (f"check -r {LEAKED} --at wire", {FOUND}),
    "diagnose": (f"diagnose -r {LEAKED}", {FOUND}),
    "fix": (f"fix -r {LEAKED} -w $T/out.pcapng", {DONE}),
    "doctor": ("doctor lo", {DONE, FOUND}),
    "offload": ("offload -i lo", {DONE}),
    "lab list": ("lab list", {DONE}),
    "lab run": ("lab run relay", {DONE, FOUND, PRIVILEGE, PROGRAM}),
    "bench sum": ("bench sum --quick", {DONE}),
    "bench verify": ("bench verify --quick", {DONE}),
    "bench read": ("bench read --quick", {DONE}),
    "bench monitor": ("bench monitor --quick", {PROGRAM}),
    "bench stage": ("bench stage --quick", {PROGRAM}),
    "bench bridge": ("bench bridge --quick", {PROGRAM}),
    "bench no-drop": ("bench no-drop --quick --size 60 --seconds 0.1", {DONE, PRIVILEGE, PROGRAM}),
    "bench ring": ("bench ring --quick", {PROGRAM}),
    "bench all": ("bench all --quick", {DONE, PROGRAM}),
    "bench gen": ("bench gen -i lo --count 10", {DONE}),
    "bench receive": ("bench receive -i lo --duration 0.3", {DONE}),
    "extcap": ("extcap --extcap-interfaces", {DONE}),
    "query": ("query $T worst-hosts", {PROGRAM}),
    "deploy": ("deploy kubernetes --cni cilium", {DONE}),
    "stages": ("stages", {DONE}),
    "schema": ("schema monitor", {DONE}),
    "kernels": ("kernels", {DONE}),
    "help": ("help glossary", {DONE}),
    "completion": ("completion bash", {DONE}),
    "example": ("example leaked", {DONE}),
}
WANTING = {
    "monitor -i lo --listen 127.0.0.1:0 --duration 0.3": "pip install 'pktmend[monitor]'",
    "bridge -i lo -I nosuch0 --listen 127.0.0.1:0": "pip install 'pktmend[monitor]'",
    "monitor -i lo --picture $T/x.svg --duration 0.3": "pip install 'pktmend[monitor]'",
    f"diagnose -r {LEAKED} --report $T/x.html": "pip install 'pktmend[report]'",
    f"check -r {LEAKED} --report $T/x.html": "pip install 'pktmend[report]'",
    "doctor lo --report $T/x.html": "pip install 'pktmend[report]'",
    "check -r $T/x.pcap.zst": "pip install 'pktmend[zstd]'",
    "diagnose -r $T/x.pcap.zst": "pip install 'pktmend[zstd]'",
    "fix -r $T/x.pcap.zst -w $T/x.pcap": "pip install 'pktmend[zstd]'",
    f"check -r {LEAKED} -o $T/rows": "pip install 'pktmend[arrow]'",
    "query $T worst-hosts": "pip install 'pktmend[sql]'",
    f"check {LEAKED} --scheduler tcp://127.0.0.1:8786": "pip install 'pktmend[cluster]'",
    "check memory://x.pcap": "pip install 'pktmend[cluster]'",
}


def run(bare: Path, folder: Path, line: str, path: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
    """Run a command with a loopback of its own, and no program to be found unless *path* has it."""
    begin = "/usr/sbin/ip link set dev lo up 2>/dev/null || /sbin/ip link set dev lo up; "
    if subprocess.run([*OWN_NETWORK, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user and network namespaces here")
    command = f"{begin} cd {folder}; T={folder}; PATH={path} exec {bare} {line}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [*OWN_NETWORK, "sh", "-c", command],
        env=environment,
        capture_output=True,
        errors="replace",
        timeout=600,
        check=False,
    )


def test_the_environment_has_no_extra(bare: Path) -> None:
    program = "import importlib.util as u, sys; sys.exit(any(u.find_spec(name) for name in sys.argv[1:]))"
    done = subprocess.run([bare.with_name("python"), "-I", "-c", program, *EXTRAS], check=False)
    assert done.returncode == 0


def test_wheel_has_completions_and_manual_page_where_they_are_looked_for(bare: Path) -> None:
    site = Path(subprocess.check_output([bare.with_name("python"), "-c", PLACE], text=True).strip())
    (share,) = (path / "data" / "share" for path in site.glob("pktmend-*.data"))
    for name in (
        "man/man1/pktmend.1",
        "bash-completion/completions/pktmend.bash",
        "zsh/site-functions/_pktmend",
        "fish/vendor_completions.d/pktmend.fish",
    ):
        assert (share / name).stat().st_size > 100


def test_wheel_has_what_is_deployed(bare: Path) -> None:
    site = Path(subprocess.check_output([bare.with_name("python"), "-c", PLACE], text=True).strip())
    files = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert (site / "pktmend" / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_every_command_has_a_run() -> None:
    assert {name for name, _ in leaf_commands()} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_command_runs_without_any_extra(bare: Path, tmp_path: Path, name: str) -> None:
    line, codes = RUNS[name]
    done = run(bare, tmp_path, line)
    assert done.returncode in codes, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    if done.returncode == PROGRAM:
        assert done.stderr.splitlines()[-1].startswith("pktmend: "), done.stderr


@pytest.mark.parametrize("line", WANTING)
def test_what_needs_an_extra_says_which_and_ends_with_4(bare: Path, tmp_path: Path, line: str) -> None:
    if ".zst" in line and sys.version_info >= (3, 14):
        pytest.skip("the standard library has zstd")
    (tmp_path / "x.pcap.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(60))
    done = run(bare, tmp_path, line)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
    assert WANTING[line] in done.stderr
