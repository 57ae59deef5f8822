"""The assembler of classic BPF against programs that were written by hand, in the numbers of `tcpdump -dd`."""

from __future__ import annotations

import pytest

from pktmend._kernel import lib
from pktmend.host.bpf_asm import Assembler, encode, ret

LOAD_HALF, LOAD_BYTE = lib.BPF_LD | lib.BPF_H | lib.BPF_ABS, lib.BPF_LD | lib.BPF_B | lib.BPF_ABS
WHOLE = 262144


def test_a_jump_past_the_next_line_is_what_tcpdump_prints_for_ip() -> None:
    a = Assembler()
    a.emit(LOAD_HALF, 12)
    a.jump_if(lib.BPF_JEQ, 0x800, false="refuse")
    a.ret(WHOLE)
    a.label("refuse")
    a.ret(0)
    assert list(a.instructions()) == [  # tcpdump -dd ip
        (0x28, 0, 0, 0x0000000C),
        (0x15, 0, 1, 0x00000800),
        (0x06, 0, 0, 0x00040000),
        (0x06, 0, 0, 0x00000000),
    ]


def test_both_branches_of_a_jump_and_labels_that_are_shared() -> None:
    a = Assembler()
    a.emit(LOAD_HALF, 12)
    a.jump_if(lib.BPF_JEQ, 0x86DD, "keep")
    a.jump_if(lib.BPF_JEQ, 0x800, false="refuse")
    a.emit(LOAD_BYTE, 23)
    a.jump_if(lib.BPF_JSET, 0x11, "keep", "refuse")
    a.label("keep")
    a.ret(WHOLE)
    a.label("refuse")
    a.ret(0)
    assert list(a.instructions()) == [
        (0x28, 0, 0, 12),
        (0x15, 3, 0, 0x86DD),
        (0x15, 0, 3, 0x0800),
        (0x30, 0, 0, 23),
        (0x45, 0, 1, 0x11),
        (0x06, 0, 0, WHOLE),
        (0x06, 0, 0, 0),
    ]


def test_an_unconditional_jump_holds_its_distance_in_the_operand() -> None:
    a = Assembler()
    a.jump("end")
    for _ in range(300):
        a.ret(1)
    a.label("end")
    a.ret(0)
    assert next(a.instructions()) == (0x05, 0, 0, 300)


def test_encoded_as_struct_sock_filter() -> None:
    """Two bytes of code, one for each jump, four of operand, in the order of this machine."""
    program = encode([ret(0xFFFFFFFF), ret(2)])
    assert len(program) == 16 and program[2:8] == b"\0\0\xff\xff\xff\xff"
    assert {program[:2], program[8:10]} <= {b"\x06\0", b"\0\x06"} and sorted(program[12:]) == [0, 0, 0, 2]


def test_a_conditional_jump_reaches_255_instructions_and_not_256() -> None:
    def skipping(count: int) -> Assembler:
        a = Assembler()
        a.jump_if(lib.BPF_JEQ, 1, false="end")
        for _ in range(count):
            a.ret(1)
        a.label("end")
        a.ret(0)
        return a

    assert next(skipping(255).instructions()) == (0x15, 0, 255, 1)
    with pytest.raises(ValueError, match="256"):
        list(skipping(256).instructions())


def test_a_label_that_is_missing_behind_or_placed_twice_is_an_error() -> None:
    missing = Assembler()
    missing.jump("nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        list(missing.instructions())
    behind = Assembler()
    behind.label("again")
    behind.ret(0)
    behind.jump("again")
    with pytest.raises(ValueError, match="back"):
        list(behind.instructions())
    with pytest.raises(ValueError, match="twice"):
        behind.label("again")
