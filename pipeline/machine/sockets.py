"""Packet sockets and AF_XDP sockets of the calling thread's namespace, and the processes that hold them.

Source: packet(7), sock_diag(7); Linux include/uapi/linux/packet_diag.h, xdp_diag.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeline.machine.netlink import NETLINK_SOCK_DIAG, ask, attributes
from pipeline.namespaces import processes

SOCK_DIAG_BY_FAMILY: Final = 20
AF_XDP: Final = 44
SHOW_INFO: Final = 1
SHOW_RING: Final = 4
PACKET_DIAG_INFO, PACKET_DIAG_RX_RING, XDP_DIAG_INFO = 0, 2, 1
PDI_VNETHDR: Final = 8
# inode, interface index (0: all), protocol (0: it only sends), note kept or None if unknown, ring octets
Row = tuple[int, int, int, bool | None, int]


def packet_sockets() -> list[Row]:
    """Return the packet sockets; without the kernel's packet_diag what /proc/net/packet holds: no word on the note."""
    try:
        return _by_diag()
    except OSError:
        return _by_proc()


def _by_diag() -> list[Row]:
    body = struct.pack("=BBHIIII", socket.AF_PACKET, 0, 0, 0, SHOW_INFO | SHOW_RING, 0xFFFFFFFF, 0xFFFFFFFF)
    rows: list[Row] = []
    for answer in ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, body):
        _, _, protocol, inode = struct.unpack_from("=BBHI", answer)
        found = attributes(answer[16:])
        index, flags = 0, None
        if PACKET_DIAG_INFO in found:
            index, _, _, _, _, flags = struct.unpack_from("=6I", found[PACKET_DIAG_INFO])
        size, blocks = struct.unpack_from("=II", found[PACKET_DIAG_RX_RING]) if PACKET_DIAG_RX_RING in found else (0, 0)
        rows.append((inode, index, protocol, None if flags is None else bool(flags & PDI_VNETHDR), size * blocks))
    return rows


def _by_proc() -> list[Row]:
    """Columns: sk RefCnt Type Proto Iface R Rmem User Inode."""
    rows: list[Row] = []
    for line in Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]:
        fields = line.split()
        rows.append((int(fields[8]), int(fields[4]), int(fields[3], 16), None, 0))
    return rows


def xdp_sockets() -> tuple[list[tuple[int, int]], int]:
    """Return (inode, interface index) of each AF_XDP socket, and how many there are that could not be listed."""
    body = struct.pack("=BBHIIII", AF_XDP, 0, 0, 0, SHOW_INFO, 0xFFFFFFFF, 0xFFFFFFFF)
    try:
        rows = []
        for answer in ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, body):
            info = attributes(answer[16:]).get(XDP_DIAG_INFO)
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


def holders(inodes: Iterable[int]) -> tuple[dict[int, int], int]:
    """Return {socket inode: lowest process id that has it open}, and how many processes did not let us look."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, int] = {}
    unreadable = 0
    if not wanted:
        return found, unreadable
    for pid in processes():
        try:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    inode = wanted.get(str(descriptor.readlink()))
                except OSError:
                    continue  # closed meanwhile
                if inode is not None:
                    found.setdefault(inode, pid)
        except PermissionError:
            unreadable += 1
        except OSError:
            continue  # it ended
    return found, unreadable
