"""Options that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from pktmend.cli.parameter_types import Count, Seconds
from pktmend.errors import ConfigError, PktmendError

MOST_PACKETS = (1 << 63) - 1
HOW: Final = {1: "-i IFACE", 2: "-i IFACE -I IFACE"}


class Once(click.Option):
    """An option for a file, an interface or a namespace: a second one is refused, where click takes the last."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Have the parser keep all that are given."""
        parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def consume_value(self, ctx: click.Context, opts: MutableMapping[str, Any]) -> Any:  # type: ignore[override]
        """Take the one of them."""
        given = opts.get(self.name or "")
        if isinstance(given, list):
            if len(given) > 1 and not ctx.resilient_parsing:  # a shell that asks gets no message
                raise ConfigError(f"{ctx.info_name} takes one {self.opts[0]}: {' and '.join(given)} were given")
            opts[self.name or ""] = given[0]
        return super().consume_value(ctx, opts)


def require_one_source(command: str, path: str | None, interface: str | None, expression: str) -> None:
    """Raise ConfigError unless there is a file or an interface; *expression* may be one that lacks its option."""
    if path is not None and interface is not None:
        raise ConfigError(f"{command} takes either a file or an interface, not both", "-r FILE or -i IFACE")
    if path is None and interface is None:
        meant = f"did you mean -r {expression}?" if expression and Path(expression).is_file() else ""
        raise ConfigError(f"{command} needs a capture file or an interface", meant or "-r FILE or -i IFACE")


def require_files(words: tuple[str, ...]) -> None:
    """Raise ConfigError if *words* can be no files, but what lacks its option."""
    from glob import has_magic

    if any(word == "-" or os.path.lexists(word) or has_magic(word) or "://" in word for word in words):
        return
    if len(words) == 1:
        return  # it is said when it is opened
    text = " ".join(words)
    raise ConfigError(f"none of these is a file: {text}", "an EXPRESSION goes with -r FILE or -i IFACE, or in --filter")


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
    metavar="NAME|PID|CONTAINER|POD",
    help="Enter this network namespace first: a name of `ip netns`, a process, a container's name or the beginning of"
    " its id, a pod, or NAMESPACE/POD.",
)


def enter(netns: str | None) -> None:
    """Move this command into the namespace that --netns names; nothing without one."""
    if netns:
        from pktmend.host.namespaces import find_namespace, move_to

        move_to(find_namespace(netns))


def names_interface(word: str) -> bool:
    """Is it an interface here, or a word for several?  What is a file as well is none."""
    if os.path.lexists(word):
        return False
    from pktmend.host.interfaces import is_interface

    return word == "any" or is_interface(word)


def split_interface(given: str | None, words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return the interface and the other words: without -i the first word may be one, if it is an interface here."""
    if given is None and words and names_interface(words[0]):
        return words[0], words[1:]
    return given, words


def require_one_interface(command: str, interface: str | None) -> None:
    """Raise ConfigError for the word that means several: what a checksum is depends on where it is seen."""
    if interface == "any":
        raise ConfigError(
            f"{command} taps one interface, not any: each frame would come several times, with its mark and without",
            "`pktmend diagnose` without -i taps all that are on a dropped packet's way, `pktmend monitor -i any` shows "
            "each by itself",
        )


def take_interfaces(command: str, given: Sequence[str | None], words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the interfaces of options of which each may be a word instead, in their order.

    Raises ConfigError if there are too many words, or too few.
    """
    left = list(words)
    taken = [each if each is not None else left.pop(0) if left else None for each in given]
    names = [each for each in taken if each is not None]
    if left:
        raise ConfigError(f"{command} takes {len(given)} interface(s): {', '.join((*names, *left))} were given")
    if len(names) < len(given):
        raise ConfigError(f"{command} needs {'an interface' if len(given) == 1 else 'two interfaces'}", HOW[len(given)])
    return tuple(names)


STAGE = click.option(
    "--stage",
    multiple=True,
    metavar="STAGE[,ARG=VALUE...]",
    help="Add a stage of yours: FILE.py:NAME, module:NAME or an entry point's name; repeatable.  See"
    " `pktmend help writing-stages`.",
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


class Mode(click.ParamType):  # type: ignore[type-arg]
    """Permissions in octal, such as 640."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return three octal digits."""
        if not re.fullmatch("(0|0o)?[0-7]{3}", value):
            self.fail(f"{value!r} are no permissions in octal, such as 600 or 640.", param, ctx)
        return str(value[-3:])


MODE = click.option(
    "--mode",
    type=Mode(),
    default="600",
    show_default=True,
    metavar="OCTAL",
    help="Permissions of the files it makes, whatever the umask.",
)
REPORT = click.option(
    "--report",
    cls=Once,
    metavar="FILE.html",
    help="Write a page to hand on too: one HTML file, readable by its owner alone (jinja2).",
)
PACKETS = click.option(
    "-c", "packets", type=Count(1, MOST_PACKETS), metavar="N", help="Stop after N packets, such as 500, 10k or 1M."
)
DURATION = click.option(
    "--duration",
    type=Seconds(),
    metavar="SECONDS",
    help="Stop after SECONDS, such as 90, 5m or 1h (default: run until a signal).",
)
LISTEN = click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="Serve Prometheus metrics, /healthz and a page for a browser; without HOST on 127.0.0.1.",
)
VERBOSE = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Print the privileges of each thread to stderr, once they are dropped: user, capabilities, seccomp, Landlock.",
)
NO_SECCOMP = click.option(
    "--no-seccomp", is_flag=True, help="Leave system calls (seccomp) and files (Landlock) open after the set-up."
)


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
