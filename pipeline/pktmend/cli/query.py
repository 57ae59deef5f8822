"""`pktmend query`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("sql", required=False, default="", metavar="[SQL|NAME]")
@click.option("--json", is_flag=True, help="Print NDJSON, one object a row.")
def query(folder: str, sql: str, json: bool) -> None:
    """Ask in SQL (DuckDB) what `check -o DIR` has written: the tables rows, checks and packets.

    NAME is a query that comes along: worst-hosts, began, by-cause.  Without one they are listed.
    """
    from pktmend.commands.query import run_query

    sys.exit(run_query(folder, sql, json=json))
