"""A policy: a file of rules, each a table [[rule]] of what a link has to be like, and what its features shall be.

    [[rule]]
    interface = "veth*"
    netns = ["pod-*", "!pod-monitoring"]
    tx = "off"

Rules of this file:
1. All rules that fit a link hold; where two speak of one feature, the later one does.
2. A matcher is a pattern as shells have them, or several; one that begins with ! must not fit.  All matchers must fit.
3. What is not understood is an error with its place: nothing is left out silently.
4. The file is one that only trusted users can have written: what it says is done as root, in every namespace.

Source: toml.io v1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from pktmend.commands.offload.words import GROUPS, features_for
from pktmend.console.suggestion import did_you_mean
from pktmend.errors import ConfigError
from pktmend.host.ethtool import Feature
from pktmend.host.trusted_path import read_trusted

MATCHERS: Final = ("interface", "driver", "peer", "netns", "container", "pod")
LONGEST: Final = 256  # characters of a pattern
MOST_RULES: Final = 1000
VALUES: Final = {"on": True, "off": False, True: True, False: False}
_HEADER: Final = re.compile(r"\s*\[\[\s*[\"']?rule[\"']?\s*\]\]")


@dataclass(frozen=True)
class Rule:
    """One table of the file.

    number:   counts from 1.            place: `FILE:LINE`, for messages.
    matchers: {"interface": ("veth*",), ...}
    features: {"tx": False, ...}, as they are written: short words of ethtool, or features' own names.
    """

    number: int
    place: str
    matchers: Mapping[str, tuple[str, ...]]
    features: Mapping[str, bool]

    def fits(self, names: Mapping[str, Sequence[str]]) -> bool:
        """Does it speak of the link that is called so?  names: by matcher, all that are asked for."""
        return all(_fits(patterns, names[word]) for word, patterns in self.matchers.items())


@dataclass(frozen=True)
class Policy:
    """The rules of a file, in its order."""

    path: str
    rules: tuple[Rule, ...]

    def asks_for(self, *matchers: str) -> bool:
        """Does a rule look at one of these?"""
        return any(word in rule.matchers for rule in self.rules for word in matchers)


def _fits(patterns: Sequence[str], names: Sequence[str]) -> bool:
    wanted = [p for p in patterns if not p.startswith("!")]
    if any(fnmatchcase(name, p[1:]) for p in patterns if p.startswith("!") for name in names):
        return False
    return not wanted or any(fnmatchcase(name, p) for p in wanted for name in names)


def wanted_by(rules: Sequence[Rule], features: Mapping[str, Feature]) -> tuple[dict[str, bool], dict[str, Rule]]:
    """Return {feature: on} of rules that fit, the later ones before the earlier, and which rule says so.

    Features that are fixed as they shall be are left out; those that are fixed otherwise are in it.
    """
    wanted: dict[str, bool] = {}
    by: dict[str, Rule] = {}
    for rule in rules:
        for word, on in rule.features.items():
            names = features_for(word, features)
            free = [name for name in names if not features[name].is_fixed]
            for name in free or [name for name in names if features[name].active != on]:
                wanted[name], by[name] = on, rule
    return wanted, by


def read_policy(path: str, features: Collection[str]) -> Policy:
    """Return the policy in the file *path*.

    features: the names of all that this kernel knows.
    Raises:   ConfigError with file and line or table; OSFailure if it cannot be read.
    """
    data = read_trusted(Path(path), "a policy of offloads")
    try:
        text = data.decode()
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:  # its words have line and column
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: values are nested too deep") from None
    return _policy(path, text, table, features)


def _policy(path: str, text: str, table: Mapping[str, Any], features: Collection[str]) -> Policy:
    lines = text.splitlines()
    for key in table:
        if key != "rule":
            raise ConfigError(
                f"{path}{_line_of(key, lines, 0)}: unknown key {key!r}",
                did_you_mean(key, ["rule"]) or "tables [[rule]]",
            )
    rules = table.get("rule")
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise ConfigError(f"{path}: no rules: a policy has a table [[rule]] for each")
    if len(rules) > MOST_RULES:
        raise ConfigError(f"{path}: {len(rules)} rules, {MOST_RULES} at most")
    headers = [n for n, line in enumerate(lines) if _HEADER.match(line)]
    starts = headers if len(headers) == len(rules) else [-1] * len(rules)  # else they are written in one line
    return Policy(
        path,
        tuple(
            _rule(path, lines, n, start, rule, features)
            for n, (start, rule) in enumerate(zip(starts, rules, strict=True), 1)
        ),
    )


def _rule(
    path: str, lines: Sequence[str], number: int, start: int, table: Mapping[str, Any], features: Collection[str]
) -> Rule:
    matchers: dict[str, tuple[str, ...]] = {}
    changes: dict[str, bool] = {}
    for key, value in table.items():
        place = f"{path}{_line_of(key, lines, start)}: rule {number}"
        if key in MATCHERS:
            matchers[key] = _patterns(place, key, value)
        elif key in GROUPS or key in features:
            if not isinstance(value, (str, bool)) or value not in VALUES:
                raise ConfigError(f'{place}: {key} is {value!r}: "on" or "off"')
            changes[key] = VALUES[value]
        else:
            known = (*MATCHERS, *GROUPS, *features)
            hint = did_you_mean(key, known) or f"matchers: {', '.join(MATCHERS)}; features: {', '.join(GROUPS)}"
            raise ConfigError(f"{place}: unknown key {key!r}", hint)
    where = f"{path}:{start + 1}" if start >= 0 else path
    if not matchers:
        raise ConfigError(f"{where}: rule {number} fits every link: say so", 'interface = "*"')
    if not changes:
        raise ConfigError(f"{where}: rule {number} sets nothing", 'a feature, such as tx = "off"')
    return Rule(number, where, matchers, changes)


def _patterns(place: str, key: str, value: object) -> tuple[str, ...]:
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not patterns or not all(isinstance(each, str) for each in patterns):
        raise ConfigError(f"{place}: {key} is {value!r}: a pattern, or a list of patterns")
    for each in patterns:
        is_empty = not each.removeprefix("!") and key != "netns"  # which may have no name
        if is_empty or len(each) > LONGEST or "\0" in each:
            raise ConfigError(f"{place}: {key}: {each!r} can be no name")
    return tuple(patterns)


def _line_of(key: str, lines: Sequence[str], start: int) -> str:
    """Return `:N`, the line behind line *start* that sets *key*; empty if none is found, or *start* is -1."""
    pattern = re.compile(rf"""\s*(\[+\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
    if start < 0:
        return ""
    return next((f":{n}" for n, line in enumerate(lines[start:], start + 1) if pattern.match(line)), f":{start + 1}")
