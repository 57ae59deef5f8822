"""The cases of the lab, one module each; a module's CASE says what it is and runs it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from pktmend.commands.lab.case import LabCase
from pktmend.console.suggestion import one_of
from pktmend.errors import ConfigError

NAMES = (
    "veth",
    "corrupt-veth",
    "ovs-netdev",
    "ovs-tap",
    "ovs-vxlan",
    "relay",
    "netkit",
    "tap",
    "microvm",
    "microvm-persistent",
    "microvm-lso",
    "microvm-ip-zero",
    "xdp",
    "vxlan",
    "vxlan-port",
    "vxlan-nat",
    "nat-delta",
    "dhcp",
    "bit-errors",
    "blind-fixer",
    "few-drops",
)


def find(name: str) -> LabCase:
    """Return the case of that name."""
    if name not in NAMES:
        raise ConfigError(f"there is no case {name!r}", one_of(name, ("all", *NAMES)))
    case: LabCase = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").CASE
    return case


def every() -> Iterator[LabCase]:
    """Yield every case, in the order of NAMES."""
    return map(find, NAMES)
