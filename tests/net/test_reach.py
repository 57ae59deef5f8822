"""docs/reach.md: its commands reach the packets of a namespace as they stand there.

What another machine or a container runtime would answer is played by a program of the same name that is first on PATH:
`ssh HOST WORDS` hands the words to a shell, `docker inspect` and others print the process that they are asked for.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.testbed.netns import Host, Testbed
from tools import ROOT, need

PAGE = (ROOT / "docs" / "reach.md").read_text()
COMMANDS = re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)
CLUSTERS = ("kubectl", "docker run", "podman run")  # options: tests/unit/test_journeys.py
ELSEWHERE = re.compile(r"default/web-0|\| wireshark|monitor -i any")  # pods: test_workload_names.py; a screen; no end
TRIED = [each for each in COMMANDS if not each.startswith(CLUSTERS) and not ELSEWHERE.search(each)]
SSH = 'shift\nexec sh -c "$*"\n'
INSPECT = {
    "docker": "inspect --format {{.State.Pid}} web",
    "podman": "inspect --format {{.State.Pid}} web",
    "crictl": "inspect --output go-template --template {{.info.pid}} 6a825448c5ef",
}


@pytest.fixture(scope="module")
def web() -> Iterator[tuple[Host, int]]:
    """A container's namespace with traffic that is right and traffic that has leaked; a process in it."""
    need("ip", "nsenter", "tcpdump", "ping")
    with Testbed() as testbed:
        web, node = testbed.host("web"), testbed.host("node")
        testbed.veth(web, "eth0", node, "port")
        web.address("eth0", "10.7.0.1/24")
        node.address("port", "10.7.0.2/24")
        web.run("ping", "-c", "1", "-W", "5", "10.7.0.2")
        process = web.spawn("ping", "-i", "0.05", "10.7.0.2")
        yield web, process.pid


@pytest.fixture
def environment(web: tuple[Host, int], tmp_path: Path) -> dict[str, str]:
    """PATH with the programs that play the others."""
    programs = {"ssh": SSH} | {
        name: f'[ "$*" = "{words}" ] || exit 2\necho {web[1]}\n' for name, words in INSPECT.items()
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_commands_were_found() -> None:
    assert len(TRIED) == 12 and len(COMMANDS) > 18, TRIED


@pytest.mark.parametrize("command", TRIED)
def test_command_reaches_the_packets(web: tuple[Host, int], environment: dict[str, str], command: str) -> None:
    host, pid = web
    line = command.replace("1000", "30").replace("4711", str(pid))
    line = re.sub(r"(--netns|netns exec) web\b", rf"\1 {host.namespace}", line)
    if command.startswith("ssh") and "ip netns exec" not in command:  # the other machine's own network
        line = line.replace("ssh root@node ", f"ssh root@node ip netns exec {host.namespace} ", 1)
    if "tshark" in line:
        need("tshark")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    if "tshark" not in line:  # that one shows bad packets, and there are none
        assert "30 packets" in done.stdout and re.search(r"icmp +good \d", done.stdout), (line, done.stdout)
