"""`pktmend stages`."""

from __future__ import annotations

from typing import Final

import click

from pktmend.cli.options import Once
from pktmend.errors import ConfigError

LANGUAGES: Final = ("python", "c", "cython", "numba")


@click.command()
@click.option("--json", is_flag=True, help="Print NDJSON, one object a stage.")
@click.option(
    "--lang",
    "language",
    cls=Once,
    type=click.Choice(LANGUAGES),
    help="With new: the language of the stage.  [default: python]",
)
@click.argument("words", nargs=-1, metavar="[new NAME]")
def stages(json: bool, language: str | None, words: tuple[str, ...]) -> None:
    """List the stages: the engine's own, with their cost on this machine, and those of installed packages.

    The cost is for a good packet of 64 and of 1500 bytes in cache.

    `new NAME` writes the folder NAME: a stage that works, and its tests, to make one of your own of.
    """
    if not words:
        if language is not None:
            raise ConfigError("--lang goes with `stages new NAME`")
        from pktmend.commands.stages import run_stages

        run_stages(json=json)
        return
    if words[0] != "new":
        from pktmend.console.suggestion import did_you_mean

        raise ConfigError(f"stages takes `new NAME`, not {words[0]!r}", did_you_mean(words[0], ["new"]))
    if len(words) != 2 or json:
        what = "--json lists stages" if json else "`stages new` takes one name"
        raise ConfigError(what, "pktmend stages new drop_echo")
    from pktmend.commands.new_stage import new_stage

    click.echo(new_stage(words[1], language or LANGUAGES[0]))
