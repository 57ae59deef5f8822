"""eBPF programs of a few instructions, put together here so that the lab needs no compiler: XDP and tc (cls_bpf).

Rules of this file:
1. A program is a list of 8-byte instructions; a conditional jump is made with the body that it skips.
2. r6 holds the packet's context throughout, as the instructions that load from a packet want it.

Not here: classic BPF (pktmend.host.bpf_asm).  The two share a name and little else: this machine has eleven registers
of 64 bits, a stack and calls into the kernel, that one has an accumulator and jumps; even the instructions differ in
their layout.

Source: Linux Documentation/bpf/standardization/instruction-set.rst, include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable

from pktmend._kernel import ffi, lib
from pktmend.errors import OSFailure
from pktmend.testbed import links
from pktmend.testbed.netns import Host

Code = list[bytes]
R0, R1, R2, R3, R4, R5, R6, R7, R8 = range(9)
STACK = 10
HOOKS = {lib.BPF_PROG_TYPE_XDP: links.set_xdp, lib.BPF_PROG_TYPE_SCHED_CLS: links.set_ingress}
SLOT = -8  # where values lie that a call wants by address


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    registers = source << 4 | target if sys.byteorder == "little" else target << 4 | source
    return struct.pack("=BBhi", code, registers, offset, value - (1 << 32) if value >= 1 << 31 else value)


def move(target: int, value: int) -> bytes:
    """Return target = value."""
    return _instruction(lib.BPF_ALU64 | lib.BPF_MOV | lib.BPF_K, target, value=value)


def copy(target: int, source: int) -> bytes:
    """Return target = source, both registers."""
    return _instruction(lib.BPF_ALU64 | lib.BPF_MOV | lib.BPF_X, target, source)


def compute(operation: int, target: int, value: int) -> bytes:
    """Return target = target operation value (BPF_ADD, BPF_AND, BPF_RSH, ...)."""
    return _instruction(lib.BPF_ALU64 | operation | lib.BPF_K, target, value=value)


def compute_by(operation: int, target: int, source: int) -> bytes:
    """Return target = target operation source, both registers."""
    return _instruction(lib.BPF_ALU64 | operation | lib.BPF_X, target, source)


def packet_word(at: int) -> bytes:
    """Return r0 = the four bytes at *at*, as a number; a packet that ends before ends the program with 0."""
    return _instruction(lib.BPF_LD | lib.BPF_ABS | lib.BPF_W, value=at)


def packet_half(at: int) -> bytes:
    """Return r0 = the two bytes at *at*, as a number."""
    return _instruction(lib.BPF_LD | lib.BPF_ABS | lib.BPF_H, value=at)


def packet_byte(at: int, beyond: int | None = None) -> bytes:
    """Return r0 = the byte at *at*, or that far beyond register *beyond*."""
    if beyond is None:
        return _instruction(lib.BPF_LD | lib.BPF_ABS | lib.BPF_B, value=at)
    return _instruction(lib.BPF_LD | lib.BPF_IND | lib.BPF_B, source=beyond, value=at)


def packet_length(target: int) -> bytes:
    """Return target = the packet's length (struct __sk_buff begins with it)."""
    return _instruction(lib.BPF_LDX | lib.BPF_MEM | lib.BPF_W, target, R6)


def call(function: int) -> bytes:
    """Return r0 = function(r1, ..., r5)."""
    return _instruction(lib.BPF_JMP | lib.BPF_CALL, value=function)


def unless(comparison: int, register: int, value: int, body: Code) -> Code:
    """Return *body*, skipped where the register compares so with the value (BPF_JEQ, BPF_JNE, BPF_JLT)."""
    return [_instruction(lib.BPF_JMP | comparison | lib.BPF_K, register, offset=len(body), value=value), *body]


def unless_equal(register: int, other: int, body: Code) -> Code:
    """Return *body*, skipped where two registers differ."""
    return [_instruction(lib.BPF_JMP | lib.BPF_JNE | lib.BPF_X, register, other, offset=len(body)), *body]


def store(at: Callable[[int], bytes], value: bytes | None = None) -> Code:
    """Return code that writes one byte from r0, or *value*, into the packet; at(register) sets where.

    The packet's checksums and what the kernel thinks of them stay as they are: flags are 0.
    """
    if value is None:
        put = _instruction(lib.BPF_STX | lib.BPF_MEM | lib.BPF_B, STACK, R0, SLOT)
    else:
        (number,) = struct.unpack("=I", value)
        put = _instruction(lib.BPF_ST | lib.BPF_MEM | lib.BPF_W, STACK, offset=SLOT, value=number)
    return [
        put,
        at(R2),
        copy(R1, R6),
        copy(R3, STACK),
        compute(lib.BPF_ADD, R3, SLOT),
        move(R4, 1 if value is None else len(value)),
        move(R5, 0),
        call(lib.BPF_FUNC_skb_store_bytes),
    ]


def replace_sum(function: int, at: int, old: bytes, new: bytes, flags: int) -> Code:
    """Return code that updates a checksum field for four bytes that changed (RFC 1624), as NAT does."""
    before, after = (struct.unpack("=I", each)[0] for each in (old, new))
    return [copy(R1, R6), move(R2, at), move(R3, before), move(R4, after), move(R5, flags | 4), call(function)]


def redirect(index: int) -> Code:
    """Return code that sends the packet out of the interface of that index, and ends."""
    return [move(R1, index), move(R2, 0), call(lib.BPF_FUNC_redirect), _instruction(lib.BPF_JMP | lib.BPF_EXIT)]


def leave(verdict: int) -> Code:
    """Return code that ends with a verdict (XDP_PASS, TC_ACT_SHOT)."""
    return [move(R0, verdict), _instruction(lib.BPF_JMP | lib.BPF_EXIT)]


def load(kind: int, code: Code) -> int:
    """Load a program of *kind* (BPF_PROG_TYPE_*); return its descriptor, which the caller closes."""
    log = ffi.new("char[]", 65536)
    program = b"".join([copy(R6, R1), *code])
    number = lib.load_bpf(kind, program, len(program) // 8, log, 65536)
    if number < 0:
        words = ffi.string(log).decode(errors="replace").strip().splitlines()
        raise OSFailure(f"loading a BPF program: {os.strerror(-number)}: {' | '.join(words[-3:])}", error=-number)
    return int(number)


def attach(host: Host, interface: str, kind: int, code: Code) -> None:
    """Run a program on every packet that comes in at *interface* of *host*, instead of an earlier one.

    kind: BPF_PROG_TYPE_XDP, or BPF_PROG_TYPE_SCHED_CLS for tc's clsact ingress.  It goes with the interface.
    """
    program = load(kind, code)
    try:
        host.call(lambda: HOOKS[kind](interface, program))
    finally:
        os.close(program)


def detach(host: Host, interface: str, kind: int) -> None:
    """Take what attach() left there off *interface*, if there is anything."""
    host.call(lambda: HOOKS[kind](interface, links.NO_PROGRAM))
