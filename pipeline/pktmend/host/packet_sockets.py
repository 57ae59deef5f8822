"""Packet sockets and AF_XDP sockets of the calling thread's namespace, and the processes that hold them.

Source: packet(7), sock_diag(7); Linux include/uapi/linux/packet_diag.h, xdp_diag.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pktmend._kernel import lib
from pktmend.host.netlink import NETLINK_SOCK_DIAG, ask, attributes
from pktmend.host.processes import processes

TUN_DEVICE: Final = "/dev/net/tun"


class PacketSocket(NamedTuple):
    """One packet socket.

    interface:  index of the one it is bound to, 0 for all.     protocol: EtherType it asks for, 0 if it only sends.
    keeps_metadata: PACKET_VNET_HDR is set.     has_filter: a classic BPF filter is attached.     None: unknown.
    """

    inode: int
    interface: int
    protocol: int
    keeps_metadata: bool | None
    has_filter: bool | None


def packet_sockets() -> list[PacketSocket]:
    """Return the packet sockets; without the kernel's packet_diag what /proc/net/packet holds."""
    try:
        return _by_diag()
    except OSError:
        return _by_proc()


def _by_diag() -> list[PacketSocket]:
    body = struct.pack(
        "=BBHIIII", socket.AF_PACKET, 0, 0, 0, lib.PACKET_SHOW_INFO | lib.PACKET_SHOW_FILTER, 0xFFFFFFFF, 0xFFFFFFFF
    )
    found = []
    for answer in ask(NETLINK_SOCK_DIAG, lib.SOCK_DIAG_BY_FAMILY, body):
        _, _, protocol, inode = struct.unpack_from("=BBHI", answer)
        parts = attributes(answer[16:])
        index, _, _, _, _, flags = struct.unpack_from("=6I", parts[lib.PACKET_DIAG_INFO])
        filter = parts.get(lib.PACKET_DIAG_FILTER)  # empty: we may not see it
        found.append(
            PacketSocket(
                inode, index, protocol, bool(flags & lib.PDI_VNETHDR), None if filter == b"" else filter is not None
            )
        )
    return found


def _by_proc() -> list[PacketSocket]:
    """Columns: sk RefCnt Type Proto Iface R Rmem User Inode."""
    found = []
    for line in Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]:
        fields = line.split()
        found.append(PacketSocket(int(fields[8]), int(fields[4]), int(fields[3], 16), None, None))
    return found


def xdp_sockets() -> tuple[list[tuple[int, int]], int]:
    """Return (inode, interface index) of each AF_XDP socket, and how many there are that could not be listed."""
    body = struct.pack("=BBHIIII", lib.AF_XDP, 0, 0, 0, lib.XDP_SHOW_INFO, 0xFFFFFFFF, 0xFFFFFFFF)
    try:
        rows = []
        for answer in ask(NETLINK_SOCK_DIAG, lib.SOCK_DIAG_BY_FAMILY, body):
            info = attributes(answer[16:]).get(lib.XDP_DIAG_INFO)
            if info is not None:
                rows.append((struct.unpack_from("=BBHI", answer)[3], struct.unpack_from("=I", info)[0]))
        return rows, 0
    except OSError:
        return [], _xdp_count()


def _xdp_count() -> int:
    """Return the `sockets` column of /proc/net/protocols' line XDP."""
    for line in Path("/proc/thread-self/net/protocols").read_text().splitlines():
        fields = line.split()
        if fields and fields[0] == "XDP":
            return int(fields[2])
    return 0


@dataclass(frozen=True)
class Holders:
    """Return {socket inode: process}, {TUN/TAP name: processes}, and how many processes could not be read."""

    sockets: dict[int, int]
    taps: dict[str, list[int]]
    unreadable: int


def holders(inodes: Iterable[int], *, taps: bool) -> Holders:
    """Look through the open files of all processes for these sockets, and for TUN and TAP devices if *taps*."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    sockets: dict[int, int] = {}
    devices: dict[str, list[int]] = {}
    unreadable = 0
    for pid in processes() if wanted or taps else ():
        try:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    target = str(descriptor.readlink())
                    if target in wanted:
                        sockets.setdefault(wanted[target], pid)
                    elif taps and target == TUN_DEVICE and (name := _tap_name(pid, descriptor.name)):
                        devices.setdefault(name, []).append(pid)
                except OSError:
                    continue  # closed meanwhile
        except PermissionError:
            unreadable += 1
        except OSError:
            continue  # it ended
    return Holders(sockets, devices, unreadable)


def _tap_name(pid: int, descriptor: str) -> str:
    """Return the interface that a descriptor of /dev/net/tun is attached to; empty if to none."""
    for line in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines():
        word, _, value = line.partition(":")
        if word == "iff":
            return value.strip()
    return ""
