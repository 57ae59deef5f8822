"""Run benches: print as they come, then save, compare, write a page, draw.

Rules of the benches:
1. A bench checks the answers of what it times; a wrong one ends it, or is shown as the reason why a peer fails.
2. Peers are measured in the same run, in turn with ours, round by round.
3. A figure is the median over rounds, with its spread.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Protocol

from pktmend.commands.bench.environment import environment, environment_line
from pktmend.commands.bench.figures import Line, Table, compare, load, save
from pktmend.console.outputs import require_writable
from pktmend.console.report import print_json
from pktmend.host.output_file import usual_mode, write_text


class Bench(Protocol):
    """One bench: what it needs, how it measures, how its lines are shown."""

    @property
    def name(self) -> str: ...
    @property
    def programs(self) -> tuple[str, ...]:
        """Whose versions belong to the result, where they are installed."""

    def measure(self) -> Iterator[Line]: ...
    def tables(self, lines: Sequence[Line]) -> list[Table]: ...


@dataclass(frozen=True)
class Output:
    """Where results go.  json: NDJSON instead of tables; the others are names of files, "" for none."""

    json: bool = False
    save: str = ""
    compare: str = ""
    markdown: str = ""
    picture: str = ""


def run(benches: Sequence[Bench], output: Output, *, skipped: Sequence[str] = ()) -> list[Line]:
    """Measure *benches* in turn and hand the results out; skipped: what is not measured here, and why."""
    signal.signal(signal.SIGTERM, _ended)  # what was made is taken down
    for path in filter(None, (output.save, output.markdown, output.picture)):
        require_writable(path)
    before = load(output.compare) if output.compare else None
    machine = environment(sorted({program for bench in benches for program in bench.programs}))
    if output.json:
        print_json({"environment": machine}, kind="environment")
    else:
        print(environment_line(machine), flush=True)
    results: list[Line] = []
    tables: list[Table] = []
    for bench in benches:
        if len(benches) > 1:
            report(f"measuring {bench.name}")
        lines = []
        for line in bench.measure():
            lines.append(line)
            if output.json:
                print_json(line, kind="figure")
        made = bench.tables(lines)
        if not output.json:
            for table in made:
                print(f"\n{table.text()}", flush=True)
        results += lines
        tables += [replace(table, title=f"{bench.name}: {table.title}") for table in made]
    for reason in skipped:
        report(reason)
    if output.save:
        save(output.save, machine, results)
    if output.markdown:
        write_page(output.markdown, machine, tables, skipped)
    if output.picture:
        from pktmend.commands.bench.picture import draw

        write_text(output.picture, draw(results), mode=usual_mode())
    if before is not None:
        _show_comparison(before, machine, results, json=output.json)
    return results


def _ended(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def report(what: str) -> None:
    """Say something on stderr."""
    print(f"pktmend: {what}", file=sys.stderr, flush=True)


def _show_comparison(before: tuple[Line, list[Line]], machine: Line, lines: list[Line], *, json: bool) -> None:
    earlier, old = before
    table = compare(old, lines)
    other = [field for field in ("cpu", "cpus", "system", "python") if earlier.get(field) != machine[field]]
    if json:
        print_json(
            {
                "comparison": [dict(zip(table.header, row, strict=False)) for row in table.rows],
                "environment_differs": other,
            },
            kind="comparison",
        )
        return
    print(f"\n{table.text()}")
    for field in other:
        print(f"  not the same: {field} was {earlier.get(field)}, is {machine[field]}")


def write_page(path: str, machine: Line, tables: Sequence[Table], skipped: Sequence[str]) -> None:
    """Write the results as Markdown, with the machine they were measured on."""
    programs = ", ".join(f"{name} {version}" for name, version in machine["programs"].items())
    parts = [
        "# Results",
        "",
        f"Written by `pktmend bench` on {machine['time']}; do not edit. How to read them: `pktmend help performance`.",
        "",
        f"- {machine['cpu']}{' (a virtual machine)' if machine['virtual'] else ''}, {machine['cpus']} CPUs,"
        f" {machine['system']}; load {machine['load']:.1f} when it began;"
        f" frequency governor: {machine['governor'] or 'not visible'}",
        f"- pktmend {machine['version']}, Python {machine['python']}, SIMD kernels {', '.join(machine['kernels'])}"
        f" ({machine['auto']} in use); loops of peers compiled by {machine['peers_compiler']}",
        f"- beside it: {programs or 'nothing else'}",
        "",
    ]
    parts += [f"- {reason}" for reason in skipped] + ([""] if skipped else [])
    parts += [f"{table.markdown()}\n" for table in tables]
    write_text(path, "\n".join(parts), mode=usual_mode())
