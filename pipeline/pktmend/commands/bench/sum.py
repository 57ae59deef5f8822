"""`pktmend bench sum`: the Internet checksum of N bytes in cache, beside how others do it and what loading costs.

| name          | what                                                                                   |
|---------------|----------------------------------------------------------------------------------------|
| portable ...  | a SIMD kernel of this engine                                                           |
| auto          | the kernel that the engine chose, called as it calls it                                |
| peer:dpdk16   | a loop over 16-bit words, vectorised by the compiler: DPDK's shape                     |
| peer:adc2     | two chains of add-with-carry: Linux's shape on x86-64                                  |
| limit:load    | every byte loaded once, as it lies, with vectors as wide as those of `auto`, and ORed  |

The slice begins 14 bytes into a page, as a packet does in a frame.  Long slices `avx512` and `avx2` load aligned, and
may therefore be faster than limit:load, half or all of whose loads straddle two cache lines.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from pktmend import _core
from pktmend.commands.bench._peers import ffi, lib
from pktmend.commands.bench.environment import active_kernel
from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.errors import PktmendError

if TYPE_CHECKING:
    from pktmend._kernel import FFI

SIZES = (20, 64, 128, 256, 576, 1500, 9000, 65536)
OFFSET = 14
LOAD = "limit:load"
TRIALS = 3
_LOAD_OF = {"avx512": b"load64", "avx2": b"load32"}


def implementations() -> dict[str, int]:
    """Return the address of every function to time, by name."""
    found = {name: _core.kernel_address(name) for name, supported, _ in _core.kernels() if supported}
    found["auto"] = _core.kernel_address()
    load = _LOAD_OF.get(active_kernel(), b"load16")
    for name, peer in (("peer:dpdk16", b"dpdk16"), ("peer:adc2", b"adc2"), (LOAD, load)):
        if address := lib.peer_address(peer):
            found[name] = address
    return found


def expected_sum(data: bytes) -> int:
    """Return the sum of 16-bit words as the machine loads them, mod 65535: 65536 is 1, so the whole is one number."""
    return int.from_bytes(data + bytes(len(data) % 2), sys.byteorder) % 0xFFFF


def expected_or(data: bytes) -> int:
    """Return all bytes ORed."""
    result = 0
    for byte in set(data):
        result |= byte
    return result


def check_answer(name: str, address: int, at: FFI.CData, data: bytes) -> None:
    """Call the function once and compare."""
    answer = lib.peer_call(address, at, len(data))
    wanted = expected_or(data) if name == LOAD else expected_sum(data)
    if (answer if name == LOAD else answer % 0xFFFF) != wanted:
        raise PktmendError(f"{name} says {answer:#x} of {len(data)} bytes, not {wanted:#x}", "its time means nothing")


@dataclass(frozen=True)
class SumBench:
    """More rounds make figures steadier.  functions: addresses by name, held to the answer that the name stands for.

    Raises PktmendError if a function gives a wrong sum.
    """

    sizes: Sequence[int] = SIZES
    rounds: int = 151
    functions: Mapping[str, int] = field(default_factory=implementations)
    name: str = "sum"
    programs: tuple[str, ...] = ()

    def measure(self) -> Iterator[Line]:
        """Yield a line for each size and implementation: ns a call."""
        with mmap.mmap(-1, OFFSET + max(self.sizes)) as memory:
            memory[:] = Random(1).randbytes(len(memory))
            whole = ffi.from_buffer("uint8_t[]", memory)
            try:
                for size in self.sizes:
                    times = self._times(whole + OFFSET, memory[OFFSET : OFFSET + size])
                    for name, taken in times.items():
                        yield {"bench": "sum", "impl": name, "bytes": size, **spread(taken, "ns")}
            finally:
                ffi.release(whole)

    def _times(self, at: FFI.CData, data: bytes) -> dict[str, list[float]]:
        for name, address in self.functions.items():
            check_answer(name, address, at, data)  # this is also the warm-up
        calls = 8 + 1_000_000 // (len(data) + 100)
        times: dict[str, list[float]] = {name: [] for name in self.functions}
        for _ in range(self.rounds):
            for name, address in self.functions.items():
                times[name].append(lib.peer_time(address, at, len(data), calls, TRIALS))
        return times

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a row for each size."""
        ns = {(line["bytes"], line["impl"]): line["ns"] for line in lines}
        names = list(dict.fromkeys(line["impl"] for line in lines))
        others = [name for name in names if ":" in name]
        rows = []
        for size in dict.fromkeys(line["bytes"] for line in lines):
            left = (f"{ns[size, name]:.1f}" for name in names)
            right = (f"{ns[size, name] / ns[size, 'auto']:.2f}" for name in others)
            rows.append((str(size), *left, *right))
        header = ("bytes", *names, *(f"{name} / auto" for name in others))
        return [Table("Internet checksum in cache, ns; on the right, how many times faster auto is", header, rows)]
