"""What each command prints with --json: every line says by `type` what it is, and fits the schema of its command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scapy.all import wrpcap

import frames as f
from installed import leaf_commands
from pktmend.commands.schema import HERE, names
from pktmend.enums import Cause, Proto, Reason, Status, Unread
from pktmend.runtime.counters import OUTCOMES
from schemas import judge, valid
from tools import ROOT, run_inside

LEAKED = ROOT / "examples" / "leaked.pcap"
GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
WORDS = {
    "cause": [str(c) for c in list(Cause)[1:]],
    "proto": [str(p) for p in Proto],
    "reason": [str(r) for r in list(Reason)[1:]],
    "unread": [str(u) for u in list(Unread)[1:]],
}


def lines_of(*argv: str, codes: tuple[int, ...] = (0, 1)) -> list[dict[str, Any]]:
    """Run a command; return its lines, each valid."""
    done = run_inside(*argv)
    assert done.returncode in codes, (done.returncode, done.stderr)
    lines = valid(argv[0], done.stdout)
    assert lines
    return lines


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(line["type"] for line in lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    frames = [
        GOOD,
        f.leaked(f.ether / f.ip6 / f.udp / f.PAYLOAD),
        f.put16(GOOD, 90, 0x4711),
        f.put16(GOOD, 50, 0),
        GOOD[:40],
        bytes.fromhex("020000000002020000000001 88b5") + bytes(50),
    ]
    wrpcap(str(folder / "mixed.pcap"), frames, linktype=1)
    (folder / "leaked.pcap").write_bytes(LEAKED.read_bytes())
    (folder / "cut.pcap").write_bytes(LEAKED.read_bytes()[:-3])
    return folder


def test_check(folder: Path) -> None:
    one = lines_of("check", "-r", str(folder / "mixed.pcap"), "--json", "--all", "--at", "wire")
    assert kinds(one) == ["packet", "summary"] and len(one) == 7
    many = lines_of("check", str(folder), "--json", "--at", "wire", codes=(5,))
    assert kinds(many) == ["file_summary", "packet", "summary"] or kinds(many) == ["packet", "file_summary", "summary"]
    (broken,) = (x["file_summary"] for x in many if x["type"] == "file_summary" and "error" in x["file_summary"])
    assert broken["file"].endswith("cut.pcap") and broken["exit"] == 5
    flows = many[-1]["summary"]["worst_flows"]
    assert flows[0]["bad"] == 7 and flows[0]["causes"] == ["leaked"] and flows[0]["src"] == "10.7.0.1"


def test_fix(folder: Path, tmp_path: Path) -> None:
    one = lines_of("fix", "-r", str(folder / "mixed.pcap"), "-w", str(tmp_path / "x"), "--json")
    assert kinds(one) == ["summary"]
    many = lines_of("fix", str(folder), "-o", str(tmp_path / "out"), "--json", "--only", "leaked", codes=(5,))
    assert kinds(many) == ["file_summary", "summary"] and many[-1]["summary"]["left"]["only"]["pending"] == 8


def test_diagnose(folder: Path) -> None:
    lines = lines_of("diagnose", "-r", str(folder / "mixed.pcap"), "--json", "--explain", "--at", "wire")
    assert kinds(lines) == ["diagnosis", "summary"]


def test_doctor_and_offload() -> None:
    assert kinds(lines_of("doctor", "--json"))[-1] == "summary"
    assert kinds(lines_of("offload", "-i", "lo", "--json")) == ["offload"]


def test_lab() -> None:
    assert kinds(lines_of("lab", "list", "--json")) == ["case"]


def test_bench(tmp_path: Path) -> None:
    saved = str(tmp_path / "x.ndjson")
    assert kinds(lines_of("bench", "verify", "--quick", "--json", "--save", saved)) == ["environment", "figure"]
    lines = lines_of("bench", "verify", "--quick", "--json", "--compare", saved)
    assert kinds(lines) == ["environment", "figure", "comparison"]


def test_query(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="not installed: duckdb (the extra [sql])")
    pytest.importorskip("pyarrow", reason="not installed: pyarrow (the extra [arrow])")
    run_inside("check", str(folder / "mixed.pcap"), "-o", str(tmp_path))
    lines = lines_of("query", str(tmp_path), "select *, [n] as l, {'a': time} as s, null as x from rows", "--json")
    assert kinds(lines) == ["row"] and len(lines) > 5
    assert kinds(lines_of("query", str(tmp_path), "began", "--json")) == ["row"]


def test_kernels_and_stages() -> None:
    assert kinds(lines_of("kernels", "--json")) == ["kernel"]
    assert kinds(lines_of("stages", "--json")) == ["stage"]


def test_every_command_that_prints_json_has_a_schema() -> None:
    wanted = {name.split()[0] for name, command in leaf_commands() if any("--json" in p.opts for p in command.params)}
    assert set(names()) == wanted


def test_schemas_have_the_words_of_the_program() -> None:
    """Every list of words, wherever it stands, is that of the enumerations."""
    for path in HERE.glob("*.json"):
        pending: list[Any] = [json.loads(path.read_text())]
        seen = 0
        while pending:
            each = pending.pop()
            if isinstance(each, dict):
                words = each.get("enum")
                if isinstance(words, list) and "leaked" in words:
                    extra = {"none", "bad", "pending", *map(str, Status)}
                    assert [w for w in words if w not in extra] == WORDS["cause"], path.name
                    assert set(words) <= set(OUTCOMES), path.name
                    seen += 1
                for word, name in (("udplite", "proto"), ("no-metadata", "reason"), ("pseudowire", "unread")):
                    if isinstance(words, list) and word in words:
                        assert words == WORDS[name], path.name
                pending += each.values()
            elif isinstance(each, list):
                pending += each
        assert seen or path.stem.split("-")[0] in (
            "doctor",
            "offload",
            "lab",
            "bench",
            "stages",
            "kernels",
            "query",
            "diagnose",
        )


def test_a_line_that_does_not_fit_would_be_seen() -> None:
    line = lines_of("kernels", "--json")[0]
    assert judge("kernels").is_valid(line)
    assert not judge("kernels").is_valid({**line, "new": 1})
    assert not judge("kernels").is_valid({key: value for key, value in line.items() if key != "type"})
