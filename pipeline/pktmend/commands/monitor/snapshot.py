"""What a monitor knows at one moment, frozen: for the live view, the events and the metrics, which see nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pktmend._core import Check
from pktmend.console.report import check_json, rfc3339
from pktmend.enums import Cause, Status
from pktmend.host.workloads import Workload, label_of, words_of_workload
from pktmend.records import Flow
from pktmend.runtime.counters import Counters
from pktmend.serving.health import Workers
from pktmend.serving.survey import Survey

SCHEMA: Final = "urn:pktmend:schema:monitor:1"  # of what as_json() returns and `monitor --json` prints


@dataclass(frozen=True, slots=True)
class BadFlow:
    """A flow with bad packets.  packets may be too high by up to *over* where very many flows are bad."""

    interface: str
    flow: Flow
    packets: int
    over: int
    last_ns: int
    cause: Cause

    def as_json(self) -> dict[str, Any]:
        """Return it as the object that `--json` prints."""
        return {
            "interface": self.interface,
            "flow": str(self.flow),
            "transport": self.flow.transport,
            "packets": self.packets,
            "over": self.over,
            "last": rfc3339(self.last_ns),
            "cause": str(self.cause),
        }


@dataclass(frozen=True, slots=True)
class BadPacket:
    """One bad packet, of those that were kept."""

    interface: str
    flow: Flow
    time_ns: int
    caplen: int
    wirelen: int
    cause: Cause
    checks: tuple[Check, ...]

    @property
    def worst(self) -> Check:
        """Its first bad check, outermost first."""
        return next((k for k in self.checks if k.status == Status.BAD), self.checks[0])

    def as_json(self) -> dict[str, Any]:
        """Return it as the object that `--json` prints."""
        return {
            "time": rfc3339(self.time_ns),
            "interface": self.interface,
            "flow": str(self.flow),
            "transport": self.flow.transport,
            "caplen": self.caplen,
            "wirelen": self.wirelen,
            "cause": str(self.cause),
            "checks": [check_json(k) for k in self.checks],
        }


@dataclass(frozen=True, slots=True)
class FileCounts:
    """What became of the packets meant for the file: written, still buffered, or not written, by reason."""

    path: str
    is_writing: bool
    written: int
    octets: int
    files: int
    buffered: int
    not_written: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return it as the object that `--json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it.

    directions: one for each interface.       flows: with most bad packets first.
    kernel:     the namespace's own *InCsumErrors, named as nstat names them; kernel_start: when the monitor began.
    shown:      bad packets that were shown one by one.
    is_running: do all workers still run?     taken: when, on the monotonic clock.
    owners:     {interface: whose it is}, of those that are somebody's: by the survey, else as it was at the start.
    workers:    how many of them run, have ended, and hang.
    survey:     whose the interfaces are (--workloads); None: nobody looks.
    """

    time_ns: int
    directions: tuple[Counters, ...]
    flows: tuple[BadFlow, ...] = ()
    kernel: dict[str, int] = field(default_factory=dict)
    kernel_start: dict[str, int] = field(default_factory=dict)
    file: FileCounts | None = None
    shown: int = 0
    is_running: bool = True
    taken: float = field(default_factory=time.monotonic)
    owners: Mapping[str, Workload] = field(default_factory=dict)

    workers: Workers = field(default_factory=Workers)
    survey: Survey | None = None

    def owner(self, interface: str) -> str:
        """Return `pod default/web-0`, `container web`, or ""."""
        found = self.owners.get(interface)
        return label_of([found]) if found is not None else ""

    @property
    def is_well(self) -> bool:
        """Do all workers run, and make progress?"""
        return self.is_running and self.workers.are_well

    @property
    def bad(self) -> int:
        """Bad packets so far."""
        return sum(d.status.get("bad", 0) for d in self.directions)

    @property
    def kernel_errors(self) -> dict[str, int]:
        """The checksum errors that the kernel itself has counted since the monitor began."""
        return {name: n - self.kernel_start.get(name, 0) for name, n in self.kernel.items()}

    def _direction(self, d: Counters) -> dict[str, Any]:
        found = self.owners.get(d.from_)
        return d.as_json() if found is None else d.as_json() | words_of_workload(found)

    def as_json(self, *, since: Snapshot | None = None) -> dict[str, Any]:
        """Return it as the object that `--json` prints.

        since: leave out the directions and flows that are the same in that one; None: all of them.
        """
        directions, flows = since.changes(self) if since is not None else (self.directions, self.flows)
        out: dict[str, Any] = {"time": rfc3339(self.time_ns), "complete": since is None}
        out["directions"] = [self._direction(d) for d in directions]
        out["bad"] = {"packets": self.bad, "shown": self.shown, "not_shown": max(0, self.bad - self.shown)}
        out["flows"] = [flow.as_json() for flow in flows]
        out["kernel"] = self.kernel_errors
        if self.file is not None:
            out["file"] = self.file.as_json()
        return out

    def changes(self, later: Snapshot) -> tuple[list[Counters], list[BadFlow]]:
        """Return the directions and flows of *later* that are not as they are here."""
        before = {d.from_: d for d in self.directions}
        flows = set(self.flows)
        return [d for d in later.directions if before.get(d.from_) != d], [f for f in later.flows if f not in flows]

    def is_as(self, later: Snapshot) -> bool:
        """Has nothing changed until *later* but the time?"""
        directions, flows = self.changes(later)
        return not (directions or flows) and self.kernel == later.kernel and self.file == later.file


def heaviest(flows: Sequence[BadFlow], most: int) -> tuple[BadFlow, ...]:
    """Return the *most* flows with most bad packets."""
    return tuple(sorted(flows, key=lambda flow: -flow.packets)[:most])
