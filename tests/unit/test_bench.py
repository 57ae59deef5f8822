"""`pktmend bench` runs, checks its answers and prints lines of the promised shape; no time is judged here."""

from __future__ import annotations

import json
from typing import Any

import pytest

import pipeline
from pipeline import _core
from pipeline.bench import sum as bench_sum
from pipeline.bench import verify as bench_verify


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the NDJSON lines printed so far."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_sum_prints_environment_then_a_line_per_kernel_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    bench_sum.run_sum(json=True, sizes=(20, 1500), rounds=1)
    head, *rest = lines(capsys)
    supported = [name for name, ok, _ in pipeline.kernels() if ok]
    assert head["environment"]["kernels"] == supported and head["environment"]["auto"] in supported
    assert all(set(line) == {"bench", "impl", "bytes", "ns"} and line["bench"] == "sum" for line in rest)
    assert all(line["ns"] > 0 for line in rest)
    for size in (20, 1500):
        names = [line["impl"] for line in rest if line["bytes"] == size]
        assert {*supported, "auto", "peer:dpdk16", "limit:load"} <= set(names) and len(set(names)) == len(names)
    assert len(rest) == len({(line["impl"], line["bytes"]) for line in rest})


def test_sum_prints_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    bench_sum.run_sum(sizes=(64,), rounds=1)
    out = capsys.readouterr().out.splitlines()
    assert "auto is" in out[0] and out[-1].split()[0] == "64" and "limit:load" in out[-2]


def test_verify_prints_a_line_per_mix(capsys: pytest.CaptureFixture[str]) -> None:
    bench_verify.run_verify(json=True, mixes=("64", "577", "IMIX"), rounds=1)
    head, *rest = lines(capsys)
    assert "cpu" in head["environment"]
    assert [line["mix"] for line in rest] == ["64", "577", "IMIX"]
    assert {line["bench"] for line in rest} == {"verify"} and {line["impl"] for line in rest} == {"auto"}
    assert all(line["ns_per_packet"] > 0 and line["sum_ns_per_packet"] > 0 for line in rest)
    assert rest[0]["octets"] == 64 * rest[0]["packets"]


def test_verify_prints_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    bench_verify.run_verify(mixes=("64",), rounds=1)
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "64"


@pytest.mark.parametrize("mix", ["53", "-1", "64.5", "imix", ""])
def test_mix_that_is_none_is_refused(mix: str) -> None:
    with pytest.raises(pipeline.ConfigError, match="IMIX"):
        bench_verify.run_verify(mixes=(mix,), rounds=1)


def test_wrong_sum_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_sum, "expected_sum", lambda data: 0x1234)
    with pytest.raises(pipeline.PipelineError, match="not 0x1234"):
        bench_sum.run_sum(sizes=(20,), rounds=1)


def test_wrongly_judged_packet_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_verify, "complement", lambda *parts: 0x1234)
    with pytest.raises(pipeline.PipelineError, match="judged bad"):
        bench_verify.run_verify(mixes=("64",), rounds=1)


def test_odd_slices_are_summed_as_the_oracle_does() -> None:
    assert bench_sum.expected_sum(b"\x01\x02\x03") in ((0x0201 + 0x0003), (0x0102 + 0x0300))
    assert bench_sum.expected_or(b"\x01\x02\x80") == 0x83


def test_every_supported_kernel_has_an_address(kernel: str) -> None:
    assert _core.kernel_address(kernel) == _core.kernel_address() > 0


def test_unknown_kernel_has_none() -> None:
    with pytest.raises(pipeline.ConfigError, match="abacus"):
        _core.kernel_address("abacus")
