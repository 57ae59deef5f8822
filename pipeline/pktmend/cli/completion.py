"""`pktmend completion`, and what completes the values of options and arguments.

What a value may be is told by how help names it: FILE, IFACE, NAME|PID and so on.  Nothing here raises: a shell that
asks gets fewer words, never a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

Items = list[CompletionItem]
Completer = Callable[[click.Context, str], Iterable[str]]
SCRIPTS: Final = {"bash": "pktmend.bash", "zsh": "_pktmend", "fish": "pktmend.fish"}


@click.command()
@click.argument("shell", type=click.Choice(tuple(SCRIPTS)), metavar="bash|zsh|fish")
def completion(shell: str) -> None:
    """Print what completes words at the TAB key.

    A shell loads it at the first TAB, so that starting a shell costs nothing, if it lies where the shell looks.
    For bash that is

    \b
      ~/.local/share/bash-completion/completions/pktmend
    """
    from pktmend.commands import completion as folder

    click.echo((Path(folder.__file__).parent / SCRIPTS[shell]).read_text(encoding="utf-8"), nl=False)


def complete_values(command: click.Command) -> None:
    """Let the values of *command*'s options and arguments be completed."""
    for parameter in command.params:
        how = COMPLETERS.get(parameter.metavar or "")
        if how is not None:
            parameter.shell_complete = partial(_complete, how)  # type: ignore[method-assign]


def _complete(how: Completer, context: click.Context, incomplete: str) -> Items:
    if how is _files or (how is _stages and incomplete.startswith(("/", "./", "~", "../"))):
        return [CompletionItem(incomplete, type="file")]
    try:
        words = [word for word in how(context, incomplete) if word.startswith(incomplete)]
    except Exception:  # of a shell's own line no message may come
        return []
    return [CompletionItem(word) for word in dict.fromkeys(words) if word.isprintable()]


def _files(context: click.Context, incomplete: str) -> Iterable[str]:
    return ()


def _interfaces(context: click.Context, incomplete: str) -> Iterable[str]:
    """Those of the namespace that --netns names, else of ours."""
    from pktmend.host.interfaces import interfaces
    from pktmend.host.namespaces import call, find_namespace

    netns = context.params.get("netns")
    return call(find_namespace(netns), interfaces) if netns else interfaces()


def _namespaces(context: click.Context, incomplete: str) -> Iterable[str]:
    """Those with a name, and containers and pods."""
    from pktmend.host.namespaces import NAMED
    from pktmend.host.workload_lookup import words_for
    from pktmend.host.workloads import workloads

    named = sorted(path.name for path in NAMED.iterdir()) if NAMED.is_dir() else []
    return [*named, *sorted(words_for(each for rows in workloads().values() for each in rows))]


def _features(context: click.Context, incomplete: str) -> Iterable[str]:
    """The interface, what to do; then `on` and `off` behind a feature; ethtool's short names, and its own."""
    from pktmend.cli.offload import ACTIONS, split

    given, words = context.params.get("interface"), context.params.get("words") or ()
    if not words:
        return (*ACTIONS, *(() if given else _interfaces(context, incomplete)))
    interface, action, features = split(given, words)
    if len(words) == 1 and interface != given:
        return ACTIONS
    if action != "set":
        return ()
    if len(features) % 2:
        return ("on", "off")
    from pktmend.commands.offload.words import GROUPS

    return (*GROUPS, *(_own_features(interface, context.params.get("netns")) if interface else ()))


def _own_features(interface: str, netns: str | None) -> Iterable[str]:
    from pktmend.host.ethtool import read_features
    from pktmend.host.namespaces import call, find_namespace, own_namespace

    namespace = find_namespace(netns) if netns else own_namespace()
    try:
        features = call(namespace, partial(read_features, interface))
    except OSError:
        return ()
    return [name for name, feature in features.items() if not feature.is_fixed]


def _cases(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.lab.cases import NAMES

    return ("all", *NAMES)


def _stages(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.runtime.stage_loader import entry_points

    return [each.name for each in entry_points()]


def _new(context: click.Context, incomplete: str) -> Iterable[str]:
    return () if context.params.get("words") else ("new",)


def _schemas(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.schema import names

    return names()


def _topics(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.pages import TOPICS

    root = context.find_root()
    group: click.Command | None = root.command
    for word in context.params.get("words") or ():
        group = group.get_command(root, word) if isinstance(group, click.Group) else None
    words = group.list_commands(root) if isinstance(group, click.Group) else []
    return (*words, *(() if context.params.get("words") else TOPICS))


def _captures(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.pages import examples

    return examples()


def _kinds(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.deploy.kinds import KINDS

    return KINDS


def _parts(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.deploy.kinds import KINDS

    given = context.params.get("parts") or ()
    return [part.name for part in KINDS[context.params["kind"]] if part.name not in given]


def _tunnels(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend._core import tunnel_kinds

    return [f"{kind}=" for kind in tunnel_kinds() if kind]


def _damages(context: click.Context, incomplete: str) -> Iterable[str]:
    from pktmend.commands.bench.sender import DAMAGES

    return [f"{kind}=" for kind in DAMAGES]


def _users(context: click.Context, incomplete: str) -> Iterable[str]:
    import pwd

    return [each.pw_name for each in pwd.getpwall()]


# how help names a value: what it may be
COMPLETERS: Final[dict[str, Completer]] = {
    **dict.fromkeys(("FILE", "IN", "OUT", "FILE.toml", "FILE.svg", "FILE.md", "[PATH|IFACE|EXPRESSION]..."), _files),
    "IFACE": _interfaces,
    "[IFACE]...": _interfaces,
    "[IFACE]": _interfaces,
    "[IFACE] [EXPRESSION]...": _interfaces,
    "NAME|PID|CONTAINER|POD": _namespaces,
    "[IFACE] [show|set|restore] [FEATURE on|off]...": _features,
    "CASE": _cases,
    "STAGE[,ARG=VALUE...]": _stages,
    "[new NAME]": _new,
    "[COMMAND]": _schemas,
    "[TOPIC]": _topics,
    "[NAME]": _captures,
    "[KIND]": _kinds,
    "[PART]...": _parts,
    "KIND=PORT": _tunnels,
    "KIND=SHARE": _damages,
    "USER": _users,
}
