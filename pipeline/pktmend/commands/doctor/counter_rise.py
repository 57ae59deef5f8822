"""The counters read a second time: what they hold may be from weeks ago, what rises is happening now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from pktmend.errors import PktmendError
from pktmend.host.model import Machine, NamespaceFacts
from pktmend.host.namespaces import call
from pktmend.host.snmp import checksum_errors, read_counters

PAUSE: Final = 0.4  # seconds between both readings, reading the machine included


@dataclass(frozen=True)
class Rise:
    """What the counters of namespaces rose by within *seconds*.

    counters: {inode of the namespace: {counter: by how much}}; a namespace that was not read again is not in it.
    """

    seconds: float
    counters: dict[int, dict[str, int]]


def reread_counters(machine: Machine, began: float, *, everywhere: bool = False) -> Rise:
    """Read the counters once more, PAUSE after *began* (time.monotonic) at the earliest.

    everywhere: all namespaces, else only those that have counted checksum errors; without any there is no wait.
    """
    namespaces = [facts for facts in machine.namespaces if everywhere or checksum_errors(facts.counters)]
    if namespaces:
        time.sleep(max(0.0, began + PAUSE - time.monotonic()))
    rose = {facts.namespace.inode: rise for facts in namespaces if (rise := _rise(facts)) is not None}
    return Rise(time.monotonic() - began, rose)


def _rise(facts: NamespaceFacts) -> dict[str, int] | None:
    try:
        now = call(facts.namespace, read_counters)
    except (PktmendError, OSError):  # the namespace is gone
        return None
    return {name: n - facts.counters.get(name, 0) for name, n in now.items() if n > facts.counters.get(name, 0)}
