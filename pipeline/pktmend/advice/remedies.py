"""Commands that both recommend, each with its text in this one place."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from pktmend.advice.finding import Remedy
from pktmend.host.ovs import DEFAULT_DATABASE

if TYPE_CHECKING:
    from pktmend.host.model import Interface

UNKNOWN_INTERFACE: Final = "IFACE"
TX_COST: Final = "switches segmentation offload (TSO) off too: more CPU time and less throughput on that interface"


def offload(interface: Interface, changes: str, effect: str, cost: str = "") -> Remedy:
    """Change offloads of *interface*: `tx off gso off`.  It can be undone, and with --keep it stays."""
    word = interface.namespace.word
    target = f"pktmend offload -i {quote(interface.name)}{f' --netns {quote(word)}' if word else ''}"
    plain = interface.command(f"ethtool -K {quote(interface.name)} {changes}")
    return Remedy(f"{target} set {changes}", effect, cost, plain, f"{target} restore")


def offload_at(name: str, changes: str, effect: str, cost: str = "") -> Remedy:
    """The same on another machine or where it is not known: *name* stands for an interface that the reader picks."""
    target = f"pktmend offload -i {name}"
    return Remedy(f"{target} set {changes}", effect, cost, f"ethtool -K {name} {changes}", f"{target} restore")


def tx_off(interface: Interface, effect: str) -> Remedy:
    """Let the stack complete checksums before they leave *interface*."""
    return offload(interface, "tx off", effect, TX_COST)


def tx_off_at(address: str) -> Remedy:
    """The same where the interface is not known: on the host of *address*, in its namespace."""
    return offload_at(
        UNKNOWN_INTERFACE,
        "tx off",
        f"run it on the sending end, in the namespace of {address}, with its interface for {UNKNOWN_INTERFACE}: it "
        "sends complete checksums from then on",
        TX_COST,
    )


def vsctl(database: str) -> str:
    """Return `ovs-vsctl`, with the database where it is not the default one."""
    return "ovs-vsctl" if database in ("", DEFAULT_DATABASE) else f"ovs-vsctl --db={quote(database)}"


def ovs_tso(database: str) -> Remedy:
    """Let Open vSwitch's userspace datapath keep the metadata."""
    return Remedy(
        f"{vsctl(database)} set Open_vSwitch . other_config:userspace-tso-enable=true",
        "Open vSwitch keeps the mark across its userspace datapath, after a restart of ovs-vswitchd",
        "the restart interrupts all its traffic; Open vSwitch calls the option experimental",
    )
