"""Findings as text for people.  stdout is data, stderr is talk."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from pktmend.commands.diagnose.finding import Finding
from pktmend.commands.diagnose.samples import Sample

WIDTH = 110


def text_of(findings: Sequence[Finding]) -> str:
    """Return all findings, the most important first."""
    return "\n\n".join("\n".join(_lines(finding)) for finding in findings)


def _lines(f: Finding) -> Iterable[str]:
    yield f"{f.cause.title}.  [{f.name}, {f.confidence}]"
    yield ""
    yield from _wrapped(f.cause.meaning, "  ")
    yield ""
    yield "  How it is known"
    for line in f.evidence:
        yield from _wrapped(line, "    ", bullet="- ")
    shown = f.shown()
    if shown:
        yield ""
        yield from _packets(shown)
    if f.limits:
        yield ""
        yield from _wrapped(f"What this cannot tell: {f.limits}.", "  ")
    if f.remedies:
        yield ""
        yield "  What cures it"
        for remedy in f.remedies:
            yield f"    $ {remedy.command}"
            yield from _wrapped(remedy.effect, "        ")
            if remedy.side_effect:
                yield from _wrapped(f"side effect: {remedy.side_effect}", "        ")
    if f.bridge:
        yield ""
        yield "  Or with pktmend in between, nobody's settings touched"
        commands = f.bridge.splitlines()
        for command in commands:
            yield f"    $ {command}"
        if len(commands) > 1:
            yield from _wrapped(
                "one for each end, as what it sends is above the MTU (tso on): that has to be split "
                "before the hop, which would drop it; TO-HOP is another pair of ports each time",
                "        ",
            )


def _packets(shown: list[Sample]) -> Iterable[str]:
    yield "  packet      check  octet  field     S         right     flow"
    for s in shown:
        yield (
            f"  {s.n:<11} {s.proto!s:6} {s.offset:<6} {s.hex(s.stored):9} {s.hex(s.seed):9} "
            f"{s.hex(s.expected):9} {s.flow}"
        )


def _wrapped(text: str, indent: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent + bullet,
        subsequent_indent=indent + " " * len(bullet),
        break_on_hyphens=False,
        break_long_words=False,
    )
