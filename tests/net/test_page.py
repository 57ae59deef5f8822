"""The pages of monitor and bridge in a real browser: what they show, that they follow, and that names stay names.

PKTMEND_PICTURES=docs pytest tests/net/test_page.py      draws the pictures of the documents
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from line import Line, open_tap, put
from pktmend.testbed.netns import Testbed
from tools import until
from watching import Monitor, corrupt, good, leaked

SCRIPT, MARKUP = "<script>x", "\"><b>&'"  # names that the kernel takes
MONITOR, BRIDGE = "http://127.0.0.1:9477/", "http://127.0.0.1:9479/"


@pytest.fixture(scope="module")
def testbed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        yield testbed


@pytest.fixture(scope="module")
def line(testbed: Testbed) -> Line:
    return Line(testbed)


@pytest.fixture(scope="module")
def browser(line: Line, testbed: Testbed) -> Iterator[Browser]:
    browser = Browser(line.node, testbed.folder())
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def monitor(line: Line, browser: Browser) -> Monitor:
    for number, name in enumerate((SCRIPT, MARKUP)):
        line.node.run("ip", "link", "add", "name", name, "type", "veth", "peer", "name", f"peer{number}")
        for each in (name, f"peer{number}"):
            line.node.run("ip", "link", "set", "dev", each, "up")
    return Monitor(line.node, "-i", "pa", "-i", SCRIPT, "-i", MARKUP, "--listen", ":9477", "udp or tcp or icmp")


def send(line: Line, frames: list[bytes]) -> None:
    with open_tap(line.a, "eth0") as out:
        for frame in frames:
            put(out, frame)


def rows(browser: Browser, title: str) -> dict[str, list[str]]:
    """The rows of the table behind a heading, by their first cell, as they are to be seen."""
    found: list[list[str]] = browser.value(
        f"[...document.querySelectorAll('h2')].filter(h => h.textContent == {title!r}).flatMap("
        "h => [...h.nextElementSibling.rows].map(r => [...r.cells].map(c => c.textContent)))"
    )
    return {row[0]: row[1:] for row in found}


def draw(browser: Browser, name: str) -> None:
    if folder := os.environ.get("PKTMEND_PICTURES"):
        browser.picture(Path(folder) / name)


def test_page_shows_what_the_monitor_sees_and_follows_it(line: Line, monitor: Monitor, browser: Browser) -> None:
    browser.show(1000, 900)
    browser.open(MONITOR)
    browser.value("window.mark = 1")  # gone if the page were loaded again
    send(line, [leaked()] * 30 + [corrupt()] * 5 + [good()] * 12)
    until(
        lambda: rows(browser, "Checks").get("good", [""])[0] == "59", "the checks"
    )  # 47 IPv4 headers and 12 datagrams
    assert rows(browser, "Checks")["leaked"][0] == "30" and rows(browser, "Checks")["corrupt"][0] == "5"
    interfaces = rows(browser, "Interfaces")
    assert interfaces["pa"][3:6] == ["47", "35", "0"] and set(interfaces) == {"interface", "pa", SCRIPT, MARKUP}
    (flow,) = (name for name, cells in rows(browser, "Worst flows").items() if "leaked" in cells)
    assert flow == "10.7.0.1:40000 > 10.7.0.2:5000"
    assert "latest bad: " in browser.value("document.body.textContent")
    assert browser.value("window.mark") == 1
    draw(browser, "monitor-page.png")


def test_names_run_nothing_and_nothing_comes_from_elsewhere(monitor: Monitor, browser: Browser) -> None:
    browser.open(MONITOR)
    assert browser.value("document.scripts.length") == 1 and browser.value("document.querySelectorAll('b').length") == 0
    browser.value(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"window.ran = 2\">'"
        " + '<img src=\"http://127.0.0.1:9/x\">');"
    )
    until(lambda: len(browser.told("Log.entryAdded")) >= 3, "the policy's refusals")
    assert browser.value("window.ran") is None
    assert all("Content Security Policy" in each["entry"]["text"] for each in browser.told("Log.entryAdded"))
    asked = {each["request"]["url"] for each in browser.told("Network.requestWillBeSent")}
    sent = {each["response"]["url"] for each in browser.told("Network.responseReceived")}
    assert {url for url in sent if not url.startswith("data:")} == {MONITOR} and MONITOR in asked


@pytest.mark.parametrize("url", [MONITOR, BRIDGE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_readable_at_400_pixels_by_day_and_night(
    line: Line, monitor: Monitor, bridge: Any, browser: Browser, url: str, scheme: str
) -> None:
    browser.show(400, 800, scheme=scheme)
    browser.open(url)
    assert browser.value("document.documentElement.scrollWidth") <= 400
    colours = browser.value(
        "[...document.querySelectorAll('body, td, th, h1, p')].filter(e => e.getClientRects().length)"
        ".map(e => getComputedStyle(e).color)"
    )
    back = luminance(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert (back < 0.1) == (scheme == "dark")
    for colour in set(colours):  # WCAG 2, 1.4.3
        front = luminance(colour)
        assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 4.5, (colour, scheme)


def luminance(colour: str) -> float:
    """Of rgb(r, g, b), relative, as WCAG 2 has it."""
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_without_javascript_it_shows_the_same_and_loads_itself_again(monitor: Monitor, browser: Browser) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.ask("Page.navigate", url=MONITOR)
        until(lambda: SCRIPT.replace("<", "&lt;").replace(">", "&gt;") in html(browser), "the page")
        before = len(browser.told("Page.loadEventFired"))
        until(lambda: len(browser.told("Page.loadEventFired")) > before, "the next one")
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)
        browser.ask("Page.navigate", url="about:blank")


def html(browser: Browser) -> str:
    """The document as it is now, without running anything in it; "" while it changes."""
    node = browser.ask("DOM.getDocument")["root"]["nodeId"]
    text: str = browser.ask("DOM.getOuterHTML", is_sure=False, nodeId=node).get("outerHTML", "")
    return text


@pytest.fixture(scope="module")
def bridge(line: Line, browser: Browser) -> Iterator[Any]:
    with line.bridged("--listen", ":9479") as bridge:
        yield bridge


def test_bridge_shows_what_it_repairs_in_each_direction(line: Line, bridge: Any, browser: Browser) -> None:
    browser.show(1000, 700)
    browser.open(BRIDGE)
    send(line, [leaked()] * 21 + [good()] * 4)
    until(lambda: rows(browser, "Directions").get("repaired: leaked") == ["21", "0"], "the repaired ones")
    shown = rows(browser, "Directions")
    assert shown["frames"] == ["pa \u2192 pb", "pb \u2192 pa"]
    assert int(shown["arrived"][0]) >= 25 and shown["kernel drops"] == ["0", "0"]
    draw(browser, "bridge-page.png")


def test_page_says_that_it_is_old_once_nobody_answers(line: Line, bridge: Any, browser: Browser) -> None:
    """Runs last of those that want the bridge."""
    browser.open(BRIDGE)
    hidden = "document.getElementById('stale').hidden"
    assert browser.value(hidden) is True
    bridge.process.send_signal(signal.SIGTERM)
    until(lambda: browser.value(hidden) is False, "the notice")
