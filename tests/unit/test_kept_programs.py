"""How often a program that others take away is put back."""

from __future__ import annotations

from itertools import pairwise

from pktmend.commands.bridge.kept_programs import Tries


def test_tries_are_a_burst_and_then_one_in_each_pause() -> None:
    """A clock by hand: asked a hundred times a second for a minute, 10 at once and one in each 2 s."""
    tries = Tries(0.0, burst=10, pause=2.0)
    granted = [number / 100 for number in range(6001) if tries.take(number / 100)]
    assert [each for each in granted if each < 1] == [number / 100 for number in range(10)]
    assert len(granted) == 10 + 30
    assert min(b - a for a, b in pairwise(granted[10:])) > 1.98


def test_tries_are_as_at_first_after_as_long_a_peace() -> None:
    tries = Tries(0.0, burst=3, pause=2.0)
    assert [tries.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not tries.are_full(5.9) and tries.are_full(6.0) and tries.are_full(100.0)
    assert [tries.take(100.0) for _ in range(4)] == [True, True, True, False]
