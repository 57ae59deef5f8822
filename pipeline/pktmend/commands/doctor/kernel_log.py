"""What the kernel has said in its log of checksums that hardware got wrong, and of offloads that a device cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.advice.place import place
from pktmend.advice.remedies import offload
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.console.plural import quantity
from pktmend.host.kernel_log import LogCount, Said
from pktmend.host.model import Interface

RECENT: Final = 600.0  # seconds: what was said within is going on


@dataclass(frozen=True)
class Meaning:
    """One row: the finding's name, what was said, what that means, what cures it; without changes, what tells more."""

    name: str
    title: str
    meaning: str
    changes: str
    effect: str
    cost: str
    reference: str


MEANINGS: Final = {
    Said.HW_CSUM_FAILURE: Meaning(
        "hw-csum-failure",
        "hardware gave a wrong sum of what {name} received",
        "The kernel summed these packets itself, and they were right: the card or its driver sums something else "
        "(padding, a tag, a tunnel's header), and every such packet costs a sum more.",
        "rx off",
        "the stack checks by itself",
        "more CPU time, and GRO coalesces less",
        "Linux net/core/dev.c, netdev_rx_csum_fault",
    ),
    Said.BAD_OFFLOAD: Meaning(
        "bad-offload",
        "a packet reached {name} whose segments or checksum could not be left to it",
        "A super-frame was to be segmented, and its checksum was not marked as partial: something on this host "
        "removed the mark or completed the sum too early, or a driver announces offloads that it has not. The kernel "
        "warns, and may drop the packet.",
        "",
        "shows whether sums are completed too early on the way (double-completion)",
        "",
        "Linux net/core/dev.c, skb_warn_bad_offload",
    ),
}


def log_lines(view: View) -> Iterator[HostFinding]:
    """Lines `hw csum failure` and `caps=(` of the kernel's log, counted by interface."""
    for each in view.log:
        row = MEANINGS[each.said]
        named = [i for i in view.machine.interfaces() if i.name == each.name]
        one = named[0] if len(named) == 1 else None
        yield HostFinding(
            name=row.name,
            severity=Severity.PROBLEM if each.age < RECENT else Severity.WARNING,
            title=row.title.format(name=place(one) if one else each.name or "a device"),
            meaning=row.meaning,
            evidence=tuple(_evidence(each, named)),
            remedies=(_remedy(row, one),),
            interfaces=tuple(named),
            reference=row.reference,
        )


def _evidence(each: LogCount, named: list[Interface]) -> Iterator[str]:
    words = "hw csum failure" if each.said is Said.HW_CSUM_FAILURE else "caps=("
    yield f"{quantity(each.times, 'line')} `{each.name}: {words}` in the kernel's log, the last {_ago(each.age)}"
    if not named:
        yield f"no interface is called {each.name!r} now: it has gone, or that is a driver's name"
    elif len(named) > 1:
        yield f"the log does not tell which: {', '.join(map(place, named))}"


def _ago(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return f"{quantity(int(seconds // size), unit)} ago"
    return f"{quantity(int(seconds), 'second')} ago"


def _remedy(row: Meaning, interface: Interface | None) -> Remedy:
    if interface is None:
        return Remedy("dmesg -T", "has the whole warning, and what was logged around it")
    if row.changes:
        return offload(interface, row.changes, row.effect, row.cost)
    return Remedy(interface.command(f"pktmend diagnose -i {quote(interface.name)}"), row.effect)
