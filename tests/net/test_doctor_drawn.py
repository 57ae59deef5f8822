"""`doctor --graph` and `--report` of a real hop that loses the mark: red where it is lost, no more once it is cured."""

from __future__ import annotations

import re
import subprocess
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest

from doctoring import doctor, obey, start_relay, the
from line import Line
from tools import PKTMEND

SVG = "{http://www.w3.org/2000/svg}"


def doctored(line: Line, *words: str) -> str:
    done = subprocess.run(
        [*PKTMEND, "doctor", "--netns", line.a.namespace, "eth0", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def drawn(svg: str) -> dict[str, list[str]]:
    """Return the text of each box and link, by its state."""
    found: dict[str, list[str]] = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        found.setdefault(group.get("class", ""), []).append(" ".join(group.itertext()))
    return found


def stations(mermaid: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the text of each box by its name, and the names by their state."""
    boxes = dict(re.findall(r'^ +(s\d+)\["([^"]*)"\]', mermaid, re.MULTILINE))
    states = {state: names.split(",") for names, state in re.findall(r"^  class (\S+) (\S+)$", mermaid, re.MULTILINE)}
    return boxes, states


def test_lossy_hop_is_red_and_the_cured_one_is_not(line: Line) -> None:
    start_relay(line)
    found, _ = doctor(line.a, "eth0", expect=1)
    hop = the(found, "userspace-hop")
    lost = drawn(doctored(line, "--graph", "svg"))["lost"]
    assert sum("mark lost here" in text for text in lost) == 2, "the two links of the hop"
    assert [text for text in lost if "loses the mark of partial checksums" in text]
    text = doctored(line, "--graph", "mermaid")
    boxes, states = stations(text)
    assert [boxes[name] for name in states["lost"] if "loses the mark" in boxes[name]]
    titles = [box.split("<br/>")[0] for box in boxes.values()]
    assert titles.count("eth0") == 2 and {"pa", "pb"} <= set(titles)
    ends = {name for name, box in boxes.items() if box.startswith(("pa<", "pb<"))}
    (red,) = [name for name in states["lost"] if "loses the mark" in boxes[name]]
    assert set(re.findall(rf"^  (s\d+) ---\S.* {red}$", text, re.MULTILINE)) == ends
    assert text.count('|"veth"|') == 2
    obey(hop, "tx off")
    after = drawn(doctored(line, "--graph", "svg"))
    assert "lost" not in after, after["lost"]
    assert [text for text in after["plain"] if "loses the mark" in text], "it is still there, and harms nobody"


def test_page_of_a_lossy_hop_has_drawing_finding_and_cure(line: Line, tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="not installed: jinja2 (the extra [report])")
    start_relay(line)
    found, _ = doctor(line.a, "eth0", expect=1)
    hop = the(found, "userspace-hop")
    page = tmp_path / "page.html"
    doctored(line, "--report", str(page))
    text = page.read_text()
    (svg,) = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert sum("mark lost here" in each for each in drawn(svg)["lost"]) == 2
    plain = unescape(re.sub("<[^>]+>", "", text))
    assert hop["title"] in plain and all(remedy["command"] in plain for remedy in hop["remedy"])
    assert "<script" not in text
