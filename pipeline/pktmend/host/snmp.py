"""The kernel's protocol counters of one network namespace."""

from __future__ import annotations

from pathlib import Path


def read_counters() -> dict[str, int]:
    """Return the counters of the calling thread's namespace, named as nstat names them: TcpInCsumErrors, Udp6InErrors.

    /proc/thread-self/net/snmp and netstat hold pairs of lines, names and numbers; snmp6 a name and a number a line.
    """
    net = Path("/proc/thread-self/net")
    counters: dict[str, int] = {}
    for file in ("snmp", "netstat"):
        lines = (net / file).read_text().splitlines()
        for names, numbers in zip(lines[::2], lines[1::2], strict=True):
            group, *fields = names.split()
            for name, number in zip(fields, numbers.split()[1:], strict=True):
                counters[group.rstrip(":") + name] = int(number)
    if (net / "snmp6").exists():
        for line in (net / "snmp6").read_text().splitlines():
            name, number = line.split()
            counters[name] = int(number)
    return counters


def checksum_errors(counters: dict[str, int]) -> dict[str, int]:
    """Return the *InCsumErrors of *counters* that are not zero."""
    return {name: n for name, n in counters.items() if name.endswith("InCsumErrors") and n}
