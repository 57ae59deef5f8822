"""Change features of an interface in the calling thread's namespace, remember what they were, and put them back.

Rules of this file:
1. restore touches only features that still are as we left them; a later change by others stays.
2. Several changes of a feature are undone to what it was before the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pktmend.commands.offload.memory import Memory, State
from pktmend.commands.offload.words import parse_changes
from pktmend.host.ethtool import Feature, read_features, request_features


@dataclass(frozen=True)
class Outcome:
    """What a change did: requested by name, and moved with it (TSO needs checksum offload); refused stays as it was."""

    asked: dict[str, bool]
    moved: dict[str, bool]
    refused: tuple[str, ...]


def set_features(interface: str, key: str, words: Sequence[str], memory: Memory) -> Outcome:
    """Do what `set tx off gro on` says, and remember what was there before.

    The interface is a policy's again, if it was restored.
    """
    before = read_features(interface)
    wanted = {name: on for name, on in parse_changes(words, before).items() if before[name].requested != on}
    with memory.opened() as state:
        outcome = request(interface, key, wanted, before, state)
        state.released.pop(key, None)
    return outcome


def request(
    interface: str, key: str, wanted: Mapping[str, bool], before: Mapping[str, Feature], state: State
) -> Outcome:
    """Ask for features that are not requested yet; what they were goes into *state*."""
    if wanted:
        request_features(interface, wanted)
    after = read_features(interface)
    remembered = state.changed.setdefault(key, {})
    for name in wanted:
        if after[name].requested != before[name].requested:
            was = remembered.get(name)
            ours = was is not None and was["set"] == before[name].requested
            first = was["before"] if was is not None and ours else before[name].requested
            remembered[name] = {"before": first, "set": after[name].requested}
    _tidy(state, key)
    return _outcome(wanted, before, after)


def restore(interface: str, key: str, memory: Memory) -> Outcome:
    """Undo what was changed, where it still is as that left it; from then on no policy touches the interface."""
    before = read_features(interface)
    with memory.opened() as state:
        remembered = state.changed.get(key, {})
        wanted = {
            name: was["before"]
            for name, was in remembered.items()
            if name in before and before[name].requested == was["set"]
        }
        if wanted:
            request_features(interface, wanted)
        if remembered:
            state.release(key)
    return _outcome(wanted, before, read_features(interface))


def _tidy(state: State, key: str) -> None:
    """Forget features that are as they were in the beginning."""
    state.changed[key] = {name: was for name, was in state.changed[key].items() if was["before"] != was["set"]}
    if not state.changed[key]:
        del state.changed[key]


def _outcome(wanted: Mapping[str, bool], before: Mapping[str, Feature], after: Mapping[str, Feature]) -> Outcome:
    moved = {name: f.active for name, f in after.items() if f.active != before[name].active and name not in wanted}
    return Outcome(
        {name: on for name, on in wanted.items() if after[name].active == on},
        moved,
        tuple(name for name, on in wanted.items() if after[name].active != on),
    )
