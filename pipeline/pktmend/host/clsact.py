"""The clsact queueing discipline of an interface and the BPF classifiers on its two hooks, by rtnetlink.

Everything is of the calling thread's namespace, and interfaces are named by their number.  Changing needs
CAP_NET_ADMIN, and the kernel sch_ingress and cls_bpf; a refusal is an OSError with the kernel's errno.

Source: tc-bpf(8); Linux net/sched/sch_ingress.c, cls_bpf.c, include/uapi/linux/pkt_cls.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from pktmend._kernel import lib
from pktmend.host.netlink import NETLINK_ROUTE, ask, attribute, attributes, number, text


class Filter(NamedTuple):
    """One filter of a hook.

    handle:  0 is the head of a classifier, no filter.    kind: "bpf", "flower", "u32", ...
    program: of a filter of kind bpf: the id of its eBPF program, or the classic one; b"" if it cannot be told.
    """

    preference: int
    handle: int
    kind: str
    protocol: int
    chain: int
    program: int | bytes = b""


def add(index: int) -> bool:
    """Put clsact on the interface; was there none before?"""
    body = _message(index, lib.TC_CLSACT_HANDLE, lib.TC_H_CLSACT) + attribute(lib.TCA_KIND, b"clsact\0")
    try:
        _do(lib.RTM_NEWQDISC, body, lib.NLM_F_CREATE | lib.NLM_F_EXCL)
    except FileExistsError:
        return False
    return True


def remove(index: int) -> bool:
    """Take clsact off the interface, and all filters with it; was it there?"""
    try:
        _do(lib.RTM_DELQDISC, _message(index, lib.TC_CLSACT_HANDLE, lib.TC_H_CLSACT))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):  # never there, or there once: "invalid handle"
            raise
        return False
    return True


def filters(index: int, hook: int) -> list[Filter]:
    """Return the filters on *hook* as they are asked, chain by chain; a classifier's head counts, with handle 0."""
    found = []
    for answer in ask(NETLINK_ROUTE, lib.RTM_GETTFILTER, _message(index, 0, hook)):
        _, _, handle, _, info = struct.unpack_from("=BxxxiIII", answer)
        of = attributes(answer[20:])
        kind, chain = text(of.get(lib.TCA_KIND)), number(of.get(lib.TCA_CHAIN))
        options = attributes(of.get(lib.TCA_OPTIONS, b"")) if kind == "bpf" else {}
        program = number(options.get(lib.TCA_BPF_ID)) or options.get(lib.TCA_BPF_OPS, b"")
        found.append(Filter(info >> 16, handle, kind, socket.ntohs(info & 0xFFFF), chain, program))
    return found


def add_filter(
    index: int, program: int | bytes, *, preference: int, handle: int = 0, hook: int = lib.TC_CLSACT_INGRESS
) -> None:
    """Let a program judge what passes a hook of the interface: what it returns is what becomes of the frame.

    Of two with one preference the newer is asked first.
    program: the descriptor of a loaded eBPF program, or a classic one (struct sock_filter after struct sock_filter).
    handle:  to find it by; 0 lets the kernel choose.
    """
    if isinstance(program, int):
        options = attribute(lib.TCA_BPF_FD, struct.pack("=I", program)) + attribute(lib.TCA_BPF_NAME, b"pktmend\0")
    else:
        count = struct.pack("=H", len(program) // 8)
        options = attribute(lib.TCA_BPF_OPS_LEN, count) + attribute(lib.TCA_BPF_OPS, program)
    options += attribute(lib.TCA_BPF_FLAGS, struct.pack("=I", lib.TCA_BPF_FLAG_ACT_DIRECT))
    body = _filter(index, hook, handle, preference) + attribute(lib.TCA_OPTIONS, options)
    _do(lib.RTM_NEWTFILTER, body, lib.NLM_F_CREATE | lib.NLM_F_EXCL)


def remove_filter(index: int, *, preference: int, handle: int, hook: int = lib.TC_CLSACT_INGRESS) -> None:
    """Take one filter off a hook of the interface."""
    _do(lib.RTM_DELTFILTER, _filter(index, hook, handle, preference))


def _filter(index: int, hook: int, handle: int, preference: int) -> bytes:
    info = preference << 16 | socket.htons(lib.ETH_P_ALL)
    return _message(index, handle, hook, info) + attribute(lib.TCA_KIND, b"bpf\0")


def _message(index: int, handle: int, parent: int, info: int = 0) -> bytes:
    """Return struct tcmsg."""
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, handle, parent, info)


def _do(kind: int, body: bytes, flags: int = 0) -> None:
    list(ask(NETLINK_ROUTE, kind, body, flags | lib.NLM_F_ACK))
