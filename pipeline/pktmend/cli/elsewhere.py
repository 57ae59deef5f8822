"""What to say of an interface that is not here but in another namespace: where, and the command to run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pktmend.host.namespaces import Namespace

SHOWN: Final = 3  # namespaces that are named


def hint_for(interface: str, argv: Sequence[str]) -> str:
    """Return where *interface* is, and *argv* (what follows `pktmend`) so that it finds it; "" if that is nowhere."""
    from pktmend.host.elsewhere import namespaces_with

    found = namespaces_with(interface)
    if not found:
        return ""
    labels = ["this shell's namespace" if n.is_own else n.label for n in found[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    words = _without_netns(argv)
    if not found[0].is_own:
        words += ["--netns", word_for(found[0])]
    return f"it is in {', '.join(labels)}{more}: {shlex.join(['pktmend', *words])}"


def word_for(namespace: Namespace) -> str:
    """Return what --netns takes to mean *namespace*: its pod or container, where that has a name of its own."""
    from pktmend.errors import PktmendError
    from pktmend.host.namespaces import find_namespace
    from pktmend.host.workload_lookup import words_for

    for word in words_for(namespace.workloads[:1]):
        try:
            if find_namespace(word).inode == namespace.inode:
                return word
        except PktmendError:
            continue
    return namespace.word


def _without_netns(argv: Sequence[str]) -> list[str]:
    words, skip = [], False
    for word in argv:
        if skip or word == "--netns" or word.startswith("--netns="):
            skip = word == "--netns" and not skip
            continue
        words.append(word)
    return words
