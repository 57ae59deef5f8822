"""What the checks examine: read once, before the first of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pktmend.advice.userspace_hops import UserspaceHop, find_userspace_hops
from pktmend.commands.doctor.counter_rise import Rise, reread_counters
from pktmend.host.machine import read_machine
from pktmend.host.model import Machine
from pktmend.host.ovs import Switch, find_switches


@dataclass(frozen=True)
class View:
    """The machine, its userspace hops, its Open vSwitches, and what its counters rose by meanwhile."""

    machine: Machine
    hops: tuple[UserspaceHop, ...]
    switches: tuple[Switch, ...]
    rise: Rise


def read_view() -> View:
    """Read the machine, and after a moment its counters once more."""
    began = time.monotonic()
    machine, switches = read_machine(), find_switches()
    found = find_userspace_hops(machine.interfaces(), switches)
    hops = tuple(hop for hop in found if hop.pid and hop.forwards)
    return View(machine, hops, switches, reread_counters(machine, began))
