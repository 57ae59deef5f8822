"""What a diagnosis prints: its findings, then what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pktmend.commands.diagnose.examine import Examination
from pktmend.commands.diagnose.explain import rejections_as_json, text_of_rejections
from pktmend.commands.diagnose.finding import Diagnosis
from pktmend.commands.diagnose.show import lines_of
from pktmend.console.plural import quantity
from pktmend.console.report import check_lines, merge_checks, print_json
from pktmend.console.styled import show
from pktmend.console.unread import unread_text


def print_all(
    found: Examination,
    findings: Sequence[Diagnosis],
    *,
    json: bool,
    explain: bool,
    is_live: bool,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Print the findings and the summary, as text or NDJSON, and return that.  more: what it has beside."""
    counters = [tap.counters for tap in found.taps]
    checks = merge_checks(counters)
    packets, truncated, malformed = (
        sum(getattr(each, name) for each in counters) for name in ("packets", "truncated", "malformed")
    )
    kinds = sum((tap.unread for tap in found.taps), Counter[tuple[int, int]]())
    unread: Counter[str] = Counter()
    for each in counters:
        unread.update(each.unread)
    drops = sum(each.kernel_drops for each in counters)
    summary: dict[str, Any] = {
        "packets": packets,
        "truncated": truncated,
        "malformed": malformed,
        "checks": checks,
        "unread": unread,
        "causes": [finding.name for finding in findings],
    }
    if json:
        for finding in findings:
            print_json(finding.as_json(), kind="diagnosis")
        if explain:
            summary["rejected"] = rejections_as_json(found)
        print_json(
            {"summary": summary | ({"kernel_drops": drops} if is_live else {}) | dict(more or {})}, kind="summary"
        )
        return summary
    lines = lines_of(findings)
    if explain:
        lines += ["", *text_of_rejections(found)]
    unseen = f"; the kernel dropped {drops} more, unseen" if drops else ""
    lines += ["", f"{quantity(packets, 'packet')}, {truncated} truncated, {malformed} malformed{unseen}"]
    if kinds:
        lines.append(f"  {unread_text(kinds)}")
    show([*lines, *check_lines(checks)])
    return summary
