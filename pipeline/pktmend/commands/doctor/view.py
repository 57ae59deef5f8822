"""What the checks examine: read once, before the first of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pktmend.advice.userspace_hops import UserspaceHop, find_userspace_hops
from pktmend.commands.doctor.counter_rise import Rise, reread_counters
from pktmend.errors import OSFailure
from pktmend.host.kernel_log import LogCount, read_kernel_log
from pktmend.host.machine import read_machine
from pktmend.host.model import Machine
from pktmend.host.ovs import Switch, find_switches


@dataclass(frozen=True)
class View:
    """The machine, its userspace hops, its Open vSwitches, and what its counters rose by meanwhile.

    log:    what the kernel's log says of checksums and offloads.      unread: what else could not be looked at.
    """

    machine: Machine
    hops: tuple[UserspaceHop, ...]
    switches: tuple[Switch, ...]
    rise: Rise
    log: tuple[LogCount, ...] = ()
    unread: tuple[str, ...] = ()


def read_view() -> View:
    """Read the machine, and after a moment its counters once more."""
    began = time.monotonic()
    machine, switches = read_machine(), find_switches()
    found = find_userspace_hops(machine.interfaces(), switches)
    hops = tuple(hop for hop in found if hop.pid and hop.forwards)
    log, unread = _kernel_log()
    return View(machine, hops, switches, reread_counters(machine, began), log, unread)


def _kernel_log() -> tuple[tuple[LogCount, ...], tuple[str, ...]]:
    try:
        return tuple(read_kernel_log()), ()
    except OSFailure as error:
        return (), (str(error),)
