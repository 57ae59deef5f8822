"""What workers elsewhere are asked of one file: shares of a large one, or else, or where these do not fit, all of it.

A share is SHARE pieces, cut as this machine would (split.py), so what is told of a file is the same whoever reads it.
Where rows are written, packets are counted first: a round of tasks of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from pktmend.commands.check.pieces import Part, Refuted, Share, check_share, count_packets, joined
from pktmend.commands.check.split import pieces_in, starts_of
from pktmend.commands.check.work import Fault, One, Running, Work, check_file, filter_of
from pktmend.errors import EXIT_MISSING, OSFailure, PktmendError

SHARE: Final = 4  # pieces of a task
WHOLE: Final = -1  # the place of an answer about all of the file

Cut = tuple[int, int, int]  # of how many pieces, the first, and the one behind the last
Submit = Callable[..., None]  # place, function, arguments


def check_there(path: str, work: Work) -> One:
    """Check a file on the machine that this runs on, and return what is to be told of it: small, whatever its size."""
    _learn(work)
    one = One(path)
    try:
        check_file(one, work, lambda cause, text: one.texts.append((cause, text)), _run, filter_of(work.expression))
    except PktmendError as error:
        one.fault = Fault.of(error)
    one.is_done = True
    return one


def check_share_there(path: str, work: Work, cut: Cut, before: int, index: int, of: int) -> Part | None:
    """Check some pieces; None if it cannot be done."""
    _learn(work)
    starts = starts_of(path, *cut)
    try:
        return check_share(path, Share(starts, before, index, of), work, _run) if starts else None
    except (PktmendError, Refuted):
        return None


def count_there(path: str, cut: Cut) -> int | None:
    """Count the packets of some pieces; None if it cannot be done."""
    starts = starts_of(path, *cut)
    try:
        return count_packets(path, starts[0], starts[-1], _run) if starts else None
    except (PktmendError, Refuted):
        return None


def _learn(work: Work) -> None:
    if work.tunnels:
        from pktmend.runtime.tunnels import learn_tunnel_ports

        learn_tunnel_ports(work.tunnels, is_live=False)


def _run(running: Running) -> None:
    running.start()
    running.wait()


class Asked:
    """A file, and what was answered.

    submit: has a worker call a function; its future is taken with the place that it was given.
    """

    def __init__(self, path: str, work: Work, submit: Submit) -> None:
        self._path, self._work, self._submit = path, work, submit
        pieces = pieces_in(path) if work.may_be_cut else 1
        pieces = pieces if starts_of(path, pieces, 0, 1) else 1
        shares = pieces // SHARE
        ends = [pieces * i // max(1, shares) for i in range(shares + 1)]
        self._cuts = [(pieces, first, last) for first, last in pairwise(ends)]
        self._is_counting = False
        self._answers: list[Any] = []
        self._missing = 0

    def begin(self) -> None:
        """Ask for the first time."""
        if len(self._cuts) < 2:
            self._submit(WHOLE, check_there, self._path, self._work)
        elif self._work.rows is None:
            self._ask_shares([0] * len(self._cuts))
        else:
            self._is_counting = True
            self._expect(len(self._cuts) - 1)
            for place, cut in enumerate(self._cuts[:-1]):
                self._submit(place, count_there, self._path, cut)

    def _expect(self, answers: int) -> None:
        self._answers, self._missing = [None] * answers, answers

    def _ask_shares(self, counts: list[int]) -> None:
        """counts: packets of each share, as far as they are known."""
        of = len(self._cuts)
        self._is_counting = False
        self._expect(of)
        for i, cut in enumerate(self._cuts):
            self._submit(i, check_share_there, self._path, self._work, cut, sum(counts[:i]), i, of)

    def take(self, place: int, future: Any) -> One | None:
        """Take an answer; return what is to be told of the file once that is all there.

        Raises: OSFailure where a worker cannot do this at all.
        """
        if place == WHOLE:
            return _result_of(future, self._path)
        self._answers[place] = _answer_of(future)
        self._missing -= 1
        if self._missing:  # a share that is read at the same time as the whole would write the same rows
            return None
        if None not in self._answers:
            if self._is_counting:
                self._ask_shares(self._answers)
                return None
            try:
                part = joined(self._answers, is_numbered=self._work.rows is not None)
                return One(self._path, part.first, found=part.found, is_done=True)
            except Refuted:
                pass
        self._submit(WHOLE, check_there, self._path, self._work)
        return None


def _answer_of(future: Any) -> Any:
    """Return what came of a share, None if nothing did: whoever reads the whole says why."""
    try:
        return future.result()
    except ImportError as error:
        raise _cannot(error) from None
    except Exception:
        return None


def _result_of(future: Any, path: str) -> One:
    try:
        one: One = future.result()
        return one
    except ImportError as error:
        raise _cannot(error) from None
    except Exception as error:  # whatever the engine says of a task
        first = str(error).splitlines()[0] if str(error) else ""
        detail = f"{path}: {type(error).__name__}: {first}" if first else f"{path}: {type(error).__name__}"
        return One(path, fault=Fault(detail, detail, EXIT_MISSING), is_done=True)


def _cannot(error: ImportError) -> OSFailure:
    return OSFailure(f"a worker cannot load pktmend: {error}", "install the same version on every worker")
