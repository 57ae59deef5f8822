"""Userspace hops: who forwards frames between interfaces by packet or AF_XDP sockets, and what gets lost there.

A frame that leaves a veth, TAP or virtio device usually has an unfinished checksum and a note beside it that says so.
A hop that copies octets loses the note; then nobody finishes the sum and the receiver drops the packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Final

from pktmend.commands.doctor.counter_rise import Rise
from pktmend.commands.doctor.finding import TX_OFF_COST, Finding, Remedy, Severity, names, own_addresses, place, tx_off
from pktmend.commands.doctor.ovs import Switch, unit_of
from pktmend.host.bpf_info import read_program
from pktmend.host.model import Interface, Machine, Reader

# Programs that forward (as /proc/PID/comm has them, cut to 15 characters); others are recognised by what they hold.
SWITCHES: Final = {
    "ovs-vswitchd",
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
SENDERS_FINISH: Final = "the sender's CPU finishes the checksum before the frame reaches the hop"


@dataclass(frozen=True)
class Hop:
    """One process that forwards between *ports*.

    keeps_note: all its sockets carry the virtio-net header; None if the kernel does not tell.
    is_sure:    it can only be there to forward: a known switch, or its ports have no addresses and no bridge.
    switch:     what Open vSwitch says of itself, if it is that and could be asked.
    """

    pid: int
    program: str
    ports: tuple[Interface, ...]
    keeps_note: bool | None
    is_sure: bool
    switch: Switch | None = None

    @property
    def title(self) -> str:
        """Its name for people."""
        if self.program == "ovs-vswitchd":
            return f"Open vSwitch's userspace datapath (ovs-vswitchd, pid {self.pid})"
        return f"{self.program or 'a process'} (pid {self.pid})"


@dataclass(frozen=True)
class View:
    """What the checks look at: the machine, its hops, its Open vSwitches, and what its counters rose by meanwhile."""

    machine: Machine
    hops: tuple[Hop, ...]
    switches: tuple[Switch, ...]
    rise: Rise


def find_hops(machine: Machine, switches: tuple[Switch, ...]) -> tuple[Hop, ...]:
    """Return the processes that forward: known switches, and who takes every frame of two interfaces or more."""
    held: dict[int, list[tuple[Interface, Reader]]] = {}
    senders = set()
    for interface in machine.interfaces():
        for reader in interface.readers:
            if reader.pid and not reader.any_interface:
                if reader.receives_all:
                    held.setdefault(reader.pid, []).append((interface, reader))
                elif not reader.receives:
                    senders.add(reader.pid)
    found = []
    for pid, pairs in held.items():
        program = pairs[0][1].program
        ports = tuple({(i.namespace.inode, i.index): i for i, _ in pairs}.values())
        notes = {r.keeps_note for _, r in pairs}
        keeps = True if notes == {True} else None if notes <= {None, True} else False
        is_known = program in SWITCHES
        several = len(ports) > 1 and program not in WATCHERS and all(r.has_filter is not True for _, r in pairs)
        # What keeps the note may be our own monitor; a bridge has sockets that only send.
        if is_known or (several and (keeps is not True or pid in senders)):
            switch = next((s for s in switches if s.pid == pid), None)
            is_sure = is_known or all(not own_addresses(p) and not p.master for p in ports)
            found.append(Hop(pid, program, ports, keeps, is_sure, switch))
    return tuple(found)


def lost_notes(view: View) -> Iterator[Finding]:
    """Hops that lose the note while somebody who sends through them leaves checksums unfinished."""
    for hop in view.hops:
        if hop.keeps_note:
            continue
        ends = [(port, view.machine.peer_of(port)) for port in hop.ports]
        senders = [end for _, end in ends if end is not None and end.leaves_checksums]
        guests = [port for port, _ in ends if _has_guest(port, hop)]
        hidden = [port for port, end in ends if port.kind == "veth" and end is None]
        if senders or guests:
            is_sure = hop.is_sure and hop.keeps_note is False
            yield _loses(view, hop, senders, guests, Severity.PROBLEM if is_sure else Severity.WARNING)
        elif hidden:
            yield Finding(
                "userspace-hop-unseen",
                Severity.WARNING,
                f"{hop.title} forwards {names(hop.ports)}; who sends through it could not be looked at",
                "If the other ends leave checksums to offload, their TCP and UDP dies here.",
                tuple(f"the other end of {place(port)} is in a namespace that could not be read" for port in hidden),
                (Remedy("sudo pktmend doctor", "looks into every namespace"),),
                hop.ports,
            )
        else:
            yield Finding(
                "userspace-hop-finished",
                Severity.INFO,
                f"{hop.title} forwards {names(hop.ports)}; who sends through it finishes checksums itself",
                "It loses the kernel's note on unfinished checksums, and there is none to lose.",
                interfaces=hop.ports,
            )


def _has_guest(port: Interface, hop: Hop) -> bool:
    """A TAP with the header, held by another process: a guest may leave checksums unfinished."""
    return bool(port.tun and port.tun.is_tap and port.tun.vnet_hdr and hop.pid not in port.tun.pids)


def _loses(view: View, hop: Hop, senders: list[Interface], guests: list[Interface], severity: Severity) -> Finding:
    evidence = [
        f"its sockets lack PACKET_VNET_HDR on {names(hop.ports)}"
        if hop.keeps_note is False
        else f"it reads {names(hop.ports)}; whether it keeps the note this kernel does not tell"
    ]
    for end in senders:
        segments = ", tso on: frames of up to 64 KiB" if end.makes_super_frames else ""
        evidence.append(f"{place(end)} sends through it: tx checksum offload on{segments}")
    tunnels = [
        t
        for end in senders
        for t in view.machine.interfaces()
        if t.tunnel is not None and t.lower == end.name and t.namespace.inode == end.namespace.inode
    ]
    evidence += [f"{place(t)} is a tunnel over {t.lower}: its inner checksums leak too" for t in tunnels]
    evidence += [f"{place(port)} is a TAP with the virtio-net header: its guest may leave checksums" for port in guests]
    evidence += [
        f"rx is off on {place(i)}: that does not help, the sender decides"
        for port in hop.ports
        for i in (port, view.machine.peer_of(port))
        if i and i.kind == "veth" and not i.has("rx-checksum")
    ]
    remedies = [tx_off(end, SENDERS_FINISH) for end in senders]
    remedies += [
        Remedy(
            "",
            f"in the guest behind {port.name}, `ethtool -K eth0 tx off` with its interface's name, or "
            f"for good in its definition <driver><host csum='off' .../></driver>: {SENDERS_FINISH}",
            TX_OFF_COST,
        )
        for port in guests
    ]
    if hop.program == "ovs-vswitchd":
        remedies.append(_ovs_tso(hop))
    leaky = [port for port in hop.ports if view.machine.peer_of(port) in senders or port in guests]
    remedies += _bridges(view, hop, leaky)
    return Finding(
        "userspace-hop",
        severity,
        f"{hop.title} {'forwards' if hop.is_sure else 'may forward'} {names(hop.ports)} and loses the kernel's note on "
        "unfinished checksums",
        "What is sent through it arrives with a checksum that nobody will finish: the receiver drops TCP and UDP and "
        "counts InCsumErrors, while ping works.",
        tuple(evidence),
        tuple(remedies),
        (*hop.ports, *senders),
        reference="docs/doctor.md; Open vSwitch: Documentation/topics/userspace-tso.rst",
    )


def _bridges(view: View, hop: Hop, ports: list[Interface]) -> Iterator[Remedy]:
    """Put `pktmend bridge` between the hop and each of *ports*, by veth pairs that take the ports' places.

    One bridge completes what leaves the hop leaked, wherever it came from.  But what is above the MTU has to be split
    before the hop, which would drop it, so each end that leaves such frames needs one of its own.
    """
    taken: dict[int, set[str]] = {}
    for port in ports:
        spot = view.machine.place_of(port.namespace)
        used = taken.setdefault(port.namespace.inode, {i.name for i in spot.interfaces} if spot else set())
        number = next(n for n in ("", *map(str, range(2, len(used) + 3))) if not {f"to-hop{n}", f"at-hop{n}"} & used)
        ours, its, name = f"to-hop{number}", f"at-hop{number}", quote(port.name)
        used |= {ours, its}
        lines = [
            port.command(words)
            for words in (
                f"ip link add {ours} mtu {port.mtu} type veth peer name {its} mtu {port.mtu}",
                f"ip link set dev {ours} up",
                f"ip link set dev {its} up",
            )
        ]
        then = f"Then give {its} to {hop.program or 'the process'} in {port.name}'s place, as its port: the bridge"
        if hop.switch is not None:
            ask = f"ovs-vsctl --db={hop.switch.database}"
            lines.append(f'{ask} add-port "$({ask} port-to-br {name})" {its} -- del-port {name}')
            then = "The bridge"
        lines.append(port.command(f"pktmend bridge -i {ours} -I {name} --finish {ours}"))
        scope = f". This one is for {port.name}: each of these ports needs its own" if len(ports) > 1 else ""
        yield Remedy(
            "\n".join(lines),
            f"{then} finishes and splits what goes to the hop and completes what comes "
            f"leaked, offloads stay as they are{scope}",
            "pktmend must keep running",
        )


def _ovs_tso(hop: Hop) -> Remedy:
    database = f" --db={hop.switch.database}" if hop.switch else ""
    return Remedy(
        f"ovs-vsctl{database} set Open_vSwitch . other_config:userspace-tso-enable=true",
        "then restart ovs-vswitchd: its sockets keep the note, checksums and segments stay whole",
        "the restart interrupts traffic; Open vSwitch calls it experimental",
    )


def ovs_datapaths(view: View) -> Iterator[Finding]:
    """Userspace datapaths of Open vSwitch, and a TSO option that is set but not in effect."""
    for switch in view.switches:
        bridges = [name for name, kind in switch.bridges.items() if kind == "netdev"]
        hop = next((h for h in view.hops if h.pid == switch.pid), None)
        if not bridges:
            continue
        if switch.tso and hop is not None and hop.keeps_note is False:
            yield Finding(
                "ovs-tso-pending",
                Severity.WARNING,
                f"Open vSwitch (pid {switch.pid}) has userspace-tso-enable set, but its sockets do not keep the note",
                "The option is read when ovs-vswitchd starts.",
                (f"bridges with datapath_type=netdev: {', '.join(bridges)}",),
                (_restart(switch),),
                hop.ports,
            )
        elif hop is None or hop.keeps_note:
            state = "on" if switch.tso else "off"
            yield Finding(
                "ovs-userspace",
                Severity.INFO,
                f"Open vSwitch (pid {switch.pid}) has a userspace datapath: "
                f"{', '.join(bridges)}; userspace-tso-enable is {state}",
                "Its ports keep the note on unfinished checksums only with that option."
                if not switch.tso
                else "Its ports keep the note on unfinished checksums.",
                interfaces=hop.ports if hop else (),
            )


def _restart(switch: Switch) -> Remedy:
    unit = unit_of(switch.pid)
    effect = (
        "the option takes effect"
        if unit
        else (f"restart ovs-vswitchd (pid {switch.pid}) the way it was started: the option takes effect")
    )
    return Remedy(f"systemctl restart {unit}" if unit else "", effect, "interrupts traffic")


def taps(view: View) -> Iterator[Finding]:
    """TAPs whose program takes unfinished checksums but has no header to carry the note (TUN_F_CSUM, no header)."""
    for interface in view.machine.interfaces():
        tun = interface.tun
        if tun is None or tun.vnet_hdr is not False or not interface.leaves_checksums:
            continue
        holder = f"process {', '.join(map(str, tun.pids))}" if tun.pids else "a program"
        yield Finding(
            "tap-without-vnet-header",
            Severity.PROBLEM,
            f"{holder} took checksum offload (TUN_F_CSUM) on {place(interface)} without the virtio-net header",
            "The host leaves checksums unfinished and has no way to say so: what the program reads is wrong, and who "
            "gets it in the end drops it.",
            (f"ethtool -k {interface.name}: tx-checksum-ip-generic on", "IFF_VNET_HDR is not set"),
            (
                tx_off(interface, "the host finishes the checksum before the program reads the frame"),
                Remedy(
                    "", "or in the program itself: open the TAP with IFF_VNET_HDR, or without TUNSETOFFLOAD(TUN_F_CSUM)"
                ),
            ),
            (interface,),
            reference="Linux Documentation/networking/tuntap.rst",
        )


def xdp(view: View) -> Iterator[Finding]:
    """XDP on an interface whose other end leaves work to offloads, which a redirected frame does not get.

    Native mode and AF_XDP lose the note on the checksum.  Generic mode keeps it, but drops a redirected super-frame.
    """
    machine = view.machine
    for interface in machine.interfaces():
        end = machine.peer_of(interface)
        if not interface.xdp or end is None or not end.leaves_checksums:
            continue
        program = read_program(interface.xdp_program)
        spot = machine.place_of(interface.namespace)
        redirects = list(program.redirects_by) if program else []
        if any(r.kind == "xdp" for r in interface.readers) or (
            spot and spot.hidden_xdp_sockets and "xskmap" in redirects
        ):
            redirects.append("AF_XDP socket")
        title = f"XDP program {program.name or interface.xdp_program}" if program else "an XDP program"
        title = f"{title} on {place(interface)} {'redirects' if redirects else 'may redirect'} frames"
        evidence = (
            f"{interface.xdp} mode, program id {interface.xdp_program}",
            *(f"it redirects by a {kind}" for kind in redirects),
            f"{place(end)}: tx checksum offload on",
        )
        severity = Severity.PROBLEM if redirects else Severity.WARNING
        if interface.xdp != "generic" or {"xskmap", "AF_XDP socket"} & set(redirects):
            yield Finding(
                "xdp-hop",
                severity,
                f"{title} that {place(end)} sends with unfinished checksums",
                "XDP has no place for the kernel's note: a redirected frame goes on with a checksum that nobody will "
                "finish. XDP_PASS keeps it.",
                evidence,
                (tx_off(end, "the sender's CPU finishes the checksum before XDP sees the frame"),),
                (interface, end),
                reference="Linux Documentation/networking/checksum-offloads.rst",
            )
        elif end.makes_super_frames:
            yield Finding(
                "xdp-super-frames",
                severity,
                f"{title} that {place(end)} sends above the MTU",
                "Generic XDP keeps the note on the checksum, but drops a redirected frame that is above the MTU: "
                "connections open, and then data stops.",
                (*evidence, f"{place(end)}: tso on"),
                (
                    Remedy(
                        end.command(f"ethtool -K {quote(end.name)} tso off gso off"),
                        "the sender cuts segments itself",
                        "more CPU for each octet sent",
                    ),
                ),
                (interface, end),
            )
