"""One large capture read piece by piece: the answer is that of one worker, however many there are, or there is none."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import frames as f
from pktmend import Capture, Pipeline, Verify, classify, count
from pktmend.commands.check import run, split
from pktmend.commands.check.found import Found
from pktmend.commands.check.looks import Look, Wanted
from pktmend.commands.check.pieces import Part, Pieces, Refuted, joined
from pktmend.commands.check.rows import Row
from pktmend.commands.check.work import Work
from tapes import A, B, tcp
from tools import ROOT

TCP = f.ether / f.ip4 / f.tcp / f.PAYLOAD
UDP = f.ether / f.ip6 / f.udp / f.PAYLOAD
EXAMPLE = (ROOT / "examples" / "leaked.pcap").read_bytes()
WITH_A_FILE_IN_IT = f.raw(f.ether / f.ip4 / f.udp / (EXAMPLE[24:] * 8))  # whose records look like those of this file
KINDS = {
    "good": f.raw(TCP),
    "good udp": f.raw(UDP),
    "leaked": f.leaked(TCP),
    "never filled": f.put16(f.raw(TCP), 50, 0),
    "a file": WITH_A_FILE_IN_IT,
    "short": bytes(14),
    "cut": f.raw(TCP)[:40],
    "corrupt": f.put16(f.raw(TCP), 90, 0x4711),
    "not IP": bytes.fromhex("020000000002020000000001 88b5") + bytes(50),
}
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
WANTED = Wanted()
WORK = Work(WANTED, at_wire=True)
JOBS = (1, 2, 5)
Answer = tuple[Found, list[tuple[str, Row]]]


def record(frame: bytes, n: int, wirelen: int = 0) -> bytes:
    return struct.pack("<IIII", 1_700_000_000 + n, n % 1_000_000, len(frame), max(wirelen, len(frame))) + frame


def by_one(path: Path, *, at_wire: bool = True) -> Answer:
    """What one worker says of the whole file."""
    rows: list[tuple[str, Row]] = []
    look = Look(WANTED, lambda _: None, lambda cause, row: rows.append((cause, row)))
    with Capture(path) as source:
        pipeline = Pipeline(source, [Verify(at_wire=at_wire), classify, count, look.flows.stage, look])
        pipeline.run()
        return Found.of(pipeline.counters(), look), rows


def by_pieces(path: Path, starts: Sequence[int], jobs: int, work: Work = WORK) -> Answer | None:
    pieces = Pieces(str(path), starts, work, jobs)
    pieces.start()
    assert pieces.wait(60)
    if pieces.part is None:
        return None
    assert pieces.part.is_whole and pieces.offset == pieces.size - 24
    return pieces.part.found, pieces.part.first


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("split")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=60),
    st.data(),
    st.booleans(),
)
def test_any_cut_and_any_number_of_jobs_give_the_answer_of_one_or_none(
    folder: Path, kinds: list[str], data: st.DataObject, is_at_records: bool
) -> None:
    parts = [record(KINDS[kind], n, 2000 if kind == "cut" else 0) for n, kind in enumerate(kinds)]
    path = folder / "x.pcap"
    path.write_bytes(HEADER + b"".join(parts))
    size = path.stat().st_size
    ends = [24 + sum(map(len, parts[:i])) for i in range(1, len(parts))]
    places = st.sampled_from(ends) if is_at_records and ends else st.integers(24, size)
    cuts = sorted(data.draw(st.lists(places, max_size=4)))
    for jobs in JOBS:
        answer = by_pieces(path, [24, *cuts, size], jobs)
        if answer is None:
            assert not set(cuts) <= {24, size, *ends}, "nothing was in the way"
        else:
            assert answer == by_one(path)
            assert set(cuts) <= {24, size, *ends}, "what is no boundary was taken for one"


def test_boundaries_are_found_and_proven(folder: Path) -> None:
    dice = random.Random(16)
    kinds = [dice.choice(["good", "good udp", "leaked", "never filled", "a file", "cut"]) for _ in range(4000)]
    path = folder / "large.pcap"
    path.write_bytes(HEADER + b"".join(record(KINDS[kind], n, 2000 * (kind == "cut")) for n, kind in enumerate(kinds)))
    starts = split.starts_of(str(path), 7)
    assert len(starts) == 8
    answer = by_pieces(path, starts, 3)
    one = by_one(path)
    assert one[0].packets == 4000 and len(one[1]) == 20
    assert answer is None or answer == one
    plain = [kind for kind in kinds if kind != "a file"]  # nothing in it looks like a record but records
    path.write_bytes(HEADER + b"".join(record(KINDS[kind], n, 2000 * (kind == "cut")) for n, kind in enumerate(plain)))
    starts = split.starts_of(str(path), 7)
    assert by_pieces(path, starts, 3) == by_one(path)


def test_whoever_asks_for_some_pieces_gets_the_same_cuts(folder: Path) -> None:
    path = folder / "some.pcap"
    path.write_bytes(HEADER + b"".join(record(KINDS["good"], n) for n in range(3000)))
    every = split.starts_of(str(path), 7)
    assert len(every) == 8 and every[0] == 24 and every[-1] == path.stat().st_size
    for first in range(7):
        for last in range(first + 1, 8):
            assert split.starts_of(str(path), 7, first, last) == every[first : last + 1]


def test_explanation_is_looked_for_in_the_piece(folder: Path) -> None:
    """A NAT that forgot the sum is told by the packet before it; behind a cut by one of its piece, or not at all."""
    before = tcp(A, B, 40000, 80, 1000, 2000, "PA", b"x" * 40)
    stale = bytearray(f.raw(tcp("192.0.2.77", B, 40000, 80, 1000, 2000, "PA", b"x" * 40)))
    stale[50:52] = f.raw(before)[50:52]
    fine = record(KINDS["good"], 0)
    path = folder / "nat.pcap"
    path.write_bytes(HEADER + record(f.raw(before), 1) + fine + record(bytes(stale), 2) + fine)
    size = path.stat().st_size
    (cause,) = by_one(path)[0].bad
    assert cause == "nat-delta"
    cut = 24 + len(record(f.raw(before), 1)) + len(fine)
    answers = [by_pieces(path, [24, cut, size], jobs) for jobs in JOBS]
    assert answers[0] is not None and answers.count(answers[0]) == len(JOBS)
    (without,) = answers[0][0].bad
    assert without != "nat-delta" and [(row.number, k) for k, row in answers[0][1]] == [(3, without)]


def test_parts_that_do_not_meet_are_refuted() -> None:
    with pytest.raises(Refuted):
        joined([Part(Found(), [], 24, 100), Part(Found(), [], 101, 200)], is_numbered=True)
    assert joined([Part(Found(), [], 24, 100), Part(Found(), [], 100, 200)], is_numbered=True).end == 200


def test_what_a_stop_leaves_has_true_numbers(folder: Path) -> None:
    path = folder / "stopped.pcap"
    path.write_bytes(HEADER + b"".join(record(KINDS["leaked"], n) for n in range(4000)))
    for jobs in JOBS:
        pieces = Pieces(str(path), split.starts_of(str(path), 7), WORK, jobs)
        pieces.stop()
        pieces.start()
        assert pieces.wait(60) and pieces.part is not None
        assert not pieces.part.is_whole and pieces.part.found.packets < 4000
        assert [row.number for _, row in pieces.part.first] == list(range(1, len(pieces.part.first) + 1))


@pytest.mark.parametrize(
    "content",
    [
        HEADER + bytes(3 << 20),
        HEADER + os.urandom(3 << 20),
        HEADER + record(bytes(2 << 20), 1) * 2,
        struct.pack("<IIIHHqII", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28, 0) + bytes(3 << 20),
    ],
    ids=["zeros", "noise", "two packets", "pcapng"],
)
def test_files_without_a_plausible_chain_are_not_split(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert split.starts_of(str(tmp_path / "x"), 4) in ([], [24, len(content)])
    assert split.starts_of(str(tmp_path / "x"), 4, 1, 3) == []


def test_small_files_and_what_is_none_have_one_piece(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(HEADER)
    os.mkfifo(tmp_path / "fifo")
    for path in ("x", "fifo", "nosuch", "", "a\0b"):
        assert split.pieces_in(str(tmp_path / path) if path == "x" else path) == 1
    assert split.pieces_in(str(tmp_path)) == split.pieces_in(str(tmp_path / "fifo")) == 1


@pytest.mark.parametrize("cut", [0, 1, 17, 50])
def test_command_says_the_same_of_a_split_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    kinds = ["good", "leaked", "good udp", "never filled", "corrupt"] * 400
    whole = HEADER + b"".join(record(KINDS[kind], n) for n, kind in enumerate(kinds))
    path = tmp_path / "x.pcap"
    path.write_bytes(whole[: len(whole) - cut])
    told = []
    for jobs in (0, 1, 2, 5):  # 0: as it is
        monkeypatch.setattr(split, "PIECE", 10_000 if jobs else 1 << 40)
        try:
            code: object = run.run_check(
                path=str(path), interface=None, packets=0, json=False, every=False, at_wire=True, jobs=jobs or 1
            )
        except Exception as error:  # of a file that is cut off, after what came before
            code = str(error)
        told.append((code, capsys.readouterr().out))
    assert told.count(told[0]) == 4
    assert f"{2000 - bool(cut)} packets" in told[0][1] and f"and {1170 - bool(cut)} more" in told[0][1]
