"""A diagnosis as the model of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pktmend.commands.diagnose.decision import Confidence
from pktmend.commands.diagnose.examine import Examination
from pktmend.commands.diagnose.finding import Diagnosis
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.path import path_of
from pktmend.commands.diagnose.samples import Sample
from pktmend.commands.diagnose.show import perhaps
from pktmend.console.plural import quantity
from pktmend.console.report import rfc3339
from pktmend.console.unread import unread_text
from pktmend.enums import Status
from pktmend.report.packet import ShownPacket
from pktmend.report.page import Chapter, Report, Tone


def report_of(
    options: Options, found: Examination, findings: Sequence[Diagnosis], summary: Mapping[str, Any]
) -> Report:
    """Return the page's model.  summary: as the command prints it."""
    main = findings[0]
    names = " and ".join(tap.name for tap in found.taps)
    return Report(
        title=f"pktmend diagnose: {main.title}",
        verdict=_title(main),
        tone=_tone(main),
        badge=str(main.confidence),
        subject=f"{'Interface' if options.is_live else 'Capture'} {names}",
        drawing=path_of(options, findings),
        chapters=[_chapter(finding) for finding in findings],
        counters=summary["checks"],
        facts=[(name, str(summary[name])) for name in ("packets", "truncated", "malformed")],
        unseen=_unseen(found),
    )


def _title(f: Diagnosis) -> str:
    return f.title if f.confidence is not Confidence.POSSIBLE else perhaps(f.title)


def _tone(f: Diagnosis) -> Tone:
    if f.is_problem:
        return Tone.BAD if f.confidence is not Confidence.POSSIBLE else Tone.UNSURE
    return Tone.FINE if f.is_healthy else Tone.UNSURE


def _chapter(f: Diagnosis) -> Chapter:
    is_fact = f.confidence is not Confidence.POSSIBLE or f.is_healthy
    return Chapter(
        finding=f,
        tone=_tone(f),
        badge=str(f.confidence),
        title=_title(f),
        meaning=f.meaning if is_fact else f"If so: {f.meaning}",
        packets=[_shown(sample) for sample in f.packets],
        packets_left=max(0, max(f.counts.values(), default=0) - len(f.packets)),
        limits=f.limits,
        bridge=f.bridge or "",
        reference="pktmend help diagnosis",
    )


def _shown(s: Sample) -> ShownPacket:
    return ShownPacket(
        number=s.n,
        time=rfc3339(s.time_ns),
        flow=s.flow if s.source else "no addresses",
        verdict=f"{s.proto} {s.cause if s.status is Status.BAD and s.cause else s.status}",
        offset=s.offset,
        width=s.width,
        stored=s.hex(s.stored),
        seed="" if s.seed is None else s.hex(s.seed),
        expected="" if s.expected is None else s.hex(s.expected),
        start=s.start,
        length=s.length,
        version=s.version,
        source=s.source,
        target=s.target,
        frame=s.frame,
        wirelen=s.wirelen,
    )


def _unseen(found: Examination) -> list[str]:
    """Return what was not looked at."""
    unseen = []
    kinds = sum((tap.unread for tap in found.taps), Counter[tuple[int, int]]())
    if kinds:
        unseen.append(unread_text(kinds))
    for tap in found.taps:
        drops, counted = tap.counters.kernel_drops, tap.counters
        if drops:
            unseen.append(f"{quantity(drops, 'packet')} at {tap.name}: the kernel dropped them, unseen")
        if counted.truncated:
            unseen.append(f"the rest of {quantity(counted.truncated, 'packet')} of {tap.name}, which the capture cut")
        if tap.is_cut:
            unseen.append(f"what follows the fault in {tap.name}, which could not be read to its end")
    return unseen
