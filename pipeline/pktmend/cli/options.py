"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import click

from pktmend.errors import ConfigError, PktmendError


class Once(click.Option):
    """An option for a file, an interface or a namespace: a second one is refused, where click takes the last."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Have the parser keep all that are given."""
        parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def consume_value(self, ctx: click.Context, opts: MutableMapping[str, Any]) -> Any:  # type: ignore[override]
        """Take the one of them."""
        given = opts.get(self.name or "")
        if isinstance(given, list):
            if len(given) > 1:
                raise ConfigError(f"{ctx.info_name} takes one {self.opts[0]}: {' and '.join(given)} were given")
            opts[self.name or ""] = given[0]
        return super().consume_value(ctx, opts)


def require_one_source(command: str, path: str | None, interface: str | None, expression: str) -> None:
    """Raise ConfigError unless there is a file or an interface; *expression* may be one that lacks its option."""
    if path is not None and interface is not None:
        raise ConfigError(f"{command} takes either a file or an interface, not both", "-r FILE or -i IFACE")
    if path is None and interface is None:
        meant = ""
        if expression:
            option = "-r" if Path(expression).is_file() else "-i" if Path("/sys/class/net", expression).exists() else ""
            meant = option and f"did you mean {option} {expression}?"
        raise ConfigError(f"{command} needs a capture file or an interface", meant or "-r FILE or -i IFACE")


AT = click.option(
    "--at",
    type=click.Choice(["sender", "wire"]),
    default="sender",
    show_default=True,
    help="Where the capture was taken: beyond the sender (wire) a partial checksum is wrong (leaked).",
)
NETNS = click.option(
    "--netns",
    cls=Once,
    metavar="NAME|PID",
    help="Enter this network namespace first: a name of `ip netns`, or a process.",
)

STAGE = click.option(
    "--stage",
    multiple=True,
    metavar="STAGE[,ARG=VALUE...]",
    help="Add a stage of yours: FILE.py:NAME, module:NAME or an entry point's name; repeatable.  See docs/stages.md.",
)
ON_ERROR = click.option(
    "--on-error",
    type=click.Choice(["pass", "drop"]),
    help="Pass or drop a batch on which your stage fails, and go on; without it the first failure ends the command.",
)

TUNNEL = click.option(
    "--tunnel",
    multiple=True,
    metavar="KIND=PORT",
    help="Look for a tunnel behind this UDP port too: vxlan=5555, geneve=..., fou, gue, gtpu, ...; repeatable.",
)


def learn_tunnels(words: tuple[str, ...], *, is_live: bool) -> None:
    """Take what --tunnel says, and where packets are live what this machine's tunnels use."""
    if words or is_live:
        from pktmend.runtime.tunnels import learn_tunnel_ports

        learn_tunnel_ports(words, is_live=is_live)


NO_PROMISCUOUS = click.option("-p", "no_promiscuous", is_flag=True, help="Do not use promiscuous mode.")
NO_NAMES = click.option(
    "-n", is_flag=True, expose_value=False, help="Accepted for tcpdump compatibility; names are never resolved."
)
PACKETS = click.option("-c", "packets", type=click.IntRange(min=1), metavar="N", help="Stop after N packets.")
DURATION = click.option(
    "--duration", type=float, metavar="SECONDS", help="Stop after SECONDS (default: run until a signal)."
)
VERBOSE = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Print the privileges of each thread to stderr, once they are dropped: user, capabilities, seccomp.",
)
NO_SECCOMP = click.option("--no-seccomp", is_flag=True, help="Do not filter system calls after the set-up.")


def configurable(command: click.Command) -> click.Command:
    """Give *command* --config and --check-config, and its options the environment; see settings."""
    run: Callable[..., Any] = command.callback or (lambda **_: None)

    def on_config(context: click.Context, _: click.Parameter, path: str | None) -> None:
        if path is not None:
            from pktmend.console import settings

            context.meta[settings.CONFIG] = path
            context.default_map = settings.read(path, command)

    def callback(check_config: bool, **values: Any) -> None:
        if check_config:
            from pktmend.console import settings

            click.echo(settings.show(click.get_current_context()))
            return
        try:
            run(**values)
        except PktmendError as error:
            from pktmend.console import settings

            settings.name_source(click.get_current_context(), error)
            raise

    command.callback = callback
    command.context_settings["auto_envvar_prefix"] = "PKTMEND"
    command.params += [
        click.Option(
            ["--config"],
            metavar="FILE.toml",
            is_eager=True,
            expose_value=False,
            callback=on_config,
            help="Read settings, named as the long options; the command line and PKTMEND_<OPTION> override them.",
        ),
        click.Option(
            ["--check-config"], is_flag=True, help="Print the settings in force and where each comes from, and exit."
        ),
    ]
    return command
