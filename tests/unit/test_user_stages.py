"""Users' stages: policies for one that fails, what it edits, and when it is too slow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from scapy.all import wrpcap

import frames as f
import pktmend
from pktmend import Batch, Capture, OnError, Pipeline, Status, Verdict, classify, count, verify
from pktmend.runtime.counters import Counters
from pktmend.runtime.stage_health import StageHealth
from tools import Collect

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(GOOD, 90, 0x4711)
UDP = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
PACKETS = 2100


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "mixed.pcap"
    wrpcap(str(path), [GOOD, CORRUPT, UDP] * (PACKETS // 3), linktype=1)
    return str(path)


def run(capture: str, *stages: Any, on_error: OnError = OnError.PASS) -> tuple[Counters, list[bytes]]:
    """Run *stages* behind verify over the capture; what was counted and what passed."""
    sink = Collect()
    with Capture(capture) as source:
        p = Pipeline(source, [verify, classify, count, *stages], sink, on_error=on_error)
        p.run()
    return p.counters(), sink.frames


def half_done(batch: Batch) -> None:
    """Write here and there, then fail, with views in its hands."""
    verdict = numpy.asarray(batch.verdict)
    verdict[0] = Verdict.DROP
    frame = numpy.asarray(batch.frame(1))
    frame[60:] = 0xEE
    raise KeyError("half done")


def test_pass_takes_back_what_the_failed_stage_did(capture: str) -> None:
    seen: list[int] = []
    d, passed = run(capture, half_done, lambda batch: seen.append(len(batch)))
    assert passed == [GOOD, CORRUPT, UDP] * (PACKETS // 3)
    assert (d.read, d.sent, d.dropped) == (PACKETS, PACKETS, {})
    assert sum(seen) == PACKETS  # the next stage saw every packet
    broken, after = d.stages
    assert broken.name == "half_done" and broken.calls == broken.errors == after.calls == len(seen)
    assert after.errors == 0 and after.fault is None
    assert broken.fault == f"KeyError: 'half done' (test_user_stages.py:{half_done.__code__.co_firstlineno + 6})"


def test_drop_has_a_reason_of_its_own(capture: str) -> None:
    def drops_udp(batch: Batch) -> None:
        batch.mark(Verdict.DROP, protocol=17)

    d, passed = run(capture, drops_udp, half_done, on_error=OnError.DROP)
    assert passed == []
    assert d.dropped == {"stage": PACKETS // 3, "stage-error": PACKETS * 2 // 3}
    assert d.read == d.sent + sum(d.dropped.values()) == PACKETS


@pytest.mark.parametrize("policy", OnError)
def test_verdict_that_there_is_not_is_a_failure(capture: str, policy: OnError) -> None:
    def nonsense(batch: Batch) -> None:
        numpy.asarray(batch.verdict)[:] = 77

    if policy is OnError.END:
        with pytest.raises(pktmend.StageError, match="nonsense failed: wrote an invalid value"):
            run(capture, nonsense, on_error=policy)
        return
    d, passed = run(capture, nonsense, on_error=policy)
    assert len(passed) == (PACKETS if policy is OnError.PASS else 0)
    assert d.read == d.sent + sum(d.dropped.values()) == PACKETS
    assert d.stages[0].errors == d.stages[0].calls > 0


def test_stage_that_keeps_views_is_the_one_that_is_blamed(capture: str) -> None:
    kept: list[Any] = []

    def keeps(batch: Batch) -> None:
        if not kept:
            kept.append(batch.status)

    with Capture(capture) as source:
        p = Pipeline(source, [verify, keeps, lambda batch: None], on_error=OnError.PASS)
        p.run()
        kept.clear()
    keeping, other = p.counters().stages
    assert (keeping.errors, other.errors) == (1, 0)
    assert keeping.fault and "BufferError" in keeping.fault and keeping.calls == other.calls > 1


@pytest.mark.parametrize("policy", [OnError.PASS, OnError.DROP])
def test_stage_that_replaces_its_view_each_time_fails_each_time(capture: str, policy: OnError) -> None:
    kept: list[Any] = [None]

    def keeps(batch: Batch) -> None:
        kept[0] = batch.status

    with Capture(capture) as source:
        p = Pipeline(source, [verify, keeps, lambda batch: None], on_error=policy)
        p.run()
        kept.clear()
    d = p.counters()
    keeping, other = d.stages
    assert keeping.errors == keeping.calls == other.calls > 1 and other.errors == 0
    assert d.dropped.get("stage-error", 0) == (PACKETS if policy is OnError.DROP else 0)


def test_stage_that_leaves_the_program_only_fails(capture: str) -> None:
    d, passed = run(capture, lambda batch: sys.exit(3))
    assert len(passed) == PACKETS and d.stages[0].fault and d.stages[0].fault.startswith("SystemExit: 3")


def test_what_a_stage_edited_is_verified_again(capture: str) -> None:
    """The checksum stays: a good packet that is changed is bad from then on, a corrupt one set right is good."""

    def restore(batch: Batch) -> None:
        for i in batch.where(protocol=6):
            batch.frame(i)[90:92] = GOOD[90:92]
        for i in batch.where(protocol=17):
            batch.frame(i)[90] ^= 1

    status: list[int] = []
    run(capture, restore, lambda batch: status.extend(batch.status), on_error=OnError.END)
    assert status == [Status.GOOD, Status.GOOD, Status.BAD] * (PACKETS // 3)


def test_stage_that_only_looks_costs_no_second_verify(capture: str) -> None:
    causes: list[int] = []
    run(capture, lambda batch: list(batch.status), lambda batch: causes.extend(batch.cause), on_error=OnError.END)
    assert causes == [0, pktmend.Cause.CORRUPT, 0] * (PACKETS // 3)  # classify ran before: verify alone names none


def test_native_stage_that_fails_is_counted_with_its_errno(
    capture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = "static int f(pp_batch *b, void *c) { (void)c; b->status[0] = 99; b->count = 0; return -16; }"
    d, passed = run(capture, pktmend.build_native(source, "f", name="busy"))
    assert len(passed) == PACKETS
    assert (d.stages[0].name, d.stages[0].fault) == ("busy", "Device or resource busy")
    assert d.stages[0].errors == d.stages[0].calls > 0


def test_own_counters_and_close(capture: str) -> None:
    class Mine:
        name = "mine"
        closed = 0

        def __call__(self, batch: Batch) -> None: ...

        def counters(self) -> dict[str, int]:
            return {"apples": 3}

        def close(self) -> None:
            self.closed += 1

    mine = Mine()
    d, _ = run(capture, mine)
    assert mine.closed == 1
    assert d.stages[0].counters == {"apples": 3} and d.stages[0].ns > 0
    both = Counters.sum([d, d])
    assert both.stages[0].calls == 2 * d.stages[0].calls and both.stages[0].counters == {"apples": 6}


def test_builtin_stages_are_not_counted_as_users(capture: str) -> None:
    assert run(capture)[0].stages == ()


def test_slow_stage_is_told_once_and_only_while_packets_are_lost(capture: str, monkeypatch: pytest.MonkeyPatch) -> None:

    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    d, _ = run(capture, lambda batch: None)
    told: list[str] = []
    watch = StageHealth(OnError.PASS)

    def second(busy: float, drops: int) -> None:
        nonlocal d
        clock[0] += 1
        stage = d.stages[0]._replace(ns=d.stages[0].ns + int(busy * 1e9))
        d = d._replace(stages=(stage,), kernel_drops=d.kernel_drops + drops)
        watch.poll([d], told.append)

    second(0.9, 5)  # nothing to compare with yet
    second(0.9, 0)
    second(0.2, 5)
    assert told == []
    second(0.9, 5)
    second(0.9, 5)
    assert len(told) == 1 and "<lambda> takes 90% of its worker's time" in told[0] and "5 just now" in told[0]
