"""The documentation site: the Markdown of this tree as it lies, and two references made of the code.

    make docs       sphinx-build -W -c docs . build/site

The whole tree is Sphinx's source, not docs/ alone: so a link to the README, to an example or to a unit of systemd is
the same on the site as on a code host.  What is no page is offered for download.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "pipeline"))  # the package that lies beside these pages

from pktmend import __version__  # noqa: E402

project = "pktmend"
copyright = "the pktmend developers, Apache-2.0"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
root_doc = "docs/index"
include_patterns = ["*.md", "bench/*.md", "docs/**"]
exclude_patterns = [".*", "build", "ext", "pipeline", "tests", "examples", "deploy"]  # not even looked through
default_role = "literal"  # `name` in a docstring
highlight_language = "none"  # transcripts are most
smartquotes = False  # 'veth*' and --at are typed as they stand
myst_heading_anchors = 6  # named as GitHub names them
suppress_warnings = ["myst.header"]  # results of `pktmend bench --markdown` begin at the third level
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"pktmend {version}"
html_copy_source = False
html_show_sourcelink = False

FOLDER_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?!\w+:)([^)\s#]+)\)")
SPECIAL = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")
ALIGNED = re.compile(r"[\w*]+(, [\w*]+)*: +\S")  # name: what it is
DIRECTIVE = re.compile(r"\s*(\.\. |:[\w-]+:|\|( |$))")
TOP = '<!doctype html><title>pktmend</title><meta http-equiv="refresh" content="0; url=docs/index.html">'


def drop_links_to_folders(app: Sphinx, name: str, content: list[str]) -> None:
    """A code host shows a folder, a site has none: keep the words."""
    here = (ROOT / name).parent
    content[0] = FOLDER_LINK.sub(lambda found: found[1] if (here / found[2]).is_dir() else found[0], content[0])


def escape(text: str) -> str:
    """Return plain words as reStructuredText that reads the same; `code` and *parameter* stay what they are."""
    parts = re.split(r"(`[^`\n]+`|\*\w+\*)", text)
    return "".join(
        f"`{part}`" if part[:1] == "`" else SPECIAL.sub(r"\\\1", part) if n % 2 == 0 else part
        for n, part in enumerate(parts)
    )


def docstring(app: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Docstrings here are plain text: prose stays prose, what is aligned (parameters, code) keeps its shape."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    lines.clear()
    for paragraph in paragraphs:
        rows = paragraph.split("\n")
        is_aligned = bool(lines) and (ALIGNED.match(rows[0]) or any(row.startswith("    ") for row in rows))
        lines += ["::", "", *(f"    {row}" for row in rows)] if is_aligned else [escape(row) for row in rows]
        lines.append("")


def help_text(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Words of --help are plain text too; what sphinx-click has put around them is not."""
    lines[:] = [row if DIRECTIVE.match(row) else escape(row) for row in lines]


def examples(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Show the end of a --help as what it is: commands, each below what it does."""
    rows = [row for row in (context.command.epilog or "").replace("\b", "").splitlines() if row.strip()]
    if rows:
        shown = [f"   {row.strip()}" if row.startswith("    ") else f"   # {row.strip(' :')}" for row in rows[1:]]
        lines[:] = [rows[0], "", ".. code-block:: sh", "", *shown, ""]


def begin_at_the_index(app: Sphinx, error: Exception | None) -> None:
    """Lead from the top of the site to its first page."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "index.html").write_text(TOP)


def setup(app: Sphinx) -> None:
    """Connect them."""
    app.connect("source-read", drop_links_to_folders)
    app.connect("autodoc-process-docstring", docstring)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", help_text)
    app.connect("sphinx-click-process-epilog", examples)
    app.connect("build-finished", begin_at_the_index)
