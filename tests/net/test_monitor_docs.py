"""The commands of docs/monitor.md, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pktmend.testbed.netns import Testbed
from tools import ROOT, need
from watching import Pair, good

# What `pktmend deploy` prints, and promtool looks at, is tests/unit/test_deploy_command.py's.
COMMANDS = re.findall(r"^    (pktmend (?!deploy).*)$", (ROOT / "docs" / "monitor.md").read_text(), re.MULTILINE)


def test_commands_of_the_document(tmp_path: Path) -> None:
    """Each ends well, after a second at most where it would go on for ever."""
    need("tshark")
    pytest.importorskip("rich")
    assert len(COMMANDS) >= 12
    (tmp_path / "pktmend").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pktmend "$@"\n')
    (tmp_path / "pktmend").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with Testbed() as testbed:
        pair = Pair(testbed)
        pair.node.run("ip", "link", "set", "dev", "pa", "down")
        pair.node.run("ip", "link", "set", "dev", "pa", "name", "eth0", "up")
        programs = []
        for number, command in enumerate(COMMANDS):
            if "monitor -" in command and "-c " not in command and "--duration" not in command:
                command += " --duration 3"
            command = command.replace(":9477", f":{9500 + number}")  # they run side by side
            script = f"cd {tmp_path} && PATH={path} PYTHONPATH={ROOT} {command}"
            programs.append((command, pair.node.spawn("sh", "-c", script, stderr=subprocess.PIPE)))
        while any(program.poll() is None for _, program in programs):
            pair.send([good()] * 5)
            time.sleep(0.1)
        for command, program in programs:
            assert program.stderr is not None
            assert program.wait() == 0, (command, program.stderr.read().decode())
    names = {each.name for each in tmp_path.iterdir()}
    assert {"all.pcapng", "bad.pcapng", "ring.pcapng0"} <= names and any(n.startswith("hour-2") for n in names)
