"""`bridge --listen` under a real Prometheus: known traffic through it, the same counts out of the query API."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from line import Line, open_tap, put, states
from pktmend.testbed.netns import Host, Testbed
from running import RunningBridge
from scraping import DEPLOY, PORT, Prometheus, fetch
from tools import need, until
from watching import corrupt, good, leaked

OURS = 9479
FROM_A = '{from="pa", to="pb"'


def get(host: Host, path: str, **headers: str) -> tuple[int, str]:
    """Ask the bridge."""
    return fetch(host, path, OURS, **headers)


class Watched:
    """A bridge, and a Prometheus beside it that scrapes it."""

    def __init__(self, line: Line, bridge: RunningBridge, prometheus: Prometheus) -> None:
        self.line, self.bridge = line, bridge
        self.query, self.value = prometheus.query, prometheus.value
        prometheus.await_scrape()


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    need("prometheus", "promtool")
    with Testbed() as testbed:
        line = Line(testbed)
        line.silence()
        prometheus = Prometheus(testbed, line.node, OURS)
        with line.bridged("--listen", f":{OURS}", "--corrupt", "drop", "--finish", "pb", "--isolate") as bridge:
            yield Watched(line, bridge, prometheus)


def send(line: Line, frames: list[bytes]) -> None:
    with open_tap(line.a, "eth0") as out:
        for frame in frames:
            put(out, frame)


def test_query_api_returns_the_exact_counts(watched: Watched) -> None:
    send(watched.line, [leaked()] * 31 + [corrupt()] * 17 + [good()] * 52)
    until(lambda: watched.value(f"pktmend_bridge_arrived_total{FROM_A}}}") >= 100, "the scrape")
    until(lambda: watched.value(f'pktmend_bridge_repaired_total{FROM_A}, cause="leaked"}}') >= 31, "the scrape")
    carried = max(0.0, watched.value(f"pktmend_bridge_cut_through_frames_total{FROM_A}}}"))
    assert carried in (0, 52)  # without the kernel's part, or with it
    expected = {
        "arrived_total{%s}": 100,
        "kernel_drops_total{%s}": 0,
        "read_total{%s}": 100 - carried,
        "sent_total{%s}": 83 - carried,
        "held{%s}": 0,
        'repaired_total{%s, cause="leaked"}': 31,
        'repaired_total{%s, cause="corrupt"}': 0,
        'dropped_total{%s, reason="corrupt"}': 17,
        'dropped_total{%s, reason="loop"}': 0,
        'tx_error_total{%s, errno="ENOBUFS"}': 0,
        'checks_total{%s, protocol="udp", status="good"}': 52,
        'checks_total{%s, protocol="ip", status="good"}': 100,
        'bad_checks_total{%s, cause="corrupt"}': 17,
        "cut_through_lost_total{%s}": 0,
    }
    if carried:
        size = 52 * len(good())
        expected |= {
            "cut_through_bytes_total{%s}": size,
            'cut_through_checks_total{%s, protocol="udp", status="good"}': 52,
            "cut_through_up{%s}": 1,
        }
    queries = {f"pktmend_bridge_{each}" % 'from="pa", to="pb"': n for each, n in expected.items()}
    assert {query: watched.value(query) for query in queries} == queries
    assert watched.value('sum(pktmend_bridge_arrived_total{from="pb", to="pa"})') == 0
    assert watched.value("sum(pktmend_bridge_workers)") == watched.value('pktmend_bridge_workers{state="running"}') == 2
    assert watched.value("pktmend_up") == 1 and watched.value("pktmend_bridge_loop") == 0
    kept = 'pktmend_bridge_attachment_in_force{interface="pa", purpose="isolation"}'
    assert watched.value(kept) == 1


def test_what_is_finished_is_counted(watched: Watched) -> None:
    """Partial checksums of a's own stack, completed on the way out of pb: by the kernel or by us."""
    before = watched.value(f'sum(pktmend_bridge_checks_total{FROM_A}, status="pending"}})')
    watched.line.a.run("ping", "-c", "1", "-W", "1", "10.7.0.2", check=False)  # the neighbours know each other then
    watched.line.a.run("bash", "-c", "echo x >/dev/udp/10.7.0.2/9")
    until(
        lambda: watched.value(f'sum(pktmend_bridge_checks_total{FROM_A}, status="pending"}})') == before + 1,
        "the scrape",
    )
    (d,) = (d for d in watched.bridge.directions if d["from"] == "pa")
    if "cut_through" not in d:
        assert watched.value(f"pktmend_bridge_finished_total{FROM_A}}}") >= 1


def test_metrics_rules_and_dashboard_fit_each_other(watched: Watched) -> None:
    status, text = get(watched.line.node, "/metrics")
    assert status == 200
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, "", "")
    _, body = fetch(watched.line.node, "/api/v1/rules", PORT)
    rules = [
        rule
        for group in json.loads(body)["data"]["groups"]
        if group["name"] == "pktmend-bridge"
        for rule in group["rules"]
    ]
    assert len(rules) == 6 and {rule["health"] for rule in rules} <= {"ok", "unknown"}
    panels = json.loads((DEPLOY / "grafana" / "pktmend.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    expressions = [each for each in expressions if "pktmend_bridge" in each]
    assert len(expressions) >= 8
    for expression in (*expressions, *(rule["query"] for rule in rules)):
        for name in re.findall(r"pktmend_bridge_\w+", expression):
            assert f"\n{name}" in text or "cut_through" in name, name
        for word, value in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$interface", ".*"), ("$job", ".*")):
            expression = expression.replace(word, value)
        watched.query(expression)  # Prometheus takes it


def test_it_serves_with_all_walls_up_and_ends_as_ever(watched: Watched) -> None:
    """Runs last of those with this bridge."""
    node = watched.line.node
    found = states(watched.bridge.process.pid)
    assert len(found) >= 4  # ourselves, a worker, the server, and what writes the output
    assert {(each["CapEff"], each["NoNewPrivs"], each["Seccomp"]) for each in found} == {("0" * 16, "1", "2")}
    assert get(node, "/healthz") == (200, "ok\n")
    assert get(node, "/nothing")[0] == 404 and "PktmendBridgeDropping" in get(node, "/runbook")[1]
    assert get(node, "/", Host="evil.example")[0] == 403
    listening = node.run("ss", "-Hltn").stdout
    assert f"127.0.0.1:{OURS}" in listening and f"0.0.0.0:{OURS}" not in listening
    watched.bridge.stop(signal.SIGHUP)
    assert get(node, "/healthz") == (0, "")


STAGE = """
import time
def sleeps(batch):
    time.sleep(60)
"""
SOON = """
import sys
from pktmend.serving import health
health.STALE_SECONDS = 2.0
from pktmend.cli import main
sys.argv[0] = "pktmend"
main()
"""


def test_health_tells_of_a_worker_that_hangs(line: Line, tmp_path: Path) -> None:
    """In a stage that does not return; the process itself, and what it serves, go on."""
    (tmp_path / "stage.py").write_text(STAGE)
    bridge = line.node.spawn(
        *(sys.executable, "-P", "-c", SOON, "bridge", "-i", "pa", "-I", "pb", "--listen", f":{OURS}"),
        *("--stage", f"{tmp_path / 'stage.py'}:sleeps"),
    )
    until(lambda: get(line.node, "/healthz")[0] == 200, "the bridge")
    send(line, [good()])
    until(lambda: get(line.node, "/healthz") == (503, "a worker hangs: no progress for 2 s and more\n"), "the notice")
    text = get(line.node, "/metrics")[1]
    assert re.search(r'^pktmend_bridge_workers\{state="hanging"\} [12]\.0$', text, re.MULTILINE)
    assert "\npktmend_up 0.0\n" in text and "not well: a worker hangs" in get(line.node, "/")[1]
    bridge.kill()
