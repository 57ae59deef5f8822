"""A real Prometheus in a namespace, with the rules of deploy/, and what its query API and ours say."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import Any

from pktmend.testbed.netns import Host, Testbed
from tools import PATIENCE, ROOT, until

DEPLOY = ROOT / "deploy"
PORT = 9490


def fetch(
    host: Host, path: str, port: int, method: str = "GET", *, address: str = "127.0.0.1", **headers: str
) -> tuple[int, str]:
    """Fetch from within a namespace: (status, body); (0, "") if nobody listens."""

    def inside() -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    try:
        return host.call(inside)
    except ConnectionRefusedError:
        return 0, ""


class Prometheus:
    """Scrapes 127.0.0.1:*port* of *node* each second, once await_scrape() has returned."""

    def __init__(self, testbed: Testbed, node: Host, port: int) -> None:
        self._node = node
        folder = testbed.folder()
        for path in (DEPLOY / "prometheus").iterdir():
            text = path.read_text().replace("15s", "1s").replace("127.0.0.1:9477", f"127.0.0.1:{port}")
            (folder / path.name).write_text(text)
        node.spawn(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{PORT}",
            "--log.level=error",
        )

    def await_scrape(self) -> None:
        """Wait for the first one."""
        until(lambda: self.value("up") == 1, "the first scrape", 2 * PATIENCE)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask; the result must be a success."""
        status, body = fetch(self._node, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}), PORT)
        if status in (0, 503):  # it is starting
            return []
        answer = json.loads(body)
        assert answer["status"] == "success", (expression, body)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value(self, expression: str) -> float:
        """Return the one value of a query; -1 if there is none."""
        result = self.query(expression)
        assert len(result) <= 1, (expression, result)
        return float(result[0]["value"][1]) if result else -1.0
