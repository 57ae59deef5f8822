"""Pictures of the documents: they need nothing but themselves, are read on light and dark pages, and are used."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from tools import ROOT

DOCS = ROOT / "docs"
PICTURES = sorted(DOCS.glob("*.svg"))
OURS = [path for path in PICTURES if path.stem != "monitor"]  # that one is rich's
PAGES = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("*.rst")]
NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def animate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("animate", DOCS / "animate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_are_there() -> None:
    assert {"partial", "packet-path", "cut-through", "demo"} <= {path.stem for path in PICTURES}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_picture_is_on_a_page(path: Path) -> None:
    assert any(path.name in page.read_text() for page in PAGES)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_picture_holds_all_it_needs_and_no_script(path: Path) -> None:
    text = path.read_text()
    root = ElementTree.fromstring(text)
    tags = {each.tag.removeprefix(NAMESPACE) for each in root.iter()}
    assert not tags & {"script", "image", "foreignObject", "use", "a"} and root.find(f"{NAMESPACE}title") is not None
    assert not re.search(r"\bon\w+=|@import|@font-face|url\((?!#)", text)
    assert re.findall(r"=\"(\w+://[^\"]*)", text) == ["http://www.w3.org/2000/svg"]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_picture_is_read_on_light_and_dark_pages(path: Path) -> None:
    """It has a background of its own, first; with one colour of it, or another for the dark."""
    root = ElementTree.fromstring(path.read_text())
    first = next(each for each in root if each.tag == f"{NAMESPACE}rect")
    _, _, width, height = root.attrib["viewBox"].split()
    assert (first.get("width"), first.get("height")) == (width, height)
    assert path.stem == "demo" or "@media(prefers-color-scheme:dark){.bg{" in path.read_text()


def test_text_of_pictures_stays_within_them() -> None:
    """By a generous width of a letter, where no font can be measured."""
    for path in OURS:
        root = ElementTree.fromstring(path.read_text())
        width = float(root.attrib["viewBox"].split()[2])
        for each in root.iter(f"{NAMESPACE}text"):
            letters = 7.3 if "m" in each.get("class", "").split() or path.stem == "demo" else 6.9
            long, x = letters * len(each.text or ""), float(each.attrib["x"])
            right = x + (long / 2 if "c" in each.get("class", "").split() and path.stem != "demo" else long)
            assert right <= width, (path.name, each.text, right)


def test_moving_picture_is_drawn_of_its_recording(animate: ModuleType) -> None:
    cast = (DOCS / "demo.cast").read_text()
    assert animate.draw(cast) == (DOCS / "demo.svg").read_text()


def test_recording_is_of_a_run_that_went_well() -> None:
    head, *rows = map(json.loads, (DOCS / "demo.cast").read_text().splitlines())
    text = "".join(row[2] for row in rows)
    times = [row[0] for row in rows]
    assert head["version"] == 2 and times == sorted(times) and {row[1] for row in rows} == {"o"}
    assert text.count("  yes  ") == 5 and "NO " not in text and "Connection timed out" in text
    shown = re.search(r"<!-- transcript of: make demo -->\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown and shown[1] == text.replace("\r\n", "\n")
    sums = re.findall(r"sha256 \w+ +([0-9a-f]{64})", text)
    assert len(sums) == 2 and len(set(sums)) == 1


def test_lines_are_uncovered_at_their_times_and_pauses_are_cut(animate: ModuleType) -> None:
    rows = [[0.5, "o", "one\r\n"], [1.0, "o", "two <&>\r\n"], [9.0, "o", "  yes  three\r\n"]]
    cast = "\n".join(json.dumps(row) for row in ({"version": 2}, *rows))
    assert animate.lines_of(cast) == [(0.5, "one"), (1.0, "two <&>"), (1.0 + animate.PAUSE, "  yes  three")]
    seconds = 1.0 + animate.PAUSE + animate.REST
    picture = animate.draw(cast)
    assert f"{round(100 * 0.5 / seconds, 2):g}%{{transform:translateY({animate.ROW}px)}}" in picture
    assert "two &lt;&amp;&gt;" in picture and 'class="y"' in picture
    assert f"animation:k {seconds:.1f}s step-end infinite" in picture
