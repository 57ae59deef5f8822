"""What the kernel's log says of checksums and offloads, by interface: /dev/kmsg, read to its present end.

Rules of this file:
1. Only the kernel's own lines count: what a program has written there has another facility.
2. Nothing waits, and nothing is taken away: each reader of /dev/kmsg has its own place in it.
3. The log names an interface and not its namespace, or a driver.

Source: Linux Documentation/ABI/testing/dev-kmsg, net/core/dev.c (netdev_rx_csum_fault, skb_warn_bad_offload).
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from pktmend.errors import OSFailure, PrivilegeError

KMSG: Final = Path("/dev/kmsg")
LONGEST: Final = 8192  # bytes of a record, as the kernel bounds them
MOST: Final = 200_000  # records: more than the largest buffer holds, so that a chatty kernel cannot keep us here
WORDS: Final = (b"csum failure", b"caps=(", b"bad offload")  # one of which is in each line that counts
RECORD: Final = re.compile(r"(\d+),\d+,(\d+),[^;]*;(.*)")


class Said(Enum):
    """What a line says; the value is how it is found.  Its first group is the name of an interface or driver."""

    HW_CSUM_FAILURE = re.compile(r"(?:.* )?([^\s:]+): hw csum failure")
    BAD_OFFLOAD = re.compile(r"(?:.* )?([^\s:]*): (?:caps=\(|bad offload\b)")


@dataclass(frozen=True)
class LogCount:
    """How often it was said of one interface, and how many seconds ago for the last time."""

    said: Said
    name: str
    times: int
    age: float


def read_kernel_log(path: Path = KMSG) -> list[LogCount]:
    """Return what the log holds, the most frequent first.

    Raises: PrivilegeError where only CAP_SYSLOG may read it (sysctl kernel.dmesg_restrict), OSFailure without one.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _failure(error) from error
    try:
        return count(_lines(descriptor), time.clock_gettime(time.CLOCK_MONOTONIC))
    except OSError as error:
        raise _failure(error) from error
    finally:
        os.close(descriptor)


def _failure(error: OSError) -> OSFailure:
    if error.errno in (errno.EPERM, errno.EACCES):
        return PrivilegeError("the kernel's log may not be read here", "CAP_SYSLOG", error.errno)
    return OSFailure(f"the kernel's log: {error.strerror}", "", error.errno or 0)


def _lines(descriptor: int) -> Iterator[str]:
    """Yield the lines of each record that may count; what was overwritten meanwhile is skipped."""
    for _ in range(MOST):
        try:
            record = os.read(descriptor, LONGEST)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.EPIPE:
                continue
            raise
        if not record:
            return
        if any(word in record for word in WORDS):
            yield from record.decode(errors="replace").splitlines()


def count(lines: Iterable[str], now: float) -> list[LogCount]:
    """Count the lines `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`; now: seconds since boot."""
    found: dict[tuple[Said, str], tuple[int, float]] = {}
    for line in lines:
        match = RECORD.match(line)
        if match is None or int(match[1]) >> 3:  # facility 0 is the kernel's, and no program can claim it
            continue
        for said in Said:
            named = said.value.match(match[3])
            if named is not None:
                times, _ = found.get((said, named[1]), (0, 0.0))
                found[said, named[1]] = times + 1, int(match[2]) / 1e6
    counts = [LogCount(said, name, times, max(0.0, now - last)) for (said, name), (times, last) in found.items()]
    return sorted(counts, key=lambda each: -each.times)
