"""`pktmend doctor`: read, examine, print."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from pktmend.advice.blind_spots import blind_spot_text
from pktmend.commands.doctor.checks import concerns, examine, path_of
from pktmend.commands.doctor.counter_rise import reread_counters
from pktmend.commands.doctor.drops import watch_drops
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.graph import drawing_of
from pktmend.commands.doctor.show import (
    finding_lines,
    interface_json,
    interface_line,
    last_line,
    machine_json,
)
from pktmend.commands.doctor.view import read_view
from pktmend.console.report import print_json
from pktmend.console.signals import Signals
from pktmend.console.styled import show
from pktmend.errors import ConfigError, PktmendError
from pktmend.host.namespaces import find_namespace
from pktmend.host.workloads import named_namespace
from pktmend.report.drawing import Drawing


def run_doctor(
    *, names: Sequence[str], netns: str | None, watch: float, json: bool, report: str = "", graph: str = ""
) -> int:
    """Print the findings; return 1 if one of them is a problem.

    report: HTML file that is written too.    graph: "mermaid" or "svg": print a drawing instead.
    """
    if graph and json:
        raise ConfigError("--graph and --json both want standard output", "one of them")
    if report:
        from pktmend.report.page import require_report

        require_report(report)
    namespace = named_namespace(find_namespace(netns)) if netns else None
    began = time.monotonic()
    view = read_view()
    path = path_of(view, names, namespace)
    unread = [*map(blind_spot_text, view.machine.unread), *view.unread]
    dropped = _watched(watch, unread) if watch else []
    if watch:
        view = replace(view, rise=reread_counters(view.machine, began, everywhere=True))
    findings = sorted([f for f in examine(view) if concerns(f, path)] + dropped, key=lambda f: f.severity)
    machine = machine_json(view.machine, unread)
    if graph:
        print(_drawn(drawing_of(view, path, findings), graph), end="", flush=True)
    elif json:
        for finding in findings:
            print_json({"finding": finding.as_json()}, kind="finding")
        counts = {f"{s}s": sum(f.severity is s for f in findings) for s in Severity}
        interfaces = [interface_json(view.machine, i) for i in path]
        print_json({"summary": {**counts, **machine, "interfaces": interfaces}}, kind="summary")
    else:
        if names or namespace:
            show([*(interface_line(view.machine, i) for i in path), ""])
        for finding in findings:
            show([*finding_lines(finding), ""])
        show([last_line(findings, path, machine)])
        for what in unread:
            print(f"pktmend: not looked at: {what}", file=sys.stderr)
    if report:
        from pktmend.commands.doctor.report import report_of
        from pktmend.report.page import write_report

        write_report(report, report_of(view, path, findings, unread))
    return int(any(f.severity is Severity.PROBLEM for f in findings))


def _drawn(drawing: Drawing, form: str) -> str:
    if form == "svg":
        from pktmend.report.svg import svg

        return svg(drawing)
    from pktmend.report.mermaid import mermaid

    return mermaid(drawing)


def _watched(seconds: float, unread: list[str]) -> list[HostFinding]:
    """Let *seconds* pass and return what the kernel said it dropped; where it cannot say, the counters must do."""
    stop = Signals().stop
    try:
        return watch_drops(seconds, stop.wait)
    except PktmendError as error:
        unread.append(f"drop reasons: {error}")
        print(
            f"pktmend: {error}; watching each namespace's counters instead, which do not tell where",
            file=sys.stderr,
            flush=True,
        )
        stop.wait(seconds)
        return []
