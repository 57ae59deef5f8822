"""Find a network namespace by what people call the container or the pod in it.

Rules of this file:
1. A name counts before the beginning of an id.  A pod's containers share one namespace: to name any of them will do.
2. What fits several namespaces is an error that lists them; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pktmend.errors import ConfigError, OSFailure
from pktmend.host.namespaces import NO_SUCH, Namespace, list_namespaces
from pktmend.host.workloads import SHORT, Workload, everywhere, machine_namespace

LISTED: Final = 12  # candidates that an error lists


def namespace_of(word: str) -> Namespace:
    """Return the namespace of the container or the pod *word*: NAME, POD, NAMESPACE/POD, or the beginning of an id.

    Raises: OSFailure if there is none, or it has the machine's own namespace; ConfigError if it fits several.
    """
    listing = list_namespaces()
    found = everywhere(listing)
    machine = machine_namespace(listing)
    for fits in (_by_name, _by_id):
        there = {inode: rows for inode, every in found.items() if (rows := [w for w in every if fits(word, w)])}
        ours = {inode: rows for inode, rows in there.items() if inode != machine}
        if len(ours) > 1:
            raise ConfigError(f"{word!r} is not one container or pod but {len(ours)}", _candidates(ours, found))
        if ours:
            inode = next(iter(ours))
            return next(replace(n, workloads=found[inode]) for n in listing.found if n.inode == inode)
        if there:
            who = there[machine][0].label
            raise OSFailure(f"{who} has no network namespace of its own", "it uses the host's: leave --netns out")
    raise OSFailure(f"there is no network namespace, container or pod {word!r}", _hint(word, found))


def words_for(found: Iterable[Workload]) -> list[str]:
    """Return what namespace_of() takes for one of *found*, the most telling first: for a shell that completes it."""
    words = []
    for each in found:
        words.append(f"{each.pod_namespace}/{each.pod}" if each.pod and each.pod_namespace else each.pod)
        words.append("" if each.pod else each.container)
    return [word for word in dict.fromkeys(words) if word]


def _by_name(word: str, workload: Workload) -> bool:
    pod = f"{workload.pod_namespace}/{workload.pod}" if workload.pod else ""
    return word in (workload.container, workload.pod, pod) and word != ""


def _by_id(word: str, workload: Workload) -> bool:
    return bool(word) and workload.id.startswith(word)


def _candidates(found: dict[int, list[Workload]], every: dict[int, tuple[Workload, ...]]) -> str:
    """`name one of: default/web-0, default/web-1`: each by a word that means it alone."""
    words = sorted(_word_of(rows[0], inode, every) for inode, rows in found.items())
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return f"name one of: {', '.join(words[:LISTED])}{more}"


def _word_of(workload: Workload, inode: int, every: dict[int, tuple[Workload, ...]]) -> str:
    """Return what means the namespace *inode* alone; with a short id the label, which says whose it is."""
    for word in words_for([workload]):
        if not any(_by_name(word, w) for other, rows in every.items() if other != inode for w in rows):
            return word
    return f"{workload.id[:SHORT]} ({workload.label})"


def _hint(word: str, found: dict[int, tuple[Workload, ...]]) -> str:
    from difflib import get_close_matches

    names = {name for rows in found.values() for w in rows for name in (*words_for([w]), w.pod) if name}
    near = get_close_matches(word, sorted(names), 3)
    return f"did you mean {' or '.join(near)}?" if near else NO_SUCH
