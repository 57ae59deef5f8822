"""What a search watched, and what it found, as text and as JSON."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pktmend.advice.place import full_place, space
from pktmend.advice.text import wrapped
from pktmend.commands.diagnose.facts.partial import HopKind, LossyHop
from pktmend.commands.diagnose.samples import end_text
from pktmend.commands.diagnose.search.answer import Answer, flow_text, hop_of, interface_of
from pktmend.console.plural import quantity
from pktmend.host.workloads import words_of

if TYPE_CHECKING:
    from pktmend.commands.diagnose.search.watch import Watch
    from pktmend.host.model import Interface
    from pktmend.host.namespaces import Namespace

HOPS = {
    HopKind.PACKET: "packet sockets",
    HopKind.XDP: "AF_XDP sockets",
    HopKind.PROGRAM: "an XDP program",
    HopKind.TAP: "a TAP",
    HopKind.WRITER: "a TAP",
}


@dataclass(frozen=True)
class Watched:
    """What was watched, and what could not be.

    namespaces: how many.     tracepoints: their names.      seconds: for how long.     lost: events that did not fit.
    counters:   {namespace: {counter: by how much}} of what rose.      reasons: drops by the kernel's reason.
    """

    namespaces: int
    tracepoints: tuple[str, ...]
    seconds: float
    dropped: int
    reasons: Mapping[str, int]
    counters: Mapping[str, Mapping[str, int]]
    lost: int
    unread: tuple[str, ...]

    @staticmethod
    def of(watch: Watch, unread: Iterable[str]) -> Watched:
        """Take what a watch has until now."""
        counters = watch.counters
        closed = [
            f"the counters of {quantity(n, 'namespace')} ({why})"
            for why, n in Counter(why for _, why in counters.closed.values()).items()
        ]
        return Watched(
            namespaces=len(counters.namespaces) - len(counters.closed),
            tracepoints=watch.events.names if watch.events else (),
            seconds=watch.seconds,
            dropped=watch.dropped,
            reasons=dict(watch.reasons),
            counters={space(counters.known[inode]): rise for inode, rise in counters.total().items()},
            lost=watch.events.lost if watch.events else 0,
            unread=tuple(dict.fromkeys([*unread, *watch.unread, *closed])),
        )

    @property
    def what(self) -> str:
        """`the checksum error counters of 14 namespaces, and the tracepoints ...`."""
        counters = f"the checksum error counters of {quantity(self.namespaces, 'namespace')}"
        return f"{counters}, tracepoints {' and '.join(self.tracepoints)}" if self.tracepoints else counters

    def as_json(self) -> dict[str, Any]:
        """Return the part of the summary that --json prints for it."""
        return {
            "watched": {
                "namespaces": self.namespaces,
                "tracepoints": list(self.tracepoints),
                "seconds": round(self.seconds, 3),
            },
            "drops": {
                "total": self.dropped,
                "reasons": self.reasons,
                "counters": self.counters,
                "events_lost": self.lost,
            },
            "unread": list(self.unread),
        }


def nothing_lines(watched: Watched, target: str) -> list[str]:
    """Say that nothing was dropped."""
    about = f" that concerns {target}" if target else ""
    lines = [f"No packet{about} was dropped for its checksum within {watched.seconds:.1f} s."]
    if watched.dropped:
        lines.append(f"  {quantity(watched.dropped, 'other packet was')} dropped: {_counted(watched)}")
    lines += wrapped(f"Watched: {watched.what}.", "  ", "    ")
    lines += wrapped(
        "What no counter shows is not ruled out: damage that the kernel was told not to look for, and packets that "
        "have not come here. If connections hang all the same: `pktmend doctor`, or `pktmend diagnose -i IFACE` at "
        "the receiver.",
        "  ",
        "    ",
    )
    return lines


def drop_lines(watched: Watched) -> list[str]:
    """Say what was dropped in all."""
    lines = [f"{quantity(watched.dropped, 'packet')} dropped for their checksum within {watched.seconds:.1f} s"]
    if watched.counters:
        lines[0] += f": {_counted(watched)}"
    if watched.lost:
        lines.append(f"  {quantity(watched.lost, 'event')} did not fit into the trace buffers")
    return [line for each in lines for line in wrapped(each, "", "  ")]


def _counted(watched: Watched) -> str:
    return "; ".join(
        f"{', '.join(f'{name} +{n}' for name, n in rise.items())} ({where})" for where, rise in watched.counters.items()
    )


@dataclass(frozen=True)
class Verdict:
    """Who sent what was dropped, who dropped it, and what is between."""

    answer: Answer

    def lines(self) -> list[str]:
        """Return it for people, in two or three lines."""
        flow, incident = self.answer.flow, self.answer.incident
        receiver = space(incident.namespace) if incident.namespace else "a namespace that could not be told"
        reason = f" ({incident.drop.reason})" if incident.drop else ""
        what = "discarded by a client's raw socket" if incident.is_offer else f"dropped{reason}"
        lines = [f"{flow_text(flow) if flow else 'A packet'} is {what} in {receiver}"]
        if flow is not None and (sender := interface_of(self.answer.machine, flow.source, self._way())) is not None:
            lines.append(f"  sent by {full_place(sender)}")
        path, hop = self.answer.path, hop_of(self.answer)
        if path is not None and path.hop is not None:
            a, b = (full_place(path.steps[n].heard.interface) for n in path.hop)
            lines.append(f"  spoilt between {a} and {b}{f', by {hop_text(hop)}' if hop else ''}")
        elif path is not None:
            lines.append(f"  wrong already at {full_place(path.steps[0].heard.interface)}")
        return [line for each in lines for line in wrapped(each, "", "    ")]

    def _way(self) -> list[int]:
        """The namespaces that the packets pass, the sender's first."""
        path = self.answer.path
        return [step.heard.interface.namespace.inode for step in path.steps] if path else []

    def as_json(self) -> dict[str, Any]:
        """Return the part of the summary that --json prints for it."""
        incident, flow, path = self.answer.incident, self.answer.flow, self.answer.path
        hop = hop_of(self.answer)
        way = self._way()
        return {
            "first": {
                "reason": incident.drop.reason if incident.drop else None,
                "location": incident.drop.location if incident.drop else None,
                "flow": flow_text(flow) if flow else None,
                "namespace": incident.namespace.word if incident.namespace else None,
                "offer": incident.is_offer,
                "answered_after": round(time.monotonic() - incident.time, 3),
            },
            "from": self._end(flow.source, flow.source_port, way) if flow else None,
            "to": self._end(flow.target, flow.target_port, way[::-1]) if flow else None,
            "receiver": self._namespace(incident.namespace) if incident.namespace else None,
            "path": [
                {**self._place(step.heard.interface), "outcome": step.outcome} for step in (path.steps if path else ())
            ],
            "hop": self._hop(hop),
            "tapped": self.answer.tapped,
        }

    def _hop(self, hop: LossyHop | None) -> dict[str, Any] | None:
        path = self.answer.path
        if path is None or path.hop is None:
            return None
        before, behind = (self._place(path.steps[n].heard.interface) for n in path.hop)
        by = {"kind": str(hop.kind.value), "program": hop.program, "pid": hop.pid} if hop else {}
        return {"before": before, "behind": behind, "kind": None, "program": "", "pid": 0, **by}

    def _end(self, address: str, port: int, near: Sequence[int]) -> dict[str, Any]:
        interface = interface_of(self.answer.machine, address, near)
        place = self._place(interface) if interface else {"interface": None, "namespace": None}
        return {"address": end_text(address, port), **place}

    def _place(self, interface: Interface) -> dict[str, Any]:
        return {"interface": interface.name, **self._namespace(interface.namespace)}

    @staticmethod
    def _namespace(namespace: Namespace) -> dict[str, Any]:
        return {"namespace": namespace.word, **words_of(namespace)}


def hop_text(hop: LossyHop) -> str:
    """`ovs-vswitchd (pid 4711), packet sockets`."""
    process = f"{hop.program or 'a process'} (pid {hop.pid})" if hop.pid else ""
    return f"{process}, {HOPS[hop.kind]}" if process else HOPS[hop.kind]
