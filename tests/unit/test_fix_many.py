"""pktmend fix over many captures: where copies go, what is repaired, what is left and why."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
from tapes import File, read
from tools import ROOT, frames_in, run_inside

LEAKED = (ROOT / "examples" / "leaked.pcap").read_bytes()  # 11 packets, 4 of them partial
TCP = f.ether / f.ip4 / f.tcp / f.PAYLOAD
UDP = f.ether / f.ip4 / f.udp / f.PAYLOAD
GOOD = f.raw(TCP)
PARTIAL = f.leaked(TCP)
CORRUPT = f.put16(GOOD, 90, 0x4711)
FLIPPED = f.put16(GOOD, 50, f.get16(GOOD, 50) ^ 0x0400)
ZERO = f.put16(GOOD, 50, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Captures at several depths, compressed, cut off, and what is none."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.pcap").write_bytes(LEAKED)
    (tmp_path / "in" / "b.pcap.gz").write_bytes(gzip.compress(LEAKED))
    (tmp_path / "in" / "deep" / "a.pcap").write_bytes(LEAKED)
    (tmp_path / "in" / "cut.pcap").write_bytes(LEAKED[:-3])
    (tmp_path / "in" / "false.pcap").write_bytes(b"hello world, this is not a capture")
    (tmp_path / "in" / "notes.txt").write_text("hello")
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_copies_lie_as_their_originals_and_are_those_of_one_by_one(folder: Path) -> None:
    before = tree(folder / "in")
    done = run_inside("fix", str(folder / "in"), "-o", str(folder / "out"))
    assert run_inside("fix", "-r", str(folder / "in" / "a.pcap"), "-w", str(folder / "one.pcap")).returncode == 0
    one = (folder / "one.pcap").read_bytes()
    made = tree(folder / "out")
    record = struct.unpack_from("<I", LEAKED, len(LEAKED) - len(read_last(LEAKED)) - 8)[0] + 16  # the one that is cut
    assert made == {"a.pcap": one, "b.pcap": one, "cut.pcap": one[:-record], "deep/a.pcap": one}
    assert tree(folder / "in") == before
    assert done.returncode == 5 and done.stderr.count(b"\n") == 2, done
    assert b"deep/a.pcap: 11 packets; repaired pending 4\n" in done.stdout
    assert b"43 packets; repaired pending 15; found:" in done.stdout
    assert {path.stat().st_mode & 0o077 for path in (folder / "out").rglob("*")} == {0}, "others may look in"


def read_last(data: bytes) -> bytes:
    """Return the frame of the last record."""
    at, frame = 24, b""
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        frame, at = data[at + 16 : at + 16 + size], at + 16 + size
    return frame


@pytest.mark.parametrize("option", [(), ("--json",), ("--dry-run",)], ids=" ".join)
def test_any_number_of_jobs_does_and_prints_the_same(folder: Path, option: tuple[str, ...]) -> None:
    results = []
    for jobs in ("1", "2", "7"):
        done = run_inside("fix", str(folder / "in"), "-o", str(folder / "out"), "--jobs", jobs, *option)
        results.append((done.stdout, done.stderr, done.returncode, tree(folder)))
        shutil.rmtree(folder / "out", ignore_errors=True)
    assert results[0] == results[1] == results[2]


def test_what_is_left_is_said_with_the_reason(tmp_path: Path) -> None:
    path, out = tmp_path / "x.pcap", tmp_path / "y.pcap"
    wrpcap(str(path), [GOOD, PARTIAL, CORRUPT, FLIPPED], linktype=1)
    done = run_inside("fix", "-r", str(path), "-w", str(out))
    assert done.returncode == 1
    assert "2 left as they are (bit-flip 1, corrupt 1): `--repair all` would sign them" in done.stdout.decode()
    assert frames_in(out) == [GOOD, GOOD, CORRUPT, FLIPPED]
    summary = json.loads(run_inside("fix", "-r", str(path), "-w", str(out), "--json").stdout)["summary"]
    assert summary["left"] == {"policy": {"bit-flip": 1, "corrupt": 1}}
    done = run_inside("fix", "-r", str(path), "-w", str(out), "--repair", "all")
    assert done.returncode == 0 and b"left" not in done.stdout
    assert run_inside("check", "-r", str(out), "--at", "wire").returncode == 0


def test_causes_are_chosen_one_by_one(tmp_path: Path) -> None:
    path, out = tmp_path / "x.pcap", tmp_path / "y.pcap"
    wrpcap(str(path), [PARTIAL, ZERO, CORRUPT], linktype=1)
    done = run_inside("fix", "-r", str(path), "-w", str(out), "--repair", "all", "--only", "never-filled")
    assert frames_in(out) == [PARTIAL, GOOD, CORRUPT]
    assert done.returncode == 1
    assert "2 left as they are (pending 1, corrupt 1): not of --only never-filled" in done.stdout.decode()
    done = run_inside("fix", "-r", str(path), "-w", str(out), "--repair", "all", "--only", "never-filled,corrupt")
    assert done.returncode == 0, "what is pending is not bad"
    assert b"1 left as it is (pending 1)" in done.stdout


@pytest.mark.parametrize(
    ("only", "words"),
    [("corrupt", "--repair all"), ("pending,bit-flip", "--repair all"), ("leakd", "'leaked'"), ("good", "one of")],
)
def test_causes_that_cannot_be_chosen_are_refused(tmp_path: Path, only: str, words: str) -> None:
    wrpcap(str(tmp_path / "x.pcap"), [PARTIAL], linktype=1)
    done = run_inside("fix", "-r", str(tmp_path / "x.pcap"), "-w", str(tmp_path / "y"), "--only", only)
    assert done.returncode == 2 and words in done.stderr.decode() and not (tmp_path / "y").exists()


def test_what_cannot_be_computed_is_left_whatever_is_asked(tmp_path: Path) -> None:
    """A header whose length reaches beyond its frame, and whose sum is wrong: nobody knows what was meant."""
    wrong = f.put16(f.put16(GOOD, 16, 39), 24, 0x1234)
    wrpcap(str(tmp_path / "x.pcap"), [wrong], linktype=1)
    done = run_inside("fix", "-r", str(tmp_path / "x.pcap"), "-w", str(tmp_path / "y.pcap"), "--repair", "all")
    assert frames_in(tmp_path / "y.pcap") == [wrong]
    assert done.returncode == 1 and b"what would be right cannot be known" in done.stdout, done.stdout


def test_inner_one_that_is_not_chosen_keeps_the_outer_one_as_it_is(tmp_path: Path) -> None:
    """VXLAN with a partial checksum inside, known to be, under an outer sum that was made over it."""
    from scapy.layers.vxlan import VXLAN

    inner = f.leaked(TCP)
    outer = f.raw(f.ether / f.ip4 / f.UDP(sport=50000, dport=4789) / VXLAN(vni=1) / inner)
    file = File().section().interface().packet(outer, File().option(2, struct.pack("<I", 1 << 9)))
    (tmp_path / "x.pcapng").write_bytes(file.data)
    run = ("fix", "-r", str(tmp_path / "x.pcapng"), "-w", str(tmp_path / "y.pcapng"), "--repair", "all", "--json")
    kept = json.loads(run_inside(*run, "--only", "corrupt").stdout)["summary"]
    assert [x for *_, x in read(tmp_path / "y.pcapng")] == [outer] and set(kept["left"]) == {"only"}, kept
    whole = json.loads(run_inside(*run).stdout)["summary"]
    assert [x for *_, x in read(tmp_path / "y.pcapng")] != [outer] and not whole["left"], whole


def test_dry_run_writes_nothing_and_says_the_same(folder: Path) -> None:
    before = tree(folder)
    done = run_inside("fix", str(folder / "in" / "a.pcap"), str(folder / "in" / "deep"), "--dry-run")
    assert done.returncode == 0 and b"22 packets; would repair pending 8; found:" in done.stdout
    assert run_inside("fix", str(folder / "in"), "-o", str(folder / "out"), "--dry-run").returncode == 5
    one = run_inside("fix", "-r", str(folder / "in" / "a.pcap"), "-w", str(folder / "out"), "--dry-run", "--json")
    assert json.loads(one.stdout)["summary"]["repaired"] == {"pending": 4}
    assert tree(folder) == before


@pytest.mark.parametrize("words", [("--filter", "udp"), ("udp",)], ids=["option", "words"])
def test_filter_repairs_some_and_copies_the_others(tmp_path: Path, words: tuple[str, ...]) -> None:
    path, out = tmp_path / "x.pcap", tmp_path / "y.pcap"
    wrpcap(str(path), [PARTIAL, f.leaked(UDP), PARTIAL], linktype=1)
    done = run_inside("fix", "-r", str(path), "-w", str(out), *words)
    assert done.returncode == 0, done.stderr
    assert frames_in(out) == [PARTIAL, f.raw(UDP), PARTIAL]
    assert run_inside("fix", "-r", str(path), "-w", str(tmp_path / "y.pcapng"), *words).returncode == 2
    assert not (tmp_path / "y.pcapng").exists()


def test_two_captures_with_one_copy_are_refused_before_anything_is_written(folder: Path) -> None:
    done = run_inside("fix", str(folder / "in/a.pcap"), str(folder / "in/deep/a.pcap"), "-o", str(folder / "out"))
    assert done.returncode == 2 and b"both become" in done.stderr and not (folder / "out").exists()
    (folder / "in" / "b.pcap").write_bytes(LEAKED)
    done = run_inside("fix", str(folder / "in"), "-o", str(folder / "out"))
    assert done.returncode == 2 and b"b.pcap.gz" in done.stderr and not (folder / "out").exists()


@pytest.mark.parametrize("target", ["in", "in/new", "in/deep"])
def test_folder_within_what_is_read_is_refused(folder: Path, target: str) -> None:
    before = tree(folder)
    done = run_inside("fix", str(folder / "in"), "-o", str(folder / target))
    assert done.returncode == 2 and b"which is read" in done.stderr and tree(folder) == before


def test_copy_in_the_place_of_a_capture_is_refused(folder: Path) -> None:
    before = tree(folder)
    done = run_inside("fix", str(folder / "in/deep/a.pcap"), str(folder / "in/cut.pcap"), "-o", str(folder / "in/deep"))
    assert done.returncode == 2 and b"which is read" in done.stderr and tree(folder) == before


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("in/a.pcap",), "-o DIR"),
        (("-r", "in/a.pcap"), "-w OUT"),
        (("-r", "in/a.pcap", "-o", "out"), "PATH"),
        (("in/a.pcap", "-w", "x"), "-r"),
        (("-", "-o", "out"), "standard input"),
        ((), "-r IN -w OUT"),
        (("nosuch", "-o", "out"), "nosuch"),
    ],
)
def test_ends_that_are_missing_are_named(folder: Path, argv: tuple[str, ...], words: str) -> None:
    argv = tuple(str(folder / word) if (folder / word).exists() or word == "out" else word for word in argv)
    done = run_inside("fix", *argv)
    assert done.returncode in (2, 4) and words in done.stderr.decode() and done.stderr.count(b"\n") == 1, done
    assert not (folder / "out").exists() or not tree(folder / "out")


def test_link_of_somebody_else_in_the_folder_is_not_followed(folder: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, to put another user's link there")
    (folder / "elsewhere").mkdir()
    (folder / "out").mkdir()
    (folder / "out" / "deep").symlink_to(folder / "elsewhere")
    os.chown(folder / "out" / "deep", 65534, 65534, follow_symlinks=False)
    done = run_inside("fix", str(folder / "in"), "-o", str(folder / "out"))
    assert not tree(folder / "elsewhere") and b"symbolic link" in done.stderr
    assert set(tree(folder / "out")) >= {"a.pcap", "b.pcap"}


def test_names_with_newlines_forge_no_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\n9 packets.pcap").write_bytes(LEAKED)
    done = run_inside("fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert b"\n9 packets.pcap" not in done.stdout and rb"a\x0a9 packets.pcap" in done.stdout
