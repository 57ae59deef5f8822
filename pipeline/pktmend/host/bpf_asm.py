"""Put classic BPF programs together: labels to jump to instead of distances that are counted by hand.

    a = Assembler()
    a.emit(lib.BPF_LD | lib.BPF_H | lib.BPF_ABS, 12)
    a.jump_if(lib.BPF_JEQ, 0x0800, false="other")
    a.ret(0xFFFFFFFF)
    a.label("other")
    a.ret(0)
    program = encode(a.instructions())

Rules of this file:
1. Jumps go forward only, as the kernel demands: a label is placed after the jumps to it.
2. A label that is not placed, or is too far away, is an error here and not a program that the kernel refuses.
3. Codes are the kernel's own BPF_* (pktmend._kernel.lib): this file gives none of them another name.

Not here: eBPF, which is another machine (pktmend.testbed.bpf), and filters in tcpdump's language, which libpcap
compiles (pktmend.packetio.bpf_filter).

Source: Linux Documentation/networking/filter.rst; include/uapi/linux/filter.h (struct sock_filter).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pktmend._kernel import lib

FARTHEST: Final = 0xFF  # that a conditional jump reaches: jt and jf are one byte each


class Instruction(NamedTuple):
    """One struct sock_filter: what to do, how many instructions to skip if a test holds or not, and its operand."""

    code: int
    jump_true: int
    jump_false: int
    k: int


def ret(value: int) -> Instruction:
    """Return the instruction that ends a program with *value*."""
    return Instruction(lib.BPF_RET | lib.BPF_K, 0, 0, value)


def encode(instructions: Iterable[Instruction]) -> bytes:
    """Return the program as the kernel takes it: struct sock_filter after struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)


class Assembler:
    """A program in the making."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, str, int]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        """Name the place where the next instruction goes; each name once."""
        if name in self._labels:
            raise ValueError(f"label {name!r} is placed twice")
        self._labels[name] = len(self._lines)

    def emit(self, code: int, k: int = 0) -> None:
        """Add an instruction that does not jump."""
        self._lines.append((code, "", "", k))

    def ret(self, value: int) -> None:
        """Add the end of the program: its result is *value*."""
        self.emit(lib.BPF_RET | lib.BPF_K, value)

    def jump_if(self, comparison: int, k: int, true: str = "", false: str = "") -> None:
        """Compare the accumulator with *k* (BPF_JEQ, BPF_JGE, BPF_JSET) and go on at a label; "" is the next line."""
        self._lines.append((lib.BPF_JMP | comparison | lib.BPF_K, true, false, k))

    def jump(self, to: str) -> None:
        """Go on at a label, however far it is."""
        self._lines.append((lib.BPF_JMP | lib.BPF_JA, to, "", 0))

    def instructions(self) -> Iterator[Instruction]:
        """Yield the program; ValueError for a label that is missing, behind or too far."""
        for at, (code, true, false, k) in enumerate(self._lines):
            if code == lib.BPF_JMP | lib.BPF_JA:
                yield Instruction(code, 0, 0, self._distance(at, true))
                continue
            jumps = self._distance(at, true), self._distance(at, false)
            if max(jumps) > FARTHEST:
                raise ValueError(f"instruction {at} jumps over {max(jumps)} others, {FARTHEST} at most")
            yield Instruction(code, *jumps, k)

    def _distance(self, at: int, name: str) -> int:
        """Return how many instructions after number *at* a jump to *name* skips."""
        if not name:
            return 0
        if name not in self._labels:
            raise ValueError(f"instruction {at} jumps to {name!r}, which is not placed")
        distance = self._labels[name] - at - 1
        if distance < 0:
            raise ValueError(f"instruction {at} jumps back to {name!r}")
        return distance
