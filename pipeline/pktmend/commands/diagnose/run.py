"""`pktmend diagnose`: examine, print the findings."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.examine import examine
from pktmend.commands.diagnose.finding import Diagnosis, in_words
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.show import text_of
from pktmend.commands.diagnose.taps import Hooks
from pktmend.console.plural import quantity
from pktmend.console.read_to_end import run_to_end
from pktmend.console.report import check_lines, merge_checks, print_json
from pktmend.console.signals import Signals
from pktmend.console.unread import unread_text
from pktmend.errors import EXIT_PROBLEMS


def run_diagnose(options: Options) -> int:
    """Diagnose; return the exit code: 1 if a finding is unhealthy."""
    options.validate()
    signals = Signals()
    found = examine(options, Hooks(signals.stop.is_set, _say, partial(run_to_end, signals=signals)))
    findings = [in_words(decision) for decision in found.decisions]
    _print(options, found.taps, findings)
    if found.fault is not None:
        print(end="", flush=True)
        raise found.fault
    return EXIT_PROBLEMS if any(finding.is_problem for finding in findings) else 0


def _say(text: str) -> None:
    print(f"pktmend: {text}", file=sys.stderr, flush=True)


def _print(options: Options, seen: Sequence[Tap], findings: Sequence[Diagnosis]) -> None:
    counters = [tap.counters for tap in seen]
    checks = merge_checks(counters)
    packets, truncated, malformed = (
        sum(getattr(each, name) for each in counters) for name in ("packets", "truncated", "malformed")
    )
    kinds = sum((tap.unread for tap in seen), Counter[tuple[int, int]]())
    unread: Counter[str] = Counter()
    for each in counters:
        unread.update(each.unread)
    drops = sum(each.kernel_drops for each in counters)
    if options.json:
        for finding in findings:
            print_json(finding.as_json())
        summary: dict[str, Any] = {
            "packets": packets,
            "truncated": truncated,
            "malformed": malformed,
            "checks": checks,
            "unread": unread,
            "causes": [finding.name for finding in findings],
        }
        print_json({"summary": summary | ({"kernel_drops": drops} if options.is_live else {})})
        return
    print(text_of(findings))
    unseen = f"; the kernel dropped {drops} more, unseen" if drops else ""
    print(f"\n{quantity(packets, 'packet')}, {truncated} truncated, {malformed} malformed{unseen}")
    if kinds:
        print(f"  {unread_text(kinds)}")
    print("\n".join(check_lines(checks)))
