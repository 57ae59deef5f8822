"""`pktmend doctor`: read, examine, print."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from pktmend.commands.doctor.checks import concerns, examine, path_of
from pktmend.commands.doctor.counter_rise import reread_counters
from pktmend.commands.doctor.drops import watch_drops
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.show import (
    finding_lines,
    interface_json,
    interface_line,
    last_line,
    machine_json,
    unread_text,
)
from pktmend.commands.doctor.view import read_view
from pktmend.console.report import print_json
from pktmend.console.signals import Signals
from pktmend.errors import PktmendError
from pktmend.host.namespaces import find_namespace


def run_doctor(*, names: Sequence[str], netns: str | None, watch: float, json: bool) -> int:
    """Print the findings; return 1 if one of them is a problem."""
    namespace = find_namespace(netns) if netns else None
    began = time.monotonic()
    view = read_view()
    path = path_of(view, names, namespace)
    unread = [unread_text(each) for each in view.machine.unread]
    dropped = _watched(watch, unread) if watch else []
    if watch:
        view = replace(view, rise=reread_counters(view.machine, began, everywhere=True))
    findings = sorted([f for f in examine(view) if concerns(f, path)] + dropped, key=lambda f: f.severity)
    machine = machine_json(view.machine, unread)
    if json:
        for finding in findings:
            print_json({"finding": finding.as_json()})
        counts = {f"{s}s": sum(f.severity is s for f in findings) for s in Severity}
        print_json({"summary": {**counts, **machine, "interfaces": [interface_json(view.machine, i) for i in path]}})
    else:
        if names or namespace:
            print("\n".join(interface_line(view.machine, i) for i in path), end="\n\n")
        for finding in findings:
            print("\n".join(finding_lines(finding)), end="\n\n")
        print(last_line(findings, path, machine))
        for what in unread:
            print(f"pktmend: not looked at: {what}", file=sys.stderr)
    return int(any(f.severity is Severity.PROBLEM for f in findings))


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
