"""Userspace hops: processes that pass frames on between interfaces by packet or AF_XDP sockets, past the kernel.

A frame that leaves a veth, TAP or virtio device usually has a partial checksum, and the kernel's mark beside
it says so (CHECKSUM_PARTIAL, NEEDS_CSUM).  A hop that copies bytes loses the mark.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pktmend.host.model import Interface, Reader
from pktmend.host.ovs import DEFAULT_DATABASE, OVS, Switch, database_of

# Programs that forward (as /proc/PID/comm has them, cut to 15 characters); others are recognised by what they hold.
SWITCHES: Final = {
    OVS,
    "simple_switch",
    "simple_switch_g",
    "ofdatapath",
    "vpp",
    "vpp_main",
    "dpdk-testpmd",
    "testpmd",
    "tcpbridge",
    "ubridge",
    "snabb",
    "lagopus",
}
# Programs that take every frame of several interfaces and forward none.
WATCHERS: Final = {
    "tcpdump",
    "dumpcap",
    "tshark",
    "wireshark",
    "suricata",
    "Suricata-Main",
    "zeek",
    "snort",
    "snort3",
    "ntopng",
    "pmacctd",
    "arpwatch",
    "p0f",
    "lldpd",
    "netsniff-ng",
    "dhcpcd",
    "iftop",
    "nethogs",
}


@dataclass(frozen=True)
class UserspaceHop:
    """One process that takes every frame of *ports*.

    kind:           "packet" (packet sockets) or "xdp" (AF_XDP sockets).     pid: 0 if the process was not found.
    keeps_metadata: all its sockets carry the virtio-net header; None if the kernel does not tell.
    is_filtered:    a socket filter picks some frames.       sends: it has sockets, too, that only send.
    switch:         what Open vSwitch says of itself, if it is that and was asked.
    """

    kind: str
    pid: int
    program: str
    ports: tuple[Interface, ...]
    keeps_metadata: bool | None
    is_filtered: bool
    sends: bool
    switch: Switch | None = None

    @property
    def is_switch(self) -> bool:
        """A program that is known to forward."""
        return self.program in SWITCHES

    @property
    def forwards(self) -> bool:
        """It seems to be there to forward; what keeps the metadata and never sends may be a monitor of ours."""
        takes_several = len(self.ports) > 1 and not self.is_filtered
        return self.is_switch or (takes_several and (self.keeps_metadata is not True or self.sends))

    @property
    def is_sure(self) -> bool:
        """It can only be there to forward: a known switch, or its ports have no addresses and no bridge."""
        return self.is_switch or all(not port.own_addresses() and not port.master for port in self.ports)

    @property
    def database(self) -> str:
        """Of Open vSwitch, as it is reached from here; empty for other programs."""
        if self.switch is not None:
            return self.switch.database
        return database_of(self.pid) or DEFAULT_DATABASE if self.program == OVS else ""

    @property
    def title(self) -> str:
        """Its name for people."""
        if self.program == OVS:
            return f"Open vSwitch's userspace datapath ({OVS}, pid {self.pid})"
        return f"{self.program or 'a process'} (pid {self.pid})"


def find_userspace_hops(interfaces: Iterable[Interface], switches: tuple[Switch, ...] = ()) -> tuple[UserspaceHop, ...]:
    """Return known switches, what reads by AF_XDP, and what takes every frame of several interfaces.

    A program that only watches is left out, as far as it is known, and so is this process.
    """
    held: dict[tuple[str, int], list[tuple[Interface, Reader]]] = defaultdict(list)
    senders = set()
    for interface in interfaces:
        for reader in interface.readers:
            if reader.any_interface or reader.pid == os.getpid():
                continue
            if reader.receives_all:
                held[reader.kind, reader.pid].append((interface, reader))
            elif not reader.receives:
                senders.add(reader.pid)
    found = []
    for (kind, pid), pairs in held.items():
        program = pairs[0][1].program
        ports = tuple({(i.namespace.inode, i.index): i for i, _ in pairs}.values())
        kept = {reader.keeps_metadata for _, reader in pairs}
        hop = UserspaceHop(
            kind,
            pid,
            program,
            ports,
            keeps_metadata=True if kept == {True} else None if kept <= {None, True} else False,
            is_filtered=any(reader.has_filter for _, reader in pairs),
            sends=pid in senders,
            switch=next((s for s in switches if s.pid == pid), None),
        )
        if hop.is_switch or kind == "xdp" or (len(ports) > 1 and program not in WATCHERS):
            found.append(hop)
    return tuple(found)
