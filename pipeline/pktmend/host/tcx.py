"""Attach a program to what passes an interface, before everything else, and keep it there: tcx, or clsact below that.

tcx (Linux 6.6) is asked before clsact and has an order of its own; what is attached is a link, which goes with its last
descriptor, so nothing stays behind a process that is killed.  An older kernel, or one that refuses bpf(2), has clsact.

    with attach(index, "ingress", program) as attachment:
        if not attachment.is_in_force():
            attachment.put_back()

Rules of this file:
1. attach() puts the program first.  Others can put theirs before it later, or take ours away: nothing tells, ask.
2. The kernel takes a program only once for each hook, and waits for every CPU when one is detached.  To be put back
   without a moment without takes a *spare*: the same, loaded once more; or, for some microseconds, a *filler*.
3. Interfaces are numbers of the calling thread's namespace.  One that is made again needs another attach().

Needs CAP_NET_ADMIN, and for tcx that of the first user namespace.  Loading programs is the caller's.

Source: Linux kernel/bpf/tcx.c, mprog.c, include/uapi/linux/bpf.h (BPF_LINK_CREATE, BPF_PROG_QUERY).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from contextlib import suppress
from typing import Final, Protocol, Self

from pktmend._kernel import lib
from pktmend.host import tc_filter
from pktmend.host.bpf_info import bpf, first_facts
from pktmend.host.tc_filter import GONE, Hook, Standing

ATTACH_TYPES: Final[dict[Hook, int]] = {"ingress": lib.BPF_TCX_INGRESS, "egress": lib.BPF_TCX_EGRESS}
MOST: Final = 64  # programs on one hook (BPF_MPROG_MAX), and one more than it takes
UNSUPPORTED: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES)


class Attachment(Protocol):
    """A program on a hook.

    index:     of the interface.
    mechanism: "tcx" or "clsact".
    words:     as the standing of others names it.
    link:      the descriptor that keeps it there; -1 with clsact, where it stays by itself.
    """

    index: int
    mechanism: str

    @property
    def link(self) -> int: ...

    @property
    def words(self) -> str: ...

    def standing(self) -> Standing:
        """Return whether it is still there, and who is asked before it."""

    def is_in_force(self) -> bool:
        """Is it still there, and asked first?"""

    def put_back(self, behind: Attachment | None = None) -> None:
        """Put it first again, wherever it is, or right behind another of ours that is first.

        OSError if the kernel refuses; then it may be gone.
        """

    def close(self) -> None:
        """Take it out.  Idempotent; nothing happens if the interface is gone."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def attach(index: int, hook: Hook, program: int, *, spare: int = -1, filler: int = -1, place: int = 0) -> Attachment:
    """Ask *program* first of all that passes *hook* of interface number *index*.

    program, spare: descriptors of loaded SCHED_CLS programs; the caller may close them afterwards.
    filler:         one that does nothing (TC_ACT_UNSPEC), where there is no spare.
    place:          another one (below tc_filter.PLACES) for each that is to be on the same hook.
    OSError if the kernel refuses.
    """
    if is_supported(index):
        return Tcx(index, hook, program, spare, filler)
    return Clsact(index, hook, program, place)


def is_supported(index: int) -> bool:
    """Has the kernel tcx, and may we use it?"""
    try:
        query(index, "ingress")
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        raise
    return True


def query(index: int, hook: Hook) -> list[tuple[int, int]]:
    """Return (program's id, link's id) of what is attached by tcx, the first first; without a link its id is 0."""
    programs, links = (ctypes.c_uint32 * MOST)(), (ctypes.c_uint32 * MOST)()
    request = struct.pack(
        "=IIIIQIIQQQQ",
        index,
        ATTACH_TYPES[hook],
        *(0, 0),
        ctypes.addressof(programs),
        *(MOST, 0, 0),
        ctypes.addressof(links),
        *(0, 0),
    )
    answer = ctypes.create_string_buffer(request, len(request))
    try:
        bpf(lib.BPF_PROG_QUERY, answer)
    except FileNotFoundError:  # a hook that nothing has been on
        return []
    (count,) = struct.unpack_from("=I", answer, 24)
    return list(zip(programs[:count], links[:count], strict=True))


class Tcx:
    """By a link of tcx."""

    mechanism = "tcx"

    def __init__(self, index: int, hook: Hook, program: int, spare: int = -1, filler: int = -1) -> None:
        self.index = index
        self.link = -1
        self._filler = os.dup(filler) if filler >= 0 else -1
        self._hook: Hook = hook
        self._identity = 0, 0  # of the program and of the link
        self.words = ""
        self._programs = [os.dup(each) for each in (program, spare) if each >= 0]
        try:
            self._create()
        except OSError:
            self.close()
            raise

    def _create(self, behind: int = -1) -> None:
        """Attach the first of the programs, which is the last then."""
        flags = lib.BPF_F_BEFORE if behind < 0 else lib.BPF_F_AFTER | lib.BPF_F_LINK
        where = self.index, ATTACH_TYPES[self._hook], flags, max(behind, 0)
        link = bpf(lib.BPF_LINK_CREATE, struct.pack("=8I", self._programs[0], *where, 0, 0, 0))
        old, self.link = self.link, link
        self._identity = _identity_of(link)
        (self.words,) = _words([self._identity])
        self._programs.append(self._programs.pop(0))
        _detach(old)

    def standing(self) -> Standing:
        """As Attachment says."""
        try:
            listed = query(self.index, self._hook)
        except OSError as error:
            if error.errno not in GONE:
                raise
            listed = []
        if self.link < 0 or self._identity not in listed:
            return Standing(is_attached=False)
        return Standing(True, _words(listed[: listed.index(self._identity)]))

    def is_in_force(self) -> bool:
        """As Attachment says."""
        return self.standing().is_in_force

    def put_back(self, behind: Attachment | None = None) -> None:
        """As Attachment says."""
        where = behind.link if behind else -1
        if len(self._programs) > 1:
            try:
                return self._create(where)
            except OSError as error:
                if error.errno != errno.ERANGE:  # no room for one more: others have filled the hook
                    raise
        elif self._filler >= 0 and self._exchange(self._programs[0], self._filler):
            try:
                return self._create(where)
            except OSError:
                if not self._exchange(self._filler, self._programs[0]):
                    raise
        link, self.link = self.link, -1
        _detach(link)
        self._create(where)
        return None

    def _exchange(self, old: int, new: int) -> bool:
        """Let the link have another program where it is; False if it is not that one's any more."""
        with suppress(OSError):
            bpf(lib.BPF_LINK_UPDATE, struct.pack("=4I", self.link, new, lib.BPF_F_REPLACE, old))
            return True
        return False

    def close(self) -> None:
        """As Attachment says."""
        link, self.link = self.link, -1
        _detach(link)
        while self._programs:
            os.close(self._programs.pop())
        if self._filler >= 0:
            os.close(self._filler)
            self._filler = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Clsact:
    """By a filter of clsact.

    program: as for attach(), or a classic one: struct sock_filter after another.
    """

    mechanism = "clsact"
    link = -1
    words = ""  # ours are not before each other there

    def __init__(self, index: int, hook: Hook, program: int | bytes, place: int = 0) -> None:
        self.index = index
        self._hook: Hook = hook
        self._place = place
        self._program = os.dup(program) if isinstance(program, int) else program
        self._told = program if isinstance(program, bytes) else first_facts(program)[1]  # as the kernel lists it
        self._is_open = True
        try:
            self._handle = tc_filter.put(index, self._program, hook, place=place)
        except OSError:
            self._is_open = False
            self._close_program()
            raise

    def standing(self) -> Standing:
        """As Attachment says."""
        standing = tc_filter.standing(self.index, self._told, self._hook, self._place)
        try:
            earlier = _words(query(self.index, self._hook))
        except OSError as error:
            if error.errno not in (*UNSUPPORTED, *GONE):
                raise
            return standing
        return standing._replace(before=earlier + standing.before) if standing.is_attached else standing

    def is_in_force(self) -> bool:
        """As Attachment says."""
        return self.standing().is_in_force

    def put_back(self, behind: Attachment | None = None) -> None:
        """As Attachment says; behind another by putting that back as well, so for a moment it is first."""
        owns = tc_filter.owns_qdisc(self._handle)
        self._handle = tc_filter.put(self.index, self._program, self._hook, place=self._place, is_qdisc_ours=owns)
        if behind is not None:
            behind.put_back()

    def close(self) -> None:
        """As Attachment says."""
        if self._is_open:
            self._is_open = False
            self._close_program()
            tc_filter.take_out(self.index, self._hook, [self._handle])  # another put() has replaced it perhaps

    def _close_program(self) -> None:
        if isinstance(self._program, int):
            os.close(self._program)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _words(entries: list[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"tcx program {program}" for program, _ in entries)


def _identity_of(link: int) -> tuple[int, int]:
    """Return the ids of a link's program and of the link (after the type in struct bpf_link_info)."""
    _, number, program = first_facts(link)
    return program, number


def _detach(link: int) -> None:
    """Take a link out, whoever else has it open."""
    if link < 0:
        return
    with suppress(OSError):  # its interface is gone, or somebody has detached it
        bpf(lib.BPF_LINK_DETACH, struct.pack("=I", link))
    os.close(link)
