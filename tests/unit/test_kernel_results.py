"""What `make test-kernel` finds becomes the page's tables, and nothing else does."""

from __future__ import annotations

import re
from pathlib import Path

import chosen
import results
from tools import ROOT

SAID = """collecting ... collected 9 items

tests/net/test_tunnel.py::test_tcp_in_a_tunnel[gre-csum-plain] PASSED    [ 11%]
tests/net/test_tunnel.py::test_tcp_in_a_tunnel[ipip-{remote}-finish] FAILED [ 22%]
tests/net/test_tunnel.py::test_tcp_in_a_tunnel_on_a_port_nobody_knows[geneve-plain] ERROR [ 33%]
tests/net/test_tunnel.py::test_port_of_each_kind_of_receiver[y] SKIPPED (no fou) [ 44%]
tests/net/test_tunnel.py::test_port_of_each_kind_of_receiver[z] SKIPPED (no fou (modprobe it)) [ 55%]
tests/net/test_lab.py::test_case_is_seen_diagnosed_and_cured[relay] PASSED [ 66%]
tests/net/test_lab.py::test_case_is_seen_diagnosed_and_cured[tap] PASSED [ 77%]
tests/net/test_kernel_judge.py::test_suspect_is_left_to_user_space[a tunnel, pending] PASSED [ 88%]
tests/unit/test_wheel.py::test_wheel_works_in_a_clean_environment_of[3.12] PASSED [100%]
SKIPPED [1] tests/net/test_tunnel.py:108: this kernel has no fou
"""
TCP = "`bridge` carries TCP in Geneve, GRE and IPIP"
PORTS = "Geneve, FOU, GUE and bareudp: their ports are found"
JUDGED = "the BPF programs judge and order frames as user space does"
RELAY = "`lab run relay`: found by bare `diagnose`, cured"
WHEEL = "Python 3.12: the wheel, in a clean environment"


def test_what_pytest_says_is_counted_by_group_and_reason() -> None:
    assert results.read_said(SAID.splitlines(keepends=True)) == {
        PORTS: {"passed": 0, "failed": 0, "skipped": {"no fou": 2}},
        TCP: {"passed": 1, "failed": 2, "skipped": {}},
        JUDGED: {"passed": 1, "failed": 0, "skipped": {}},
        RELAY: {"passed": 1, "failed": 0, "skipped": {}},
        WHEEL: {"passed": 1, "failed": 0, "skipped": {}},
    }


def test_run_takes_the_place_of_the_last_one_started_that_way(tmp_path: Path) -> None:
    kept, page = tmp_path / "runs.json", tmp_path / "page.md"
    page.write_text(f"before\n{results.BEGIN}what was\n{results.END}behind\n")
    seen = {"machine": "x86_64", "pktmend": "1.0", "python": "3.11.7"}
    here = {WHEEL: {"passed": 1, "failed": 0, "skipped": {}}, TCP: {"passed": 0, "failed": 0, "skipped": {"no gre": 2}}}
    for kernel, how, groups in (
        ("6.18.44", "make test-kernel KERNEL=running", here),
        ("6.1.0-57-amd64", "make test-kernel", {TCP: {"passed": 1, "failed": 2, "skipped": {}}}),
        ("6.1.0-58-amd64", "make test-kernel", {TCP: {"passed": 3, "failed": 0, "skipped": {}}}),
    ):
        results.keep({**seen, "kernel": kernel, "how": how, "groups": groups}, kept, page)
    assert [run["kernel"] for run in results.read_runs(kept)] == ["6.1.0-58-amd64", "6.18.44"]
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("behind\n") and "what was" not in text and "57" not in text
    assert "| | Linux 6.1.0-58-amd64 | Linux 6.18.44 |" in text and f"| {TCP} | 3 passed | 2 skipped: no gre |" in text
    assert "| | Linux 6.18.44, x86_64 |" in text and f"| {WHEEL} | 1 passed |" in text
    assert f"| {RELAY} | not run | not run |" in text


def test_part_of_a_run_is_put_to_the_rest_of_it(tmp_path: Path) -> None:
    """Of the same kernel and version; what both ran is the later one's."""
    kept, page = tmp_path / "runs.json", tmp_path / "page.md"
    page.write_text(f"{results.BEGIN}{results.END}")
    seen = {"machine": "x86_64", "kernel": "6.1.0", "how": "make test-kernel", "python": "3.11.7"}
    one, two = ({"passed": n, "failed": 0, "skipped": {}} for n in (1, 2))
    for version, groups in (("1.0", {TCP: one, PORTS: one}), ("1.0", {TCP: two, RELAY: two}), ("1.1", {RELAY: one})):
        results.keep({**seen, "pktmend": version, "groups": groups}, kept, page)
        found = [run["groups"] for run in results.read_runs(kept)]
        assert found == [{TCP: two, PORTS: one, RELAY: two} if groups == {TCP: two, RELAY: two} else groups]


def test_page_has_what_the_runs_found() -> None:
    runs = results.read_runs()
    assert f"{results.BEGIN}\n{results.tables(runs)}\n{results.END}" in results.PAGE.read_text()
    for group in {name: group for run in runs for name, group in run["groups"].items()}:
        assert group in {**chosen.KERNELS, **chosen.OTHERS}, "what is not run any more"


def test_chosen_tests_are_there() -> None:
    for argument in chosen.arguments({**chosen.KERNELS, **chosen.OTHERS}):
        path, _, function = argument.partition("::")
        assert not function or re.search(
            rf"^def {function.partition('[')[0]}\(", (ROOT / path).read_text(), re.MULTILINE
        )
