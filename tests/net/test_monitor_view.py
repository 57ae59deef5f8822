"""The live view in a real terminal (tmux): what it shows, its keys, narrow ones, NO_COLOR, and how it leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.testbed.netns import Testbed
from terminal import Terminal, holder_of, monitor
from tools import PATIENCE, PKTMEND, need, until
from watching import Pair, corrupt, good, leaked


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    need("tmux")
    pytest.importorskip("rich")
    with Testbed() as testbed:
        yield Pair(testbed)


def test_view_shows_counts_flows_and_the_latest_bad_packet(pair: Pair, terminal: type[Terminal]) -> None:
    seen = terminal(monitor(pair, "ip"))
    seen.shows("pktmend monitor", "watching pa")
    pair.send([good()] * 40 + [leaked()] * 30 + [corrupt()] * 2)
    seen.matches(r"^pa +\S+ +\S+ +\S+ +72 +32 +0 *$")
    screen = seen.shows("corrupt", "latest bad", "10.7.0.1:40000 > 10.7.0.2:5000", "█")
    assert re.search(r"^leaked +30 +\d+ +[▁▂▃▄▅▆▇█]", screen, re.MULTILINE), screen
    assert re.search(r"^good +112 ", screen, re.MULTILINE), screen  # 72 IPv4 headers and 40 datagrams
    assert re.search(r"^pa +udp +40 +- +- +- +30 *$", screen, re.MULTILINE), screen
    assert re.search(r"10\.7\.0\.1:40000 > 10\.7\.0\.2:5000 +30 +leaked +udp +pa", screen), screen
    assert "tcp checksum" in screen and "no known mistake explains it" in screen
    assert "? help  q quit  ↑↓ flow  Enter bytes  / filter  p pause  s sort (by packets)" in screen


def test_keys_pause_sort_and_quit(pair: Pair, terminal: type[Terminal]) -> None:
    seen = terminal(monitor(pair, "ip"))
    seen.shows("watching pa")
    pair.send([leaked()] * 3 + [corrupt()])
    order = seen.shows("leaked", "corrupt", "by packets")
    assert order.index(":5000 ") < order.index(":80 ")
    seen.press("s")
    order = seen.shows("by latest")
    assert order.index(":80 ") < order.index(":5000 ")
    seen.press("p")
    seen.shows("PAUSED", "p go on")
    pair.send([leaked()] * 5)
    before = re.search(r"^leaked +3 ", seen.screen(), re.MULTILINE)
    assert before
    seen.press("p")
    until(lambda: re.search(r"^leaked +8 ", seen.screen(), re.MULTILINE) is not None, "going on")
    seen.press("q")
    left = seen.shows("LEFT", "stopped by q", "pa: 9 packets")
    assert re.search(r"\bicanon\b", left) and "-icanon" not in left and "-echo " not in left


def test_signal_leaves_the_terminal_as_it_was(pair: Pair, terminal: type[Terminal]) -> None:
    mark = pair.testbed.folder() / "mark.pcapng"
    seen = terminal(monitor(pair, "-w", str(mark), "ip"))
    seen.shows("watching pa", "0 packets written")
    os.kill(holder_of(mark), signal.SIGTERM)
    left = seen.shows("LEFT", "stopped by a signal", "pa: ")
    assert re.search(r"\bicanon\b", left) and "-icanon" not in left


def test_narrow_and_low_terminal_wraps_nothing(pair: Pair, terminal: type[Terminal]) -> None:
    seen = terminal(monitor(pair, "ip"), 46, 14)
    seen.shows("pktmend monitor")
    pair.send([leaked()] * 9)
    screen = seen.shows("leaked", "latest bad")
    lines = screen.splitlines()
    assert lines[0].startswith("pktmend monitor") and lines[1].split() == [
        "interface",
        "packets/s",
        "Mbit/s",
        "bad/s",
        "drops",
    ]
    assert lines[2].startswith("pa ") and "q quit" in screen and len(lines) <= 14


@pytest.mark.parametrize("no_color", ["", "1"])
def test_kernel_drops_are_red_unless_there_is_no_color(pair: Pair, terminal: type[Terminal], no_color: str) -> None:
    """The monitor is stopped while its ring overflows."""
    mark = pair.testbed.folder() / "mark.pcapng"
    seen = terminal(monitor(pair, "-B", "512", "-w", str(mark), "--bad-only", "udp"), NO_COLOR=no_color)
    seen.shows("watching pa", "0 packets written")
    pid = holder_of(mark)
    os.kill(pid, signal.SIGSTOP)
    pair.send([good(1300)] * 3000)
    os.kill(pid, signal.SIGCONT)
    seen.shows("pa: the kernel dropped")
    screen = seen.screen(colours=True)
    colours = re.findall(r"\x1b\[(?:[\d;]*;)?(3[0-7]|4[0-7]|9[0-7])[;m]", screen)
    assert re.search(r"pa .* [1-9]\d+", screen)
    assert ("41" in colours) if not no_color else not colours, screen


def test_without_rich_it_prints_lines_and_a_hint(pair: Pair, terminal: type[Terminal]) -> None:
    without = ("-c", "import sys; sys.modules['rich'] = None; from pktmend.cli import main; main()")
    seen = terminal(monitor(pair, "--duration", "1.5", "udp", python=without))
    seen.shows("pip install 'pktmend[monitor]'", "packets/s", "LEFT")


def test_dumb_terminal_gets_lines(pair: Pair, terminal: type[Terminal]) -> None:
    command = f"env TERM=dumb {monitor(pair, '--duration', '1.5', 'udp')}"
    assert "interface " not in terminal(command).shows("pa  0 packets/s", "LEFT")


def test_picture_is_drawn_from_the_run(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "view.svg"
    process = pair.node.spawn(
        *PKTMEND,
        "monitor",
        "-i",
        "pa",
        "--duration",
        "1.5",
        "--picture",
        str(path),
        "ip",
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None and b"watching" in process.stderr.readline()
    pair.send([leaked()] * 6)
    assert process.wait(PATIENCE) == 0
    text = path.read_text()
    assert text.startswith("<svg") and "leaked" in text and "latest&#160;bad" in text
