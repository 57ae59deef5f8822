"""A second look at the counters: what they hold may be from weeks ago, what rises is happening now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from pktmend.errors import PktmendError
from pktmend.host.model import Machine, NamespaceFacts
from pktmend.host.namespaces import call
from pktmend.host.snmp import checksum_errors, read_counters

PAUSE: Final = 0.4  # seconds between both looks, reading the machine included


@dataclass(frozen=True)
class Rise:
    """What the counters of namespaces rose by within *seconds*.

    counters: {inode of the namespace: {counter: by how much}}; a namespace that was not read again is not in it.
    """

    seconds: float
    counters: dict[int, dict[str, int]]


def look_again(machine: Machine, began: float, *, everywhere: bool = False) -> Rise:
    """Read the counters once more, PAUSE after *began* (time.monotonic) at the earliest.

    everywhere: all namespaces, else only those that have counted checksum errors; without any there is no wait.
    """
    places = [place for place in machine.namespaces if everywhere or checksum_errors(place.counters)]
    if places:
        time.sleep(max(0.0, began + PAUSE - time.monotonic()))
    rose = {place.namespace.inode: rise for place in places if (rise := _rise(place)) is not None}
    return Rise(time.monotonic() - began, rose)


def _rise(place: NamespaceFacts) -> dict[str, int] | None:
    try:
        now = call(place.namespace, read_counters)
    except (PktmendError, OSError):  # the namespace is gone
        return None
    return {name: n - place.counters.get(name, 0) for name, n in now.items() if n > place.counters.get(name, 0)}
