"""`pktmend diagnose`: fill one tap or two, join them with what the machine says, print the findings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pktmend.commands.diagnose import rules, taps
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import Finding
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.show import text_of
from pktmend.console.plural import quantity
from pktmend.console.report import check_lines, merge_checks, print_json
from pktmend.console.signals import Signals
from pktmend.errors import EXIT_PROBLEMS, PktmendError


def run_diagnose(options: Options) -> int:
    """Diagnose; return the exit code: 1 if a finding is unhealthy."""
    options.check()
    signals = Signals()
    fault: PktmendError | None = None
    if options.b:
        from pktmend.commands.diagnose.two_taps import diagnose_two

        seen, findings, fault = diagnose_two(options, signals)
    elif options.is_live:
        tap, around = _watch(options, signals)
        seen, findings = [tap], rules.findings_of(tap, around)
    else:
        tap, fault = taps.read(
            options.a, signals, packets=options.packets, expression=options.expression, at_wire=options.at_wire
        )
        seen, findings = [tap], rules.findings_of(tap)
    if fault is not None and not any(tap.counters.packets for tap in seen):
        raise fault  # nothing was read, so nothing can be said
    _print(options, seen, findings)
    if fault is not None:
        sys.stdout.flush()
        raise fault
    return 0 if all(f.cause.is_healthy for f in findings) else EXIT_PROBLEMS


def _watch(options: Options, signals: Signals) -> tuple[Tap, HostContext]:
    from pktmend.host.machine import read_machine

    before = read_machine()
    tap = taps.watch(
        options.a,
        signals,
        packets=options.packets,
        duration=options.seconds,
        expression=options.expression,
        promiscuous=options.promiscuous,
    )
    return tap, HostContext(before, read_machine(), options.a)


def _print(options: Options, seen: Sequence[Tap], findings: Sequence[Finding]) -> None:
    directions = [tap.counters for tap in seen]
    checks = merge_checks(directions)
    packets, truncated, malformed = (
        sum(getattr(d, name) for d in directions) for name in ("packets", "truncated", "malformed")
    )
    drops = sum(d.kernel_drops for d in directions)
    if options.json:
        for finding in findings:
            print_json(finding.as_json())
        summary: dict[str, Any] = {
            "packets": packets,
            "truncated": truncated,
            "malformed": malformed,
            "checks": checks,
            "causes": [finding.name for finding in findings],
        }
        print_json({"summary": summary | ({"kernel_drops": drops} if options.is_live else {})})
        return
    print(text_of(findings))
    unseen = f"; the kernel dropped {drops} more, unseen" if drops else ""
    print(f"\n{quantity(packets, 'packet')}, {truncated} truncated, {malformed} malformed{unseen}")
    print("\n".join(check_lines(checks)))
