"""From what was asked to decisions: fill one tap or two, join them with what the machine says, let the rules decide."""

from __future__ import annotations

from dataclasses import dataclass

from pktmend.commands.diagnose import rules, taps
from pktmend.commands.diagnose.decision import Decision, Rejected
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.taps import Hooks
from pktmend.errors import FormatError


@dataclass(frozen=True)
class Examination:
    """What was seen, what follows, what was considered and dropped, and the fault that ended a file early."""

    taps: tuple[Tap, ...]
    decisions: tuple[Decision, ...]
    rejected: tuple[Rejected, ...]
    fault: FormatError | None = None


def examine(options: Options, hooks: Hooks) -> Examination:
    """Diagnose.  Raises what kept every tap from being read; a file that is cut off later counts as far as it goes."""
    options.validate()
    rejected: list[Rejected] = []
    if options.b:
        from pktmend.commands.diagnose import two_taps  # half of this package, which a single tap starts without

        seen, decisions, fault = two_taps.diagnose(options, hooks, rejected)
    elif options.is_live:
        from pktmend.commands.diagnose.host_context import HostContext  # files start without
        from pktmend.host.machine import read_machine

        before = read_machine()
        tap = taps.watch(options, hooks)
        seen, fault = (tap,), None
        decisions = rules.decide(tap, HostContext(before, read_machine(), options.a), rejected)
    else:
        tap, fault = taps.read(
            options.a, hooks, packets=options.packets, expression=options.expression, at_wire=options.at_wire
        )
        seen, decisions = (tap,), rules.decide(tap, rejected=rejected)
    if fault is not None and not any(each.counters.packets for each in seen):
        raise fault  # nothing was read, so nothing can be said
    return Examination(seen, tuple(decisions), tuple(rejected), fault)
