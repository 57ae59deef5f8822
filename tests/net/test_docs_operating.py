"""docs/operating.md: its commands run as they stand there, and the bridge says what it says."""

from __future__ import annotations

import re
import sys

import pytest

from line import Line
from test_faults import FAULTS, GONE
from tools import ROOT

TEXT = (ROOT / "docs" / "operating.md").read_text()
COMMANDS = [line.strip() for line in re.findall(r"^    (\S.*)$", TEXT, re.MULTILINE)]
BRIDGES = [command for command in COMMANDS if "pktmend bridge" in command]


def test_commands_of_the_document_were_found() -> None:
    assert len(BRIDGES) == 6 and len(COMMANDS) == 10


@pytest.mark.parametrize("command", BRIDGES)
def test_bridge_command_runs(line: Line, command: str) -> None:
    if "to-hop" in command:
        for each in COMMANDS[:3]:
            line.node.run(*each.partition("#")[0].split())
    words = command.replace("pktmend", f"{sys.executable} -P -m pktmend").split()
    done = line.node.run(*words, "--duration", "0.3")
    said = [line for line in done.stderr.splitlines() if line.startswith("pktmend: ")]
    assert said[0].startswith("pktmend: bridging") and "kernel saw" in done.stdout
    if "--verbose" in command:
        transcript = re.search(r"```\n(pktmend: bridging pa and pb\n.*?)```", TEXT, re.DOTALL)
        assert transcript is not None

        def without_ids(lines: list[str]) -> list[str]:
            """As it is run, on any kernel."""
            lines = [re.sub(r"thread \d+ \((python3?|pktmend)\)", "thread N", line) for line in lines]
            return [re.sub(r"Landlock (\d+|off)$", "Landlock V", line) for line in lines]

        assert without_ids(said) == without_ids(transcript[1].splitlines())


def test_command_that_undoes_an_isolation_is_the_one_that_is_printed(line: Line) -> None:
    from pktmend._kernel import lib
    from pktmend.host import tc_filter
    from pktmend.host.clsact import Filter

    ours = Filter(tc_filter.PREFERENCE, tc_filter.FIRST_HANDLE + 1, "bpf", lib.ETH_P_ALL, 0)
    assert tc_filter.command_to_take_out("pa", ours) == COMMANDS[5]
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    line.node.run(*COMMANDS[5].split())


def test_every_event_is_in_the_table() -> None:
    """The faults under traffic check that these words are said; here, that they are documented."""
    assert set(GONE) == set(FAULTS["deleted"].told)
    for name in ("link down 5 s", "deleted", "offloads off"):
        for words in FAULTS[name].told:
            assert f"`{words}`" in TEXT
    for name in ("rename", "mtu 900"):
        assert f"`{FAULTS[name].told[0]}`" in TEXT


def test_reasons_of_drops_are_those_of_the_engine() -> None:
    from pktmend.enums import Drop

    named = set(re.findall(r"`dropped\.([a-z-]+)`", TEXT))
    assert len(named) == 4 and named <= {str(drop) for drop in Drop}
