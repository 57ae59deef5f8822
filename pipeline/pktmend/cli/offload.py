"""`pktmend offload`."""

from __future__ import annotations

import sys
from typing import Final, Literal

import click

from pktmend.cli.options import NETNS, Once
from pktmend.errors import ConfigError

ACTIONS: Final = ("show", "set", "restore", "policy", "recipe")


def split(interface: str | None, words: tuple[str, ...]) -> tuple[str | None, str, tuple[str, ...]]:
    """Return the interface, what to do, and the features: without -i the first word is the interface."""
    if interface is None and words and words[0] not in ACTIONS:
        interface, words = words[0], words[1:]
    return interface, words[0] if words else "show", words[1:]


KEPT = "/etc/pktmend/offload.toml"
Mode = Literal["once", "watch", "check"]


@click.command()
@click.option("-i", "interface", cls=Once, metavar="IFACE", help="Act on this interface, unless it is the first word.")
@NETNS
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="With show: every feature, not only those with short names.  With restore: every interface.",
)
@click.option("--keep", is_flag=True, help="With set: add a rule for it to the policy, for what comes later.")
@click.option(
    "--policy",
    "path",
    cls=Once,
    metavar="FILE.toml",
    help=f"With --keep: the policy to add the rule to.  [default: {KEPT}]",
)
@click.option("--measure", is_flag=True, help="With set: say what it costs, measured in a throw-away veth pair (4 s).")
@click.option("--once", "mode", flag_value="once", help="With policy: set what deviates, and end (default).")
@click.option("--watch", "mode", flag_value="watch", help="With policy: also what comes later, until a signal.")
@click.option("--check", "mode", flag_value="check", help="With policy: change nothing, exit 1 if something deviates.")
@click.option(
    "--json", is_flag=True, help="Print one NDJSON object: the features, what was changed, what changed with it."
)
@click.argument("words", nargs=-1, metavar="[IFACE] [show|set|restore] [FEATURE on|off]...")
def offload(
    interface: str | None,
    netns: str | None,
    every: bool,
    keep: bool,
    path: str | None,
    measure: bool,
    mode: Mode | None,
    json: bool,
    words: tuple[str, ...],
) -> None:
    """Show or change the offloads of an interface; restore undoes exactly what was changed.

    FEATURE is one of ethtool's short names (tx, rx, sg, tso, gso, gro, lro) or a feature's full name.

    `policy FILE.toml` has rules kept on every link that fits, in every namespace.  `recipe KIND [FEATURE on|off]...`
    prints the same for link (systemd), udev, cni, oci-hook, compose or containerlab.
    """
    interface, action, words = split(interface, words)
    if action not in ACTIONS:
        raise click.UsageError(f"{action!r} is none of {', '.join(ACTIONS)}")
    _require_fitting(action, words, keep=keep, path=path, measure=measure, mode=mode)
    if action == "policy":
        if len(words) != 1 or interface or netns:
            raise click.UsageError("policy takes one file, and looks at all interfaces of all namespaces")
        from pktmend.commands.offload.policy import run_policy

        sys.exit(run_policy(path=words[0], mode=mode or "once", json=json))
    if action == "recipe":
        from pktmend.commands.offload.recipes import RECIPES, run_recipe

        if not words or netns:
            raise click.UsageError(f"recipe takes a kind: {', '.join(RECIPES)}")
        run_recipe(words[0], interface, words[1:])
        return
    if interface is None:
        if action == "restore" and every and not netns:
            from pktmend.commands.offload.run import restore_all

            sys.exit(restore_all(json=json))
        raise ConfigError(f"offload {action} needs an interface", "offload IFACE, or -i IFACE")
    from pktmend.commands.offload.run import run_offload

    sys.exit(
        run_offload(
            interface=interface,
            action=action,
            words=words,
            netns=netns,
            json=json,
            every=every,
            measured=measure,
            kept=(path or KEPT) if keep else "",
        )
    )


def _require_fitting(
    action: str, words: tuple[str, ...], *, keep: bool, path: str | None, measure: bool, mode: str | None
) -> None:
    """Raise UsageError for an option of another action."""
    if words and action in ("show", "restore"):
        raise click.UsageError(f"{action} takes no features")
    if mode and action != "policy":
        raise click.UsageError(f"--{mode} goes with policy FILE.toml")
    if (keep or measure) and action != "set":
        raise click.UsageError("--keep and --measure go with set")
    if path and not keep:
        raise click.UsageError("--policy goes with --keep")
