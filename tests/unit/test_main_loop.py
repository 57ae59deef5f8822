"""The loop of the long-running commands: what ends it, and what it does meanwhile.

Real signals go to this process; a worker here is what a Pipeline shows of itself.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pktmend.console.main_loop import DURATION, SIGNAL, WORKER, main_loop
from pktmend.console.signals import Signals
from pktmend.console.systemd import Service


@dataclass
class Worker:
    """Done after so many questions; its beat rises with each unless it hangs."""

    left: int = 1 << 30
    is_hanging: bool = False
    beat: int = 0

    def is_done(self) -> bool:
        self.left -= 1
        return self.left < 0

    def beats(self) -> int:
        self.beat += not self.is_hanging
        return self.beat


@pytest.fixture
def signals() -> Iterator[Signals]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield Signals(has_files=True)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_ends_it(signals: Signals) -> None:
    ticks: list[int] = []

    def on_tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    assert main_loop(signals, on_tick=on_tick, tick=0.001) == SIGNAL
    assert len(ticks) == 3


def test_the_duration_ends_it_in_time_and_not_before(signals: Signals) -> None:
    began = time.monotonic()
    assert main_loop(signals, duration=0.15, tick=30) == DURATION
    assert 0.15 <= time.monotonic() - began < 30


def test_one_worker_that_has_ended_ends_it(signals: Signals) -> None:
    workers = [Worker(), Worker(left=2)]
    assert main_loop(signals, lambda: workers, tick=0) == WORKER


def test_work_that_is_done_ends_it_at_once(signals: Signals) -> None:
    asked: list[float] = []
    assert main_loop(signals, wait=lambda seconds: asked.append(seconds) or True) == WORKER  # type: ignore[func-returns-value]
    assert asked == [0.1]


def test_what_a_tick_returns_is_the_reason(signals: Signals) -> None:
    reasons = iter([None, "", "enough"])
    assert main_loop(signals, on_tick=lambda: next(reasons), tick=0) == "enough"


def test_each_signal_is_handled_once(signals: Signals) -> None:
    handled: list[str] = []
    kills = iter([signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR1])

    def on_tick() -> str | None:
        number = next(kills, None)
        if number is None:
            return "no more"
        os.kill(os.getpid(), number)
        return None

    main_loop(
        signals,
        tick=0,
        on_tick=on_tick,
        on_report=lambda: handled.append("report"),
        on_reopen=lambda: handled.append("reopen"),
    )
    assert handled == ["report", "reopen", "report"]


def test_a_second_comes_once_a_second(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(n / 4 for n in range(1000))  # each turn looks at the clock once
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    order: list[str] = []

    def on_tick() -> str | None:
        order.append("tick")
        return "enough" if order.count("tick") == 9 else None

    main_loop(signals, wait=lambda _: False, on_second=lambda: order.append("second"), on_tick=on_tick)
    assert order == ["tick"] * 3 + ["second"] + ["tick"] * 4 + ["second"] + ["tick"] * 2


@pytest.mark.parametrize("is_hanging", [False, True])
def test_the_watchdog_is_fed_while_all_workers_make_progress(signals: Signals, *, is_hanging: bool) -> None:
    name = f"\0pktmend-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.setblocking(False)
        service = Service({"NOTIFY_SOCKET": f"@{name[1:]}", "WATCHDOG_USEC": "2"})
        workers = [Worker(), Worker(is_hanging=is_hanging)]
        main_loop(signals, lambda: workers, service=service, duration=0.05, tick=0.001)
        fed = 0
        while True:
            try:
                fed += manager.recv(4096) == b"WATCHDOG=1"
            except BlockingIOError:
                break
    assert fed == 1 if is_hanging else fed > 1  # the first beats are compared with nothing
