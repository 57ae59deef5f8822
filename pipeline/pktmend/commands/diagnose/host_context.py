"""What the machine says about the tapped interface: whose packets these are, which hop has them, what rose meanwhile.

Rules of this file:
1. Two readings of the machine, before and after; the packets are between them.
2. An owner is named only if one interface of this machine fits: namespaces may use equal addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pktmend.advice.userspace_hops import find_userspace_hops
from pktmend.commands.diagnose.decision import Fact
from pktmend.commands.diagnose.facts.partial import HopKind, LossyHop, PortOf, TunnelDevice
from pktmend.commands.diagnose.facts.tap import Rising
from pktmend.host.bpf_info import read_program
from pktmend.host.model import Interface, Machine
from pktmend.host.namespaces import Namespace
from pktmend.host.processes import program_of
from pktmend.host.snmp import checksum_errors

HOP_KINDS = {"packet": HopKind.PACKET, "xdp": HopKind.XDP}  # of a reader's kind


class HostContext:
    """The machine around a tapped interface of *namespace*, our own if None.

    behind: the second tap, where there are two.
    """

    def __init__(
        self,
        before: Machine,
        after: Machine,
        interface: str,
        namespace: Namespace | None = None,
        *,
        behind: Interface | None = None,
    ) -> None:
        self.machine = after
        self.tapped = after.find(interface, namespace)
        self.behind = behind
        self.peer = after.peer_of(self.tapped) if self.tapped else None
        self._before = before

    def owner(self, address: str, mac: str = "") -> Interface | None:
        """Return the interface that has *address*; among several that of the MAC address, else the nearest; or None."""
        found = [i for i in self.machine.interfaces() if any(each.partition("/")[0] == address for each in i.addresses)]
        if len(found) > 1:
            near = self._near()
            keys, homes = {i.key for i in near}, {i.namespace.inode for i in near}  # a tunnel's end is no veth
            found = (
                [i for i in found if mac and i.mac == mac]
                or [i for i in found if i.key in keys]
                or [i for i in found if i.namespace.inode in homes]
            )
        if not found and mac:
            found = [i for i in self.machine.interfaces() if i.mac == mac and i.addresses]
        return found[0] if len(found) == 1 else None

    def _near(self) -> list[Interface]:
        """All interfaces of the tapped one's and its peer's namespaces, and the other ends of their veth pairs."""
        namespaces = [i.namespace.inode for i in (self.tapped, self.peer) if i]
        ports = [i for i in self.machine.interfaces() if i.namespace.inode in namespaces]
        peers = [peer for i in ports if (peer := self.machine.peer_of(i))]
        return [*ports, *peers]

    def hops(self, ends: Iterable[Interface]) -> list[LossyHop]:
        """Return what may have lost the metadata on the path between *ends* and the tap, the surest first."""
        ends = list(ends)
        path = {i.key: i for i in self._path(ends)}
        namespaces = {i.namespace.inode for i in path.values()}
        near = [i for i in self.machine.interfaces() if i.namespace.inode in namespaces]
        processes = [
            LossyHop(HOP_KINDS[hop.kind], hop.ports, hop.program, hop.pid, hop.database)
            for hop in find_userspace_hops(near)
            if hop.keeps_metadata is not True and any(port.key in path for port in hop.ports)
        ]
        programs = _programs([i for key, i in path.items() if key not in {end.key for end in ends}])
        taps = [self.blind_tap(i) for i in path.values() if i.is_blind_tap]
        return [*processes, *programs, *taps]

    @staticmethod
    def blind_tap(tap: Interface) -> LossyHop:
        """A TUN or TAP that cannot tell its program what is partial, and that program."""
        pid = tap.tun.pids[0] if tap.tun and tap.tun.pids else 0
        return LossyHop(HopKind.TAP, (tap,), program_of(pid) if pid else "", pid)

    @property
    def at_second_tap(self) -> HostContext:
        """The same machine, seen from the second tap."""
        if self.behind is None:
            return self
        return HostContext(self._before, self.machine, self.behind.name, self.behind.namespace)

    @staticmethod
    def writer(tap: Interface | None) -> list[LossyHop]:
        """The program that writes what arrives from this TUN or TAP: a guest's hypervisor, a VPN."""
        if tap is None or tap.tun is None or not tap.tun.pids:
            return []
        return [LossyHop(HopKind.WRITER, (tap,), program_of(tap.tun.pids[0]), tap.tun.pids[0])]

    def set_up(self, ends: Iterable[Interface]) -> list[Fact]:
        """Say which switches and tunnels the path between *ends* and the tap goes through."""
        ends = list(ends)
        path = {i.key: i for i in self._path(ends)}.values()
        ports = [PortOf(i) for i in path if i.master]
        homes = {end.namespace.inode for end in ends}
        tunnels = [
            TunnelDevice(i, has_sums=bool(i.tunnel["udpcsum"]))
            for i in self.machine.interfaces()
            if i.namespace.inode in homes and i.tunnel and "udpcsum" in i.tunnel
        ]
        return [*ports, *tunnels]

    def _path(self, ends: Iterable[Interface]) -> Iterator[Interface]:
        """The tapped interface, the ends, and the other ends of their veth pairs."""
        for end in filter(None, [self.tapped, *ends]):
            yield end
            peer = self.machine.peer_of(end)
            if peer is not None:
                yield peer

    def rising(self) -> list[Rising]:
        """Return the checksum error counters that rose while watching, per namespace near the tap."""
        before = {each.namespace.inode: each.counters for each in self._before.namespaces}
        near = {i.namespace.inode for i in self._near()}
        found = []
        for each in self.machine.namespaces:
            earlier = before.get(each.namespace.inode)
            if earlier is None or each.namespace.inode not in near:
                continue
            rose = {name: n - earlier.get(name, 0) for name, n in each.counters.items() if n > earlier.get(name, 0)}
            errors = checksum_errors(rose)
            if errors:
                found.append(Rising(errors, each.namespace))
        return found


def _programs(path: list[Interface]) -> list[LossyHop]:
    """Interfaces between the ends with an XDP program."""
    found = tuple(i for i in path if i.xdp)
    redirects = any((known := read_program(i.xdp_program)) and known.redirects_by for i in found)
    return [LossyHop(HopKind.PROGRAM, found, is_sure=redirects)] if found else []
