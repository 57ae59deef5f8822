"""One large file read by several workers, here and elsewhere: the same words and the same rows, whoever reads what."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import frames as f
from pktmend.commands.check import asked, run, split
from pktmend.commands.check.asked import Asked, check_there
from pktmend.commands.check.looks import Wanted
from pktmend.commands.check.many import run_many
from pktmend.commands.check.output import Output
from pktmend.commands.check.total import Total
from pktmend.commands.check.work import One, RowsTo, Work
from pktmend.packetio.capture_paths import Files, find_files

duckdb = pytest.importorskip("duckdb", reason="not installed: duckdb (the extra [sql])")
pytest.importorskip("pyarrow", reason="not installed: pyarrow (the extra [arrow])")

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
KINDS = {
    "good": GOOD,
    "leaked": f.leaked(f.ether / f.ip6 / f.udp / f.PAYLOAD),
    "corrupt": f.put16(GOOD, 90, 0x4711),
    "zero": f.put16(GOOD, 50, 0),
    "not IP": bytes.fromhex("020000000002020000000001 88b5") + bytes(50),
}
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
AS_IT_IS = 1 << 40


@pytest.fixture(params=["checks", "packets"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def capture(path: Path, kinds: Sequence[str]) -> Path:
    frames = [KINDS[each] for each in kinds]
    records = [struct.pack("<IIII", 1_700_000_000 + n, 0, len(x), len(x)) + x for n, x in enumerate(frames)]
    path.write_bytes(HEADER + b"".join(records))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    dice = random.Random(7)
    return capture(tmp_path / "large.pcap", [dice.choice([*KINDS, "good", "good"]) for _ in range(3000)])


def rows_of(folder: Path, kind: str) -> list[tuple[Any, ...]]:
    return duckdb.sql(
        f"select * from read_parquet('{folder}/{kind}/*/*.parquet', hive_partitioning = true)"
        ' order by file, n, "offset", proto'
    ).fetchall()


def files_of(folder: Path, status: str) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*/status={status}/*"))


def written(path: Path, folder: Path, kind: str, jobs: int) -> list[tuple[Any, ...]]:
    run.run_check(
        path=str(path),
        interface=None,
        packets=0,
        json=False,
        every=False,
        at_wire=True,
        jobs=jobs,
        rows=RowsTo(str(folder), kind == "packets"),
    )
    return rows_of(folder, kind)


def test_rows_are_the_same_by_any_number_of_jobs_and_leave_none_of_another(
    tmp_path: Path, large: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(split, "PIECE", AS_IT_IS)
    whole = written(large, tmp_path / "whole", kind, 1)
    said = capsys.readouterr().out
    assert len(whole) > 2500 and {row[2] for row in whole} <= set(range(1, 3001))
    monkeypatch.setattr(split, "PIECE", 30_000)
    for jobs in (5, 2, 3, 1):
        assert written(large, tmp_path / "rows", kind, jobs) == whole
        assert capsys.readouterr().out == said
        assert len(files_of(tmp_path / "rows", "good")) == jobs
    assert files_of(tmp_path / "rows", "good") == files_of(tmp_path / "whole", "good")


def test_share_without_rows_is_followed_by_what_an_earlier_run_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole shares have no checksum: their empty files lead to those behind them."""
    path = capture(tmp_path / "x.pcap", ["good"] * 300 + ["not IP"] * 900 + ["corrupt"] * 300)
    monkeypatch.setattr(split, "PIECE", 5000)
    five = written(path, tmp_path / "rows", "checks", 5)
    assert len(five) == 1200 and len(files_of(tmp_path / "rows", "bad")) < 5
    capture(path, ["good"] * 10)
    assert len(written(path, tmp_path / "rows", "checks", 5)) == 20
    assert files_of(tmp_path / "rows", "bad") == [] and len(files_of(tmp_path / "rows", "good")) == 1


def test_cut_that_is_none_leaves_the_rows_of_one_worker(
    tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = written(large, tmp_path / "whole", "checks", 1)
    said = capsys.readouterr().out
    true = split.first_record
    monkeypatch.setattr(split, "PIECE", 30_000)
    monkeypatch.setattr(split, "first_record", lambda *words: (true(*words) or 0) + 4)
    for jobs in (1, 3):
        assert written(large, tmp_path / "rows", "checks", jobs) == whole
        assert capsys.readouterr().out == said
        assert files_of(tmp_path / "rows", "good") == files_of(tmp_path / "whole", "good")


# --- as workers elsewhere do -----------------------------------------------------------------------------------------


class Future:
    """An answer of Dask's, that comes when it is asked for."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.result = lambda: function(*arguments)


def answered(path: str, work: Work, dice: random.Random, lost: int = -1) -> tuple[One, int]:
    """Ask for a file and answer in any order; return what is told of it, and of how many tasks.

    lost: the task that dies with its workers.
    """
    waiting: list[tuple[int, Future]] = []
    tasks = 0
    one = None

    def submit(place: int, function: Callable[..., Any], *arguments: Any) -> None:
        nonlocal tasks
        waiting.append((place, Future(function if tasks != lost else _die, arguments if tasks != lost else ())))
        tasks += 1

    file = Asked(path, work, submit)
    file.begin()
    while waiting:
        assert one is None
        one = file.take(*waiting.pop(dice.randrange(len(waiting))))
    assert one is not None
    return one, tasks


def _die() -> None:
    raise RuntimeError("KilledWorker")


def printed(capsys: pytest.CaptureFixture[str], files: Files, one: One) -> str:
    total = Total(files, Wanted(), Output(json=False))
    total.put(one)
    total.add(one)
    total.print()
    return capsys.readouterr().out


@pytest.fixture
def few_bytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(split, "PIECE", 700)
    monkeypatch.setattr(asked, "SHARE", 2)
    return iter(())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=30, max_size=120),
    st.randoms(use_true_random=False),
    st.integers(1, 4),
    st.integers(-1, 3),
)
def test_shares_in_any_order_print_what_one_machine_prints(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    few_bytes: None,
    kinds: list[str],
    dice: random.Random,
    jobs: int,
    lost: int,
) -> None:
    capture(tmp_path / "x.pcap", kinds)
    files, work = find_files([str(tmp_path / "x.pcap")]), Work(Wanted(), at_wire=True)
    capsys.readouterr()
    run_many(files, work, jobs)
    here = capsys.readouterr().out
    one, tasks = answered(files.paths[0], work, dice, lost)
    assert tasks > 2
    if lost == -1 or one.fault is None:
        assert printed(capsys, files, one) == here
        assert one.found == check_there(files.paths[0], work).found


@pytest.mark.parametrize("lost", [-1, 0, 4])
def test_shares_write_the_rows_of_one_machine(
    tmp_path: Path, large: Path, kind: str, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """0 is the count of a share, 4 the last share."""
    monkeypatch.setattr(split, "PIECE", AS_IT_IS)
    whole = written(large, tmp_path / "whole", kind, 1)
    monkeypatch.setattr(split, "PIECE", 40_000)
    work = Work(Wanted(), at_wire=True, rows=RowsTo(str(tmp_path / "rows"), kind == "packets"))
    one, tasks = answered(str(large), work, random.Random(3), lost)
    shares = (large.stat().st_size // 40_000) // asked.SHARE
    assert shares > 2 and one.found is not None and one.found.packets == 3000
    assert tasks == {-1: 2 * shares - 1, 0: shares, 4: 2 * shares}[lost]
    assert rows_of(tmp_path / "rows", kind) == whole
    assert len(files_of(tmp_path / "rows", "good")) == (shares if lost == -1 else 1)


def test_large_file_of_a_store_is_read_by_shares(
    tmp_path: Path, large: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec", reason="not installed: fsspec (the extra [cluster])")
    store = fsspec.filesystem("memory")
    url = "memory://bucket/large.pcap"
    store.pipe("/bucket/large.pcap", large.read_bytes())
    try:
        monkeypatch.setattr(split, "PIECE", AS_IT_IS)
        whole = written(large, tmp_path / "whole", kind, 1)
        monkeypatch.setattr(split, "PIECE", 40_000)
        assert split.starts_of(url, 5) == split.starts_of(str(large), 5)
        work = Work(Wanted(), at_wire=True, rows=RowsTo(str(tmp_path / "rows"), kind == "packets"))
        one, tasks = answered(url, work, random.Random(5))
        assert tasks >= 5 and one.found == check_there(str(large), work._replace(rows=None)).found
        names = [(url, *row[2:]) for row in rows_of(tmp_path / "rows", kind)]
        assert names == [(url, *row[2:]) for row in whole]
        store.pipe("/bucket/large.pcap", large.read_bytes()[:-7])
        monkeypatch.setattr(split, "size_of", lambda path: large.stat().st_size)  # as it was when it was listed
        short, _ = answered(url, work, random.Random(6))
        assert short.fault is not None and "ends within" in short.fault.text
    finally:
        store.rm("/bucket", recursive=True)
