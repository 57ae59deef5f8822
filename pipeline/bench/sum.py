"""`pktmend bench sum`: the Internet checksum of N octets in cache, beside how others do it and what loading costs.

| name          | what                                                                                   |
|---------------|----------------------------------------------------------------------------------------|
| portable ...  | a SIMD kernel of this engine                                                           |
| auto          | the kernel that the engine chose, called as it calls it                                |
| peer:dpdk16   | a loop over 16-bit words, vectorised by the compiler: DPDK's shape                     |
| peer:adc2     | two chains of add-with-carry: Linux's shape on x86-64                                  |
| limit:load    | every octet loaded once, as it lies, with vectors as wide as those of `auto`, and ORed |

The slice begins 14 octets into a page, as a packet does in a frame.  Long slices `avx512` and `avx2` load aligned, and
may therefore be faster than limit:load, half or all of whose loads straddle two cache lines.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Sequence
from random import Random
from statistics import median
from typing import Any

from pipeline import _core
from pipeline._peers import ffi, lib
from pipeline.bench.environment import active_kernel, environment, environment_line
from pipeline.errors import PipelineError
from pipeline.report import print_json

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
    """Return all octets ORed."""
    result = 0
    for octet in set(data):
        result |= octet
    return result


def check_answer(name: str, address: int, at: Any, data: bytes) -> None:
    """Call the function once and compare."""
    answer = lib.peer_call(address, at, len(data))
    wanted = expected_or(data) if name == LOAD else expected_sum(data)
    if (answer if name == LOAD else answer % 0xFFFF) != wanted:
        raise PipelineError(f"{name} says {answer:#x} of {len(data)} octets, not {wanted:#x}", "its time means nothing")


def measure(sizes: Sequence[int], rounds: int) -> dict[int, dict[str, float]]:
    """Return ns per call of every implementation, by size."""
    functions = implementations()
    results: dict[int, dict[str, float]] = {}
    with mmap.mmap(-1, OFFSET + max(sizes)) as memory:
        memory[:] = Random(1).randbytes(len(memory))
        whole = ffi.from_buffer("uint8_t[]", memory)
        try:
            for size in sizes:
                at, data = whole + OFFSET, memory[OFFSET : OFFSET + size]
                for name, address in functions.items():
                    check_answer(name, address, at, data)
                calls = 8 + 1_000_000 // (size + 100)
                times: dict[str, list[float]] = {name: [] for name in functions}
                for _ in range(rounds):
                    for name, address in functions.items():
                        times[name].append(lib.peer_time(address, at, size, calls, TRIALS))
                results[size] = {name: median(taken) for name, taken in times.items()}
        finally:
            ffi.release(whole)
    return results


def run_sum(*, json: bool = False, sizes: Sequence[int] = SIZES, rounds: int = 151) -> None:
    """Measure and print.

    json:   NDJSON, the environment first; else a table for people.
    rounds: more make figures steadier.
    Raises: PipelineError if a function gives a wrong sum.
    """
    results = measure(sizes, rounds)
    if json:
        print_json({"environment": environment()})
        for size, row in results.items():
            for name, ns in row.items():
                print_json({"bench": "sum", "impl": name, "bytes": size, "ns": round(ns, 3)})
        return
    names = list(next(iter(results.values())))
    others = [name for name in names if ":" in name]
    print(f"{environment_line()}\nns a sum; on the right, how many times faster auto is\n")
    print(f"{'octets':>6}" + "".join(f"{name:>13}" for name in names) + "  |" + "".join(f"{n:>13}" for n in others))
    for size, row in results.items():
        left = "".join(f"{row[name]:13.1f}" for name in names)
        right = "".join(f"{row[name] / row['auto']:13.2f}" for name in others)
        print(f"{size:6}{left}  |{right}")
