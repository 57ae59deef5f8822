"""The documentation site: built with every warning an error; each link in it leads somewhere; nothing is left out."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

import pktmend
from installed import leaf_commands
from tools import ROOT

NEEDED = ("sphinx", "myst_parser", "furo", "sphinx_click")


class Page(HTMLParser):
    """The links, pictures and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what leads somewhere and what can be led to."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name == "id" and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in NEEDED:
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("site")
    words = ["-q", "-W", "--keep-going", "-c", "docs", "-d", str(folder / "doctrees"), ".", str(folder / "html")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_there(site: Path) -> None:
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").glob("*.rst")]
    assert len(sources) > 40
    missing = {path for path in sources if not (site / path.relative_to(ROOT)).with_suffix(".html").exists()}
    assert missing == set()


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    wrong = set()
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                wrong.add((path.name, link))
    assert sum(len(page.links) for page in pages.values()) > 2000 and wrong == set()


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    """No font, script or style of another host: read without a network, and nobody is told what is read."""
    for path in pages:
        for tag in re.findall(r"<(?:script|img|link|iframe)\b[^>]*>", path.read_text()):
            assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", tag), (path, tag)


def test_every_command_is_in_the_reference(site: Path) -> None:
    text = (site / "docs" / "commands.html").read_text()
    plain = re.sub(r"<[^>]+>", "", text)
    for name, command in leaf_commands():
        assert f"pktmend {name}" in plain
        context = click.Context(command)
        shown = [p for p in command.params if isinstance(p, click.Option) and p.get_help_record(context)]
        assert {p.opts[0] for p in shown if p.opts[0] not in plain} == set(), name
    assert "Examples:" in plain


def test_every_public_name_is_in_the_reference_and_no_other(pages: dict[Path, Page], site: Path) -> None:
    anchors = pages[site / "docs" / "api.html"].anchors
    named = {anchor.split(".")[1] for anchor in anchors if anchor.startswith("pktmend.")}
    assert named == set(pktmend.__all__)


def test_docstrings_are_in_the_reference(site: Path) -> None:
    plain = re.sub(r"<[^>]+>", "", (site / "docs" / "api.html").read_text())
    assert "What check() found." in plain and "at_wire:" in plain and ":param" not in plain
