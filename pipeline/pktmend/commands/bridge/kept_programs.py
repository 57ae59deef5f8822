"""The programs that are kept first on a port's ingress: seen to, put back, told of.

Rules of this file:
1. Whoever takes a program away, or puts another before ours, is answered at once, but BURST times in a row at most and
   then once in PAUSE seconds: two programs that both insist on being first must not fight for a CPU.
2. Everything that happens is told once and counted; what it means for frames is said.

Not here: which interface it is (kept_port), and how a program is attached (pktmend.host.tcx).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from pktmend.errors import OSFailure
from pktmend.host import tc_filter
from pktmend.host.interfaces import name_of
from pktmend.host.tcx import Attachment

BURST: Final = 10  # times that it is put back in a row
PAUSE: Final = 2.0  # seconds: and then once in so many; after BURST * PAUSE seconds of peace it is as at first
MEANING: Final = {
    "isolation": "the host's stack may get frames that arrive there",
    "cut-through": "frames that arrive there may be taken away before the bridge has them",
}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class AttachmentState:
    """What is known of a program on a kept port, as --json shows it.

    purpose:   "isolation" or "cut-through".     mechanism: "tcx", "clsact", "" while the interface is gone.
    in_force:  it is there and nobody else is asked before it.
    removed:   times it was taken away.    overtaken: times another was put before it.    restored: times put back.
    """

    purpose: str
    mechanism: str = ""
    in_force: bool = False
    removed: int = 0
    overtaken: int = 0
    restored: int = 0

    @property
    def is_undisturbed(self) -> bool:
        """Is it in force, and has been all the time?"""
        return self.in_force and not (self.removed or self.overtaken)

    def as_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)

    def __str__(self) -> str:
        how = f"in force by {self.mechanism}" if self.in_force else "not in force"
        return (
            f"{self.purpose} {how}; removed {self.removed}, overtaken {self.overtaken}, put back {self.restored} times"
        )


class Tries:
    """How often something may be tried: *burst* times in a row, and once in *pause* seconds.

    now: seconds of a clock that only goes forward.
    """

    def __init__(self, now: float, burst: int = BURST, pause: float = PAUSE) -> None:
        self._burst, self._pause = burst, pause
        self._left = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """May it be tried now?  Then it counts as tried."""
        self._refill(now)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def are_full(self, now: float) -> bool:
        """Has there been peace for so long that all is as at first?"""
        self._refill(now)
        return self._left >= self._burst

    def _refill(self, now: float) -> None:
        self._left = min(float(self._burst), self._left + (now - self._at) / self._pause)
        self._at = now


class _Program:
    """One of the programs of a port: how it is attached, and what has become of it."""

    def __init__(self, purpose: str, make: Callable[[int], Attachment]) -> None:
        self.make = make
        self.attachment: Attachment | None = None
        self.state = AttachmentState(purpose)

    def note(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)

    def standing(self, ours: set[str]) -> tc_filter.Standing:
        """Return what has become of it; *ours* may be asked before it."""
        if self.attachment is None:
            return tc_filter.Standing(is_attached=False)
        standing = self.attachment.standing()
        return standing._replace(before=tuple(each for each in standing.before if each not in ours))

    def close(self) -> None:
        attachment, self.attachment = self.attachment, None
        self.note(mechanism="", in_force=False)
        if attachment is not None:
            attachment.close()


class KeptPrograms:
    """Those of one port; check() is to be called often.

    placed: times that anything was attached: links may be others then, though their descriptors look the same.
    """

    def __init__(self) -> None:
        self.placed = 0
        self._programs: list[_Program] = []  # the first is asked first
        self._tries = Tries(time.monotonic())
        self._has_given_up = False
        self._trouble = ""  # the kind of it that was told already
        self._behind = ""
        self._next_try = 0.0

    def __len__(self) -> int:
        return len(self._programs)

    @property
    def states(self) -> list[AttachmentState]:
        """Those of its programs."""
        return [each.state for each in self._programs]

    @property
    def links(self) -> list[int]:
        """The descriptors that keep those programs there that need one."""
        return [each.attachment.link for each in self._programs if each.attachment and each.attachment.link >= 0]

    def add(self, index: int, name: str, purpose: str, make: Callable[[int], Attachment]) -> None:
        """Attach by make(index), before what is kept already, and again whenever that is needed.

        Raises OSFailure if another program stays before ours; OSError.
        """
        program = _Program(purpose, make)
        program.attachment = make(index)
        standing = program.standing(self._words())
        if not standing.is_in_force:
            program.close()
            raise OSFailure(
                f"{name}: {', '.join(standing.before)} is asked before the {purpose}, and stays there",
                f"see tc filter show dev {name} ingress, bpftool net show dev {name}",
                errno.EBUSY,
                name,
            )
        if not self._programs and program.attachment.mechanism == "tcx":
            tc_filter.take_out(index)  # what a bridge that was killed has left there
        program.note(mechanism=program.attachment.mechanism, in_force=True)
        self._programs.insert(0, program)
        self.placed += 1

    def close(self) -> None:
        """Take them off the interface, or forget one that is gone; check() attaches them again."""
        with ExitStack() as stack:  # all of them, whatever one says
            for each in self._programs:
                stack.callback(each.close)

    def check(self, index: int, name: str, tell: Tell) -> None:
        """See that all are in force on interface number *index*, and put them back if not; *tell* what happened."""
        try:
            self._watch(index, name, time.monotonic(), tell)
        except OSError as error:
            if not _is_there(index):  # it went away meanwhile
                return
            what = f"{name}: the {self._purposes} cannot be put in force: {error.strerror}"
            self._tell_once(tell, error.strerror or "", f"{what}; {self._meaning}")

    def _words(self) -> set[str]:
        return {each.attachment.words for each in self._programs if each.attachment}

    def _watch(self, index: int, name: str, now: float, tell: Tell) -> None:
        ours = self._words()
        standings = [each.standing(ours) for each in self._programs]
        is_new = all(each.attachment is None for each in self._programs)
        if all(each.is_in_force for each in standings):
            self._recovered(name, now, tell)
            return
        self._count(standings)
        who = _names(standings)
        if who and who == self._behind and now < self._next_try:
            return  # it stayed first though ours was put back: nothing has changed
        if not is_new and not self._tries.take(now):
            if not self._has_given_up:
                self._has_given_up = True
                tell(f"{name}: {self._words_of_giving_up(who)}")
            return
        troubled = [each for each, standing in zip(self._programs, standings, strict=True) if not standing.is_in_force]
        self._next_try = now + PAUSE
        self._put_all(index)
        self._settle(name, troubled, "" if is_new else who or "gone", tell)

    def _count(self, standings: list[tc_filter.Standing]) -> None:
        for each, standing in zip(self._programs, standings, strict=True):
            if not standing.is_in_force and each.state.in_force:
                what = "overtaken" if standing.is_attached else "removed"
                each.note(in_force=False, **{what: getattr(each.state, what) + 1})

    def _put_all(self, index: int) -> None:
        """Put all programs first again, in their order."""
        self.placed += 1
        for each in reversed(self._programs):
            if each.attachment is None:
                each.attachment = each.make(index)
                each.note(mechanism=each.attachment.mechanism)
        previous: Attachment | None = None
        for each in self._programs:
            assert each.attachment is not None
            if previous is not None or not each.standing(self._words()).is_in_force:
                each.attachment.put_back(previous)
            previous = each.attachment

    def _settle(self, name: str, troubled: list[_Program], why: str, tell: Tell) -> None:
        """See whether all are in force now that they were put there, and say so."""
        ours = self._words()
        standings = [each.standing(ours) for each in self._programs]
        for each, standing in zip(self._programs, standings, strict=True):
            each.note(in_force=standing.is_in_force)
            if each in troubled and standing.is_in_force and why:
                each.note(restored=each.state.restored + 1)
        self._behind = _names(standings)
        if self._behind:
            what = f"{name}: the {self._purposes} is behind {self._behind}, which stays first"
            self._tell_once(tell, "behind", f"{what}; {self._meaning}")
        elif all(each.is_in_force for each in standings) and why and not self._has_given_up:
            self._trouble = ""
            what = " and ".join(each.state.purpose for each in troubled)
            was = f"the {what} was removed from it; put back"
            tell(f"{name}: {was if why == 'gone' else f'{why} was put before the {what}; put first again'}")

    def _recovered(self, name: str, now: float, tell: Tell) -> None:
        for each in self._programs:
            each.note(in_force=True)
        if self._has_given_up and not self._tries.are_full(now):
            return  # it may go on
        if self._trouble or self._has_given_up:
            tell(f"{name}: the {self._purposes} is in force again")
        self._has_given_up = False
        self._trouble = ""

    @property
    def _purposes(self) -> str:
        return " and ".join(each.state.purpose for each in self._programs)

    @property
    def _meaning(self) -> str:
        return ", and ".join(MEANING[each.state.purpose] for each in self._programs)

    def _words_of_giving_up(self, who: str) -> str:
        why = f"{who} is put before it" if who else "it is removed"
        return (
            f"gave up keeping the {self._purposes} first: {why} again and again; put back only every"
            f" {PAUSE:.0f} s now, and in between {self._meaning}"
        )

    def _tell_once(self, tell: Tell, kind: str, text: str) -> None:
        if kind != self._trouble and not self._has_given_up:
            self._trouble = kind
            tell(text)


def _names(standings: list[tc_filter.Standing]) -> str:
    """Return who is asked before any of ours."""
    return ", ".join(dict.fromkeys(words for each in standings for words in each.before))


def _is_there(index: int) -> bool:
    try:
        return bool(name_of(index))
    except OSError:
        return False
