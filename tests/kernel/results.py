"""What runs on other kernels found: kept in docs/compatibility-runs.json, told by tables of docs/compatibility.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from chosen import KERNELS, OTHERS, Groups, group_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEPT, PAGE = DOCS / "compatibility-runs.json", DOCS / "compatibility.md"
BEGIN, END = "<!-- written by make test-kernel -->\n", "<!-- end of what make test-kernel writes -->\n"

SAID = re.compile(
    r"^tests/(?P<test>\S+?\.py::.*?) (?P<outcome>PASSED|FAILED|SKIPPED|ERROR)(?: \((?P<reason>.*)\))? +\[ *\d+%\]"
)

Run = dict[
    str, Any
]  # kernel, machine, how, pktmend, python; groups: {group: {"passed": n, "failed": n, "skipped": {reason: n}}}


def read_said(lines: list[str]) -> dict[str, Any]:
    """Return the groups of a run from what `pytest -v -p telling` said; one of which nothing ran is left out."""
    groups: dict[str, Any] = {}
    for line in lines:
        said = SAID.search(line)
        if said is None:
            continue
        group = groups.setdefault(group_of(said["test"]), {"passed": 0, "failed": 0, "skipped": {}})
        if said["outcome"] == "SKIPPED":
            reason = re.sub(r"\s*\(.*", "", said["reason"] or "")  # a hint what to do is no part of it
            group["skipped"][reason] = group["skipped"].get(reason, 0) + 1
        else:
            group["passed" if said["outcome"] == "PASSED" else "failed"] += 1
    groups.pop("", None)
    return {name: groups[name] for name in (*KERNELS, *OTHERS) if name in groups}


def keep(run: Run, kept: Path = KEPT, page: Path = PAGE) -> None:
    """Put a run in the place of the last one that was started the same way, and write the tables anew.

    What only that one ran stays, if it was of the same kernel and the same version.
    """
    runs = read_runs(kept)
    for before in runs:
        if all(before[key] == run[key] for key in ("how", "kernel", "pktmend", "python")):
            run = {**run, "groups": {**before["groups"], **run["groups"]}}
    runs = [each for each in runs if each["how"] != run["how"]] + [run]
    runs.sort(key=lambda each: [int(word) for word in re.findall(r"\d+", each["kernel"])[:3]])
    kept.write_text(json.dumps(runs, indent=2, ensure_ascii=False) + "\n")
    head, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{tables(runs)}\n{END}{rest.partition(END)[2]}")


def read_runs(kept: Path = KEPT) -> list[Run]:
    """Return the runs that are kept, by kernel."""
    found: list[Run] = json.loads(kept.read_text()) if kept.exists() else []
    return found


def tables(runs: list[Run]) -> str:
    """Return Markdown: a row for each group, a column for each run, and below how to repeat that."""
    others = [run for run in runs if OTHERS.keys() & run["groups"].keys()]
    kernels = _table("Linux {kernel}", KERNELS, runs)
    return f"{kernels}\n{_table('Linux {kernel}, {machine}', OTHERS, others)}" if others else kernels


def _table(head: str, groups: Groups, runs: list[Run]) -> str:
    lines = ["| | " + " | ".join(head.format_map(run) for run in runs) + " |", "|---" * (len(runs) + 1) + "|"]
    rows = {group: [_cell(run["groups"].get(group)) for run in runs] for group in groups}
    rows["pktmend, Python"] = [f"{run['pktmend']}, {run['python']}" for run in runs]
    rows["again by"] = [f"`{run['how']}`" for run in runs]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items()]
    return "\n".join(lines) + "\n"


def _cell(group: dict[str, Any] | None) -> str:
    if group is None:
        return "not run"
    words = [f"{group['passed']} passed"] if group["passed"] else []
    words += [f"**{group['failed']} failed**"] if group["failed"] else []
    words += [f"{count} skipped{f': {reason}' if reason else ''}" for reason, count in group["skipped"].items()]
    return "<br>".join(words)
