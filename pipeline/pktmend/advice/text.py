"""Text for people: word wrap, and a finding's remedies as lines."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from pktmend.advice.finding import Remedy
from pktmend.console.styled import BOLD, COMMAND, Styled, width


def wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    """Wrap *text*: the first line is indented by *first*, the others by *rest* (as *first* if None)."""
    return textwrap.wrap(
        text,
        width(),
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def effect_and_cost(remedy: Remedy) -> list[str]:
    """One sentence each."""
    return [remedy.effect, *([f"side effect: {remedy.side_effect}"] if remedy.side_effect else [])]


def effect_with_cost(remedy: Remedy) -> list[str]:
    """Both in one paragraph."""
    return [f"{remedy.effect}.{f' Cost: {remedy.side_effect}.' if remedy.side_effect else ''}"]


def remedy_lines(
    remedies: Iterable[Remedy], indent: str, paragraphs: Callable[[Remedy], Sequence[str]]
) -> Iterator[str]:
    """Yield each command behind `$ `, and below it what it does; said once for neighbours that do the same."""
    for _, group in itertools.groupby(remedies, key=lambda r: (r.effect, r.side_effect)):
        alike = list(group)
        commands = [line for remedy in alike for line in remedy.command.splitlines()]
        yield from (Styled(f"{indent}{COMMAND}{line}", BOLD) for line in commands)
        for paragraph in paragraphs(alike[0]):
            if commands:
                yield from wrapped(paragraph, indent + "    ")
            else:
                yield from wrapped(paragraph, f"{indent}* ", indent + "  ")
        yield from _without_pktmend([remedy for remedy in alike if remedy.plain], indent + "    ")


def _without_pktmend(remedies: Sequence[Remedy], indent: str) -> Iterator[str]:
    if remedies:
        undo = "`restore` in place of `set ...` undoes it, --keep has it stay. " if remedies[0].undo else ""
        yield from wrapped(f"{undo}Without pktmend, until the interface is made again:", indent)
        yield from (f"{indent}{COMMAND}{remedy.plain}" for remedy in remedies)
