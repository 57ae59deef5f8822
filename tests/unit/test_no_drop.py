"""The search of the rate without loss, over forwarders whose rate is known because they are made up."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from pktmend.commands.bench.no_drop import NoDropBench
from pktmend.commands.bench.rate_search import Found, Trial, search
from pktmend.errors import ConfigError

HIGHEST = 1_000_000.0


def forwarder(best: float, *, offers: float = HIGHEST) -> Callable[[float], Trial]:
    """Return trials over one second of a forwarder that forwards *best* frames a second and drops the rest."""

    def trial(rate: float) -> Trial:
        offered = min(rate or offers, offers)
        return Trial(offered, round(offered), min(round(offered), round(best)))

    return trial


@pytest.mark.parametrize("best", [31_000, 250_000, 500_000, 777_777, 990_000])
@pytest.mark.parametrize("resolution", [0.001, 0.01])
def test_search_comes_as_close_as_it_was_told(best: float, resolution: float) -> None:
    found = search(forwarder(best), resolution=resolution)
    assert best - resolution * HIGHEST <= found.rate <= best + 1
    assert found.trials <= 2 + 1 + {0.001: 10, 0.01: 7}[resolution] and not found.is_sender
    assert found.above is not None and best < found.above.sent <= best + 2 * resolution * HIGHEST


def test_sender_that_loses_nothing_is_the_limit() -> None:
    assert search(forwarder(2 * HIGHEST), resolution=0.01) == Found(HIGHEST, None, 1, is_sender=True)


def test_forwarder_that_always_loses_has_no_rate() -> None:
    found = search(lambda rate: Trial(rate or HIGHEST, 1000, 999), resolution=0.01)
    assert found.rate == 0 and found.above is not None and found.above.lost == 1


def test_dead_forwarder_has_no_rate() -> None:
    assert search(lambda rate: Trial(0.0, 0, 0), resolution=0.01).rate == 0


def test_tolerated_loss() -> None:
    """A thousandth is lost at any rate, all of it from half on."""

    def trial(rate: float) -> Trial:
        offered = rate or HIGHEST
        return Trial(offered, 100_000, 99_900 if offered <= HIGHEST / 2 else 10)

    assert search(trial, resolution=0.01).rate == 0
    assert 0.49 * HIGHEST <= search(trial, resolution=0.01, tolerate=0.001).rate <= 0.5 * HIGHEST


def test_lucky_trial_is_not_believed() -> None:
    """Above the true rate a trial in three loses nothing: what the search found has to hold once more.

    Six or seven trials above it: without that, 1 - (2/3)^6 of the searches, 182 of 200, would end too high.
    """
    random, best = Random(3), 400_000

    def trial(rate: float) -> Trial:
        offered = rate or HIGHEST
        holds = offered <= best or (rate > 0 and random.random() < 1 / 3)
        return Trial(offered, round(offered), round(offered) - (not holds))

    rates = [search(trial, resolution=0.01).rate for _ in range(200)]
    lucky = [rate for rate in rates if rate > best]
    assert len(lucky) < 120 and min(rates) > 0.8 * best


def test_sender_that_falls_short_does_not_keep_the_search_going() -> None:
    """It comes to 600,000 when paced, and to a million unpaced."""

    def trial(rate: float) -> Trial:
        offered = min(rate, 600_000) or HIGHEST
        return Trial(offered, round(offered), min(round(offered), 700_000))

    assert search(trial, resolution=0.01).rate == 600_000


def test_word_that_names_no_forwarder_is_refused() -> None:
    with pytest.raises(ConfigError, match="abacus"):
        list(NoDropBench(only=("abacus",)).measure())
