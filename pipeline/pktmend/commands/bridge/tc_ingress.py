"""A tc ingress drop: the host stack gets nothing of what arrives on an interface, packet sockets get all of it.

Rules of this file:
1. Taps run before tc, so a bridge reads every frame; nothing else of the host does.
2. Exactly what was put in is taken out: one filter, known by its handle, and the queueing discipline under it only if
   it was made for the filter and holds nothing else by then.
3. Netlink and classic BPF: no program and no kernel module beyond sch_ingress and cls_bpf.  Needs CAP_NET_ADMIN.

Source: tc-bpf(8) (direct-action); Linux net/sched/cls_bpf.c, sch_ingress.c, include/uapi/linux/pkt_cls.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

from pktmend.host.netlink import NETLINK_ROUTE, ask, attribute

RTM_NEWQDISC, RTM_DELQDISC = 36, 37
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 0x4, 0x200, 0x400
CLSACT, CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3  # the two hooks of clsact
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_BPF_OPS_LEN, TCA_BPF_OPS, TCA_BPF_FLAGS = 4, 5, 8
ACT_DIRECT: Final = 1  # what the program returns is what becomes of the frame
DROP: Final = struct.pack("=HBBI", 0x06, 0, 0, 2)  # BPF_RET | BPF_K, TC_ACT_SHOT
PREFERENCE: Final = 1  # the first of all
HANDLE: Final = 0x706B0001  # "pk"; and where the queueing discipline is ours as well:
HANDLE_AND_QDISC: Final = 0x706B0002
ETH_P_ALL: Final = 3


def _message(index: int, handle: int, parent: int, info: int = 0) -> bytes:
    """Return struct tcmsg."""
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, handle, parent, info)


def _do(kind: int, body: bytes, flags: int = 0) -> None:
    list(ask(NETLINK_ROUTE, kind, body, flags | NLM_F_ACK))


def _filters(index: int, hook: int) -> list[tuple[int, int]]:
    """Return (preference, handle) of the filters on *hook*; a classifier's head counts, with handle 0."""
    found = []
    for answer in ask(NETLINK_ROUTE, RTM_GETTFILTER, _message(index, 0, hook)):
        _, _, handle, _, info = struct.unpack_from("=BxxxiIII", answer)
        found.append((info >> 16, handle))
    return found


def find(index: int) -> int:
    """Return the handle of our filter on interface number *index*, 0 if it is not there.  Needs no privilege."""
    try:
        handles = [handle for _, handle in _filters(index, INGRESS)]
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EINVAL, errno.ENOENT):
            return 0  # no such interface, or no ingress hook
        raise
    return next((handle for handle in handles if handle in (HANDLE, HANDLE_AND_QDISC)), 0)


def put(index: int) -> None:
    """Drop what arrives on interface number *index*; nothing if that is so already.  OSError if the kernel refuses."""
    if find(index):
        return
    made_qdisc = True
    try:
        _do(
            RTM_NEWQDISC,
            _message(index, CLSACT_HANDLE, CLSACT) + attribute(TCA_KIND, b"clsact\0"),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    except FileExistsError:
        made_qdisc = False
    options = attribute(TCA_BPF_OPS_LEN, struct.pack("=H", 1)) + attribute(TCA_BPF_OPS, DROP)
    options += attribute(TCA_BPF_FLAGS, struct.pack("=I", ACT_DIRECT))
    head = _message(index, HANDLE_AND_QDISC if made_qdisc else HANDLE, INGRESS, _info())
    try:
        _do(
            RTM_NEWTFILTER,
            head + attribute(TCA_KIND, b"bpf\0") + attribute(TCA_OPTIONS, options),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    except OSError:
        if made_qdisc:
            _remove_qdisc(index)
        raise


def take_out(index: int) -> bool:
    """Undo put(); was there anything to undo?"""
    handle = find(index)
    if not handle:
        return False
    _do(RTM_DELTFILTER, _message(index, handle, INGRESS, _info()) + attribute(TCA_KIND, b"bpf\0"))
    if handle == HANDLE_AND_QDISC and not _filters(index, INGRESS) and not _filters(index, EGRESS):
        _remove_qdisc(index)
    return True


def command_to_take_out(name: str, handle: int) -> str:
    """Return what a person types to undo put()."""
    if handle == HANDLE_AND_QDISC:
        return f"tc qdisc del dev {name} clsact"
    return f"tc filter del dev {name} ingress pref {PREFERENCE} handle {handle:#x} bpf"


def _info() -> int:
    return PREFERENCE << 16 | socket.htons(ETH_P_ALL)


def _remove_qdisc(index: int) -> None:
    _do(RTM_DELQDISC, _message(index, CLSACT_HANDLE, CLSACT))
