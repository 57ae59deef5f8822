"""A page for people: one document, no resource from elsewhere, nothing in it that a name could turn into markup.

Rules of this file:
1. Every text goes through escaped(): names of interfaces, pods and files are other people's.
2. Style and script are here and nowhere else; the policy of HEADERS names both by their hash and allows no other, so
   that a markup that got through would neither run nor load anything.
3. Without JavaScript the page loads itself again; with it, its content alone is fetched and put in place.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Final

from pktmend.console.printable import printable

Cell = str | tuple[str, str]  # a text, or a text and its classes
REFRESH_SECONDS: Final = 3  # without JavaScript

STYLE: Final = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --dim: #59636e; --line: #d1d9e0;
  --bad: #b3141d; --good: #116329; --pending: #0b5a7a; --note: #7d4e00; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --dim: #9198a1; --line: #3d444d;
  --bad: #ff7b72; --good: #56d364; --pending: #79c0ff; --note: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: .8rem; max-width: 70rem; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 1.3rem 0 .3rem; } p { margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; overflow-wrap: normal; }
tbody th { color: inherit; font-weight: 400; overflow-wrap: anywhere; }
.n { text-align: right; overflow-wrap: normal; } .past { white-space: pre; overflow-wrap: normal; letter-spacing: 0; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); } .pending { color: var(--pending); }
.note { color: var(--note); } .dim { color: var(--dim); }
#stale { position: sticky; top: 0; padding: .4rem; background: var(--bad); color: var(--back); font-weight: 600; }
@media (max-width: 600px) { .wide { display: none; } body { padding: .5rem; font-size: 14px; }
  th, td { padding-right: .4rem; } }
"""
SCRIPT: Final = """
(function () {
  const stale = document.getElementById("stale");
  async function update() {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.pathname, {cache: "no-store", signal: AbortSignal.timeout(5000)});
        if (!answer.ok) throw new Error(answer.status);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
        stale.hidden = true;
      } catch (error) {
        stale.hidden = false;
      }
    }
    setTimeout(update, 1000);
  }
  setTimeout(update, 1000);
})();
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY: Final = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PLAIN_HEADERS: Final = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
HEADERS: Final = (
    *PLAIN_HEADERS,
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
)


def escaped(text: str) -> str:
    """Return *text* as HTML, for between tags and in quoted attributes; control characters as `\\x1b`."""
    return html.escape(printable(text))


def document(title: str, content: str, *, is_live: bool = True) -> str:
    """Return the whole page.

    content: HTML.     is_live: it changes, so the page follows it.
    """
    again = f'<noscript><meta http-equiv="refresh" content="{REFRESH_SECONDS}"></noscript>' if is_live else ""
    script = f"<script>{SCRIPT}</script>" if is_live else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escaped(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"{again}\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<p id="stale" role="status" hidden>No answer: what is shown is old.</p>\n'
        f"<main>\n{content}\n</main>\n{script}\n</body>\n</html>\n"
    )


def heading(title: str, words: str, past: str = "") -> str:
    """Return the head of the page: its title, a line, and perhaps a sparkline."""
    bars = f'<p class="past dim" aria-hidden="true">{escaped(past)}</p>' if past.strip() else ""
    return f"<h1>{escaped(title)}</h1>\n<p>{escaped(words)}</p>\n{bars}"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of a class."""
    return f'<p class="{kind}">{escaped(text)}</p>' if kind else f"<p>{escaped(text)}</p>"


def table(title: str, columns: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table with a heading, "" without rows.

    columns: headings with the classes of their column: n right-aligned, wide left out where it is narrow, past a
             sparkline.
    rows:    each as many cells, with classes beside; the first one is what the row is about.
    """
    if not rows:
        return ""
    kinds = [each[1] if isinstance(each, tuple) else "" for each in columns]
    names = [each[0] if isinstance(each, tuple) else each for each in columns]
    head = "".join(_cell("th", name, kind, ' scope="col"') for name, kind in zip(names, kinds, strict=True))
    body = []
    for row in rows:
        cells = []
        for number, (cell, kind) in enumerate(zip(row, kinds, strict=True)):
            text, own = cell if isinstance(cell, tuple) else (cell, "")
            tag, scope = ("td", "") if number else ("th", ' scope="row"')
            cells.append(_cell(tag, text, f"{kind} {own}".strip(), scope))
        body.append(f"<tr>{''.join(cells)}</tr>")
    rest = "\n".join(body)
    return f"<h2>{escaped(title)}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rest}\n</tbody>\n</table>"


def _cell(tag: str, text: str, kinds: str, more: str) -> str:
    kind = f' class="{kinds}"' if kinds else ""
    return f"<{tag}{kind}{more}>{escaped(text)}</{tag}>"
