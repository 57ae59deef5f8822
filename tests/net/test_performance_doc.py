"""The commands of docs/performance.md run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, ROOT

TEXT = (ROOT / "docs" / "performance.md").read_text()
COMMANDS = re.findall(r"^    pktmend (.*)$", TEXT, re.MULTILINE)


def words(command: str) -> list[str]:
    return shlex.split(command.partition(" #")[0])


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--quick" in c and "--compare" not in c])
def test_quick_commands(command: str, tmp_path: Path) -> None:
    subprocess.run([*PKTMEND, *words(command)], cwd=tmp_path, check=True, capture_output=True)
    if "--save" in command:
        after = next(c for c in COMMANDS if "--compare" in c)
        done = subprocess.run([*PKTMEND, *words(after)], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert "fewer than three rounds" in done.stdout  # as the text says


def test_a_path_of_your_own() -> None:
    receive = next(c for c in COMMANDS if c.startswith("bench receive"))
    generate = next(c for c in COMMANDS if c.startswith("bench gen"))
    with Testbed() as testbed:
        a, b = testbed.host("a"), testbed.host("b")
        testbed.veth(a, "eth0", b, "eth1")
        argv = [*PKTMEND, *words(receive.rstrip("& ")), "--json"]
        receiver = b.spawn(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert receiver.stderr is not None and b"receiving" in receiver.stderr.readline()
        sent = json.loads(a.run(*PKTMEND, *words(generate), "--json").stdout.splitlines()[-1])["generated"]
        out, _ = receiver.communicate(timeout=PATIENCE)
        got = json.loads(out)["received"]
    assert sent["checks"]["udp"] == got["checks"]["udp"]
    udp = got["checks"]["udp"]
    assert udp["bit-flip"] == 5 and udp["leaked"] in (49, 50)  # both fall due with the last frame
    assert [run["received"] for run in got["runs"]] == [5000] == [sent["sent"]]


def options_of(*command: str) -> set[str]:
    """Return the options that --help names."""
    done = subprocess.run([*PKTMEND, *command, "--help"], check=True, capture_output=True, text=True)
    return set(re.findall(r"--[a-z][a-z0-9-]+", done.stdout))


def test_every_option_of_the_tables_exists() -> None:
    gen = TEXT[TEXT.index("| option of `gen`") : TEXT.index("It sends to no interface")]
    tune = TEXT[TEXT.index("## Tune") :]
    assert set(re.findall(r"--[a-z][a-z0-9-]+", gen)) <= options_of("bench", "gen")
    assert set(re.findall(r"--[a-z][a-z0-9-]+", tune)) <= options_of("bridge")
    for command in COMMANDS:
        name = words(command)[1]
        assert set(re.findall(r"--[a-z][a-z0-9-]+", command)) <= options_of("bench", name), command
