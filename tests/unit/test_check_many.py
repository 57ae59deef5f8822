"""`pktmend check` over many captures: what is read, in which order it is told, and what ends the run."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import wrpcap

import frames as f
from pktmend._core import CHECK_FORMAT
from pktmend.commands.check.found import Found
from pktmend.commands.check.rows import CHECK
from tools import PKTMEND, ROOT, run_pktmend

LEAKED = (ROOT / "examples" / "leaked.pcap").read_bytes()  # 11 packets, 4 of them partial
PACKET = f.ether / f.ip4 / f.tcp / f.PAYLOAD
GOOD = f.raw(PACKET)
CORRUPT = f.put16(GOOD, 90, 0x4711)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Captures in every compression, two that are broken, and what is no capture."""
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "a.pcap").write_bytes(LEAKED)
    (tmp_path / "b" / "c.pcap.gz").write_bytes(gzip.compress(LEAKED))
    (tmp_path / "b" / "deep" / "d.pcap.xz").write_bytes(lzma.compress(LEAKED[:500]) + lzma.compress(LEAKED[500:]))
    (tmp_path / "b" / "plain-name").write_bytes(LEAKED)
    (tmp_path / "b" / "x.gz").write_bytes(gzip.compress(b"some text"))
    (tmp_path / "cut.pcap").write_bytes(LEAKED[:-3])
    (tmp_path / "false.pcap").write_bytes(b"hello world, this is not a capture")
    (tmp_path / "notes.txt").write_text("hello")
    os.mkfifo(tmp_path / "fifo.pcap")
    return tmp_path


def test_folder_is_read_to_its_bottom(folder: Path) -> None:
    done = run_pktmend("check", str(folder), "--at", "wire", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = [line["file_summary"] for line in lines if "file_summary" in line]
    assert [(Path(t["file"]).name, t.get("packets"), t.get("exit")) for t in told] == [
        ("a.pcap", 11, None),
        ("cut.pcap", 10, 5),
        ("false.pcap", None, 5),
        ("c.pcap.gz", 11, None),
        ("plain-name", 11, None),
        ("d.pcap.xz", 11, None),
    ]
    summary = lines[-1]["summary"]
    assert summary["packets"] == 54 and summary["checks"]["tcp"] == {"leaked": 19} and summary["bad"] == {"leaked": 19}
    assert summary["files"] == 6 and summary["files_not_read_to_the_end"] == 2
    assert summary["files_passed_over"] == 3  # text, compressed text, FIFO
    assert {line["file"] for line in lines if "n" in line} == {t["file"] for t in told if t.get("packets")}
    assert done.returncode == 5
    assert done.stderr.count(b"\n") == 2 and b"cut.pcap" in done.stderr and b"false.pcap" in done.stderr


@pytest.mark.parametrize("option", [(), ("--json",), ("--json", "--all"), ("--all-bad",), ("--all",)], ids=" ".join)
def test_any_number_of_jobs_prints_the_same(folder: Path, option: tuple[str, ...]) -> None:
    outputs = {
        (done.stdout, done.stderr, done.returncode)
        for jobs in ("1", "2", "7")
        for done in [run_pktmend("check", str(folder), "--at", "wire", "--jobs", jobs, *option)]
    }
    assert len(outputs) == 1


def test_patterns_standard_input_and_what_is_named_twice(folder: Path) -> None:
    done = run_pktmend("check", f"{folder}/*.pcap", "-", f"{folder}/a.pcap", "--json", stdin=LEAKED)
    told = [x["file_summary"]["file"] for x in map(json.loads, done.stdout.splitlines()) if "file_summary" in x]
    assert [Path(path).name for path in told] == ["a.pcap", "cut.pcap", "false.pcap", "-"]
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["files_passed_over"] == 1  # the FIFO


@pytest.mark.parametrize(
    ("names", "code"),
    [(("good", "good2"), 0), (("good", "bad"), 1), (("bad", "absent"), 4), (("absent", "bad", "broken"), 5)],
)
def test_exit_code_is_the_highest_of_the_files(tmp_path: Path, names: tuple[str, ...], code: int) -> None:
    wrpcap(str(tmp_path / "good"), [GOOD], linktype=1)
    wrpcap(str(tmp_path / "good2"), [GOOD], linktype=1)
    wrpcap(str(tmp_path / "bad"), [CORRUPT], linktype=1)
    (tmp_path / "broken").write_bytes(b"no capture")
    done = run_pktmend("check", *(str(tmp_path / name) for name in names))
    assert done.returncode == code, done
    assert b"by status: " in done.stdout  # the others are told all the same


def test_first_ten_of_each_cause_then_how_many_more(tmp_path: Path) -> None:
    frames = [f.leaked(PACKET)] * 12 + [CORRUPT] * 15 + [GOOD]
    wrpcap(str(tmp_path / "a.pcap"), frames, linktype=1)
    wrpcap(str(tmp_path / "b.pcap"), frames, linktype=1)
    done = run_pktmend("check", "--at", "wire", str(tmp_path / "a.pcap"))
    lines = done.stdout.decode().splitlines()
    right = f"{f.get16(GOOD, 50):04x}"
    ends = "10.7.0.1:40000 > 10.7.0.2:80"
    assert lines[0] == f"packet 1: {ends} tcp leaked: field {f.seed(PACKET):04x}, right {right}"
    assert [line.split(":")[0] for line in lines[:20]] == [f"packet {n}" for n in (*range(1, 11), *range(13, 23))]
    assert lines[20] == "and 7 more: leaked 2, corrupt 5 (--all-bad prints them)"
    both = run_pktmend("check", "--at", "wire", str(tmp_path)).stdout.decode().splitlines()
    assert both[:20] == [f"{tmp_path}/a.pcap: {line}" for line in lines[:20]]
    assert both[20] == "and 34 more: leaked 14, corrupt 20 (--all-bad prints them)"
    assert both[21] == f"{tmp_path}/a.pcap: 28 packets, 27 bad: leaked 12, corrupt 15"
    every = run_pktmend("check", "--at", "wire", "--all-bad", str(tmp_path / "a.pcap")).stdout
    assert every.count(b"\npacket ") == 26 and b" more: " not in every


def test_addresses_and_ports_are_members_of_each_line(tmp_path: Path) -> None:
    six = f.ether / f.ip6 / f.udp / f.PAYLOAD
    wrpcap(str(tmp_path / "x.pcap"), [GOOD, f.raw(six), bytes(60)], linktype=1)
    done = run_pktmend("check", "-r", str(tmp_path / "x.pcap"), "--json", "--all")
    four, six_line, none, _ = map(json.loads, done.stdout.splitlines())
    assert (four["src"], four["dst"]) == (PACKET["IP"].src, PACKET["IP"].dst)
    assert (four["sport"], four["dport"]) == (PACKET["TCP"].sport, PACKET["TCP"].dport)
    assert (six_line["src"], six_line["sport"]) == (six["IPv6"].src, six["UDP"].sport)
    assert not {"src", "dst", "sport", "dport"} & set(none)


def test_unfinished_checksums_name_the_next_command(tmp_path: Path) -> None:
    path = tmp_path / "it's.pcap"
    path.write_bytes(LEAKED)
    text = run_pktmend("check", str(path)).stdout.decode()
    assert "4 tcp checksums are unfinished and the file cannot say whether that is healthy" in text
    assert f"""`pktmend diagnose -r '{tmp_path}/it'"'"'s.pcap'`""" in text
    assert "unfinished" not in run_pktmend("check", str(path), "--at", "wire").stdout.decode()


def test_filter_of_many_files(folder: Path) -> None:
    done = run_pktmend("check", str(folder / "a.pcap"), str(folder / "b"), "--filter", "icmp", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["packets"] == 2 * 4
    assert run_pktmend("check", str(folder), "--filter", "icmpp").returncode == 2


def test_xz_that_is_cut_off_or_asks_for_much_memory(tmp_path: Path) -> None:
    (tmp_path / "cut.xz").write_bytes(lzma.compress(LEAKED)[:-40])
    done = run_pktmend("check", str(tmp_path / "cut.xz"))
    assert done.returncode == 5 and b"compressed file is broken" in done.stderr
    large = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 64}]
    try:
        bomb = lzma.compress(LEAKED, filters=large)
    except MemoryError:
        pytest.skip("xz with a dictionary of a GiB takes more memory than there is")
    (tmp_path / "bomb.xz").write_bytes(bomb)
    done = run_pktmend("check", str(tmp_path / "bomb.xz"))
    assert done.returncode == 5 and b"emory" in done.stderr


COUNTS = st.dictionaries(st.sampled_from(["good", "bad", "leaked", "corrupt"]), st.integers(1, 9))
FOUND = st.builds(
    Found,
    packets=st.integers(0, 9),
    checks=st.dictionaries(st.sampled_from(["ip", "tcp", "sctp"]), COUNTS),
    status=st.dictionaries(st.sampled_from(["good", "bad", "pending"]), st.integers(1, 9)),
)


@given(st.lists(FOUND, max_size=6), st.randoms(use_true_random=False), st.integers(0, 6))
def test_results_add_up_in_any_order_and_grouping(parts: list[Found], dice: random.Random, cut: int) -> None:
    whole = Found.sum(parts)
    shuffled = dice.sample(parts, len(parts))
    grouped = Found.sum([Found.sum(shuffled[:cut]), Found.sum(shuffled[cut:]), Found()])
    assert json.dumps(whole.as_json()) == json.dumps(grouped.as_json())


def test_fields_of_a_check_lie_where_rows_takes_them() -> None:
    fields = CHECK_FORMAT.removeprefix("T{").removesuffix("}").split(":")[::2]
    assert CHECK.format == "=" + "5I" + "H" + "6B" and "".join(fields).replace("=", "") == "IIIIIHBBBBBB"


def test_names_with_newlines_forge_no_line(tmp_path: Path) -> None:
    (tmp_path / "a\n9 packets.pcap").write_bytes(LEAKED)
    (tmp_path / "b\npktmend: fine.pcap").write_bytes(b"no capture")
    done = run_pktmend("check", str(tmp_path), "--at", "wire")
    assert rb"/a\x0a9 packets.pcap: packet 7: " in done.stdout and b"\n9 packets" not in done.stdout
    assert done.stderr.count(b"\n") == 1 and b"\\x0apktmend" in done.stderr


def test_signal_ends_the_run_with_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(LEAKED)
    os.mkfifo(tmp_path / "fifo")
    argv = [*PKTMEND, "check", "--jobs", "1", *(str(tmp_path / name) for name in ("a.pcap", "fifo", "c.pcap"))]
    with subprocess.Popen([*argv, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert b"file_summary" in process.stdout.readline()  # the FIFO is what it waits for now
        process.send_signal(signal.SIGINT)
        summary = json.loads(process.stdout.read().splitlines()[-1])["summary"]
    assert summary["packets"] == 11 and summary["files_left"] >= 1 and process.returncode == 0


@pytest.mark.parametrize("option", [("--json",), ("--all-bad",)], ids=" ".join)
def test_reader_that_goes_away_ends_the_run(tmp_path: Path, option: tuple[str, ...]) -> None:
    for name in "abcd":
        wrpcap(str(tmp_path / f"{name}.pcap"), [CORRUPT] * 3000, linktype=1)
    with subprocess.Popen([*PKTMEND, "check", str(tmp_path), *option], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    assert process.returncode == 141


def test_transcript_of_the_page_is_what_is_printed() -> None:
    page = (ROOT / "docs" / "check.md").read_text()
    shown = page.split("--at wire -->\n```\n")[1].split("```")[0]
    assert run_pktmend("check", str(ROOT / "examples" / "leaked.pcap"), "--at", "wire").stdout.decode() == shown
