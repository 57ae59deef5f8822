"""A tc ingress drop: the host stack gets nothing of what arrives on an interface, packet sockets get all of it.

Rules of this file:
1. Taps run before tc, so a bridge reads every frame; nothing else of the host does.
2. Exactly what was put in is taken out: one filter, known by its handle, and the queueing discipline under it only if
   it was made for the filter and holds nothing else by then.
3. The filter is one instruction of classic BPF: nothing is loaded with bpf(2).  Needs CAP_NET_ADMIN.

Not here: the messages to the kernel (pktmend.host.clsact).

Source: tc-bpf(8), direct-action.
"""

from __future__ import annotations

import errno
from typing import Final

from pktmend._kernel import lib
from pktmend.host import clsact
from pktmend.host.bpf_asm import encode, ret

DROP: Final = encode([ret(lib.TC_ACT_SHOT)])
PREFERENCE: Final = 1  # the first of all
HANDLE: Final = 0x706B0001  # "pk"; and where the queueing discipline is ours as well:
HANDLE_AND_QDISC: Final = 0x706B0002


def find(index: int) -> int:
    """Return the handle of our filter on interface number *index*, 0 if it is not there.  Needs no privilege."""
    try:
        handles = [handle for _, handle in clsact.filters(index, lib.TC_CLSACT_INGRESS)]
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EINVAL, errno.ENOENT):
            return 0  # no such interface, or no ingress hook
        raise
    return next((handle for handle in handles if handle in (HANDLE, HANDLE_AND_QDISC)), 0)


def put(index: int) -> None:
    """Drop what arrives on interface number *index*; nothing if that is so already.  OSError if the kernel refuses."""
    if find(index):
        return
    made_qdisc = clsact.add(index)
    try:
        clsact.add_filter(index, DROP, preference=PREFERENCE, handle=HANDLE_AND_QDISC if made_qdisc else HANDLE)
    except OSError:
        if made_qdisc:
            clsact.remove(index)
        raise


def take_out(index: int) -> bool:
    """Undo put(); was there anything to undo?"""
    handle = find(index)
    if not handle:
        return False
    clsact.remove_filter(index, preference=PREFERENCE, handle=handle)
    hooks = (lib.TC_CLSACT_INGRESS, lib.TC_CLSACT_EGRESS)
    if handle == HANDLE_AND_QDISC and not any(clsact.filters(index, hook) for hook in hooks):
        clsact.remove(index)
    return True


def command_to_take_out(name: str, handle: int) -> str:
    """Return what a person types to undo put()."""
    if handle == HANDLE_AND_QDISC:
        return f"tc qdisc del dev {name} clsact"
    return f"tc filter del dev {name} ingress pref {PREFERENCE} handle {handle:#x} bpf"
