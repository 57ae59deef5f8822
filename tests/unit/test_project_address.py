"""What PyPI shows: the README whose links and pictures lead to the project's address, if the build is told one.

The links are found by a Markdown parser, and each is looked for in this tree.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

from pktmend._version import VERSION
from tools import ROOT

markdown_it = pytest.importorskip("markdown_it", reason="not installed: markdown-it-py, which rich brings")

PROJECT = "https://code.example/owner/pktmend"
VARIABLE = "PKTMEND_PROJECT_URL"
README = (ROOT / "README.md").read_text()


def describe(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", folder],
        cwd=ROOT,
        env={**os.environ, VARIABLE: url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def metadata(folder: Path, url: str) -> Message:
    """Return the metadata as they are built with that address."""
    done = describe(folder, url)
    assert done.returncode == 0, done.stderr
    return Parser().parsestr((folder / "pktmend.egg-info" / "PKG-INFO").read_text())


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind, `a` or `img`, and the target of every link in Markdown."""
    for block in markdown_it.MarkdownIt("commonmark").enable("table").parse(text):
        for token in block.children or ():
            if token.type in ("link_open", "image"):
                yield token.tag, str(token.attrs.get("href") or token.attrs.get("src"))


def test_links_were_found() -> None:
    found = list(links(README))
    assert len(found) > 40 and sum(kind == "img" for kind, _ in found) >= 4
    assert len(found) == len(re.findall(r"(?<=\]\()[^)]+", README))  # no example of code has such


def test_with_an_address_every_link_leads_to_a_file_of_the_release(tmp_path: Path) -> None:
    made = metadata(tmp_path, f"{PROJECT}/")
    found, before = list(links(made.get_payload())), list(links(README))
    assert [kind for kind, _ in found] == [kind for kind, _ in before]
    for (kind, target), (_, relative) in zip(found, before, strict=True):
        match = re.fullmatch(rf"{PROJECT}/(raw|blob)/v{re.escape(VERSION)}/([^#]+)(#.+)?", target)
        assert match and (match[1] == "raw") == (kind == "img"), target
        assert (ROOT / match[2]).is_file() and match[2] + (match[3] or "") == relative, target
    text = re.sub(rf"{PROJECT}/(raw|blob)/v{re.escape(VERSION)}/", "", made.get_payload())
    assert text.strip() == README.strip()


def test_with_an_address_the_project_is_told_by_the_names_that_pypi_knows(tmp_path: Path) -> None:
    told = dict(line.split(", ") for line in metadata(tmp_path, PROJECT).get_all("Project-URL", []))
    assert set(told) == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert told["Homepage"] == PROJECT and told["Issues"] == f"{PROJECT}/issues"
    for name in ("Documentation", "Changelog"):
        start, _, path = told[name].partition(f"/blob/v{VERSION}/")
        assert start == PROJECT and (ROOT / path).is_file()


def test_without_an_address_the_readme_is_as_it_lies(tmp_path: Path) -> None:
    made = metadata(tmp_path, "")
    assert made.get_payload().strip() == README.strip() and made["Project-URL"] is None
    assert made["Description-Content-Type"] == "text/markdown"


def test_wheel_has_the_readme_too(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        made = Parser().parsestr(archive.read(name).decode())
    assert len(list(links(made.get_payload()))) == len(list(links(README)))
    assert (made["Project-URL"] is None) == (VARIABLE not in os.environ)


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    done = describe(tmp_path, "owner/pktmend")
    assert done.returncode and done.stderr.strip().endswith(f"{VARIABLE}=owner/pktmend does not begin with https://")


def test_release_is_told_its_own_address() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "wheels.yml").read_text())
    assert workflow["env"] == {VARIABLE: "${{ github.server_url }}/${{ github.repository }}"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert VARIABLE in settings["tool"]["cibuildwheel"]["linux"]["environment-pass"]


def test_classifiers_are_those_of_pypi(tmp_path: Path) -> None:
    known = pytest.importorskip("trove_classifiers", reason="not installed: trove-classifiers (the extra test-wheel)")
    made = metadata(tmp_path, "")
    ours = made.get_all("Classifier", [])
    assert len(ours) > 10 and not set(ours) - known.classifiers and not set(ours) & set(known.deprecated_classifiers)
    assert len(made["Keywords"].split(",")) > 5
