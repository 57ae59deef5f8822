"""A program of ours on a clsact hook: put as near to the front as it goes, watched, put back, taken out exactly.

Rules of this file:
1. Exactly what was put in is taken out: our filters, known by their handles, and the queueing discipline under them
   only if it was made for them and holds nothing else by then.
2. Of two filters with one preference the newer is asked first, so being put back needs a second handle, and leaves no
   moment without a filter.
3. A filter of another kind keeps its preference to itself: ours goes behind it, and says so (standing).
4. It stays when the process that put it in is killed: take_out() undoes it, from any other.

Not here: the messages to the kernel (pktmend.host.clsact), and tcx, which is asked before clsact (pktmend.host.tcx).

Source: tc-bpf(8), direct-action; Linux net/sched/cls_api.c, cls_bpf.c.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import Final, Literal, NamedTuple

from pktmend._kernel import lib
from pktmend.host import clsact

Hook = Literal["ingress", "egress"]
HOOKS: Final[dict[Hook, int]] = {"ingress": lib.TC_CLSACT_INGRESS, "egress": lib.TC_CLSACT_EGRESS}
PREFERENCE: Final = 1  # the first of all
FIRST_HANDLE: Final = 0x706B0001  # "pk"; a place takes four: two in turn, the even ones where clsact is ours as well
PLACES: Final = 2  # on one hook
OURS: Final = range(FIRST_HANDLE, FIRST_HANDLE + 4 * PLACES)
GONE: Final = (errno.ENODEV, errno.EINVAL, errno.ENOENT)  # no such interface, or no such hook


class Standing(NamedTuple):
    """What has become of something attached.

    is_attached: it is still there.
    before:      who is asked before it, and may take frames away from it: a few words each.
    """

    is_attached: bool
    before: tuple[str, ...] = ()

    @property
    def is_in_force(self) -> bool:
        """Is it asked first?"""
        return self.is_attached and not self.before


def find(index: int, hook: Hook = "ingress") -> clsact.Filter | None:
    """Return our filter on interface number *index*; None if there is none.  Needs no privilege."""
    return next((each for each in _filters(index, hook) if each.handle in OURS), None)


def standing(index: int, program: int | bytes, hook: Hook = "ingress", place: int = 0) -> Standing:
    """Return what has become of our filter of that place, as far as clsact goes; ours are not before each other.

    program: its eBPF program's id, or the classic one: a filter that has only the handle is another's.
    """
    listed = [each for each in _filters(index, hook) if each.handle and not each.chain]
    ours = [number for number, each in enumerate(listed) if each.handle in _handles(place) and each.program == program]
    at = min(ours, default=-1)
    if at < 0:
        return Standing(is_attached=False)
    others = [each for each in listed[:at] if each.handle not in OURS]
    return Standing(True, tuple(f"tc filter pref {f.preference} {f.kind} handle {f.handle:#x}" for f in others))


def put(
    index: int, program: int | bytes, hook: Hook = "ingress", *, place: int = 0, is_qdisc_ours: bool = False
) -> int:
    """Ask *program* first of all that passes the hook, and no longer the one that had its place; return its handle.

    program:       the descriptor of a loaded eBPF program, or a classic one (struct sock_filter after another).
    place:         below PLACES; ours that have another one stay.
    is_qdisc_ours: the queueing discipline that is there was made by an earlier put().
    OSError if the kernel refuses.
    """
    made_qdisc = clsact.add(index)
    try:
        listed = _filters(index, hook)
        before = [each for each in listed if each.handle in _handles(place)]
        owns = made_qdisc or is_qdisc_ours or any(owns_qdisc(each.handle) for each in listed)
        used = {each.handle for each in before}
        handle = next(each for each in _handles(place) if owns_qdisc(each) == owns and each not in used)
        preference = _first_free(listed)
        clsact.add_filter(index, program, preference=preference, handle=handle, hook=HOOKS[hook])
    except OSError:
        if made_qdisc:
            clsact.remove(index)
        raise
    for each in before:
        clsact.remove_filter(index, preference=each.preference, handle=each.handle, hook=HOOKS[hook])
    return handle


def take_out(index: int, hook: Hook = "ingress", handles: Collection[int] = OURS) -> bool:
    """Undo put(), as far as it left these handles; was there anything to undo?"""
    found = [each for each in _filters(index, hook) if each.handle in handles]
    for each in found:
        clsact.remove_filter(index, preference=each.preference, handle=each.handle, hook=HOOKS[hook])
    owns = any(owns_qdisc(each.handle) for each in found)
    if owns and not any(clsact.filters(index, each) for each in HOOKS.values()):
        clsact.remove(index)
    return bool(found)


def command_to_take_out(name: str, found: clsact.Filter) -> str:
    """Return what a person types to undo put() on the ingress of *name*."""
    if owns_qdisc(found.handle):
        return f"tc qdisc del dev {name} clsact"
    return f"tc filter del dev {name} ingress pref {found.preference} handle {found.handle:#x} bpf"


def owns_qdisc(handle: int) -> bool:
    """Does our filter of that handle say that the queueing discipline under it is ours as well?"""
    return handle in OURS and not handle % 2


def _handles(place: int) -> range:
    return range(FIRST_HANDLE + 4 * place, FIRST_HANDLE + 4 * place + 4)


def _filters(index: int, hook: Hook) -> list[clsact.Filter]:
    try:
        return clsact.filters(index, HOOKS[hook])
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def _first_free(listed: list[clsact.Filter]) -> int:
    """Return the first preference that takes a filter of ours: a preference has one kind and one protocol."""
    taken = {f.preference for f in listed if not f.chain and (f.kind, f.protocol) != ("bpf", lib.ETH_P_ALL)}
    return next(each for each in range(PREFERENCE, 1 << 16) if each not in taken)
