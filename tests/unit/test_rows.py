"""`check -o`: rows as Parquet, read back by DuckDB, are what --json says; and `query` asks of them what it should."""

from __future__ import annotations

import json
import shutil
import struct
from calendar import timegm
from pathlib import Path
from time import strptime
from typing import Any

import pytest
from scapy.all import wrpcap

import frames as f
from carriers import CARRIERS
from pktmend import _core
from tapes import File
from tools import CAPTURES, ROOT, run_inside

duckdb = pytest.importorskip("duckdb", reason="not installed: duckdb (the extra [sql])")
pytest.importorskip("pyarrow", reason="not installed: pyarrow (the extra [arrow])")

LEAKED = (ROOT / "examples" / "leaked.pcap").read_bytes()
TCP = f.ether / f.ip4 / f.tcp / f.PAYLOAD
GOOD = f.raw(TCP)
CORRUPT = f.put16(GOOD, 90, 0x4711)
CHECK_COLUMNS = (
    "time, file, n, interface, src, dst, sport, dport, protocol, proto, status, cause, reason, stored, expected,"
    ' "offset", depth, caplen, wirelen'
)


def rows_of(folder: Path, kind: str = "checks") -> list[tuple[Any, ...]]:
    """Read all rows by DuckDB itself, in the order of the capture; times as nanoseconds."""
    columns = CHECK_COLUMNS.replace("time,", "epoch_ns(time),", 1)
    return duckdb.sql(
        f"select {columns} from read_parquet('{folder}/{kind}/*/*.parquet', hive_partitioning = true)"
        ' order by file, n, "offset", proto'
    ).fetchall()


def from_json(path: Path, *options: str) -> list[tuple[Any, ...]]:
    """The same rows, as `check --json --all` tells them."""
    done = run_inside("check", str(path), "--json", "--all", *options)
    rows = []
    for line in map(json.loads, done.stdout.splitlines()):
        if "n" not in line:
            continue
        rows += [
            (
                nanoseconds(line["time"]),
                line.get("file", str(path)),
                line["n"],
                line.get("interface", 0),
                *(line.get(name) for name in ("src", "dst", "sport", "dport", "protocol")),
                k["proto"],
                k["status"],
                k.get("cause"),
                k.get("reason"),
                *(int(k[name], 16) if name in k else None for name in ("stored", "expected")),
                k["offset"],
                k.get("depth", 0),
                line["caplen"],
                line["wirelen"],
            )
            for k in line["checks"]
        ]
    return sorted(rows, key=lambda r: (r[1], r[2], r[15], r[9]))


def nanoseconds(text: str) -> int:
    seconds, fraction = text.removesuffix("Z").split(".")
    return timegm(strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction)


def write_all_kinds(path: Path) -> None:
    """Every place a checksum can be, right, spoilt and cut off, each link type an interface; and what has none."""
    file = File().section()
    links = sorted({link for link, _, _ in CARRIERS.values()})
    for link in links:
        file.interface(link, 0, file.option(9, b"\x09"))  # nanoseconds
    for n, (link, _, build) in enumerate(CARRIERS.values()):
        frame = f.raw(build(bytes(range(64))))
        for each in (frame, frame[:-1] + bytes([frame[-1] ^ 0x5A]), frame[: 14 + n % 40]):
            file.packet(each, interface=links.index(link), time=1_700_000_000_123_456_789 + n)
    ethernet = links.index(1)
    file.packet(bytes.fromhex("020000000002020000000001 88b5") + bytes(50), interface=ethernet)
    file.packet(f.leaked(TCP), File().option(2, struct.pack("<I", 1 << 9)), interface=ethernet)
    path.write_bytes(file.data)


@pytest.mark.parametrize("at", ["sender", "wire"])
def test_rows_that_duckdb_reads_are_those_of_json(tmp_path: Path, at: str) -> None:
    path = tmp_path / "all.pcapng"
    write_all_kinds(path)
    run_inside("check", str(path), "-o", str(tmp_path / "rows"), "--at", at)
    told = from_json(path, "--at", at)
    assert rows_of(tmp_path / "rows") == told
    assert len(told) > 200 and len({row[9] for row in told}) > 9 and len({row[3] for row in told}) > 5
    assert {row[10] for row in told} >= {"good", "bad", "unchecked"}


def test_rows_of_public_captures_are_those_of_json(tmp_path: Path) -> None:
    found = sorted(x for x in CAPTURES.rglob("*") if x.suffix in (".pcap", ".pcapng", ".cap"))[::12]
    if not found:
        pytest.skip(f"no captures in {CAPTURES}")
    (tmp_path / "in").mkdir()
    for number, each in enumerate(found):
        shutil.copyfile(each, tmp_path / "in" / f"{number}{each.suffix}")
    run_inside("check", str(tmp_path / "in"), "-o", str(tmp_path / "rows"))
    told = from_json(tmp_path / "in")
    assert rows_of(tmp_path / "rows") == told and len(told) > 1000


def test_row_of_a_packet_is_that_of_the_check_that_decides(tmp_path: Path) -> None:
    outer_good = f.raw(TCP)
    wrpcap(str(tmp_path / "x.pcap"), [outer_good, CORRUPT, bytes(60), f.put16(CORRUPT, 24, 0)], linktype=1)
    run_inside("check", str(tmp_path / "x.pcap"), "-o", str(tmp_path / "rows"), "--rows", "packets")
    rows = [(r[2], r[9], r[10], r[11], r[15]) for r in rows_of(tmp_path / "rows", "packets")]
    assert rows == [
        (1, "ip", "good", None, 24),
        (2, "tcp", "bad", "corrupt", 50),
        (3, None, "none", None, None),
        (4, "ip", "bad", "never-filled", 24),
    ]
    assert not (tmp_path / "rows" / "checks").exists()


def test_chunks_are_joined_without_a_loss(tmp_path: Path) -> None:
    """More rows than a chunk holds, from more addresses than a batch has packets."""
    frames = []
    for n in range(5000):
        packet = bytearray(CORRUPT if n % 100 == 7 else GOOD)
        packet[26:30] = struct.pack("!I", 0x0A000000 + n)
        frames.append(bytes(packet))
    records = b"".join(struct.pack("<IIII", 1_700_000_000 + n, 0, len(x), len(x)) + x for n, x in enumerate(frames))
    many = 30
    (tmp_path / "x.pcap").write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records * many)
    run_inside("check", str(tmp_path / "x.pcap"), "-o", str(tmp_path / "rows"))
    ask = f"from read_parquet('{tmp_path}/rows/checks/*/*.parquet', hive_partitioning = true)"
    assert duckdb.sql(f"select count(*), count(distinct n), max(n) {ask}").fetchall()[0] == (
        10000 * many,
        5000 * many,
        5000 * many,
    )
    assert duckdb.sql(f"select count(distinct src), min(src), max(src) {ask}").fetchall()[0] == (
        5000,
        "10.0.0.0",
        "10.0.9.99",
    )
    wrong = duckdb.sql(
        f"select count(*) {ask} where src <> format('10.0.{{}}.{{}}', ((n - 1) % 5000) // 256, ((n - 1) % 5000) % 256)"
    )
    assert wrong.fetchall()[0] == (0,)
    assert 10000 * many > 2 * 131072 and _core.RowChunk().columns()["time"][1] == 8


def test_engines_read_no_more_than_they_need(tmp_path: Path) -> None:
    frames = [GOOD] * 2000 + [CORRUPT] * 3
    for name in "ab":
        wrpcap(str(tmp_path / f"{name}.pcap"), frames, linktype=1)
    run_inside("check", str(tmp_path), "-o", str(tmp_path / "rows"))
    files = sorted(str(x.relative_to(tmp_path / "rows")) for x in (tmp_path / "rows").rglob("*.parquet"))
    assert [x.split("/")[:2] for x in files] == [["checks", "status=bad"]] * 2 + [["checks", "status=good"]] * 2
    every = f"read_parquet('{tmp_path}/rows/checks/*/*.parquet', hive_partitioning = true)"
    plan = duckdb.sql(f"explain analyze select count(*) from {every} where status = 'bad'").fetchall()[0][1]
    assert "2/4" in plan, plan
    import pyarrow.parquet as pq

    group = pq.read_metadata(tmp_path / "rows" / files[0]).row_group(0).column(0)
    assert group.path_in_schema == "time" and group.statistics.has_min_max


def test_capture_checked_again_takes_the_place_of_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    wrpcap(str(path), [GOOD, CORRUPT], linktype=1)
    wrpcap(str(tmp_path / "y.pcap"), [CORRUPT], linktype=1)
    for each in (path, tmp_path / "y.pcap"):
        run_inside("check", str(each), "-o", str(tmp_path / "rows"))
    wrpcap(str(path), [GOOD, GOOD], linktype=1)
    run_inside("check", str(path), "-o", str(tmp_path / "rows"))
    assert [(Path(r[1]).name, r[2], r[10]) for r in rows_of(tmp_path / "rows") if r[9] == "tcp"] == [
        ("x.pcap", 1, "good"),
        ("x.pcap", 2, "good"),
        ("y.pcap", 1, "bad"),
    ]


def test_rows_before_a_fault_are_kept_and_no_capture_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cut.pcap").write_bytes(LEAKED[:-3])
    (tmp_path / "in" / "false.pcap").write_bytes(b"hello world, this is no capture")
    done = run_inside("check", str(tmp_path / "in"), "-o", str(tmp_path / "rows"), "--rows", "packets")
    assert done.returncode == 5
    assert {Path(r[1]).name for r in rows_of(tmp_path / "rows", "packets")} == {"cut.pcap"}
    assert len(rows_of(tmp_path / "rows", "packets")) == 10
    assert not [x for x in (tmp_path / "rows").rglob("*") if x.name.startswith(".")], "something lies beside it"


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "x.pcap").write_bytes(LEAKED)
    for words in ((str(tmp_path / "x.pcap"),), (str(tmp_path),)):
        done = run_inside("check", *words, "-o", str(tmp_path / "file"))
        assert done.returncode == 4 and b"Not a directory" in done.stderr and b"Traceback" not in done.stderr, done


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of rows: 10.7.0.1 sends 3 bad segments of 4, 10.7.0.9 one of 2, the first in packet 2 of b.pcap."""
    folder = tmp_path_factory.mktemp("asked")
    other = (
        f.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / f.IP(src="10.7.0.9", dst="10.7.0.2")
        / f.tcp
        / f.PAYLOAD
    )
    for name, start, frames in (
        ("a", 2000, [GOOD, CORRUPT, CORRUPT]),
        ("b", 1000, [f.raw(other), f.put16(f.raw(other), 90, 0x4711), CORRUPT]),
    ):
        records = b"".join(struct.pack("<IIII", start + n, 0, len(x), len(x)) + x for n, x in enumerate(frames))
        (folder / f"{name}.pcap").write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records)
    run_inside("check", str(folder), "-o", str(folder / "rows's"))
    return folder / "rows's"


def answer(folder: Path, sql: str) -> list[dict[str, Any]]:
    done = run_inside("query", str(folder), sql, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["row"] for line in done.stdout.splitlines()]


def test_canned_queries_answer_what_they_say(asked: Path) -> None:
    hosts = answer(asked, "worst-hosts")
    assert [(x["src"], x["bad"], x["percent"], x["receivers"], x["causes"]) for x in hosts] == [
        ("10.7.0.1", 3, 37.5, 1, "corrupt"),  # of four packets with two checksums each
        ("10.7.0.9", 1, 25.0, 1, "corrupt"),
    ]
    (began,) = answer(asked, "began")
    assert (began["cause"], began["proto"], began["bad"], began["packet"]) == ("corrupt", "tcp", 4, 2)
    assert began["began"] == "1970-01-01T00:16:41Z" and began["file"].endswith("b.pcap")
    pairs = answer(asked, "by-cause")
    assert [(x["cause"], x["src"], x["dst"], x["bad"]) for x in pairs] == [
        ("corrupt", "10.7.0.1", "10.7.0.2", 3),
        ("corrupt", "10.7.0.9", "10.7.0.2", 1),
    ]


def test_queries_are_listed_and_own_ones_run(asked: Path) -> None:
    text = run_inside("query", str(asked)).stdout.decode()
    assert all(name in text for name in ("worst-hosts", "began", "by-cause"))
    assert answer(asked, "select status, count(*) as n from checks group by status order by 2") == [
        {"status": "bad", "n": 4},
        {"status": "good", "n": 8},
    ]
    table = run_inside("query", str(asked), "select src, count(*) as n from rows group by 1 order by 1").stdout.decode()
    assert table == "src       n\n10.7.0.1  8\n10.7.0.9  4\n"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "copy (select 1) to '{folder}/x.csv'",
        "install httpfs",
        "set enable_external_access = true",
        "attach '/tmp/x.db'",
        "select nosuch from rows",
        "selec",
    ],
)
def test_query_reaches_nothing_else_and_says_what_is_wrong(asked: Path, tmp_path: Path, sql: str) -> None:
    done = run_inside("query", str(asked), sql.format(folder=tmp_path))
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and not list(tmp_path.iterdir()), done


def test_query_of_what_is_no_folder_of_rows(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nosuch"):
        done = run_inside("query", str(folder), "select 1")
        assert done.returncode == 4 and done.stderr.count(b"\n") == 1


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\x1b[2J\n.pcap").write_bytes(LEAKED)
    run_inside("check", str(tmp_path / "in"), "-o", str(tmp_path / "rows"))
    for option in ((), ("--json",)):
        done = run_inside(
            "query", str(tmp_path / "rows"), "select distinct file, 'x' || chr(27) as y from rows", *option
        )
        assert done.returncode == 0 and b"\x1b" not in done.stdout and done.stdout.count(b"\n") == 2 - bool(option)


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    assert run_inside("check", "-i", "lo", "-c", "1", "-o", str(tmp_path)).returncode == 2
