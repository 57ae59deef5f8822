"""ethtool's short words for features of an interface, and what a list of changes asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from pktmend.console.suggestion import did_you_mean
from pktmend.errors import ConfigError
from pktmend.host.ethtool import Feature

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


def word_of(on: bool) -> str:
    """`on` or `off`."""
    return "on" if on else "off"


def features_for(word: str, features: Mapping[str, Feature]) -> list[str]:
    """Return the features that *word* means: one of ethtool's short words or a feature's own name."""
    if word not in GROUPS and word not in features:
        raise ConfigError(
            f"{word!r} is neither one of {', '.join(GROUPS)} nor a feature of this interface",
            did_you_mean(word, [*GROUPS, *features]) or "`pktmend offload -i IFACE show --all` lists them",
        )
    return [name for name in features if fnmatchcase(name, GROUPS.get(word, word))]


def pairs_of(words: Sequence[str]) -> list[tuple[str, bool]]:
    """Return [(feature, on)] of `tx off gro on`, features as they are written.  ConfigError if these are no pairs."""
    if not words or len(words) % 2:
        raise ConfigError("set takes pairs: a feature and on or off", "set tx off")
    pairs = []
    for word, value in zip(words[::2], words[1::2], strict=True):
        if value not in ("on", "off"):
            raise ConfigError(f"{word} {value!r}: on or off")
        pairs.append((word, value == "on"))
    return pairs


def parse_changes(words: Sequence[str], features: Mapping[str, Feature]) -> dict[str, bool]:
    """Return {feature: on} of `tx off gro on`; what is fixed is left out of a short word, but an error by name."""
    wanted: dict[str, bool] = {}
    for word, on in pairs_of(words):
        names = features_for(word, features)
        free = [name for name in names if not features[name].is_fixed]
        if not free and any(features[name].active != on for name in names):
            raise ConfigError(f"{word} is fixed on this interface: its driver cannot change it")
        wanted |= dict.fromkeys(free, on)
    return wanted
