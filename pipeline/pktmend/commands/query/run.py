"""Ask DuckDB about a folder of rows, and print the answer.

Rules of this file:
1. A query reads that folder and nothing else: no other file, no network, no extension that is not built in.
2. What comes out is other people's text: it is printed so that it commands no terminal.
"""

from __future__ import annotations

import datetime
import decimal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pktmend.commands.query.canned import CANNED
from pktmend.console.printable import on_one_line
from pktmend.console.report import print_json
from pktmend.console.styled import show
from pktmend.errors import ConfigError, OSFailure

KINDS: Final = ("checks", "packets")
BATCH: Final = 1000  # rows that are fetched at once
WIDEST: Final = 60  # columns of a terminal that a cell takes, but for the last


def run_query(folder: str, sql: str, *, json: bool) -> int:
    """Run *sql*, a statement or the name of a canned one, on the rows below *folder*; return the exit code."""
    if not sql:
        show([f"{name:12} {each.question}" for name, each in CANNED.items()])
        return 0
    connection = _open(folder)
    try:
        names, rows = _ask(connection, CANNED[sql].sql if sql in CANNED else sql)
        if json:
            for row in rows:
                print_json({"row": dict(zip(names, map(_plain, row), strict=True))}, kind="row")
        else:
            _print_table(names, rows)
    finally:
        connection.close()
    return 0


def _open(folder: str) -> Any:
    try:
        import duckdb
    except ImportError:
        raise OSFailure("query needs DuckDB", "pip install 'pktmend[sql]'") from None
    where = Path(folder).absolute()
    if not where.is_dir():
        raise OSFailure(f"there is no folder {folder}", "`pktmend check PATH... -o DIR` makes one", subject=folder)
    found = [kind for kind in KINDS if any((where / kind).glob("status=*/*.parquet"))]
    if not found:
        raise OSFailure(f"{folder} holds no rows", "`pktmend check PATH... -o DIR` writes them", subject=folder)
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    connection.execute(f"SET allowed_directories = [{_quoted(str(where))}]; SET enable_external_access = false")
    for kind in found:
        pattern = _quoted(f"{_literal(str(where / kind))}/status=*/*.parquet")
        reading = f"read_parquet({pattern}, hive_partitioning = true, hive_types = {{'status': VARCHAR}})"
        connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {reading}")
    connection.execute(f"CREATE VIEW rows AS SELECT * FROM {found[0]}")
    connection.execute("SET lock_configuration = true")
    return connection


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(path: str) -> str:
    """Return *path* as a pattern that matches it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


def _ask(connection: Any, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Run *sql*; return the names of its columns and its rows.  ConfigError with DuckDB's words."""
    import duckdb

    try:
        answer = connection.execute(sql)
        if answer.description is None:
            return [], iter(())
        return [column[0] for column in answer.description], _rows(answer)
    except duckdb.Error as error:
        raise ConfigError(
            f"query: {on_one_line(error)}", f"tables: rows, checks, packets; or {', '.join(CANNED)}"
        ) from None


def _rows(answer: Any) -> Iterator[Sequence[Any]]:
    while some := answer.fetchmany(BATCH):
        yield from some


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; times with nanoseconds are told in SQL."""
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() + ("Z" if isinstance(value, datetime.datetime) and value.tzinfo is None else "")
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return on_one_line(_plain(value))


def _print_table(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    """Print columns, as wide as the first BATCH rows need."""
    first: list[list[str]] = []
    numbers: set[int] = set()
    for row in rows:
        first.append([_cell(value) for value in row])
        numbers |= {i for i, value in enumerate(row) if isinstance(value, (int, float, decimal.Decimal))}
        if len(first) == BATCH:
            break
    if sys.stdout is None:
        return
    heads = [on_one_line(name) for name in names]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(heads, *first, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip()

    show([line(heads), *map(line, first)])
    for row in rows:
        print(line([_cell(value) for value in row]))
