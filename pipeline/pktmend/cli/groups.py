"""Groups of commands: a word that is none is answered by what is near, and each command's help ends with examples."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import click

from pktmend.cli.examples import EXAMPLES


class Group(click.Group):
    """A group of commands; *path* of EXAMPLES is its words behind `pktmend`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, with its examples and what completes its values; None if there is none of that name."""
        command = self.find_command(ctx, cmd_name)
        if command is not None and command.epilog is None:
            command.epilog = epilog_of(cmd_name if self.name == "pktmend" else f"{self.name} {cmd_name}")
            if ctx.resilient_parsing:  # a shell asks
                from pktmend.cli.completion import complete_values

                complete_values(command)
        return command

    def find_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command as it is."""
        return super().get_command(ctx, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant; UsageError with the nearest one if it is not there."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            from pktmend.console.suggestion import did_you_mean  # difflib is a while to load

            near = did_you_mean(name, self.list_commands(ctx))
            if ctx.parent is None and Path(name).is_file():  # of what users have at hand only captures are files
                near = f"did you mean `{ctx.command_path} check {quote(name)}`?"
            hint = near or f"`{ctx.command_path} --help` lists them"
            raise click.UsageError(f"there is no command {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """Make a group of this kind below it."""
        return super().group(*args, cls=Group, **kwargs)


def epilog_of(path: str) -> str | None:
    """Return the examples of a command as the end of its help."""
    examples = EXAMPLES.get(path, ())
    lines = [line for text, command in examples for line in (f"  {text}:", f"    {command}")]
    return "\b\n" + "\n".join(["Examples:", *lines]) if lines else None
