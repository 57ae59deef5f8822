"""`pktmend bench` runs, checks its answers and prints lines of the promised shape; no time is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest
from scapy.all import TCP, UDP, Ether, PcapNgReader, PcapReader

import pktmend
from pktmend import _core
from pktmend.commands.bench import figures, frames, read
from pktmend.commands.bench import sum as bench_sum
from pktmend.commands.bench import verify as bench_verify
from pktmend.commands.bench.picture import draw
from pktmend.commands.bench.session import Bench, Output, run
from tools import PKTMEND


def lines(capsys: pytest.CaptureFixture[str], *benches: Bench) -> list[dict[str, Any]]:
    """Return the NDJSON lines that the benches print."""
    run(benches, Output(json=True))
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_sum_prints_environment_then_a_line_per_kernel_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rest = lines(capsys, bench_sum.SumBench(sizes=(20, 1500), rounds=2))
    supported = [name for name, ok, _ in pktmend.kernels() if ok]
    assert head["environment"]["kernels"] == supported and head["environment"]["auto"] in supported
    assert all({"bench", "impl", "bytes", "ns"} <= set(line) and line["bench"] == "sum" for line in rest)
    assert all(0 < line["low"] <= line["ns"] <= line["high"] and line["rounds"] == 2 for line in rest)
    for size in (20, 1500):
        names = [line["impl"] for line in rest if line["bytes"] == size]
        assert {*supported, "auto", "peer:dpdk16", "limit:load"} <= set(names) and len(set(names)) == len(names)
    assert len(rest) == len({(line["impl"], line["bytes"]) for line in rest})


def test_verify_prints_a_line_per_mix(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rest = lines(capsys, bench_verify.VerifyBench(mixes=("64", "577", "IMIX"), rounds=1))
    assert "cpu" in head["environment"]
    assert [line["mix"] for line in rest] == ["64", "577", "IMIX"]
    assert {line["bench"] for line in rest} == {"verify"} and {line["impl"] for line in rest} == {"auto"}
    assert all(line["ns_per_packet"] > 0 and line["sum_ns_per_packet"] > 0 for line in rest)
    assert rest[0]["octets"] == 64 * rest[0]["packets"]


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    run([bench_sum.SumBench(sizes=(64,), rounds=1), bench_verify.VerifyBench(mixes=("64",), rounds=1)], Output())
    out = capsys.readouterr().out.splitlines()
    assert "CPUs" in out[0]
    assert sum(line.split()[:1] == ["64"] for line in out) == 2


@pytest.mark.parametrize("mix", ["53", "-1", "64.5", "imix", ""])
def test_mix_that_is_none_is_refused(mix: str) -> None:
    with pytest.raises(pktmend.ConfigError, match="IMIX"):
        list(bench_verify.VerifyBench(mixes=(mix,), rounds=1).measure())


def test_wrong_sum_is_an_error() -> None:
    """A function that ORs its data stands where one that sums is wanted."""
    wrong = bench_sum.implementations()[bench_sum.LOAD]
    with pytest.raises(pktmend.PktmendError, match=r"portable says .* of 20 bytes, not"):
        list(bench_sum.SumBench(sizes=(20,), rounds=1, functions={"portable": wrong}).measure())


@pytest.mark.parametrize("at", [24, 50], ids=["ip", "tcp"])
def test_wrongly_judged_packet_is_an_error(at: int) -> None:
    def damaged(mix: str) -> list[bytes]:
        first, *others = bench_verify.frames_of(mix)[:3]
        return [*others, first[:at] + bytes([first[at] ^ 1]) + first[at + 1 :]]

    with pytest.raises(pktmend.PktmendError, match="packet 2 was judged bad"):
        list(bench_verify.VerifyBench(mixes=("64",), rounds=1, frames_of=damaged).measure())


def test_odd_slices_are_summed_as_the_oracle_does() -> None:
    assert bench_sum.expected_sum(b"\x01\x02\x03") in ((0x0201 + 0x0003), (0x0102 + 0x0300))
    assert bench_sum.expected_or(b"\x01\x02\x80") == 0x83


def test_every_supported_kernel_has_an_address(kernel: str) -> None:
    assert _core.kernel_address(kernel) == _core.kernel_address() > 0


def test_unknown_kernel_has_none() -> None:
    with pytest.raises(pktmend.ConfigError, match="abacus"):
        _core.kernel_address("abacus")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("protocol", "layer"), [(frames.TCP, TCP), (frames.UDP, UDP)])
@pytest.mark.parametrize("vlan", [None, 5])
def test_frames_are_what_scapy_makes_of_them(version: int, protocol: int, layer: Any, vlan: int | None) -> None:
    for size in (90, 577):
        shape = frames.Shape(version, protocol, size, vlan, addresses=frames.V4 if version == 4 else frames.V6)
        frame = shape.frame(bytes(range(256)) * 3 if size > 256 else bytes(size - shape.payload_at), sequence=9)[:size]
        frame = shape.frame(frame[shape.payload_at :], sequence=9)
        packet = Ether(frame)
        stored = packet[layer].chksum
        del packet[layer].chksum
        if version == 4:
            del packet["IP"].chksum
        assert bytes(packet) == frame and Ether(bytes(packet))[layer].chksum == stored


def test_captures_of_the_read_bench_are_read_by_scapy(tmp_path: Path) -> None:
    files = read.write_captures(tmp_path, 30)
    with PcapReader(str(files["pcap"])) as old, PcapNgReader(str(files["pcapng"])) as new:
        pairs = list(zip(old, new, strict=True))
    assert len(pairs) == 30 and all(bytes(a) == bytes(b) and a.time == b.time for a, b in pairs)
    assert {len(a) for a, _ in pairs} == {64, 570, 1514}


def test_read_measures_all_that_is_installed_and_checks_their_answers(capsys: pytest.CaptureFixture[str]) -> None:
    _, *rest = lines(capsys, read.ReadBench(rounds=1, frames=2400, large=3_000_000))
    ours = [(line["impl"], line["file"]) for line in rest if line["impl"].startswith("pktmend")]
    jobs = dict.fromkeys((1, len(os.sched_getaffinity(0))))
    assert ours == [
        ("pktmend check", "pcap"),
        ("pktmend check, 10 frames", "pcap"),
        ("pktmend fix", "pcap"),
        ("pktmend check", "pcapng"),
        ("pktmend fix", "pcapng"),
        *((f"pktmend check --jobs {n}", read.LARGE) for n in jobs),
    ]
    for line in rest:
        assert line.get("fails") == "not installed" or line["frames_per_s"] > 0, line
    assert {line["frames"] for line in rest if line["impl"].startswith("pktmend")} == {2400, 10, 4 * 2400}


@pytest.mark.parametrize("program", [p for p in read.PROGRAMS if not p.copies], ids=lambda p: p.name)
def test_read_notices_a_wrong_checksum(program: read.Program, tmp_path: Path) -> None:
    if program.needs and not read.version_of(program.needs):
        pytest.skip(f"not installed: {program.needs}")
    path = read.write_captures(tmp_path, 30)["pcap"]
    program.seconds(path, 30, tmp_path / "out")
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x40  # the last frame's payload
    path.write_bytes(data)
    with pytest.raises(pktmend.PktmendError, match=program.name):
        program.seconds(path, 30, tmp_path / "out")


def line(rate: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    """Return a line of the bridge bench."""
    return {
        "bench": "bridge",
        "scenario": "default",
        "forwarder": "pktmend",
        "rate": rate,
        "low": low,
        "high": high,
        "rounds": 3,
        "fails": "",
        **more,
    }


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        ((10, 9, 11), (12, 11.5, 12.5), "better"),
        ((10, 9, 11), (8, 7.5, 8.5), "worse"),
        ((10, 9, 11), (12, 10.5, 13), "same within noise"),  # their spreads overlap
        ((10, 9.99, 10.01), (10.2, 10.19, 10.21), "same within noise"),  # 2 %: sessions differ by as much
    ],
)
def test_compare_calls_a_change_only_what_is_beyond_noise(
    before: tuple[float, ...], now: tuple[float, ...], verdict: str
) -> None:
    assert figures.change(line(*before), line(*now))[1] == verdict


def test_less_is_better_where_it_is() -> None:
    old = {"bench": "sum", "impl": "auto", "bytes": 20, "ns": 2.0, "low": 1.9, "high": 2.1, "rounds": 9}
    assert figures.change(old, {**old, "ns": 3.0, "low": 2.9, "high": 3.1}) == (0.5, "worse")


def test_one_round_is_no_basis() -> None:
    assert "fewer than three" in figures.change(line(10, 10, 10, rounds=1), line(20, 20, 20))[1]


def test_compare_names_what_is_new_gone_and_failing() -> None:
    other = {"forwarder": "tcpbridge"}
    rows = figures.compare([line(10, 9, 11), line(1, 1, 1, **other)], [line(10, 9, 11, fails="it ends")]).rows
    assert rows == [("bridge pktmend default", "fails", "it ends"), ("bridge tcpbridge default", "not measured now")]
    assert figures.compare([line(10, 9, 11)], [line(1, 1, 1, **other)]).rows[0][-1] == "new"
    assert figures.compare([line(0, 0, 0, fails="x")], [line(1, 1, 1)]).rows[0][-1] == "failed before"


def test_saved_results_are_loaded_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, page = tmp_path / "kept.ndjson", tmp_path / "page.md"
    bench = bench_sum.SumBench(sizes=(20,), rounds=3)
    run([bench], Output(json=True, save=str(kept), markdown=str(page)))
    printed = capsys.readouterr().out
    lines = [json.loads(line) for line in printed.splitlines()]
    assert all(line.pop("type") for line in lines)
    assert list(map(json.loads, kept.read_text().splitlines())) == lines
    around = json.loads(printed.splitlines()[0])["environment"]
    assert around["cpu"] in page.read_text() and around["system"] in page.read_text()
    assert "| 20 | " in page.read_text()
    run([bench], Output(json=True, compare=str(kept)))
    comparison = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert comparison["environment_differs"] == []
    assert {row["what"] for row in comparison["comparison"]} >= {"sum auto 20", "sum portable 20"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello\n",
        "[1]\n",
        '{"bench":"sum"}\n',
        '{"environment":{}}\n',
        '{"bench":"abacus","ns":1}\n',
        '{"bench":"sum","impl":"a","bytes":1,"ns":"x"}\n',
    ],
)
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "no.ndjson"
    path.write_text(text)
    with pytest.raises(pktmend.FormatError, match="result"):
        figures.load(str(path))


def test_exit_codes_of_compare(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("?")
    for name, code in (("missing", 4), ("bad", 5)):
        done = subprocess.run(
            [*PKTMEND, "bench", "sum", "--quick", "--compare", str(tmp_path / name)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code and str(tmp_path / name) in done.stderr and not done.stdout


def test_picture_shows_bars_and_failures() -> None:
    svg = draw([line(10, 9, 11, ratio=1.0), line(0, 0, 0, forwarder="<other>", fails="it ends & dies")])
    text = "".join(xml.etree.ElementTree.fromstring(svg).itertext())
    assert "pktmend" in text and "10.00 (1.00 x)" in text and "<other>fails: it ends & dies" in text
    assert svg.count("<rect") == 1


def test_table_as_text_and_markdown() -> None:
    table = figures.Table("T", ("who", "n"), [("a", "1"), ("bb", "22"), ("c",)], "note")
    assert table.text().splitlines() == ["T", "  who   n", "  a     1", "  bb   22", "  c    ", "  note"]
    assert "| bb | 22 |" in table.markdown() and "| c |  |" in table.markdown()
