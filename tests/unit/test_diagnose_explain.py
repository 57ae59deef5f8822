"""`diagnose --explain`: what was considered and dropped is said, once, with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tapes as t
from diagnosing import A, B, run
from pktmend.commands.diagnose import rules
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Decision, Sentence
from pktmend.commands.diagnose.examine import Examination, examine
from pktmend.commands.diagnose.explain import rejections_as_json, text_of_rejections
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.taps import Hooks


class Why(Sentence):
    """A reason of this test's."""

    TOO_FEW = "two packets are too few"


def drops_corruption(case: Case) -> list[Decision]:
    """A rule that decides against a cause, twice for the same reason."""
    for _ in range(2):
        case.reject(RootCause.CORRUPTION, Why.TOO_FEW)
    return []


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return t.pcap(tmp_path / "x", t.syns(A, B, 1, 4))


def examined(capture: Path, monkeypatch: pytest.MonkeyPatch, behind: str = "") -> Examination:
    monkeypatch.setattr(rules, "RULES", (drops_corruption, *rules.RULES))
    return examine(Options(str(capture), behind, is_live=False), Hooks())


@pytest.mark.parametrize("taps", [1, 2])
def test_what_a_rule_drops_is_said_once(capture: Path, monkeypatch: pytest.MonkeyPatch, taps: int) -> None:
    behind = capture.with_name("behind")
    behind.write_bytes(capture.read_bytes())
    found = examined(capture, monkeypatch, str(behind) if taps == 2 else "")
    assert {"cause": "corruption", "why": ["two packets are too few"]} in rejections_as_json(found)
    lines = list(text_of_rejections(found))
    assert lines.count("  - corruption: two packets are too few") == 1


def test_every_cause_is_found_dropped_or_without_a_sign(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = examined(capture, monkeypatch)
    text = " ".join(" ".join(text_of_rejections(found)).split())
    dropped, silent = text.split("Nothing pointed to: ")
    named = set(silent.rstrip(".").split(", "))
    for cause in RootCause:
        ways = [
            str(cause) in named,
            f"- {cause}: " in dropped,
            cause in {decision.cause for decision in found.decisions} and f"- {cause}: " not in dropped,
        ]
        assert sum(ways) == 1, cause


def test_cause_that_stands_was_not_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaked behind a hop, and a rule that decides against that, too."""

    def drops_the_leak(case: Case) -> list[Decision]:
        case.reject(RootCause.METADATA_LOST, Why.TOO_FEW)
        return []

    monkeypatch.setattr(rules, "RULES", (drops_the_leak, *rules.RULES))
    found = examine(Options(str(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4))), "", is_live=False, at_wire=True), Hooks())
    assert [decision.cause for decision in found.decisions] == [RootCause.METADATA_LOST]
    assert str(RootCause.METADATA_LOST) not in [each["cause"] for each in rejections_as_json(found)]
    assert not any("metadata-lost" in line for line in text_of_rejections(found))


def test_command_prints_it_where_asked(capture: Path) -> None:
    assert "What was considered and dropped" in run("-r", str(capture), "--explain").stdout
    assert "What was considered" not in run("-r", str(capture)).stdout
    summary = json.loads(run("-r", str(capture), "--explain", "--json").stdout.splitlines()[-1])["summary"]
    assert isinstance(summary["rejected"], list)
    assert "rejected" not in json.loads(run("-r", str(capture), "--json").stdout.splitlines()[-1])["summary"]
