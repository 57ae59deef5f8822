"""What is done with each capture that is repaired, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pktmend import _core
from pktmend.console.report import words
from pktmend.console.suggestion import one_of
from pktmend.enums import Cause, RepairPolicy, Status
from pktmend.errors import ConfigError
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Stage
from pktmend.runtime.stages import Repair, Verify, classify, count

PENDING: Final = str(Status.PENDING)
_WORDS: Final = {PENDING: Cause.NONE} | {str(cause): cause for cause in Cause if cause is not Cause.NONE}
_NONE: Final[Mapping[str, Any]] = {}
_WITHOUT_ALL: Final = (Cause.NONE, Cause.LEAKED)  # what is repaired without being asked for by name


class Job(NamedTuple):
    """What is done with each file.

    excepted:   causes that are left as they are; Cause.NONE stands for what is pending.
    only:       the words of --only, "" for none.
    expression: packets to repair, in tcpdump's language; others are copied as they are.
    mode:       of files that are made.
    is_dry:     nothing is written.
    """

    policy: RepairPolicy = RepairPolicy.UNFINISHED
    excepted: tuple[Cause, ...] = ()
    only: str = ""
    at_wire: bool = False
    expression: str = ""
    mode: int = 0o600
    is_dry: bool = False

    def stages(self) -> list[Stage]:
        """Return new ones, for one pipeline."""
        option = _core.repair_option(int(self.policy), self.excepted)
        verify = Verify(expected=True, at_wire=self.at_wire)
        return [verify, classify, count, Repair(self.policy, excepted=self.excepted), _core.count_left_stage(option)]


def job_of(*, repair: str, only: str, at_wire: bool, expression: str, mode: int, is_dry: bool) -> Job:
    """Return the job that options ask for.  ConfigError for a cause that is none, or that `leaked` never writes."""
    policy = RepairPolicy.ALL if repair == "all" else RepairPolicy.UNFINISHED
    excepted: tuple[Cause, ...] = ()
    if only:
        chosen = [_cause(word) for word in only.split(",")]
        beyond = [word for word, cause in _WORDS.items() if cause in chosen and cause not in _WITHOUT_ALL]
        if beyond and policy is not RepairPolicy.ALL:
            raise ConfigError(f"--only {only}: --repair {repair} writes none that is {beyond[0]}", "--repair all does")
        excepted = tuple(cause for cause in _WORDS.values() if cause not in chosen)
    return Job(policy, excepted, only, at_wire, expression, mode, is_dry)


def _cause(word: str) -> Cause:
    if word not in _WORDS:
        raise ConfigError(f"--only {word!r} is no cause", one_of(word, list(_WORDS)))
    return _WORDS[word]


class Repaired(NamedTuple):
    """What was found and done, in numbers that add up.

    checks:   as they were found, by protocol, then by status or cause.
    repaired: by cause.       left: by reason (LEFT of runtime.counters), then by cause.
    """

    packets: int = 0
    truncated: int = 0
    malformed: int = 0
    repaired: Mapping[str, int] = _NONE
    checks: Mapping[str, Mapping[str, int]] = _NONE
    left: Mapping[str, Mapping[str, int]] = _NONE

    @classmethod
    def of(cls, d: Counters) -> Repaired:
        """Take what a pipeline counted."""
        return cls(d.packets, d.truncated, d.malformed, d.repaired, d.checks, d.left)

    @classmethod
    def sum(cls, parts: Iterable[Repaired]) -> Repaired:
        """Add up."""
        packets = truncated = malformed = 0
        repaired: dict[str, int] = {}
        checks: dict[str, dict[str, int]] = {}
        left: dict[str, dict[str, int]] = {}
        for part in parts:
            packets += part.packets
            truncated += part.truncated
            malformed += part.malformed
            _add(repaired, part.repaired)
            for into, new in ((checks, part.checks), (left, part.left)):
                for name, counts in new.items():
                    _add(into.setdefault(name, {}), counts)
        return cls(packets, truncated, malformed, repaired, checks, left)

    @property
    def leaves_bad(self) -> bool:
        """Is a checksum still bad?  What is pending is not."""
        return any(cause != PENDING for counts in self.left.values() for cause in counts)

    def as_json(self) -> dict[str, Any]:
        """Return the members of a summary."""
        return {
            "packets": self.packets,
            "truncated": self.truncated,
            "malformed": self.malformed,
            "repaired": self.repaired,
            "checks": self.checks,
            "left": self.left,
        }

    def left_lines(self, job: Job) -> list[str]:
        """Return what was left as it is, and why."""
        lines = []
        for reason, counts in self.left.items():
            n = sum(counts.values())
            it = "it" if n == 1 else "them"
            why = {
                "policy": f"`--repair all` would sign {it}",
                "only": f"not of --only {job.only}",
                "unable": "what would be right cannot be known from what was captured",
            }[reason]
            lines.append(f"{n} left as {'it is' if n == 1 else 'they are'} ({in_order(counts)}): {why}")
        return lines


def in_order(counts: Mapping[str, int]) -> str:
    """Return counts by cause in words, in the order of the causes."""
    return words({word: counts[word] for word in _WORDS if word in counts})


def _add(into: dict[str, int], new: Mapping[str, int]) -> None:
    for name, n in new.items():
        into[name] = into.get(name, 0) + n
