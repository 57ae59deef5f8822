"""A policy upon the links of one namespace: what deviates, and the change of that.

Rules of this file:
1. What a rule asks for and the link does not request is a deviation; what follows from other features is none.
2. A link that was restored is left alone.
3. Nobody fights: what others have set again and again after us is theirs.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pktmend.commands.offload.change import Outcome, request
from pktmend.commands.offload.links import Workloads, links_with_rules
from pktmend.commands.offload.memory import State, key_of
from pktmend.commands.offload.rules import Policy, Rule, wanted_by
from pktmend.commands.offload.words import word_of
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.ethtool import Feature, read_features
from pktmend.host.interfaces import index_of
from pktmend.host.namespaces import Namespace, own_namespace
from pktmend.host.rtnetlink import Link, read_link

MOST_TIMES: Final = 5  # that one link is set anew against somebody else


@dataclass(frozen=True)
class Finding:
    """One link that a rule speaks of and that is not as it says.

    changed:  what was set.             moved: what followed from it.
    deviates: what is otherwise, and could or should not be set: {feature: what is requested}; why says the reason.
    rules:    the numbers of the rules that say so.
    """

    interface: str
    namespace: Namespace
    rules: tuple[int, ...]
    changed: dict[str, bool] = field(default_factory=dict)
    moved: dict[str, bool] = field(default_factory=dict)
    deviates: dict[str, bool] = field(default_factory=dict)
    why: str = ""

    @property
    def place(self) -> str:
        """`eth0`, `eth0 (netns web)`."""
        return self.interface if self.namespace.is_own else f"{self.interface} ({self.namespace.label})"

    @property
    def line(self) -> str:
        """What happened, for people."""
        number = f"rule {', '.join(map(str, self.rules))}"
        if self.changed:
            moved = f"; with it {_words(self.moved)}" if self.moved else ""
            return f"{self.place}: {_words(self.changed)} ({number}){moved}{f'; {self.why}' if self.why else ''}"
        why = f": {self.why}" if self.why else ""
        return f"{self.place}: {_words(self.deviates)}, not as {number} says{why}"

    def as_json(self) -> dict[str, Any]:
        """Return the object that --json prints."""
        return {
            "interface": self.interface,
            "namespace": self.namespace.word,
            "rules": list(self.rules),
            "changed": self.changed,
            "moved": self.moved,
            "deviates": self.deviates,
            "why": self.why,
        }


@dataclass
class Tally:
    """What was looked at, and what came of it."""

    links: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Efforts:
    """What is known of links that were set, so that nobody fights and nothing is forgotten; gone with the link.

    known: {(namespace, number): key in the memory}.      times: how often it was set.      told: what was said of it.
    moved: {(namespace, number): the key that it had where it came from}.
    """

    known: dict[tuple[int, int], str] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    moved: dict[tuple[int, int], str] = field(default_factory=dict)

    def learn(self, inode: int, index: int, key: str, state: State) -> None:
        """Take what is remembered of a link along when it is renamed or has moved."""
        old = self.moved.pop((inode, index), None) or self.known.get((inode, index))
        self.known[inode, index] = key
        if old and old != key:
            if old in state.changed:
                state.changed[key] = state.changed.pop(old)
            if old in self.times:
                self.times[key] = self.times.pop(old)
            self.told.pop(old, None)

    def forget(self, inode: int, index: int) -> str:
        """Return the key of a link that is not there any more; empty if it was not known."""
        key = self.known.pop((inode, index), "")
        self.times.pop(key, None)
        self.told.pop(key, None)
        return key


def examine(policy: Policy, namespace: Namespace, workloads: Workloads) -> Tally:
    """Return what deviates in the calling thread's namespace; nothing is changed."""
    tally = Tally()
    for link, rules in links_with_rules(policy, namespace, workloads):
        features = _features(link)
        if features is None:
            continue
        tally.links += 1
        wanted, by = wanted_by(rules, features)
        wrong = _deviating(wanted, features)
        if wrong:
            is_fixed = all(features[name].is_fixed for name in wrong)
            why = "its driver cannot change that" if is_fixed else ""
            tally.findings.append(Finding(link.name, namespace, _numbers(by, wrong), deviates=wrong, why=why))
    return tally


def enforce(
    policy: Policy,
    namespace: Namespace,
    workloads: Workloads,
    state: State,
    efforts: Efforts,
    indexes: Collection[int] | None = None,
) -> Tally:
    """Set what deviates in the calling thread's namespace; *state* remembers what was there before.

    Raises: PrivilegeError without CAP_NET_ADMIN there.
    """
    tally = Tally()
    _take_along(namespace.inode, state, efforts)
    for link, rules in links_with_rules(policy, namespace, workloads, indexes):
        features = _features(link)
        if features is None:
            continue
        tally.links += 1
        key = key_of(namespace.inode, link.index, link.name)
        efforts.learn(namespace.inode, link.index, key, state)
        if key not in state.released:
            tally.findings += _settle(link, namespace, rules, features, key, state, efforts)
    return tally


def _take_along(inode: int, state: State, efforts: Efforts) -> None:
    """What was changed before a link came here can be undone here, whether a rule speaks of it or not."""
    for _, index in [where for where in efforts.moved if where[0] == inode]:
        link = read_link(index)
        if link is not None:
            efforts.learn(inode, index, key_of(inode, index, link.name), state)


def _settle(
    link: Link,
    namespace: Namespace,
    rules: Sequence[Rule],
    features: dict[str, Feature],
    key: str,
    state: State,
    efforts: Efforts,
) -> list[Finding]:
    """Set what deviates of one link."""
    wanted, by = wanted_by(rules, features)
    wrong = _deviating(wanted, features)
    free = {name: wanted[name] for name in wrong if not features[name].is_fixed}
    found = []
    why, left = "its driver cannot change that", {name: on for name, on in wrong.items() if name not in free}
    if free and efforts.times.get(key, 0) >= MOST_TIMES:
        why, left, free = f"somebody else has set it {MOST_TIMES} times, it stays", wrong, {}
    if free:
        try:
            outcome = _request(link, key, free, features, state)
        except PrivilegeError:
            raise
        except OSFailure as error:
            if error.errno == errno.ENODEV:
                return []  # it has gone meanwhile
            efforts.times[key] = efforts.times.get(key, 0) + 1
            return _told(
                Finding(link.name, namespace, _numbers(by, wrong), deviates=wrong, why=str(error)), key, efforts
            )
        efforts.times[key] = efforts.times.get(key, 0) + 1
        idle = f"without effect while what it needs is off: {', '.join(outcome.refused)}" if outcome.refused else ""
        found.append(Finding(link.name, namespace, _numbers(by, free), free, outcome.moved, why=idle))
    if left:
        found += _told(Finding(link.name, namespace, _numbers(by, left), deviates=left, why=why), key, efforts)
    return found


def _told(finding: Finding, key: str, efforts: Efforts) -> list[Finding]:
    """Return what was not told yet."""
    if efforts.told.get(key) == (said := f"{finding.why}{sorted(finding.deviates)}"):
        return []
    efforts.told[key] = said
    return [finding]


def _request(link: Link, key: str, free: dict[str, bool], features: dict[str, Feature], state: State) -> Outcome:
    try:
        is_same = index_of(link.name) == link.index
    except OSError as error:
        raise OSFailure(f"{link.name} is gone", error=error.errno or 0) from None
    if not is_same:
        raise OSFailure(f"{link.name} is another one now", error=errno.ENODEV)
    return request(link.name, key, free, features, state)


def _deviating(wanted: dict[str, bool], features: dict[str, Feature]) -> dict[str, bool]:
    """Return {feature: what is requested} where that is not what is wanted; of fixed ones what is in effect."""
    now = {name: features[name].active if features[name].is_fixed else features[name].requested for name in wanted}
    return {name: on for name, on in now.items() if on != wanted[name]}


def _features(link: Link) -> dict[str, Feature] | None:
    try:
        return read_features(link.name)
    except OSFailure:  # gone meanwhile, or without features
        return None


def _numbers(by: dict[str, Rule], features: Collection[str]) -> tuple[int, ...]:
    return tuple(sorted({by[name].number for name in features}))


def _words(features: dict[str, bool]) -> str:
    return ", ".join(f"{name} {word_of(on)}" for name, on in features.items())


def require_here(namespace: Namespace) -> None:
    """Raise OSFailure unless the calling thread is in *namespace*: what led there may lead elsewhere by now."""
    if own_namespace().inode != namespace.inode:
        raise OSFailure(f"{namespace.label} is gone")
