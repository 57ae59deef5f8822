"""diagnose() as a function: what the command says, as objects, and without a sound."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import tapes as t
from diagnosing import A, B, run
from pktmend.commands.diagnose.api import diagnose
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence
from pktmend.errors import ConfigError, FormatError, OSFailure


def test_says_what_the_command_says(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4))
    for options, words in (({}, ()), ({"at_wire": True}, ("--at", "wire")), ({"packets": 3}, ("-c", "3"))):
        printed = [json.loads(line) for line in run("-r", str(path), "--json", *words).stdout.splitlines()[:-1]]
        found = diagnose(path, **options)  # type: ignore[arg-type]
        assert [{"type": "diagnosis"} | one.as_json() for one in found] == printed and printed
    [found] = diagnose(path)
    assert (found.cause, found.confidence) == (RootCause.METADATA_LOST, Confidence.LIKELY)
    assert (found.name, found.is_healthy) == ("metadata-lost", False)
    assert found.remedies[0].command == "pktmend offload -i IFACE set tx off" and len(found.packets) == 3
    assert "sent again 3 times" in "\n".join(found.evidence)


def test_selects_packets(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4))
    assert [one.cause for one in diagnose(path, expression="icmp")] == [RootCause.NOTHING_WRONG]


def test_two_captures(tmp_path: Path) -> None:
    packets = t.echo(A, B, 1)
    before = t.pcap(tmp_path / "before", packets)
    behind = t.pcap(tmp_path / "behind", [(time, t.damaged(frame, 60, 0x04)) for time, frame in packets])
    [found] = diagnose(before, behind)
    assert found.cause == "bit-errors" and "changed by the hop" in found.evidence[0]


def test_prints_nothing_and_leaves_signals_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    diagnose(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4)))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == handlers
    assert capfd.readouterr() == ("", "")


def test_capture_that_is_cut_off_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", t.syns(A, B, 1, 4))
    path.write_bytes(path.read_bytes()[:-3])
    [found] = diagnose(path)
    assert found.cause == "metadata-lost" and "cut off or broken after 3 packets" in found.limits


def test_misuse(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", [])
    with pytest.raises(OSFailure, match="neither a file nor an interface 'nosuch0'"):
        diagnose("nosuch0")
    with pytest.raises(OSFailure, match="nosuch"):
        diagnose(tmp_path / "nosuch")
    with pytest.raises(ConfigError, match="another kind"):
        diagnose(path, "lo")
    with pytest.raises(ConfigError, match="duration"):
        diagnose(path, duration=1)
    path.write_text("no capture, though as long as the header of one")
    with pytest.raises(FormatError):
        diagnose(path)


def test_file_of_an_interfaces_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    t.pcap(tmp_path / "lo", t.echo(A, B, 1))
    assert diagnose("lo")[0].cause == "nothing-wrong"
