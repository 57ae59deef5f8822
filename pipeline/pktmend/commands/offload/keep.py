"""`offload set --keep`: a rule for what was set, at the end of the policy that the service applies.

Rules of this file:
1. What is in the file stays as it is, comments and all: a rule is added behind it.  Later rules win.
2. The interface is named as it is, not as a pattern; so is its namespace, which needs a name that lasts.
3. The file is replaced in one step, and only if the result is a policy.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from pktmend.commands.offload.links import OWN
from pktmend.commands.offload.rules import MATCHERS, read_policy
from pktmend.commands.offload.words import GROUPS, pairs_of, word_of
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.ethtool import feature_names
from pktmend.host.namespaces import Namespace
from pktmend.host.trusted_path import require_trusted

DEFAULT: Final = "/etc/pktmend/offload.toml"
HEAD: Final = """\
# Offloads that pktmend keeps as they are here, on every link that fits, now and later: pktmend help findings.
# Applied by the unit pktmend-offload, or by hand:  pktmend offload policy FILE --once
"""


@dataclass(frozen=True)
class Kept:
    """The rule, and the file that has it; is_new: it was not there before."""

    path: str
    matchers: dict[str, str]
    features: dict[str, bool]
    is_new: bool

    def as_json(self) -> dict[str, Any]:
        """Return the object that --json prints."""
        return {"path": self.path, "rule": {**self.matchers, **self.features}, "new": self.is_new}

    def lines(self) -> list[str]:
        """Return what to tell people."""
        if not self.is_new:
            return [f"  kept: {self.path} says so already"]
        return [
            f"  kept: a rule was added to {self.path}",
            "  in force after: systemctl enable --now pktmend-offload; systemctl reload pktmend-offload",
        ]

    def write(self) -> None:
        """Add the rule, if it is new.  Raises OSFailure, and ConfigError if the file has become no policy meanwhile."""
        if not self.is_new:
            return
        target, before = Path(self.path), ""
        if target.exists():
            target = require_trusted(target, "a policy of offloads")
            before = target.read_text(encoding="utf-8")
        _replace(target, (before.rstrip("\n") + "\n" if before else HEAD) + "\n" + self.text)

    @property
    def text(self) -> str:
        """The rule as TOML."""
        strings = {**self.matchers, **{name: word_of(on) for name, on in self.features.items()}}
        rows = [f"{_key(name)} = {_string(value)}" for name, value in strings.items()]
        return "\n".join(["[[rule]]", *rows]) + "\n"


def plan(path: str, interface: str, namespace: Namespace, words: Sequence[str]) -> Kept:
    """Return the rule for *interface* in the policy *path*, which need not be there; write() adds it.

    Raises: ConfigError if the namespace has no name that would be there after it is made again, or if the file is
            none that only trusted users can write; OSFailure if it cannot be written.
    """
    matchers = {"interface": _exactly(interface), **_place(namespace)}
    changes = dict(pairs_of(words))
    target = Path(path)
    if target.exists():
        target = require_trusted(target, "a policy of offloads")
        policy = read_policy(str(target), feature_names())
        exact = {word: (pattern,) for word, pattern in matchers.items()}
        last = [rule for rule in policy.rules if rule.matchers == exact]
        if last and changes.items() <= last[-1].features.items():
            return Kept(path, matchers, changes, is_new=False)
    return Kept(path, matchers, changes, is_new=True)


def _place(namespace: Namespace) -> dict[str, str]:
    if namespace.is_own:
        return {"netns": OWN}
    if namespace.name:
        return {"netns": _exactly(namespace.name)}
    found = _owner(namespace)
    if found:
        return found
    raise ConfigError(
        f"{namespace.label} has no name by which it could be found when it is made again",
        "write a rule for it: interface, driver, peer, netns, container or pod",
    )


def _owner(namespace: Namespace) -> dict[str, str]:
    """The pod or container of a namespace without a name, if its runtime knows one."""
    from pktmend.host.namespaces import list_namespaces
    from pktmend.host.workloads import workloads

    first = next(iter(workloads(list_namespaces()).get(namespace.inode, ())), None)
    if first is not None and first.pod:
        return {"pod": _exactly(f"{first.pod_namespace}/{first.pod}")}
    if first is not None and first.container:
        return {"container": _exactly(first.container)}
    return {}


def _exactly(name: str) -> str:
    """A pattern that fits this name alone; ConfigError if TOML, which is UTF-8, cannot hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name!r} is no UTF-8, as a policy has to be") from None
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in name)
    if pattern.startswith("!"):
        raise ConfigError(f"{name!r} begins with !, which negates a pattern", "write a rule for it")
    return pattern


def _key(name: str) -> str:
    return name if name in MATCHERS or name in GROUPS else _string(name)


def _string(value: str) -> str:
    """A basic string of TOML: JSON's, and DEL, which TOML wants escaped too."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _replace(target: Path, text: str) -> None:
    """Write the file, in one step, readable for all: it holds no secret."""
    fresh = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    try:
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
        with os.fdopen(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "w"
        ) as f:
            f.write(text)
        try:
            read_policy(str(fresh), feature_names())
            fresh.rename(target)
        except BaseException:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
    except OSFailure:
        raise
    except OSError as error:
        raise OSFailure(f"cannot write {target}: {error.strerror}", "", error.errno or 0, str(target)) from error
