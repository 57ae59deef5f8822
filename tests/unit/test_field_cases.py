"""What diagnose says of small captures made after public reports: the right cause, nothing certain that is wrong.

The captures and the right answers are in tests/field_cases, made and reasoned by hand; `PYTHONPATH=tests python -m
field_cases` prints those that fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pktmend
from field_cases.all import CASES, KINDS
from field_cases.case import NEW_CAUSES, Case, judge, wrong
from pktmend.commands.diagnose.causes import RootCause
from tools import CAPTURES

FIELD = CAPTURES.parent / "field"
SHARED = FIELD / "cases.jsonl"


def shared_cases() -> list[Any]:
    if not SHARED.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"no field cases at {SHARED}"))]
    return [pytest.param(one, id=one["case"]) for one in map(json.loads, SHARED.read_text().splitlines())]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_field_case(one: Case, tmp_path: Path) -> None:
    faults, said = judge(one, tmp_path)
    assert not faults, f"said {said}; {one.why} {one.report}"


@pytest.mark.parametrize("one", shared_cases())
def test_shared_field_case(one: dict[str, Any]) -> None:
    files = [FIELD / one[key] for key in ("file", "behind") if key in one]
    said = [(str(found.cause), str(found.confidence)) for found in pktmend.diagnose(*files)]
    never = [(each["cause"], tuple(each.get("confidence", ()))) for each in one["never"]]
    faults = [fault for fault in wrong(said, one["any_of"], never) if "certain, and wrong" not in fault]
    assert not faults, f"said {said}; {one['why']} {one['report']}"


def test_names_are_unique_and_causes_exist() -> None:
    names = [one.name for one in CASES]
    assert len(set(names)) == len(names) and {name.partition("/")[0] for name in names} == set(KINDS)
    known = {str(cause) for cause in RootCause} | NEW_CAUSES
    for one in CASES:
        assert {*one.any_of, *one.also, *(cause for cause, _ in one.never)} <= known, one.name


def test_captures_are_the_same_each_time() -> None:
    for one in CASES[::7]:
        assert one.make() == one.make(), one.name
