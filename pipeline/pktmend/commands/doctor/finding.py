"""What doctor says: findings, with the reason and the command that cures."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from shlex import quote
from typing import Any, Final

from pktmend.host.model import Interface
from pktmend.host.namespaces import Namespace

FEW: Final = 10  # so many bad packets are the Internet's, not the set-up's


class Severity(enum.IntEnum):
    """How bad; problems come first and set the exit code."""

    PROBLEM = 0
    WARNING = 1
    INFO = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Remedy:
    """What cures: a command, what it does, and what it costs.

    command: shell lines as they can be pasted here, their namespace included; empty where the cure is no command of
             this machine: *effect* then says what to do.
    """

    command: str
    effect: str
    side_effect: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing found.

    name:       stable, for scripts.           title: one line.        why: what it means for the user.
    evidence:   what was seen.                 remedies: the best first.
    interfaces, namespaces: what it is about; both empty if it is about the whole machine.
    reference:  where this is written down.
    """

    name: str
    severity: Severity
    title: str
    why: str
    evidence: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    reference: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the object that --json prints."""
        return {
            "name": self.name,
            "severity": str(self.severity),
            "title": self.title,
            "why": self.why,
            "evidence": list(self.evidence),
            "remedy": [{"command": r.command, "effect": r.effect, "side_effect": r.side_effect} for r in self.remedies],
            "interfaces": [{"name": i.name, "namespace": i.namespace.word} for i in self.interfaces],
            "namespaces": [n.word for n in self.namespaces],
            "reference": self.reference,
        }


def place(interface: Interface) -> str:
    """`eth0`, or `eth0 in netns a`."""
    return interface.name if interface.namespace.is_own else f"{interface.name} in {interface.namespace.label}"


def names(interfaces: tuple[Interface, ...] | list[Interface]) -> str:
    """`pa, pb`: at most eight of them."""
    shown = ", ".join(i.name for i in interfaces[:8])
    return f"{shown} and {len(interfaces) - 8} more" if len(interfaces) > 8 else shown


TX_OFF_COST: Final = "segmentation offload (TSO) goes off with it: more CPU for each octet sent"


def tx_off(interface: Interface, effect: str) -> Remedy:
    """Let *interface* finish its checksums itself."""
    return Remedy(interface.command(f"ethtool -K {quote(interface.name)} tx off"), effect, TX_OFF_COST)


def own_addresses(interface: Interface, version: int = 0) -> list[str]:
    """Return the addresses that are more than link-local, of one IP version or both (0)."""
    found = [ipaddress.ip_interface(a) for a in interface.addresses]
    return [str(a) for a in found if not a.ip.is_link_local and not a.ip.is_loopback and version in (0, a.version)]
