"""Where figures of `bench sum` and `bench verify` were measured: what a reader has to know of the machine.

Rules of these benches:
1. A bench checks the answers of what it times; a wrong one ends it with an error.
2. Peers are timed in the same run, by the same loop in C, in turn.
3. A figure is the median over rounds; each round gives the least of a few trials, so that what disturbs is left out.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from pipeline import _core
from pipeline._peers import ffi, lib
from pipeline.names import VERSION


def active_kernel() -> str:
    """Return the name of the SIMD kernel in use."""
    return next(name for name, _, active in _core.kernels() if active)


def environment() -> dict[str, Any]:
    """Return what a reader of figures has to know: processor, system, compiler, kernels."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part"))]
    return {
        "version": VERSION,
        "cpu": models[0] if models else platform.machine(),
        "cpus": len(models) or None,
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "peers_compiler": ffi.string(lib.peer_compiler()).decode() + " -O3",
        "kernels": [name for name, supported, _ in _core.kernels() if supported],
        "auto": active_kernel(),
    }


def environment_line() -> str:
    """Return the same for people."""
    e = environment()
    return f"{e['cpu']}, {e['system']}, peers by {e['peers_compiler']}; auto is {e['auto']}"
