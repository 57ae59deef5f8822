"""The receiver's count of numbered frames: lost, twice, out of order, within super-frames."""

from __future__ import annotations

import struct

from pktmend import Frames, verify
from pktmend.commands.bench.frames import TCP, UDP, Shape
from pktmend.commands.bench.receive import Arrivals

MARK = 0x706D


def payload(number: int, run: int = 7) -> bytes:
    return struct.pack("!HHIH", MARK, run, number, 0)


def numbered(number: int, run: int = 7, protocol: int = UDP) -> bytes:
    return Shape(4, protocol, 64).frame(payload(number, run).ljust(22 if protocol == UDP else 10, b"\0"))


def note(arrivals: Arrivals, frames: list[bytes]) -> None:
    batch = Frames(frames, flags=1).batch()
    verify(batch)
    arrivals.stage(batch)


def counts(numbers: list[int]) -> dict[str, int]:
    arrivals = Arrivals()
    note(arrivals, [numbered(n) for n in numbers])
    (run,) = arrivals.runs()
    return {name: run[name] for name in ("received", "lost", "duplicates", "reordered", "late")}


def test_all_in_order() -> None:
    assert counts(list(range(100))) == {"received": 100, "lost": 0, "duplicates": 0, "reordered": 0, "late": 0}


def test_gap_is_lost() -> None:
    assert counts([0, 1, 5, 6])["lost"] == 3


def test_filled_gap_is_reordered_and_not_lost() -> None:
    assert counts([0, 2, 1, 3]) == {"received": 4, "lost": 0, "duplicates": 0, "reordered": 1, "late": 0}


def test_twice_is_a_duplicate() -> None:
    assert counts([0, 1, 1, 2, 0]) == {"received": 3, "lost": 0, "duplicates": 2, "reordered": 0, "late": 0}


def test_late_one_below_the_first() -> None:
    assert counts([5, 4, 6]) == {"received": 3, "lost": 0, "duplicates": 0, "reordered": 1, "late": 0}


def test_beyond_the_window_a_number_is_late() -> None:
    assert counts([0, 1, (1 << 20) + 1, 1, 2])["late"] == 1  # 1 is out of it, 2 is not
    assert counts([0, (1 << 20), 0])["late"] == 1


def test_window_forgets_who_had_the_place_before() -> None:
    assert counts([3, (1 << 20) + 2, (1 << 20) + 3]) == {
        "received": 3,
        "lost": (1 << 20) - 2,
        "duplicates": 0,
        "reordered": 0,
        "late": 0,
    }


def test_last_number_of_all() -> None:
    assert counts([0xFFFFFFFE, 0xFFFFFFFF])["received"] == 2


def test_runs_are_kept_apart_and_strangers_counted() -> None:
    arrivals = Arrivals()
    stranger = Shape(4, UDP, 64).frame(bytes(22))
    note(arrivals, [numbered(0, 1), numbered(0, 2), stranger, numbered(1, 1, TCP), numbered(4, 2), b"\0" * 60])
    assert [(run["run"], run["received"], run["lost"]) for run in arrivals.runs()] == [(1, 2, 0), (2, 2, 3)]
    assert arrivals.foreign == 2


def test_more_runs_than_are_kept_are_strangers() -> None:
    arrivals = Arrivals()
    note(arrivals, [numbered(0, run) for run in range(10)])
    assert len(arrivals.runs()) == 8 and arrivals.foreign == 2


def test_cut_frames_are_strangers() -> None:
    arrivals = Arrivals()
    note(arrivals, [numbered(0)[:length] for length in range(14, 50)])
    assert arrivals.runs() == [] and arrivals.foreign == 36
