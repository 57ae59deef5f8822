"""What was found in a file, in numbers that add up: any order, any grouping, the same sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pktmend._core import FLOWS_MOST
from pktmend.commands.check.flows import Flows, worst_json
from pktmend.commands.check.looks import Look
from pktmend.console.report import bad_of
from pktmend.enums import Proto, Status, Unread
from pktmend.runtime.counters import OUTCOMES, Counters

_NONE: Final[Mapping[Any, Any]] = {}
_PLACE = {
    name: {str(word): int(word) for word in words}
    for name, words in (("status", Status), ("proto", Proto), ("unread", Unread))
} | {"outcome": {word: place for place, word in enumerate(OUTCOMES)}}


class Found:
    """Counts of packets, and of checksums.

    packets:    that were read.    truncated: cut when they were captured.    malformed: with contradicting headers.
    status:     packets by Status.
    checks:     checksums by protocol, then by Status, bad ones by Cause.
    unread:     packets of which something was not looked into, by reason.
    kinds:      the same by (Unread, the number that is not known).
    bad:        bad packets by Cause.
    unfinished: checksums by protocol that are pending where no metadata says whether that is healthy.
    flows:      bad packets by flow, as _core.FlowCounts has them; None: there are more than FLOWS_MOST.
    """

    def __init__(
        self,
        packets: int = 0,
        truncated: int = 0,
        malformed: int = 0,
        status: Mapping[str, int] = _NONE,
        checks: Mapping[str, Mapping[str, int]] = _NONE,
        unread: Mapping[str, int] = _NONE,
        kinds: Mapping[tuple[int, int], int] = _NONE,
        bad: Mapping[str, int] = _NONE,
        unfinished: Mapping[str, int] = _NONE,
        flows: Flows | None = _NONE,
    ) -> None:
        self.packets, self.truncated, self.malformed = packets, truncated, malformed
        self.status, self.unread = dict(status), dict(unread)
        self.checks = {proto: dict(outcomes) for proto, outcomes in checks.items()}
        self.kinds, self.bad, self.unfinished = Counter(kinds), Counter(bad), Counter(unfinished)
        self.flows = None if flows is None else dict(flows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Found) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    @classmethod
    def of(cls, counted: Counters, look: Look) -> Found:
        """Take what a pipeline counted, and what its last stage did."""
        one = cls(
            counted.packets,
            counted.truncated,
            counted.malformed,
            counted.status,
            counted.checks,
            counted.unread,
            look.kinds,
            look.bad_by_cause(),
            look.unfinished_by_proto(),
            look.flows.counts(),
        )
        return one.in_order()

    @classmethod
    def sum(cls, parts: Iterable[Found]) -> Found:
        """Add up; the words are in the order of the enumerations, whatever came first."""
        total = cls()
        for part in parts:
            total.add(part)
        return total.in_order()

    def add(self, part: Found) -> None:
        """Add *part* to this."""
        self.packets += part.packets
        self.truncated += part.truncated
        self.malformed += part.malformed
        for counter, more in ((self.kinds, part.kinds), (self.bad, part.bad), (self.unfinished, part.unfinished)):
            counter.update(more)  # type: ignore[arg-type]
        self.flows = _merged(self.flows, part.flows)
        for into, new in ((self.status, part.status), (self.unread, part.unread)):
            _add(into, new)
        for proto, outcomes in part.checks.items():
            _add(self.checks.setdefault(proto, {}), outcomes)

    def in_order(self) -> Found:
        """Put the words in the order of the enumerations; return this."""
        self.status = _ordered(self.status, "status")
        self.unread = _ordered(self.unread, "unread")
        self.checks = {p: _ordered(found, "outcome") for p, found in _ordered(self.checks, "proto").items()}
        self.kinds = Counter(dict(sorted(self.kinds.items())))
        self.bad = Counter(_ordered(self.bad, "outcome"))
        self.unfinished = Counter(_ordered(self.unfinished, "proto"))
        return self

    @property
    def is_bad(self) -> bool:
        """Is a checksum bad?"""
        return bad_of(self.checks) > 0

    def as_json(self) -> dict[str, Any]:
        """Return the members of the summary; `unfinished` where there are some."""
        return {
            "packets": self.packets,
            "truncated": self.truncated,
            "malformed": self.malformed,
            "checks": self.checks,
            "unread": self.unread,
            **({"unfinished": dict(self.unfinished)} if self.unfinished else {}),
            **({"worst_flows": worst_json(self.flows)} if self.flows is None or self.flows else {}),
        }


def _merged(
    one: dict[bytes, tuple[int, int]] | None, other: dict[bytes, tuple[int, int]] | None
) -> dict[bytes, tuple[int, int]] | None:
    """Add up; too many are too many, whatever comes.  Changes *one*."""
    if one is None or other is None:
        return None
    for flow, (packets, causes) in other.items():
        before = one.get(flow, (0, 0))
        one[flow] = (before[0] + packets, before[1] | causes)
    return one if len(one) <= FLOWS_MOST else None


def _add(into: dict[str, int], new: Mapping[str, int]) -> None:
    for word, n in new.items():
        into[word] = into.get(word, 0) + n


def _ordered(counts: Mapping[str, Any], words: str) -> dict[str, Any]:
    place: Callable[[str], int] = _PLACE[words].__getitem__
    return {word: counts[word] for word in sorted(counts, key=place)}
