"""Findings as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pktmend.advice.text import effect_and_cost, remedy_lines, wrapped
from pktmend.commands.diagnose.decision import Confidence
from pktmend.commands.diagnose.finding import Diagnosis
from pktmend.commands.diagnose.samples import Sample
from pktmend.console.styled import BOLD, COMMAND, GREEN, RED, YELLOW, Styled, styled, width


def lines_of(findings: Sequence[Diagnosis]) -> list[str]:
    """Return all findings, the most important first, with an empty line between them."""
    lines = [line for finding in findings for line in ("", *_lines(finding))]
    return lines[1:]


def perhaps(title: str) -> str:
    """`Perhaps: a hop ...`: what is only possible does not read as a fact.  Abbreviations stay in capitals."""
    return f"Perhaps: {title if title[1:2].isupper() else title[:1].lower() + title[1:]}"


def _lines(f: Diagnosis) -> Iterable[str]:
    is_fact = f.confidence is not Confidence.POSSIBLE
    colour = GREEN if not f.is_problem else RED if is_fact else YELLOW
    title = wrapped(f"{f.title if is_fact else perhaps(f.title)}.  [{f.name}, {f.confidence}]", "", "  ")
    yield from styled(title, colour)
    yield ""
    yield from wrapped(f.meaning if is_fact or f.is_healthy else f"If so: {f.meaning}", "  ")
    yield ""
    yield Styled("  How it is known", BOLD)
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
        yield Styled("  What cures it", BOLD)
        yield from remedy_lines(f.remedies, "    ", effect_and_cost)
    if f.bridge:
        yield ""
        yield Styled("  Or with pktmend in between, nobody's settings touched", BOLD)
        commands = f.bridge.splitlines()
        for command in commands:
            yield Styled(f"    {COMMAND}{command}", BOLD)
        if len(commands) > 1:
            yield from wrapped(
                "one for each end, as what it sends is above the MTU (tso on): that has to be split "
                "before the hop, which would drop it; TO-HOP is another pair of ports each time",
                "        ",
            )


def _packets(shown: Sequence[Sample]) -> Iterable[str]:
    rows = [
        (
            f"  {s.n:<11} {s.proto!s:6} {s.offset:<6} {s.hex(s.stored):9} {s.hex(s.seed):9} {s.hex(s.expected):9} ",
            str(s.flow),
        )
        for s in shown
    ]
    head = "  packet      check  byte   field     S         right"
    if max(len(numbers) + len(flow) for numbers, flow in rows) <= width():
        yield Styled(f"{head}     flow", BOLD)
        yield from (numbers + flow for numbers, flow in rows)
        return
    yield Styled(f"{head}; below it the flow", BOLD)
    for numbers, flow in rows:
        yield numbers.rstrip()
        yield from wrapped(flow, " " * 14)
