"""A report in one HTML file: the model, and how it is written.

Rules of this file:
1. The template escapes whatever it is given (autoescape), after control characters were made visible; nothing is marked
   as safe but the drawing, which svg.py escapes.
2. The page needs nothing else: no script, no font, no picture from anywhere; its Content-Security-Policy says so.
3. What is missing (jinja2, a place to write) is said before anything is read or watched.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Any

from pktmend._version import VERSION
from pktmend.advice.finding import Finding
from pktmend.console.printable import printable
from pktmend.console.report import rfc3339
from pktmend.errors import OSFailure
from pktmend.host.output_file import check_output, write_text
from pktmend.report.drawing import Drawing
from pktmend.report.packet import ShownPacket
from pktmend.report.svg import svg

if TYPE_CHECKING:
    from jinja2 import Environment


class Tone(StrEnum):
    """How bad something is; the words are classes of the page's style."""

    BAD = "bad"
    UNSURE = "unsure"
    FINE = "fine"
    PLAIN = "plain"


@dataclass(frozen=True)
class Chapter:
    """One finding as the page has it.

    badge:   its confidence or severity.       limits: what the evidence cannot tell.
    bridge:  a command that cures it with pktmend in between.       reference: where it is written down.
    packets: some that show it.                packets_left: how many more do.
    """

    finding: Finding
    tone: Tone
    badge: str
    title: str
    meaning: str
    packets: Sequence[ShownPacket] = ()
    packets_left: int = 0
    limits: str = ""
    bridge: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Report:
    """All of it.

    verdict:  in a sentence.                  badge: how sure that is, "" if that is not the question.
    subject:  what was examined.              drawing: of the path.
    counters: {protocol: {status or cause: checks}}.
    facts:    (name, value) of what was counted beside checksums.
    unseen:   what was not looked at, a sentence each.
    """

    title: str
    verdict: str
    tone: Tone
    subject: str
    badge: str = ""
    drawing: Drawing | None = None
    chapters: Sequence[Chapter] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    unseen: Sequence[str] = ()


def require_report(path: str) -> None:
    """Raise OSFailure if a report cannot be made at *path*: nothing is read or watched in vain."""
    _environment()
    if path != "-":
        check_output(path)


def write_report(path: str, report: Report) -> None:
    """Write the page; its owner alone can read it.  Raises OSFailure."""
    write_text(path, render(report))


def render(report: Report) -> str:
    """Return the page."""
    from markupsafe import Markup  # jinja2 brings it

    template = _environment().from_string(resources.files("pktmend.report").joinpath("page.html").read_text("utf-8"))
    return template.render(
        report=report,
        drawing=Markup(svg(report.drawing)) if report.drawing else "",
        command=shlex.join(["pktmend", *sys.argv[1:]]),
        version=VERSION,
        made=rfc3339(time.time_ns())[:19] + "Z",
        outcomes=_outcomes(report.counters),
    )


def _outcomes(counters: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return every status and cause that occurs, in the order of their first."""
    return list(dict.fromkeys(outcome for found in counters.values() for outcome in found))


def _environment() -> Environment:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise OSFailure("--report needs jinja2", "pip install 'pktmend[report]'") from None
    return Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_visible, trim_blocks=True, lstrip_blocks=True
    )


def _visible(value: Any) -> Any:
    """Make control characters of other people's text visible; the drawing is markup, and is left alone."""
    return (
        printable(value) if type(value) is str or (isinstance(value, str) and not hasattr(value, "__html__")) else value
    )
