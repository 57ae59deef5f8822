"""What fix makes of small captures: the bytes of a repair made by hand, by file and by slow pipe; what check counts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from field_cases import repairs_formats
from field_cases.all import CASES
from field_cases.case import Case
from field_cases.repairs import REPAIRS, Repair
from field_cases.verdicts import VERDICTS
from tools import PKTMEND, run_pktmend

HEALTHY = [one for one in CASES if one.any_of == ("nothing-wrong",) and "harmless" not in one.why]
PIPED = [one for one in REPAIRS if one.name in ("pcapng_blocks", "only_a_section", "empty-pcap", "links-sll", "cut")]


def differences(have: bytes, want: bytes) -> str:
    """Say where two captures differ first."""
    for at, (x, y) in enumerate(zip(have, want, strict=False)):
        if x != y:
            return f"at {at}: {have[at - 8 : at + 8].hex()} in place of {want[at - 8 : at + 8].hex()}"
    return f"{len(have)} bytes in place of {len(want)}"


@pytest.mark.parametrize("one", REPAIRS, ids=lambda one: one.name)
def test_fix(one: Repair, tmp_path: Path) -> None:
    before, after = one.make()
    source, target = tmp_path / f"a{one.suffix}", tmp_path / f"b{one.suffix}"
    source.write_bytes(before)
    done = run_pktmend("fix", "-r", str(source), "-w", str(target), *one.options)
    assert done.returncode == (1 if one.name == "leaves_the_rest" else 0), done.stderr  # 1: a bad one is left
    assert target.read_bytes() == after, f"{one.why}: {differences(target.read_bytes(), after)}"


@pytest.mark.parametrize("one", PIPED, ids=lambda one: one.name)
def test_fix_loses_nothing_through_a_pipe_that_pauses(one: Repair, tmp_path: Path) -> None:
    before, after = one.make()
    target = tmp_path / f"b{one.suffix}"
    child = subprocess.Popen([*PKTMEND, "fix", "-r", "-", "-w", str(target), *one.options], stdin=subprocess.PIPE)
    assert child.stdin
    rng, at = random.Random(len(before)), 0
    with child.stdin:
        while at < len(before):
            size = rng.choice((1, 3, 24, 28, 200, 900))
            os.write(child.stdin.fileno(), before[at : at + size])
            at += size
            time.sleep(0.01)
    assert child.wait(60) == 0
    assert target.read_bytes() == after, f"{one.why}: {differences(target.read_bytes(), after)}"


@pytest.mark.parametrize("one", HEALTHY[::3], ids=lambda one: one.name)
def test_fix_all_leaves_good_packets_alone(one: Case, tmp_path: Path) -> None:
    for source in one.files(tmp_path):
        target = tmp_path / f"fixed{one.suffix}"
        assert run_pktmend("fix", "-r", str(source), "-w", str(target), "--repair", "all").returncode == 0
        assert target.read_bytes() == source.read_bytes(), differences(target.read_bytes(), source.read_bytes())


@pytest.mark.parametrize("name", VERDICTS)
def test_check(name: str, tmp_path: Path) -> None:
    make, wanted = VERDICTS[name]
    path = tmp_path / "a.pcap"
    path.write_bytes(make())
    done = run_pktmend("check", "--json", "-r", str(path))
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])["summary"]["checks"]
    for proto, counts in wanted.items():
        have = {"bad": 0, "good": 0}
        for word, number in found.get(proto, {}).items():  # what is bad is counted by its cause
            if word not in ("absent", "unchecked", "pending"):
                have["good" if word == "good" else "bad"] += number
        assert {status: have[status] for status in counts} == counts, (proto, found)


def test_names_are_unique() -> None:
    assert len({one.name for one in REPAIRS}) == len(REPAIRS) and repairs_formats.__doc__
