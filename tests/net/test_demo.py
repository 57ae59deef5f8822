"""The demo itself, with each switch; and that nothing of it is left, also when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pktmend.testbed import ovs
from tools import PATIENCE, ROOT, left, need, read_up_to, until

DEMO = str(ROOT / "examples" / "demo.py")


@pytest.mark.parametrize("switch", ["relay", "ovs"])
def test_demo_shows_symptom_and_cure(switch: str) -> None:
    need("curl", "ping")
    if switch == "ovs" and not ovs.is_installed():
        pytest.skip("Open vSwitch is not installed")
    demo = subprocess.Popen([sys.executable, DEMO, "--switch", switch], stdout=subprocess.PIPE, text=True)
    out, _ = demo.communicate(timeout=4 * PATIENCE)
    assert demo.returncode == 0, out
    assert out.count("  yes  ") == 5 and "NO " not in out
    assert "repaired leaked" in out and "Connection timed out" in out
    assert left(demo.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing(number: int) -> None:
    need("curl", "ping")
    demo = subprocess.Popen([sys.executable, DEMO, "--switch", "relay"], stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    read_up_to("curl", demo.stdout)
    until(lambda: len(left(demo.pid)) == 3)
    demo.send_signal(number)
    demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130
    assert left(demo.pid) == []
