"""`monitor --listen` under a real Prometheus: known traffic in, the same counts out of its query API."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import frames as f
from pktmend.testbed.netns import Testbed
from scraping import DEPLOY, PORT, Prometheus, fetch
from tools import PKTMEND, need, until
from watching import Monitor, Pair, corrupt, good, leaked

OURS = 9477


class Watched:
    """A monitor in node, and a Prometheus there that scrapes it; both on 127.0.0.1 of that namespace."""

    def __init__(self, testbed: Testbed) -> None:
        self.pair = Pair(testbed)
        self.file = testbed.folder() / "x.pcapng"
        self.monitor = Monitor(
            self.pair.node,
            "-i",
            "pa",
            "-i",
            "lo",
            "--listen",
            f":{OURS}",
            "-w",
            str(self.file),
            "--bad-only",
            "udp port 5000 or tcp port 80",
        )
        self.prometheus = Prometheus(testbed, self.pair.node, OURS)
        self.query, self.value = self.prometheus.query, self.prometheus.value
        self.prometheus.await_scrape()

    def get(self, path: str, port: int = OURS, method: str = "GET") -> tuple[int, str]:
        """Fetch from within the namespace: (status, body)."""
        return fetch(self.pair.node, path, port, method)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    need("prometheus", "promtool")
    with Testbed() as testbed:
        yield Watched(testbed)


def test_query_api_returns_the_exact_counts(watched: Watched) -> None:
    pair, before = watched.pair, watched.value('pktmend_namespace_checksum_errors_total{counter="UdpInCsumErrors"}')
    to_stack = f.leaked(pair.to_node(f.ip4 / f.udp / f.PAYLOAD))
    pair.send([leaked()] * 100 + [to_stack] * 23 + [corrupt()] * 45 + [good()] * 67)
    size = 123 * len(leaked()) + 45 * len(corrupt()) + 67 * len(good())
    expected = {
        'sum(pktmend_packets_total{interface="pa"})': 235,
        'pktmend_packets_total{interface="pa", status="bad"}': 168,
        'pktmend_packets_total{interface="pa", status="good"}': 67,
        'pktmend_packets_total{interface="pa", status="pending"}': 0,
        'pktmend_bad_checks_total{interface="pa", cause="leaked"}': 123,
        'pktmend_bad_checks_total{interface="pa", cause="corrupt"}': 45,
        'pktmend_checks_total{interface="pa", protocol="udp", status="bad"}': 123,
        'pktmend_checks_total{interface="pa", protocol="udp", status="good"}': 67,
        'pktmend_checks_total{interface="pa", protocol="tcp", status="bad"}': 45,
        'pktmend_checks_total{interface="pa", protocol="ip", status="good"}': 235,
        'pktmend_bytes_total{interface="pa"}': size,
        'pktmend_kernel_packets_total{interface="pa"}': 235,
        'pktmend_kernel_drops_total{interface="pa"}': 0,
        'sum(pktmend_packets_total{interface="lo"})': 0,
        "pktmend_written_packets_total": 168,
        "pktmend_writer_up": 1,
        "pktmend_up": 1,
    }
    until(lambda: watched.value('sum(pktmend_packets_total{interface="pa"})') >= 235, "the scrape")
    until(lambda: watched.value("pktmend_written_packets_total") >= 168, "the scrape")
    assert {query: watched.value(query) for query in expected} == expected
    kernels = 'pktmend_namespace_checksum_errors_total{counter="UdpInCsumErrors"}'
    until(lambda: watched.value(kernels) - before == 23, "the kernel's count", 20)  # looked at once a second
    until(lambda: watched.query('ALERTS{alertname="PktmendLeakedChecksums", alertstate="pending"}') != [], "the alert")


def test_metrics_are_as_promtool_wants_them(watched: Watched) -> None:
    status, text = watched.get("/metrics")
    assert status == 200 and "pktmend_build_info" in text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, "", "")


def test_every_expression_of_the_dashboard_is_accepted(watched: Watched, tmp_path: Path) -> None:
    panels = json.loads((DEPLOY / "grafana" / "pktmend.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    others = ("pktmend_bridge_", "pktmend_workload_")  # of another command or option: their own tests
    expressions = [each for each in expressions if not any(name in each for name in others)]
    assert len(expressions) >= 12
    for at, expression in enumerate(expressions):
        for word, value in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$interface", ".*"), ("$job", ".*")):
            expression = expression.replace(word, value)
        assert "$" not in expression
        expressions[at] = expression
        assert watched.query(expression) or "> 0" in expression, f"nothing comes of {expression}"
    rules = [{"record": f"panel:{at}", "expr": expression} for at, expression in enumerate(expressions)]
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_loaded_and_name_metrics_that_exist(watched: Watched) -> None:
    _, body = watched.get("/api/v1/rules", PORT)
    groups = json.loads(body)["data"]["groups"]
    rules = [rule for group in groups if group["name"] == "pktmend" for rule in group["rules"]]
    assert len(rules) == 7 and {rule["health"] for rule in rules} <= {"ok", "unknown"}
    _, text = watched.get("/metrics")
    names = {name for rule in rules for name in re.findall(r"pktmend_\w+", rule["query"])}
    assert names and all(f"\n{name}" in text for name in names), names


def test_health_and_other_paths(watched: Watched) -> None:
    assert watched.get("/healthz") == (200, "ok\n")
    assert watched.get("/healthz", method="HEAD") == (200, "")
    assert watched.get("/nonsense")[0] == 404
    listening = watched.pair.node.run("ss", "-Hltn").stdout
    assert f"127.0.0.1:{OURS}" in listening and f"0.0.0.0:{OURS}" not in listening


def test_health_is_answered_beside_clients_that_drip(watched: Watched) -> None:
    """Two hundred that send a byte each 0.2 s, and connect again when they are ended: every probe is answered."""
    stop = threading.Event()

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", OURS), timeout=2)

    def drip(clients: list[socket.socket]) -> None:
        while not stop.wait(0.2):
            for i, each in enumerate(clients):
                try:
                    each.send(b"G", socket.MSG_DONTWAIT)
                except OSError:
                    each.close()
                    clients[i] = watched.pair.node.call(connect)

    clients = watched.pair.node.call(lambda: [connect() for _ in range(200)])
    attacker = threading.Thread(target=drip, args=(clients,))
    attacker.start()
    try:
        answers = [_answers(watched) for _ in range(15) if not time.sleep(0.2)]
    finally:
        stop.set()
        attacker.join()
        for each in clients:
            each.close()
    assert answers == [True] * 15
    assert watched.monitor.process.poll() is None


def test_a_request_has_two_seconds_however_it_drips(watched: Watched) -> None:
    client = watched.pair.node.call(lambda: socket.create_connection(("127.0.0.1", OURS), timeout=0.2))
    started = time.monotonic()
    with client:
        while time.monotonic() - started < 10:
            try:
                client.send(b"G")
                if not client.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert 1.5 < time.monotonic() - started < 9


def _answers(watched: Watched) -> bool:
    try:
        return watched.get("/healthz")[0] == 200
    except OSError:
        return False
    except http.client.HTTPException:
        return False


@pytest.mark.parametrize(
    "command", ["check rules pktmend.rules.yml", "test rules pktmend.rules.test.yml", "check config prometheus.yml"]
)
def test_rules_pass_promtool(command: str) -> None:
    need("promtool")
    done = subprocess.run(
        [shutil.which("promtool") or "", *command.split()],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_port_that_is_taken_is_exit_4(watched: Watched) -> None:
    done = watched.pair.node.run(*PKTMEND, "monitor", "-i", "pa", "--listen", f":{OURS}", check=False)
    assert done.returncode == 4 and f":{OURS}" in done.stderr and done.stderr.count("\n") == 1


def test_last_it_ends_and_its_lines_are_valid(watched: Watched) -> None:
    last = watched.monitor.end()
    assert last["file"]["written"] == 168 and watched.get("/healthz")[0] == 0
