"""`pktmend lab`."""

from __future__ import annotations

import sys

import click

from pktmend.cli.groups import Group


@click.group(cls=Group)
def lab() -> None:
    """Reproduce known causes of wrong checksums in throw-away network namespaces, and cure them."""


@lab.command("list")
@click.option("--json", is_flag=True, help="Print NDJSON, one object a line.")
def list_(json: bool) -> None:
    """List the cases."""
    from pktmend.commands.lab.run import list_cases

    list_cases(as_json=json)


@lab.command(short_help="Reproduce a case, diagnose it, cure it.")
@click.argument("name", metavar="CASE")
@click.option("--keep", is_flag=True, help="Leave the broken set-up in place, and print how to enter and remove it.")
@click.option("--json", is_flag=True, help="Print steps and the outcome as NDJSON.")
def run(name: str, keep: bool, json: bool) -> None:
    """Run CASE (or all): set it up, show the symptom, diagnose it, cure it.  Needs root.

    Exit code 0: symptom seen, diagnosed as expected and cured; 1: one of these failed; 4: a program is not installed.
    """
    from pktmend.commands.lab.run import run_cases

    sys.exit(run_cases(name, keep=keep, as_json=json))
