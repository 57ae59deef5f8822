"""`pktmend offload`: show and change the offloads of an interface in any namespace, and put back what was changed.

Rules of this file:
1. What is remembered is what was *requested* before, feature by feature: what follows from it comes back by itself.
2. restore touches only features that still are as we left them; a later change by others stays.
3. An interface is known by namespace, number and name.  The kernel uses these again after a deletion, which rule 2
   makes harmless: what is not as we left it is not ours.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from pktmend.console.report import print_json
from pktmend.errors import ConfigError, OSFailure, PrivilegeError
from pktmend.host.ethtool import Feature, read_features, request_features
from pktmend.host.namespaces import Namespace, call, find_namespace, own_namespace

# ethtool's short words, and the features that each stands for (ethtool(8), ethtool.c off_flag_def)
GROUPS: Final = {
    "rx": "rx-checksum",
    "tx": "tx-checksum-*",
    "sg": "tx-scatter-gather*",
    "tso": "tx-tcp*-segmentation",
    "ufo": "tx-udp-fragmentation",
    "gso": "tx-generic-segmentation",
    "gro": "rx-gro",
    "lro": "rx-lro",
    "rxvlan": "rx-vlan-hw-parse",
    "txvlan": "tx-vlan-hw-insert",
    "ntuple": "rx-ntuple-filter",
    "rxhash": "rx-hashing",
}
# what decides of a group: the kinds of ECN ride on these, and on Linux 6.18 AccECN's alone stays on without effect
# where `tx off` took the others (net/core/dev.c, harmonize_features: no segmentation without a checksum)
DECISIVE: Final = {"tso": ("tx-tcp-segmentation", "tx-tcp6-segmentation")}
SHOWN: Final = ("rx", "tx", "sg", "tso", "gso", "gro", "lro")
Remembered = dict[str, dict[str, bool]]  # feature: {"before": requested, "set": what we asked for}


@dataclass(frozen=True)
class Outcome:
    """What a change did: requested by name, and moved with it (TSO needs checksum offload); refused stays as it was."""

    asked: dict[str, bool]
    moved: dict[str, bool]
    refused: tuple[str, ...]


class Memory:
    """The state file: what was changed, under a key for each interface.

    /run/pktmend for root (gone at the next boot, as the changes are), else $XDG_STATE_HOME/pktmend.
    """

    def __init__(self) -> None:
        state = os.environ.get("XDG_STATE_HOME")
        if state or os.geteuid() != 0:
            self.folder = Path(state or Path.home() / ".local" / "state") / "pktmend"
        else:
            self.folder = Path("/run/pktmend")
        self.path = self.folder / "offload.json"

    @contextmanager
    def opened(self) -> Iterator[dict[str, Remembered]]:
        """Lock the file, yield what it holds, write it back if that was changed."""
        with self._locked():
            state = self.read()
            before = msgspec.json.encode(state)
            yield state
            after = msgspec.json.encode(state)
            if after != before:
                fresh = self.path.with_suffix(".new")
                fresh.write_bytes(after)
                fresh.replace(self.path)

    def _locked(self) -> TextIO:
        """Return the open lock file; the lock ends when it is closed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.folder / "offload.lock").open("w")
        except OSError as error:
            raise PrivilegeError(
                f"remembering changes in {self.path}: {error.strerror}",
                "needs root, or a folder named by XDG_STATE_HOME",
                error.errno or 0,
            ) from error
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def read(self) -> dict[str, Remembered]:
        """Return what the file holds; nothing if there is none."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Remembered])
        except FileNotFoundError:
            return {}
        except OSError as error:
            kind = PrivilegeError if isinstance(error, PermissionError) else OSFailure
            raise kind(f"cannot read {self.path}: {error.strerror}", error=error.errno or 0) from error
        except msgspec.MsgspecError as error:
            raise OSFailure(f"{self.path} cannot be read: {error}", "remove it to forget earlier changes") from error


def features_for(word: str, features: dict[str, Feature]) -> list[str]:
    """Return the features that *word* means: one of ethtool's short words or a feature's own name."""
    if word not in GROUPS and word not in features:
        raise ConfigError(
            f"{word!r} is neither one of {', '.join(GROUPS)} nor a feature of this interface",
            "`pktmend offload -i IFACE show --all` lists them",
        )
    return [name for name in features if fnmatchcase(name, GROUPS.get(word, word))]


def parse_changes(words: Sequence[str], features: dict[str, Feature]) -> dict[str, bool]:
    """Return {feature: on} of `tx off gro on`; what is fixed is left out of a short word, but an error by name."""
    if not words or len(words) % 2:
        raise ConfigError("set takes pairs: a feature and on or off", "set tx off")
    wanted: dict[str, bool] = {}
    for word, value in zip(words[::2], words[1::2], strict=True):
        if value not in ("on", "off"):
            raise ConfigError(f"{word} {value!r}: on or off")
        on = value == "on"
        names = features_for(word, features)
        free = [name for name in names if not features[name].is_fixed]
        if not free and any(features[name].active != on for name in names):
            raise ConfigError(f"{word} is fixed on this interface: its driver cannot change it")
        wanted |= dict.fromkeys(free, on)
    return wanted


def set_features(interface: str, key: str, words: Sequence[str], memory: Memory) -> Outcome:
    """Change features of *interface* in the calling thread's namespace and remember what they were."""
    before = read_features(interface)
    wanted = {name: on for name, on in parse_changes(words, before).items() if before[name].requested != on}
    with memory.opened() as state:
        if wanted:
            request_features(interface, wanted)
        after = read_features(interface)
        remembered = state.setdefault(key, {})
        for name in wanted:
            if after[name].requested != before[name].requested:
                was = remembered.get(name)
                ours = was is not None and was["set"] == before[name].requested
                first = was["before"] if was is not None and ours else before[name].requested
                remembered[name] = {"before": first, "set": after[name].requested}
        _tidy(state, key)
    return _outcome(wanted, before, after)


def restore(interface: str, key: str, memory: Memory) -> Outcome:
    """Undo what set_features changed, where it still is as that left it."""
    before = read_features(interface)
    with memory.opened() as state:
        remembered = state.pop(key, {})
        wanted = {
            name: was["before"]
            for name, was in remembered.items()
            if name in before and before[name].requested == was["set"]
        }
        if wanted:
            request_features(interface, wanted)
    return _outcome(wanted, before, read_features(interface))


def _tidy(state: dict[str, Remembered], key: str) -> None:
    """Forget features that are as they were in the beginning."""
    state[key] = {name: was for name, was in state[key].items() if was["before"] != was["set"]}
    if not state[key]:
        del state[key]


def _outcome(wanted: dict[str, bool], before: dict[str, Feature], after: dict[str, Feature]) -> Outcome:
    moved = {name: f.active for name, f in after.items() if f.active != before[name].active and name not in wanted}
    return Outcome(
        {name: on for name, on in wanted.items() if after[name].active == on},
        moved,
        tuple(name for name, on in wanted.items() if after[name].active != on),
    )


def _key(namespace: Namespace, interface: str) -> str:
    """Runs inside the namespace."""
    try:
        return f"{namespace.inode}/{socket.if_nametoindex(interface)}/{interface}"
    except OSError as error:
        where = "" if namespace.is_own else f" in {namespace.label}"
        raise OSFailure(
            f"there is no interface {interface!r}{where}", "`ip link` lists them", error.errno or 0, interface
        ) from error


def run_offload(
    *, interface: str, action: str, words: Sequence[str], netns: str | None, json: bool, every: bool
) -> int:
    """Show, set or restore offloads; return the exit code."""
    namespace = find_namespace(netns) if netns else own_namespace()
    memory = Memory()

    def inside() -> tuple[Outcome | None, dict[str, Feature], Remembered]:
        key = _key(namespace, interface)
        outcome = None
        if action == "set":
            outcome = set_features(interface, key, words, memory)
        elif action == "restore":
            outcome = restore(interface, key, memory)
        features = read_features(interface)
        try:
            return outcome, features, memory.read().get(key, {})
        except PrivilegeError:  # another user's memory: what is on can be shown all the same
            return outcome, features, {}

    outcome, features, remembered = call(namespace, inside)
    if json:
        print_json(_as_json(interface, namespace, outcome, features, remembered))
    elif outcome is None:
        print("\n".join(_table(interface, namespace, features, remembered, every)))
    else:
        print("\n".join(_lines(interface, namespace, outcome, remembered, action)))
        if outcome.refused:
            print(f"pktmend: refused by {interface}: {', '.join(outcome.refused)}", file=sys.stderr)
    return 1 if outcome is not None and outcome.refused else 0


def _as_json(
    interface: str, namespace: Namespace, outcome: Outcome | None, features: dict[str, Feature], remembered: Remembered
) -> dict[str, Any]:
    value: dict[str, Any] = {
        "interface": interface,
        "namespace": namespace.word,
        "features": {
            name: {"active": f.active, "requested": f.requested, "fixed": f.is_fixed} for name, f in features.items()
        },
        "changed": {name: was["before"] for name, was in remembered.items()},
    }
    if outcome is not None:
        value |= {"asked": outcome.asked, "moved": outcome.moved, "refused": list(outcome.refused)}
    return {"offload": value}


def _word(on: bool) -> str:
    return "on" if on else "off"


def _group_word(names: Sequence[str], features: dict[str, Feature]) -> str:
    """`on`, `off`, `off, fixed`, or which part of it is on."""
    if all(features[name].is_fixed for name in names):
        return _word(any(features[name].active for name in names)) + ", fixed"
    free = [name for name in names if not features[name].is_fixed]
    active = [name for name in free if features[name].active]
    return _word(bool(active)) if len(active) in (0, len(free)) else f"partly: only {', '.join(active)}"


def _place(interface: str, namespace: Namespace) -> str:
    return interface if namespace.is_own else f"{interface} ({namespace.label})"


def _table(
    interface: str, namespace: Namespace, features: dict[str, Feature], remembered: Remembered, every: bool
) -> list[str]:
    lines = [_place(interface, namespace)]
    for word in SHOWN:
        names = [name for name in DECISIVE.get(word, ()) if name in features] or features_for(word, features)
        lines.append(f"  {word:4} {_group_word(names, features)}")
    if every:
        lines += [_feature_line(name, f) for name, f in features.items()]
    lines += [f"  changed by pktmend: {name} was {_word(was['before'])}" for name, was in remembered.items()]
    return lines


def _feature_line(name: str, f: Feature) -> str:
    remark = " [fixed]" if f.is_fixed else f" [requested {_word(f.requested)}]" if f.requested != f.active else ""
    return f"    {name}: {_word(f.active)}{remark}"


def _lines(interface: str, namespace: Namespace, outcome: Outcome, remembered: Remembered, action: str) -> list[str]:
    lines = [_place(interface, namespace)]
    lines += [f"  {name}: {_word(on)}" for name, on in outcome.asked.items()]
    lines += [f"  {name}: {_word(on)}, moved with it" for name, on in outcome.moved.items()]
    if len(lines) == 1:
        lines.append("  nothing to restore" if action == "restore" else "  nothing to change")
    elif remembered:
        where = f" --netns {namespace.word}" if namespace.word else ""
        lines.append(f"  undo: pktmend offload -i {interface}{where} restore")
    return lines
