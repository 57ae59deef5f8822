"""What the doctor found as the model of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.graph import drawing_of
from pktmend.commands.doctor.show import interface_line, last_line, machine_json
from pktmend.commands.doctor.view import View
from pktmend.console.plural import quantity
from pktmend.host.model import Interface
from pktmend.report.page import Chapter, Report, Tone

TONES: Final = {Severity.PROBLEM: Tone.BAD, Severity.WARNING: Tone.UNSURE, Severity.INFO: Tone.PLAIN}


def report_of(view: View, path: Sequence[Interface], findings: Sequence[HostFinding], unread: Sequence[str]) -> Report:
    """Return the page's model."""
    problems = [f for f in findings if f.severity is Severity.PROBLEM]
    if problems:
        verdict, tone = f"{quantity(len(problems), 'problem')}: {problems[0].title}", Tone.BAD
    elif warnings := sum(f.severity is Severity.WARNING for f in findings):
        verdict, tone = f"No problem; {quantity(warnings, 'warning')}", Tone.UNSURE
    else:
        verdict, tone = "Nothing in this set-up will produce bad checksums, as far as was looked", Tone.FINE
    return Report(
        title=f"pktmend doctor: {verdict}",
        verdict=verdict,
        tone=tone,
        subject=last_line(findings, path, machine_json(view.machine, unread)),
        drawing=drawing_of(view, path, findings),
        chapters=[
            Chapter(
                finding=finding,
                tone=TONES[finding.severity],
                badge=str(finding.severity),
                title=finding.title,
                meaning=finding.meaning,
                reference=finding.reference,
            )
            for finding in findings
        ],
        facts=[(i.name, interface_line(view.machine, i)) for i in path],
        unseen=unread,
    )
