"""docs/journeys.md, those of a network: run from a wheel on a node between two containers, as the page has them.

web (eth0) -- (port-web) node (port-db) -- (eth0) db      a switch in user space joins the ports, or port-db and uplink;
                                                          uplink -- (port-u) is the place for a bridge, as in the demo
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from installed import make_environment
from journeys import LIVE, Before, Done, run
from pktmend.testbed.netns import Host, Testbed
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import serve
from tools import need

SIZE = 1 << 16
CURL = "curl -s -o /dev/null -w '%{size_download}\\n' --max-time 1 http://10.7.0.1:8080/file"
TRIED = {"tcp", "watch", "bridge", "stage", "measure"}


class Node:
    """A node with two containers, of which db tries to fetch a file from web all the time."""

    def __init__(self, testbed: Testbed, folder: Path, pktmend: Path) -> None:
        self.folder, self.pktmend = folder, pktmend
        self.web, self.db, self.node = testbed.host("web"), testbed.host("db"), testbed.host("node")
        testbed.veth(self.web, "eth0", self.node, "port-web")
        testbed.veth(self.db, "eth0", self.node, "port-db")
        testbed.veth(self.node, "uplink", self.node, "port-u")
        for host, address in ((self.web, "10.7.0.1/24"), (self.db, "10.7.0.2/24")):
            host.address("eth0", address)
        self.switch = Relay(self.node)
        self.log = folder / "fetched"
        self.log.touch()
        serve(self.web, SIZE)

    def fetch(self) -> None:
        """Have db try, until the testbed ends; how much it got is a line of the log."""
        self.db.spawn("sh", "-c", f"while :; do {CURL} >>{self.log}; sleep 0.1; done")

    def fetches(self) -> bool:
        """Does a try of its own arrive whole?"""
        return self.db.run("sh", "-c", CURL, check=False).stdout == f"{SIZE}\n"

    def travel(self, name: str, before: Before | None = None) -> list[Done]:
        """Run a block on the node, where `ip netns` knows the containers by the names that the page has for them."""
        run("example", self.pktmend, self.folder)
        return run(
            name,
            self.pktmend,
            self.folder,
            inside=self.node.argv([]),
            first=names(self.web, self.db, self.node),
            before=before,
        )


def names(*hosts: Host) -> str:
    """Commands that give namespaces the names of their hosts, for this shell and what it starts."""
    opened = [f"exec {n}</run/netns/{host.namespace}" for n, host in enumerate(hosts, 10)]
    bound = [
        f"touch /run/netns/{host.name}; mount --bind /proc/self/fd/{n} /run/netns/{host.name}; exec {n}<&-"
        for n, host in enumerate(hosts, 10)
    ]
    return "\n".join(["set -e", *opened, "mount -t tmpfs none /run/netns", *bound, "set +e"])


@pytest.fixture(scope="module")
def pktmend(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("prometheus_client")
    return make_environment(tmp_path_factory.mktemp("monitor") / "environment", wheel, "prometheus_client")


@pytest.fixture
def node(tmp_path: Path, pktmend: Path) -> Iterator[Node]:
    need("curl", "ip", "mount")
    with Testbed() as testbed:
        yield Node(testbed, tmp_path, pktmend)


def test_all_of_the_page_are_tried() -> None:
    assert LIVE == TRIED


def test_tcp_is_diagnosed_cured_and_left_as_it_was(node: Node) -> None:
    node.switch.ports("port-web", "port-db")
    node.fetch()
    cured = node.folder / "cured"
    found, *cures, back = node.travel("tcp", {3: f"ip netns exec db sh -c {shlex.quote(f'{CURL} >{cured}')}"})
    assert found.code == 1 and "[metadata-lost, certain]" in found.text
    said = [cure.command.partition("#")[0].strip() for cure in cures]
    assert len(said) == 2 and all(f"$ {command}\n" in found.text for command in said), found.text
    assert [cure.code for cure in cures] == [0, 0] and cured.read_text() == f"{SIZE}\n"
    assert back.code == 0 and not node.fetches()


def test_node_is_watched(node: Node) -> None:
    node.switch.ports("port-web", "port-db")
    node.fetch()
    doctor, watched, _, metrics, _ = node.travel("watch", {3: "sleep 1.5"})
    assert doctor.code == 1 and "forwards port-web, port-db and loses" in doctor.text
    assert watched.code == 0 and re.search(r"port-(web|db).*leaked", watched.text), watched.text
    assert metrics.code == 0 and "pktmend_checks_total{" in metrics.text and 'interface="port-db"' in metrics.text


def test_bridge_repairs_by_its_file_of_settings(node: Node) -> None:
    node.switch.ports("port-db", "uplink")
    node.fetch()
    _, checked, bridged = node.travel("bridge")
    assert checked.code == 0 and re.search(r'^finish = \["port-u"\] +# bridge-web.toml$', checked.text, re.MULTILINE)
    assert bridged.code == 0 and re.search(r"repaired leaked \d+", bridged.text)
    assert f"{SIZE}\n" in node.log.read_text()


def test_stage_of_ones_own_runs(node: Node) -> None:
    _, checked, bridged = node.travel("stage")
    assert checked.code == 1 and "stage drop_bad: 1 call" in checked.text and "dropped" in checked.text
    assert bridged.code == 0 and "stage drop_bad" in bridged.text


def test_machine_is_measured(node: Node) -> None:
    sums, verified, _, sent, received = node.travel("measure")
    assert (sums.code, verified.code, sent.code, received.code) == (0, 0, 0, 0)
    assert "portable" in sums.text and "pktmend" in verified.text
    text = sent.text + received.text
    assert re.search(r"\b10,?000\b", text) and "leaked" in text, text
