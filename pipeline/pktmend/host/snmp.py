"""The kernel's protocol counters of one network namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OWN: Final = Path("/proc/thread-self/net")
ERRORS: Final = "InCsumErrors"


def read_counters(net: Path = OWN) -> dict[str, int]:
    """Return the counters of the calling thread's namespace, named as nstat names them: TcpInCsumErrors, Udp6InErrors.

    net: of another process, /proc/PID/net: its namespace's, for which no privilege is asked.

    /proc/thread-self/net/snmp and netstat hold pairs of lines, names and numbers; snmp6 a name and a number a line.
    """
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
    return {name: n for name, n in counters.items() if name.endswith(ERRORS) and n}


def read_checksum_errors(net: Path = OWN) -> dict[str, int]:
    """Return every *InCsumErrors of a namespace, zeros too: a tenth of the work of read_counters().

    net: /proc/PID/net, which tells of the namespace of a process and takes no privilege.  Raises OSError if it is gone.
    """
    found: dict[str, int] = {}
    for file in ("snmp", "netstat"):
        lines = (net / file).read_text().splitlines()
        for names, numbers in zip(lines[::2], lines[1::2], strict=True):
            if ERRORS in names:
                group, *fields = names.split()
                values = zip(fields, numbers.split()[1:], strict=True)
                found |= {group.rstrip(":") + name: int(n) for name, n in values if name.endswith(ERRORS)}
    if (net / "snmp6").exists():
        for line in (net / "snmp6").read_text().splitlines():
            if ERRORS in line:
                name, number = line.split()
                found[name] = int(number)
    return found
