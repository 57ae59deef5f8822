"""The cases of the lab, one module each; a module's CASE says what it is and plays it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from pktmend.errors import ConfigError
from pktmend.testbed.transcript import Case

NAMES = (
    "veth",
    "corrupt-veth",
    "ovs-netdev",
    "ovs-tap",
    "relay",
    "tap",
    "xdp",
    "vxlan",
    "vxlan-nat",
    "nat-delta",
    "dhcp",
    "bit-errors",
)


def find(name: str) -> Case:
    """Return the case of that name."""
    if name not in NAMES:
        raise ConfigError(f"there is no case {name!r}", f"one of: all, {', '.join(NAMES)}")
    case: Case = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").CASE
    return case


def every() -> Iterator[Case]:
    """Yield every case, in the order of NAMES."""
    return map(find, NAMES)
