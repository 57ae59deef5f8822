"""Findings as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pktmend.advice.text import effect_and_cost, remedy_lines, wrapped
from pktmend.commands.diagnose.decision import Confidence
from pktmend.commands.diagnose.finding import Diagnosis
from pktmend.commands.diagnose.samples import Sample


def text_of(findings: Sequence[Diagnosis]) -> str:
    """Return all findings, the most important first."""
    return "\n\n".join("\n".join(_lines(finding)) for finding in findings)


def perhaps(title: str) -> str:
    """`Perhaps: a hop ...`: what is only possible does not read as a fact.  Abbreviations stay in capitals."""
    return f"Perhaps: {title if title[1:2].isupper() else title[:1].lower() + title[1:]}"


def _lines(f: Diagnosis) -> Iterable[str]:
    is_fact = f.confidence is not Confidence.POSSIBLE
    yield f"{f.title if is_fact else perhaps(f.title)}.  [{f.name}, {f.confidence}]"
    yield ""
    yield from wrapped(f.meaning if is_fact or f.is_healthy else f"If so: {f.meaning}", "  ")
    yield ""
    yield "  How it is known"
    for line in f.evidence:
        yield from wrapped(line, "    - ", "      ")
    if f.packets:
        yield ""
        yield from _packets(f.packets)
    if f.limits:
        yield ""
        yield from wrapped(f"What this cannot tell: {f.limits}.", "  ")
    if f.remedies:
        yield ""
        yield "  What cures it"
        yield from remedy_lines(f.remedies, "    ", effect_and_cost)
    if f.bridge:
        yield ""
        yield "  Or with pktmend in between, nobody's settings touched"
        commands = f.bridge.splitlines()
        for command in commands:
            yield f"    $ {command}"
        if len(commands) > 1:
            yield from wrapped(
                "one for each end, as what it sends is above the MTU (tso on): that has to be split "
                "before the hop, which would drop it; TO-HOP is another pair of ports each time",
                "        ",
            )


def _packets(shown: Sequence[Sample]) -> Iterable[str]:
    yield "  packet      check  byte   field     S         right     flow"
    for s in shown:
        yield (
            f"  {s.n:<11} {s.proto!s:6} {s.offset:<6} {s.hex(s.stored):9} {s.hex(s.seed):9} "
            f"{s.hex(s.expected):9} {s.flow}"
        )
