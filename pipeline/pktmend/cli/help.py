"""`pktmend help`."""

from __future__ import annotations

import click

from pktmend.errors import ConfigError


@click.command()
@click.argument("words", nargs=-1, metavar="[TOPIC]")
def help(words: tuple[str, ...]) -> None:
    """Show a command's help, or a page about a topic; without TOPIC, list both."""
    from pktmend.commands.pages import TOPICS, text_of
    from pktmend.console.suggestion import did_you_mean

    context = click.get_current_context().find_root()
    if not words:
        click.echo(context.get_help())
        click.echo("\nPages, shown by `pktmend help TOPIC`:")
        click.echo("\n".join(f"  {name:15} {title}" for name, (_, title) in TOPICS.items()))
        return
    if len(words) == 1 and words[0] in TOPICS:
        click.echo(text_of(words[0]))
        return
    for number, word in enumerate(words):
        group = context.command
        found = group.get_command(context, word) if isinstance(group, click.Group) else None
        if found is None:
            known = [*group.list_commands(context), *TOPICS] if isinstance(group, click.Group) and not number else []
            near = did_you_mean(word, known)
            raise ConfigError(f"there is no command or topic {' '.join(words)!r}", near or "`pktmend help` lists them")
        context = click.Context(found, info_name=word, parent=context)
    click.echo(context.get_help())
