"""Batches, stages and pipelines over a capture made by scapy: Python stages, native stages, views, counters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cffi
import numpy
import pytest
from scapy.all import ICMP, UDP, VXLAN, Ether, wrpcap

import frames as f
import pktmend
from pktmend import Batch, Capture, Cause, Null, Pipeline, Proto, Status, Verdict, _core, classify, count, verify
from tools import Collect

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
CORRUPT = f.put16(GOOD, 90, 0x4711)
LEAKED = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)
PING = f.raw(f.ether / f.ip4 / ICMP() / f.PAYLOAD)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "mixed.pcap"
    wrpcap(str(path), [GOOD, CORRUPT, LEAKED, PING] * 700, linktype=1)
    return str(path)


def test_readme_stage_drops_bad_and_everything_is_counted(capture: str) -> None:
    def drop_bad(batch: Batch) -> None:
        """Drop packets with a wrong checksum.  Reads: status.  Writes: verdict."""
        batch.mark(Verdict.DROP, status=Status.BAD)

    sink = Collect()
    with Capture(capture) as source:
        p = Pipeline(source, [verify, classify, count, drop_bad], sink)
        p.run()
    d = p.counters()
    assert sink.frames == [GOOD, LEAKED, PING] * 700
    assert (d.read, d.sent, d.dropped, d.packets) == (2800, 2100, {"stage": 700}, 2800)
    assert d.checks == {
        "ip": {"good": 2800},
        "tcp": {"good": 700, "corrupt": 700},
        "udp": {"pending": 700},
        "icmp": {"good": 700},
    }


def test_where_and_mark_look_only_at_what_still_passes(capture: str) -> None:
    seen: list[object] = []

    def look(batch: Batch) -> None:
        seen.append(len(batch.where(status=Status.BAD, cause=Cause.CORRUPT, protocol=6, version=4)))
        seen.append(batch.mark(Verdict.DROP, protocol=6))
        seen.append(len(batch.where(status=Status.BAD)))
        seen.append(batch.mark(Verdict.PASS))

    with Capture(capture) as source:
        p = Pipeline(source, [verify, classify, look], Collect(), limit=100)
        p.run()
    assert seen == [25, 50, 0, 50]  # half of 100 still pass, and go on passing
    assert p.counters().dropped == {"stage": 50}


def test_limit_reads_exactly_that_many(capture: str) -> None:
    sink = Collect()
    with Capture(capture) as source:
        p = Pipeline(source, [verify, count], sink, limit=1501)
        p.run()
    assert len(sink.frames) == p.counters().read == 1501


def test_columns_are_arrays_without_a_copy(capture: str) -> None:
    totals = numpy.zeros(6, dtype=int)

    def histogram(batch: Batch) -> None:
        status = numpy.asarray(batch.status)
        totals[:] += numpy.bincount(status, minlength=6)
        checks = numpy.asarray(batch.checks)
        assert (checks["proto"][numpy.asarray(batch.check_first)] == Proto.IP).all()
        frame = numpy.asarray(batch.frame(0))
        assert frame.shape == (batch.caplen[0],) and frame.flags.writeable
        assert not status.flags.writeable

    with Capture(capture) as source:
        Pipeline(source, [verify, classify, histogram]).run()
    assert totals[Status.GOOD] == 1400 and totals[Status.BAD] == totals[Status.PENDING] == 700


def test_view_kept_beyond_the_stage_is_a_buffererror(capture: str) -> None:
    kept = []

    def keep_frame(batch: Batch) -> None:
        kept.append(batch.frame(0))

    with Capture(capture) as source:
        with pytest.raises(BufferError, match=r"keep_frame.*still alive"):
            Pipeline(source, [keep_frame]).run()
        with pytest.raises(BufferError):
            source.close()
        kept.clear()


def test_stage_that_raises_is_named_with_its_cause(capture: str) -> None:
    def broken(batch: Batch) -> None:
        raise KeyError("nothing")

    with Capture(capture) as source, pytest.raises(pktmend.StageError, match=r"broken.*KeyError") as caught:
        Pipeline(source, [verify, broken], Null()).run()
    assert caught.value.stage == "broken"
    assert isinstance(caught.value.__cause__, KeyError)


def test_stage_that_cannot_be_called_is_refused(capture: str) -> None:
    with Capture(capture) as source, pytest.raises(pktmend.ConfigError, match="stage 1 is 'verify'"):
        Pipeline(source, [verify, "verify"])  # type: ignore[list-item]


NATIVE = """
static int drop_tall(pp_batch *b, void *context)
{
    (void)context;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->protocol[i] == 17) {
            b->verdict[i] = PP_VERDICT_DROP;
            b->drop[i] = PP_DROP_STAGE;
        }
    return 0;
}
static int fails(pp_batch *b, void *context) { (void)b; (void)context; return -7; }
static int wrong(int a) { return a; }
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled stages go to a folder of this run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def test_native_stage_written_in_c_runs(capture: str) -> None:
    stage = pktmend.build_native(NATIVE, "drop_tall")
    with Capture(capture) as source:
        p = Pipeline(source, [verify, stage, count], Collect())
        p.run()
    assert p.counters().dropped == {"stage": 700}


def test_native_stage_of_another_type_is_refused() -> None:
    ffi = cffi.FFI()
    callback = ffi.callback("int(int)", lambda a: a)
    with pytest.raises(pktmend.ConfigError, match=r"int \(\*\)\(pp_batch \*, void \*\)"):
        pktmend.wrap_native(callback)
    with pytest.raises(pktmend.ConfigError, match="neither"):
        pktmend.wrap_native(print)


def test_native_stage_that_fails_is_named(capture: str) -> None:
    stage = pktmend.build_native(NATIVE, "fails", name="mine")
    with Capture(capture) as source, pytest.raises(pktmend.StageError, match="mine failed: Argument list too long"):
        Pipeline(source, [stage]).run()


def test_native_stage_that_does_not_compile_says_why() -> None:
    with pytest.raises(pktmend.StageError, match="nonsense"):
        pktmend.build_native("int nonsense(", "nonsense")


def test_repair_all_makes_scapys_sum_and_changes_nothing_else(capture: str, kernel: str) -> None:
    sink = Collect()
    with Capture(capture) as source:
        p = Pipeline(source, [verify, classify, pktmend.Repair("all")], sink)
        p.run()
    damaged = sink.frames[1]
    assert [i for i in range(len(damaged)) if damaged[i] != CORRUPT[i]] in ([50, 51], [50], [51])
    assert sink.frames[2] == f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    assert p.counters().repaired == {"corrupt": 700, "pending": 700}


@pytest.mark.parametrize("policy", ["none", "leaked"])
def test_repair_leaves_the_corrupt_one_alone(capture: str, policy: str) -> None:
    sink = Collect()
    with Capture(capture) as source:
        stages = [pktmend.Verify(at_wire=True), classify, pktmend.Repair(policy)]
        Pipeline(source, stages, sink).run()
    assert sink.frames[1] == CORRUPT
    repaired = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    assert sink.frames[2] == (LEAKED if policy == "none" else repaired)


def test_unknown_policy_lists_the_known() -> None:
    with pytest.raises(pktmend.ConfigError, match="leaked"):
        pktmend.Repair("everything")


def test_where_finds_a_port_of_tcp_and_udp_and_layers_are_those_of_scapy() -> None:
    other = f.ether / f.ip4 / f.udp.copy()
    other[UDP].sport, other[UDP].dport = 53, 9
    inner = Ether() / f.ip6 / f.tcp
    tunnel = f.ether / f.ip4 / UDP(sport=9, dport=4789) / VXLAN() / inner
    batch = pktmend.Frames([GOOD, f.raw(other), PING, f.raw(tunnel), f.raw(other)[:35]]).batch()
    verify(batch)
    assert batch.where(port=80) == [0]  # the tunnel's inner one is not meant
    assert batch.where(port=53) == [1] and batch.where(port=9) == [1, 3] and batch.where(port=9, protocol=6) == []
    assert batch.layers_of(0) == [(14, 34, 4, 6)] and batch.layers_of(2) == [(14, 34, 4, 1)]
    start = len(f.raw(tunnel)) - len(f.raw(inner)) + 14
    assert batch.layers_of(3) == [(14, 34, 4, 17), (start, start + 40, 6, 6)]


class Called:
    """A stage that remembers the numbers of the batches that it was called for."""

    def __init__(self, only_for: object) -> None:
        self.only_for = only_for
        self.numbers: list[int] = []

    def __call__(self, batch: Batch) -> None:
        self.numbers += batch.number


def test_stage_is_called_only_for_batches_that_have_what_it_looks_for() -> None:
    frames = [GOOD, CORRUPT, LEAKED, PING, bytes.fromhex("020000000002020000000001 88b5") + bytes(50)] * 4
    counts = _core.FlowCounts(3)
    stages = {
        news: Called(counts.only_for(news) if news else None)
        for news in (_core.NEWS_BAD, _core.NEWS_FIRST, _core.NEWS_UNREAD, _core.NEWS_UNREAD | _core.NEWS_FIRST, 0)
    }
    source = pktmend.Frames(frames, flags=int(pktmend.PacketFlag.METADATA), batch_size=1)
    Pipeline(source, [verify, classify, counts.stage, *stages.values()]).run()
    corrupt, leaked, unread = ([n for n in range(1, 21) if n % 5 == rest] for rest in (2, 3, 0))
    assert stages[_core.NEWS_BAD].numbers == sorted(corrupt + leaked)
    first = sorted(corrupt[:3] + leaked[:3])
    assert stages[_core.NEWS_FIRST].numbers == first and stages[_core.NEWS_UNREAD].numbers == unread
    assert stages[_core.NEWS_UNREAD | _core.NEWS_FIRST].numbers == sorted(first + unread)
    assert stages[0].numbers == list(range(1, 21))
    assert counts.bad() == {Cause.CORRUPT: 4, Cause.LEAKED: 4} and counts.unfinished() == {}
