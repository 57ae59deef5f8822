"""A tc ingress drop: the host stack gets nothing of what arrives on an interface, packet sockets get all of it.

Rules of this file:
1. Taps run before tc, so a bridge reads every frame; nothing else of the host does.
2. Where bpf(2) allows it the program is two instructions of eBPF, attached by tcx if the kernel has that; elsewhere one
   instruction of classic BPF on clsact, for which nothing is loaded.
3. Loading takes CAP_BPF and CAP_NET_ADMIN, attaching what is loaded CAP_NET_ADMIN: load once, at the start.

Not here: how it is attached (pktmend.host.tcx, pktmend.host.tc_filter).

Source: tc-bpf(8), direct-action.
"""

from __future__ import annotations

import os
import struct
from typing import Final

from pktmend._kernel import ffi, lib
from pktmend.host.bpf_asm import encode, ret
from pktmend.host.tcx import Attachment, Clsact, attach, is_supported

CLASSIC: Final = encode([ret(lib.TC_ACT_SHOT)])
LOG_SIZE: Final = 4096


def _instruction(code: int, value: int = 0) -> bytes:
    """Return one struct bpf_insn that has to do with r0 only."""
    return struct.pack("=BBhi", code, 0, 0, value)


def _program(verdict: int) -> bytes:
    """Return: r0 = verdict; exit."""
    return _instruction(lib.BPF_ALU64 | lib.BPF_MOV | lib.BPF_K, verdict) + _instruction(lib.BPF_JMP | lib.BPF_EXIT)


def load(verdict: int) -> int:
    """Load the program that gives every frame this verdict; return its descriptor.  OSError if we may not."""
    program = _program(verdict)
    log = ffi.new("char[]", LOG_SIZE)
    number = lib.load_bpf(lib.BPF_PROG_TYPE_SCHED_CLS, program, len(program) // 8, log, LOG_SIZE)
    if number < 0:
        raise OSError(-number, os.strerror(-number))
    return int(number)


class Drop:
    """The program, loaded twice if bpf(2) lets us: attach() puts it on an interface."""

    def __init__(self) -> None:
        self._programs: list[int] = []
        try:
            for _ in range(2):
                self._programs.append(load(lib.TC_ACT_SHOT))
        except OSError:  # no CAP_BPF, or a kernel without bpf(2)
            self.close()

    def attach(self, index: int) -> Attachment:
        """Drop what arrives on interface number *index*.  OSError if the kernel refuses."""
        if self._programs and is_supported(index):
            return attach(index, "ingress", self._programs[0], spare=self._programs[1])
        return Clsact(index, "ingress", CLASSIC)

    def close(self) -> None:
        """Forget the program; what is attached stays.  Idempotent."""
        while self._programs:
            os.close(self._programs.pop())
