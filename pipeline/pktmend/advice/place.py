"""How interfaces and namespaces are named for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pktmend.host.processes import program_of

if TYPE_CHECKING:
    from pktmend.host.model import Interface, Tun
    from pktmend.host.namespaces import Namespace

SHOWN: Final = 8


def space(namespace: Namespace) -> str:
    """`this namespace`, `netns a`, `pid 4711 (nginx)`."""
    return "this namespace" if namespace.is_own else namespace.label


def place(interface: Interface) -> str:
    """`eth0`, or `eth0 (netns a)` in another namespace than ours."""
    return interface.name if interface.namespace.is_own else f"{interface.name} ({space(interface.namespace)})"


def full_place(interface: Interface) -> str:
    """`eth0 (this namespace)`, `eth0 (netns a)`: where interfaces of several namespaces stand side by side."""
    return f"{interface.name} ({space(interface.namespace)})"


def names(interfaces: Sequence[Interface]) -> str:
    """`pa, pb`: at most eight of them."""
    shown = ", ".join(i.name for i in interfaces[:SHOWN])
    return f"{shown} and {len(interfaces) - SHOWN} more" if len(interfaces) > SHOWN else shown


def holders_text(tun: Tun) -> str:
    """`qemu-system-x86 (pid 4711)`: the processes that have a TUN or TAP open; empty if none was found."""
    return ", ".join(f"{program_of(pid) or 'a process'} (pid {pid})" for pid in tun.pids)
