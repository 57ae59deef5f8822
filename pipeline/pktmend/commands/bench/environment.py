"""Where figures were measured: what a reader of them has to know of the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pktmend import _core
from pktmend._version import VERSION
from pktmend.commands.bench._peers import ffi, lib

# how a program prints its version, and where in its output
VERSION_OPTION = {"tcprewrite": "-V", "tcpbridge": "-V", "ping": "-V", "iperf3": "-v"}
NUMBER = re.compile(r"\d+\.\d+[\w.]*")


def active_kernel() -> str:
    """Return the name of the SIMD kernel in use."""
    return next(name for name, _, active in _core.kernels() if active)


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().split("\n", 1)[0]
    except OSError:
        return ""


def version_of(program: str) -> str:
    """Return the version that *program* says it has; "" if it is not installed or says none."""
    if program == "dpkt":
        from importlib import metadata

        try:
            return metadata.version("dpkt")
        except metadata.PackageNotFoundError:
            return ""
    if shutil.which(program) is None:
        return ""
    if program == "dpdk-testpmd":  # starting it for its version takes a second
        asked = ["dpkg-query", "-W", "-f", "${Version}", "dpdk-dev"]
    else:
        asked = [program, VERSION_OPTION.get(program, "--version")]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    found = NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else "?"


def environment(programs: Iterable[str] = ()) -> dict[str, Any]:
    """Return processor, system, load, compiler, kernels, and the versions of those *programs* that are installed."""
    info = _first_line_of_each("/proc/cpuinfo", ("model name", "CPU part"))
    flags = next(iter(_first_line_of_each("/proc/cpuinfo", ("flags",))), "")
    return {
        "version": VERSION,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": info[0] if info else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in flags.split(),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "load": os.getloadavg()[0],
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "peers_compiler": ffi.string(lib.peer_compiler()).decode() + " -O3",
        "kernels": [name for name, supported, _ in _core.kernels() if supported],
        "auto": active_kernel(),
        "programs": {name: version for name in programs if (version := version_of(name))},
    }


def _first_line_of_each(path: str, keys: tuple[str, ...]) -> list[str]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(keys)]


def environment_line(e: dict[str, Any]) -> str:
    """Return the same for people."""
    virtual = " (virtual)" if e["virtual"] else ""
    return (
        f"pktmend {e['version']} on {e['cpu']}{virtual}, {e['cpus']} CPUs, {e['system']};"
        f" SIMD kernel {e['auto']}; peers by {e['peers_compiler']}"
    )
