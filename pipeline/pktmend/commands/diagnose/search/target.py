"""What a search is narrowed to: an address, an address with a port, a pod, a container or a namespace."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktmend.errors import ConfigError, OSFailure
from pktmend.host.drop_events import Flow
from pktmend.host.namespaces import find_namespace

if TYPE_CHECKING:
    from pktmend.host.model import Machine


@dataclass(frozen=True)
class Target:
    """Which drops are meant; one without anything in it means all of them.

    address, port: one end of the flow, 0 for any port.
    namespace, addresses: of a pod, a container or a namespace: its inode (0 for any), and what its interfaces have.
    """

    address: str = ""
    port: int = 0
    namespace: int = 0
    addresses: frozenset[str] = frozenset()

    def admits(self, namespace: int, flow: Flow | None) -> bool | None:
        """Is this drop meant?  None where the flow or the way of the packets would have to be known.

        namespace: inode of the one that dropped it, 0 if not known.
        """
        if self.namespace:
            if namespace == self.namespace:
                return True
            if flow is not None and not self.addresses & {flow.source, flow.target}:
                return False
            return None  # namespaces may have equal addresses: the way of the packets will tell
        if not self.address:
            return True
        if flow is None:
            return None
        ends = ((flow.source, flow.source_port), (flow.target, flow.target_port))
        return any(address == self.address and self.port in (0, port) for address, port in ends)


def parse_target(word: str, machine: Machine) -> Target:
    """Return what *word* means; OSFailure if nothing of this machine has that name, ConfigError if several have it."""
    if not word:
        return Target()
    address, port = split_address(word)
    if address:
        return Target(address=address, port=port)
    try:
        inode = find_namespace(word).inode
    except OSFailure as error:
        raise OSFailure(
            error.detail, f"{error.hint}; an address as 10.0.1.2:8080; an EXPRESSION goes with -i IFACE or -r FILE"
        ) from error
    own = [i for i in machine.interfaces() if i.namespace.inode == inode]
    addresses = frozenset(text.partition("/")[0] for i in own for text in i.own_addresses())
    return Target(namespace=inode, addresses=addresses)


def split_address(word: str) -> tuple[str, int]:
    """Return the address and the port of `10.0.0.1:80`, `[fd00::1]:80` or an address alone; empty if it is none.

    Raises: ConfigError for an address with a port that is none.
    """
    host, port = word, ""
    if word.startswith("[") and "]" in word:
        host, _, rest = word[1:].partition("]")
        port = rest.removeprefix(":")
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return "", 0
    if not port:
        return address, 0
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ConfigError(f"{word!r} has no port that can be", "as 10.0.1.2:8080 or [fd00::1]:8080")
    return address, int(port)
