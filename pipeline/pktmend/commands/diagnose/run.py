"""`pktmend diagnose`: examine, print the findings."""

from __future__ import annotations

import sys
from functools import partial

from pktmend.commands.diagnose.examine import examine
from pktmend.commands.diagnose.finding import in_words
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.summary import print_all
from pktmend.commands.diagnose.taps import Hooks
from pktmend.console.read_to_end import run_to_end
from pktmend.console.signals import Signals
from pktmend.errors import EXIT_PROBLEMS


def run_diagnose(options: Options) -> int:
    """Diagnose; return the exit code: 1 if a finding is unhealthy."""
    options.validate()
    if options.report:
        from pktmend.report.page import require_report

        require_report(options.report)
    signals = Signals()
    found = examine(options, Hooks(signals.stop.is_set, _say, partial(run_to_end, signals=signals)))
    findings = [in_words(decision) for decision in found.decisions]
    summary = print_all(found, findings, json=options.json, explain=options.explain, is_live=options.is_live)
    if options.report:
        from pktmend.commands.diagnose.report import report_of
        from pktmend.report.page import write_report

        write_report(options.report, report_of(options, found, findings, summary))
    if found.fault is not None:
        print(end="", flush=True)
        raise found.fault
    return EXIT_PROBLEMS if any(finding.is_problem for finding in findings) else 0


def _say(text: str) -> None:
    print(f"pktmend: {text}", file=sys.stderr, flush=True)
