"""What `pktmend offload` shows of one interface: its features, and what a change did, as text and for --json."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

from pktmend.commands.offload.change import Outcome
from pktmend.commands.offload.memory import Remembered
from pktmend.commands.offload.words import DECISIVE, SHOWN, features_for, word_of
from pktmend.host.ethtool import Feature
from pktmend.host.namespaces import Namespace
from pktmend.host.workloads import words_of


def as_json(
    interface: str, namespace: Namespace, outcome: Outcome | None, features: dict[str, Feature], remembered: Remembered
) -> dict[str, Any]:
    """Return the object that --json prints."""
    value: dict[str, Any] = {
        "interface": interface,
        "namespace": namespace.word,
        **words_of(namespace),
        "features": {
            name: {"active": f.active, "requested": f.requested, "fixed": f.is_fixed} for name, f in features.items()
        },
        "changed": {name: was["before"] for name, was in remembered.items()},
    }
    if outcome is not None:
        value |= {"asked": outcome.asked, "moved": outcome.moved, "refused": list(outcome.refused)}
    return {"offload": value}


def _group_word(names: Sequence[str], features: dict[str, Feature]) -> str:
    """`on`, `off`, `off, fixed`, or which part of it is on."""
    if all(features[name].is_fixed for name in names):
        return word_of(any(features[name].active for name in names)) + ", fixed"
    free = [name for name in names if not features[name].is_fixed]
    active = [name for name in free if features[name].active]
    return word_of(bool(active)) if len(active) in (0, len(free)) else f"partly: only {', '.join(active)}"


def _place(interface: str, namespace: Namespace) -> str:
    return interface if namespace.is_own else f"{interface} ({namespace.label})"


def table(
    interface: str, namespace: Namespace, features: dict[str, Feature], remembered: Remembered, every: bool
) -> list[str]:
    """Return what is on, for people."""
    lines = [_place(interface, namespace)]
    for word in SHOWN:
        names = [name for name in DECISIVE.get(word, ()) if name in features] or features_for(word, features)
        lines.append(f"  {word:4} {_group_word(names, features)}")
    if every:
        lines += [_feature_line(name, f) for name, f in features.items()]
    lines += [f"  changed by pktmend: {name} was {word_of(was['before'])}" for name, was in remembered.items()]
    return lines


def _feature_line(name: str, f: Feature) -> str:
    remark = " [fixed]" if f.is_fixed else f" [requested {word_of(f.requested)}]" if f.requested != f.active else ""
    return f"    {name}: {word_of(f.active)}{remark}"


def lines(interface: str, namespace: Namespace, outcome: Outcome, remembered: Remembered, action: str) -> list[str]:
    """Return what a change did, for people."""
    lines = [_place(interface, namespace)]
    lines += [f"  {name}: {word_of(on)}" for name, on in outcome.asked.items()]
    lines += [f"  {name}: {word_of(on)}, moved with it" for name, on in outcome.moved.items()]
    if len(lines) == 1:
        lines.append("  nothing to restore" if action == "restore" else "  nothing to change")
    elif remembered:
        where = f" --netns {quote(namespace.word)}" if namespace.word else ""
        lines.append(f"  undo: pktmend offload -i {quote(interface)}{where} restore")
    return lines
