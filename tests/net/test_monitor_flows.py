"""The keys of the live view in a real terminal (tmux): select a flow, read its packets' bytes, filter, help."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from scapy.all import UDP

import frames as f
from pktmend.testbed.netns import Testbed
from terminal import Terminal, holder_of, monitor
from tools import need, until
from watching import Pair, corrupt, good, leaked

RIGHT = f.raw(f.ether / f.ip4 / UDP(sport=40000, dport=5000) / f.PAYLOAD)[40:42]
REVERSED = r"\x1b\[(?:[\d;]*;)?7(?:;[\d;]*)?m(?:\x1b\[[\d;]*m)*"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    need("tmux")
    pytest.importorskip("rich")
    with Testbed() as testbed:
        yield Pair(testbed)


@pytest.fixture
def seen(pair: Pair, terminal: type[Terminal]) -> Terminal:
    """Return a view, on the usual small terminal, of 30 leaked datagrams and two corrupt segments."""
    found = terminal(monitor(pair, "ip"), 80, 24)
    found.shows("watching pa")
    pair.send([good()] * 5 + [leaked()] * 30 + [corrupt()] * 2)
    found.shows(":5000 ", ":80 ", "latest bad")
    return found


def test_flow_is_selected_and_its_last_packets_are_read(seen: Terminal, pair: Pair) -> None:
    seen.press("Down")
    seen.matches(r"^▌10\.7\.0\.1:40000 > 10\.7\.0\.2:5000 +30 +leaked", r"^ 10\.7\.0\.1:40000 > 10\.7\.0\.2:80 +2 ")
    seen.press("Enter")
    field = leaked()[40:42]
    seen.shows(
        "pa: 30 bad packets",
        "packet 1 of 4 kept, the latest",
        f"udp checksum at byte 40: {field.hex()}, right is {RIGHT.hex()}",
        f"[{field.hex(' ')}]",
        "summed: bytes 34 to 142",
    )
    assert re.search(r"\x1b\[[\d;]*7m(\x1b\[[\d;]*m)*" + field.hex(" "), seen.screen(colours=True)), (
        "it is not reversed"
    )
    seen.press("Left", "Left", "Left", "Left")
    seen.shows("packet 4 of 4 kept, 3 before the latest")
    seen.press("j")
    seen.shows("pa: 2 bad packets", "packet 1 of 2 kept", f"[{corrupt()[50:52].hex(' ')}]", "the packet was damaged")
    pair.send([corrupt()])
    seen.shows("pa: 3 bad packets", "packet 1 of 2 kept")  # what is read does not change under the reader
    seen.press("Enter")
    seen.shows("packet 1 of 3 kept")
    seen.press("Escape", "Escape")
    until(lambda: "▌" not in seen.screen() and "worst flows" in seen.screen(), "leaving the packet, then the flow")


def test_filter_shows_what_fits_and_its_letters_are_no_keys(seen: Terminal) -> None:
    seen.press("/")
    seen.shows("filter: █", "2 of 2 flows")
    seen.press("-l", "tcq")
    seen.shows("filter: tcq█", "0 of 2 flows", "none")
    seen.press("BSpace")
    seen.press("-l", "p")
    screen = seen.shows("filter: tcp█", "1 of 2 flows", ":80 ")
    assert ":5000 " not in screen.partition("latest bad")[0]
    seen.press("Enter")
    seen.shows("worst flows with 'tcp'", "Esc all flows")
    seen.press("Escape")
    seen.shows(":5000 ", ":80 ", "? help  q quit  ↑↓ flow")


def test_help_is_shown_on_a_small_terminal_and_left(seen: Terminal) -> None:
    seen.press("?")
    screen = seen.shows("pktmend monitor", "select a flow", "pktmend help verdicts", "Esc back")
    assert "worst flows" not in screen and len(screen.splitlines()) <= 24
    seen.press("Escape")
    seen.shows("worst flows")


def test_without_colours_the_field_is_still_marked(pair: Pair, terminal: type[Terminal]) -> None:
    seen = terminal(monitor(pair, "ip"), 80, 24, NO_COLOR="1")
    seen.shows("watching pa")
    pair.send([leaked()])
    seen.shows(":5000 ")
    seen.press("Enter")
    field = leaked()[40:42].hex(" ")
    seen.shows(f"[{field}]")
    screen = seen.screen(colours=True)
    assert re.search(REVERSED + field, screen), screen
    assert not re.search(r"\x1b\[(?:[\d;]*;)?(3[0-7]|4[0-7]|9[0-7])[;m]", screen), screen


def test_terminal_is_left_as_it_was_from_every_page(pair: Pair, terminal: type[Terminal]) -> None:
    for number, keys in enumerate((["Enter"], ["?"], ["/", "x"])):
        mark = pair.testbed.folder() / f"mark-{number}.pcapng"
        seen = terminal(monitor(pair, "-w", str(mark), "ip"), 80, 24)
        seen.shows("watching pa", "0 packets written")
        pair.send([leaked()])
        seen.shows(":5000 ")
        seen.press(*keys)
        seen.shows({"Enter": "packet 1 of 1 kept", "?": "Esc back", "/": "filter: x█"}[keys[0]])
        os.kill(holder_of(mark), signal.SIGTERM)
        left = seen.shows("LEFT", "stopped by a signal", "pa: ")
        assert re.search(r"\bicanon\b", left) and "-icanon" not in left and "-echo " not in left


def test_terminal_is_left_as_it_was_by_a_fault_of_our_own(pair: Pair, terminal: type[Terminal]) -> None:
    program = (
        "from pktmend.commands.monitor.state import State; State.press = lambda *_: 1 / 0; import pktmend.cli as c"
    )
    seen = terminal(monitor(pair, "ip", python=("-c", f"{program}; c.main()")), 80, 24)
    seen.shows("watching pa")
    seen.press("x")
    left = seen.shows("LEFT", "ZeroDivisionError")
    assert re.search(r"\bicanon\b", left) and "-icanon" not in left and "-echo " not in left and "q quit" not in left


def test_view_without_a_keyboard_shows_no_keys(pair: Pair, terminal: type[Terminal]) -> None:
    seen = terminal(f"{monitor(pair, '--duration', '3', 'ip')} </dev/null", 80, 24)
    seen.shows("watching pa")
    pair.send([leaked()])
    assert "q quit" not in seen.shows(":5000 ")
    seen.press("q")
    seen.shows("LEFT", "the duration is over")


def test_nothing_is_kept_where_nobody_can_look(pair: Pair, terminal: type[Terminal]) -> None:
    program = "import pktmend.commands.monitor.workers as w, pktmend.cli as c; w.LastPackets = lambda: 1 / 0; c.main()"
    for argv, is_fine in ((("--plain",), True), (("--json",), True), ((), False)):
        seen = terminal(monitor(pair, "--duration", "1", *argv, "ip", python=("-c", program)))
        assert ("ZeroDivisionError" not in seen.shows("LEFT")) == is_fine, argv
