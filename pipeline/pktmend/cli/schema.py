"""`pktmend schema`."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False, metavar="[COMMAND]")
def schema(name: str | None) -> None:
    """Print the JSON Schema of COMMAND's --json output; without COMMAND, list the commands that have one."""
    from pktmend.commands.schema import names, text_of

    click.echo(text_of(name) if name else "\n".join(names()), nl=not name)
