"""`check --scheduler`: what Dask's workers find is what one machine finds, whoever reads what, and whoever dies."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.all import wrpcap

import frames as f
from pktmend.commands.check import cluster
from pktmend.commands.check.asked import check_there
from pktmend.commands.check.cluster import run_cluster
from pktmend.commands.check.found import Found
from pktmend.commands.check.looks import Wanted
from pktmend.commands.check.many import run_many
from pktmend.commands.check.output import Output
from pktmend.commands.check.total import Total
from pktmend.commands.check.work import RowsTo, Work
from pktmend.packetio.capture_paths import Files, find_files
from tools import PATIENCE, PKTMEND, ROOT, links, run_inside, until

LEAKED = (ROOT / "examples" / "leaked.pcap").read_bytes()
TCP = f.ether / f.ip4 / f.tcp / f.PAYLOAD
UDP = f.ether / f.ip6 / f.udp / f.PAYLOAD
GOOD = f.raw(TCP)
KINDS = {
    "good": GOOD,
    "leaked": f.leaked(UDP),
    "corrupt": f.put16(GOOD, 90, 0x4711),
    "zero": f.put16(GOOD, 50, 0),
    "short": bytes(20),
}
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def capture(kinds: list[str]) -> bytes:
    frames = [KINDS[kind] for kind in kinds]
    return HEADER + b"".join(struct.pack("<IIII", n, 0, len(x), len(x)) + x for n, x in enumerate(frames))


def told(capsys: pytest.CaptureFixture[str], files: Files, work: Work, order: list[int], json_too: bool) -> str:
    """Check the files in any order, as workers do, hand the results on in that of the files; return what is printed."""
    there = work._replace(wanted=Wanted())
    results = {i: check_there(files.paths[i], there) for i in order}
    total = Total(files, Wanted(json=json_too), Output(json=json_too))
    for i in range(len(files.paths)):
        if not json_too:
            total.put(results[i])
        total.add(results[i])
    total.print()
    return capsys.readouterr().out


FILES = st.lists(st.lists(st.sampled_from(sorted(KINDS)), max_size=12), min_size=1, max_size=5)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_and_any_number_of_jobs_print_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], contents: list[list[str]], dice: random.Random, jobs: int
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    for number, kinds in enumerate(contents):
        (tmp_path / f"{number}.pcap").write_bytes(capture(kinds))
    files, work = find_files([str(tmp_path)]), Work(Wanted(), at_wire=True)
    run_many(files, work, jobs)
    one = capsys.readouterr().out
    order = dice.sample(range(len(files.paths)), len(files.paths))
    assert told(capsys, files, work, order, json_too=False) == one
    text = told(capsys, files, work, order, json_too=True)
    run_many(files, work._replace(wanted=Wanted(json=True)), jobs)
    lines = [line for line in capsys.readouterr().out.splitlines() if '"type":"packet"' not in line]
    assert text.splitlines() == lines


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.randoms(use_true_random=False), st.integers(0, 5))
def test_what_is_found_adds_up_in_any_order_and_grouping(
    tmp_path: Path, contents: list[list[str]], dice: random.Random, cut: int
) -> None:
    found = []
    for kinds in contents:
        (tmp_path / "x.pcap").write_bytes(capture(kinds))
        one = check_there(str(tmp_path / "x.pcap"), Work(Wanted(), at_wire=True))
        assert one.found is not None and one.found.packets == len(kinds)
        found.append(one.found)
    whole = Found.sum(found)
    mixed = dice.sample(found, len(found))
    grouped = Found.sum([Found.sum(mixed[:cut]), Found(), Found.sum(mixed[cut:])])
    assert json.dumps(whole.as_json()) == json.dumps(grouped.as_json()) and whole == grouped
    spread = sum(n for n, _ in (whole.flows or {}).values())
    assert spread == whole.bad.total() == sum(kind in ("leaked", "corrupt", "zero") for k in contents for kind in k)


def test_too_many_flows_are_too_many_whatever_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from pktmend.commands.check import found

    monkeypatch.setattr(found, "FLOWS_MOST", 3)
    parts = [Found(flows={bytes([n]) * 40: (1, 2)}) for n in range(4)]
    assert Found.sum(parts).flows is None and Found.sum(reversed(parts)).flows is None
    assert Found.sum([Found.sum(parts[:2]), Found.sum(parts[2:])]).flows is None
    assert len(Found.sum(parts[:3]).flows or ()) == 3


# --- with Dask --------------------------------------------------------------------------------------------------------


@pytest.fixture
def local() -> Iterator[str]:
    """The address of a scheduler in this process, with a worker of two threads: a memory:// of ours is theirs too."""
    distributed = pytest.importorskip("distributed", reason="not installed: distributed (the extra [cluster])")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp://"
        ) as own,
    ):
        yield own.scheduler_address


def test_urls_of_a_store_are_read_and_written(local: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fsspec = pytest.importorskip("fsspec")
    arrow = pytest.importorskip("pyarrow.dataset", reason="not installed: pyarrow (the extra [arrow])")
    store = fsspec.filesystem("memory")
    import gzip

    store.pipe("/bucket/a.pcap", LEAKED)
    store.pipe("/bucket/deep/b.pcap.gz", gzip.compress(LEAKED))
    store.pipe("/bucket/notes.txt", b"hello")
    store.pipe("/bucket/cut.pcap", LEAKED[:-3])
    files = find_files(["memory://bucket"])
    assert [path.removeprefix("memory://") for path in files.paths] == [
        "/bucket/a.pcap",
        "/bucket/cut.pcap",
        "/bucket/deep/b.pcap.gz",
    ]
    assert files.passed_over == 1 and find_files(["memory://bucket/*.pcap"]).paths == files.paths[:2]
    work = Work(Wanted(json=True), at_wire=True, rows=RowsTo("memory://rows", by_packet=True))
    assert run_cluster(files, work, local) == 5
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file_summary"].get("packets") for line in lines[:-1]] == [11, 10, 11]
    assert lines[-1]["summary"]["bad"] == {"leaked": 11}
    rows = arrow.dataset("/rows/packets", filesystem=store, format="parquet", partitioning="hive")
    assert rows.count_rows() == 32 and rows.filter(arrow.field("status") == "bad").count_rows() == 11
    assert run_many(find_files(["memory://bucket/nosuch.pcap"]), Work(Wanted()), 1) == 4
    assert "nosuch.pcap" in capsys.readouterr().err
    store.rm("/bucket", recursive=True)
    store.rm("/rows", recursive=True)


def spawn(stack: ExitStack, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([*argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    stack.callback(process.wait, 30)
    stack.callback(process.kill)
    return process


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_worker_that_dies_in_the_middle_changes_no_byte(tmp_path: Path) -> None:
    """A real scheduler and two real workers; the one that has come to a FIFO is killed, the other goes on with it."""
    pytest.importorskip("distributed", reason="not installed: distributed (the extra [cluster])")
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(12):
        wrpcap(str(folder / f"{n:02}.pcap"), [KINDS[k] for k in ("good", "corrupt", "leaked")] * (n + 1), linktype=1)
    (folder / "false.pcap").write_bytes(b"hello world, this is no capture")
    plain = [str(path) for path in sorted(folder.iterdir())]
    fifo = tmp_path / "a.pcap"
    os.mkfifo(fifo)
    port = free_port()
    python, quiet = sys.executable, ("--no-dashboard",)
    with ExitStack() as stack:
        options = {"cwd": tmp_path, "env": {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "30s"}}
        spawn(
            stack,
            python,
            "-m",
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            *quiet,
            **options,
        )
        workers = [
            spawn(
                stack, python, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--no-nanny",
                "--nthreads", "1",
                "--name", name, "--local-directory", str(tmp_path / name), *quiet, **options,
            )
            for name in ("one", "two")
        ]  # fmt: skip
        argv = [
            *PKTMEND,
            "check",
            str(fifo),
            *plain,
            "--at",
            "wire",
            "--json",
            "--scheduler",
            f"tcp://127.0.0.1:{port}",
        ]
        check = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        stack.callback(check.kill)

        def readers() -> list[subprocess.Popen[bytes]]:
            return [w for w in workers if str(fifo) in links(w.pid)]

        until(lambda: bool(readers()), "a worker opening the FIFO", 3 * PATIENCE)
        (first,) = readers()
        first.send_signal(signal.SIGKILL)
        first.wait()
        with fifo.open("wb") as out:  # blocks until the other one has come to it
            out.write(LEAKED)
        out_, err = check.communicate(timeout=60)
    (tmp_path / "b.pcap").write_bytes(LEAKED)
    fifo.unlink()
    (tmp_path / "b.pcap").rename(fifo)
    alone = run_inside("check", str(fifo), *plain, "--at", "wire", "--json")
    want = [line for line in alone.stdout.splitlines() if b'"type":"packet"' not in line]
    assert out_.splitlines() == want and check.returncode == alone.returncode == 5, err
    assert err == alone.stderr and err.count(b"\n") == 1 and b"false.pcap" in err


def test_what_goes_not_with_a_scheduler_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(LEAKED)
    for words in (("-r", str(tmp_path / "x.pcap")), (str(tmp_path), "--all"), ("-",)):
        assert run_inside("check", *words, "--scheduler", "tcp://127.0.0.1:1").returncode == 2
    pytest.importorskip("distributed", reason="not installed: distributed (the extra [cluster])")
    done = run_inside("check", str(tmp_path), "--scheduler", "nonsense://x:1")
    assert done.returncode == 2 and b"no address of Dask" in done.stderr


def test_scheduler_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="not installed: distributed (the extra [cluster])")
    monkeypatch.setattr(cluster, "CONNECTING", 0.3)
    (tmp_path / "x.pcap").write_bytes(LEAKED)
    done = run_inside("check", str(tmp_path), "--scheduler", f"tcp://127.0.0.1:{free_port()}")
    assert done.returncode == 4 and done.stderr.count(b"\n") == 1 and b"`dask scheduler`" in done.stderr, done
