"""`pktmend offload`: show and change the offloads of an interface in any namespace, and put back what was changed."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from functools import partial

from pktmend.commands.offload.change import Outcome, restore, set_features
from pktmend.commands.offload.memory import Memory, Remembered, key_of
from pktmend.commands.offload.show import as_json, lines, table
from pktmend.console.plural import quantity
from pktmend.console.report import print_json
from pktmend.errors import EXIT_PROBLEMS, OSFailure, PrivilegeError
from pktmend.host.ethtool import Feature, read_features
from pktmend.host.namespaces import Namespace, call, find_namespace, list_namespaces, own_namespace
from pktmend.host.rtnetlink import read_links
from pktmend.host.workloads import named_namespace


def _key(namespace: Namespace, interface: str) -> str:
    """Runs inside the namespace."""
    try:
        index = socket.if_nametoindex(interface)
    except OSError as error:
        where = "" if namespace.is_own else f" in {namespace.label}"
        raise OSFailure(
            f"there is no interface {interface!r}{where}", "`ip link` lists them", errno.ENODEV, interface
        ) from error
    return key_of(namespace.inode, index, interface)


def run_offload(
    *,
    interface: str,
    action: str,
    words: Sequence[str],
    netns: str | None,
    json: bool,
    every: bool,
    measured: bool = False,
    kept: str = "",
) -> int:
    """Show, set or restore offloads; return the exit code.

    measured: say what a change costs.     kept: the policy to write a rule for it to; empty for none.
    """
    namespace = named_namespace(find_namespace(netns)) if netns else own_namespace()
    memory = Memory()
    rule = None
    if kept:
        from pktmend.commands.offload.keep import plan

        rule = plan(kept, interface, namespace, words)

    def inside() -> tuple[Outcome | None, dict[str, Feature], dict[str, Feature], Remembered]:
        key = _key(namespace, interface)
        before, outcome = read_features(interface), None
        if action == "set":
            outcome = set_features(interface, key, words, memory)
        elif action == "restore":
            outcome = restore(interface, key, memory)
        features = read_features(interface)
        try:
            return outcome, before, features, memory.read().changed.get(key, {})
        except PrivilegeError:  # another user's memory: what is on can be shown all the same
            return outcome, before, features, {}

    outcome, before, features, remembered = call(namespace, inside)
    value = as_json(interface, namespace, outcome, features, remembered)
    text = table(interface, namespace, features, remembered, every)
    if outcome is not None:
        text = lines(interface, namespace, outcome, remembered, action)
    if rule is not None:
        rule.write()
        value["offload"]["kept"] = rule.as_json()
        text += rule.lines()
    if measured and outcome is not None:
        from pktmend.commands.offload.measure import measure

        price = measure(before, words)
        value["offload"]["measured"] = price.as_json()
        text += [f"  {price.line}"]
    if json:
        print_json(value, kind="offload")
    else:
        print("\n".join(text))
        if outcome is not None and outcome.refused:
            print(f"pktmend: refused by {interface}: {', '.join(outcome.refused)}", file=sys.stderr)
    return EXIT_PROBLEMS if outcome is not None and outcome.refused else 0


def restore_all(*, json: bool) -> int:
    """Restore every interface that something is remembered of, in every namespace; return the exit code."""
    memory = Memory()
    changed = memory.read().changed
    found, refused = 0, False
    for namespace in list_namespaces().found:
        if not any(key.startswith(f"{namespace.inode}/") for key in changed):
            continue
        try:
            rows = call(namespace, partial(_restore_here, namespace, memory))
        except OSFailure as error:
            print(f"pktmend: not restored: {namespace.label}: {error}", file=sys.stderr)
            refused = True
            continue
        for interface, outcome, features in rows:
            found += 1
            refused |= bool(outcome.refused)
            if json:
                print_json(as_json(interface, namespace, outcome, features, {}), kind="offload")
            else:
                print("\n".join(lines(interface, namespace, outcome, {}, "restore")))
    if not json:
        print(f"{quantity(found, 'interface')} restored" if found else "nothing to restore")
    return EXIT_PROBLEMS if refused else 0


def _restore_here(namespace: Namespace, memory: Memory) -> list[tuple[str, Outcome, dict[str, Feature]]]:
    """Runs inside the namespace."""
    if own_namespace().inode != namespace.inode:
        raise OSFailure(f"{os.strerror(3)}: it is gone")
    rows = []
    changed = memory.read().changed
    for link in read_links():
        key = key_of(namespace.inode, link.index, link.name)
        if key in changed:
            rows.append((link.name, restore(link.name, key, memory), read_features(link.name)))
    return rows
