"""Numbers in sentences, shared by the facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pktmend.console.plural import quantity


def counted(counts: Mapping[str, int], words: str) -> str:
    """`41 tcp, 3 udp checksums are`, `1 tcp checksum is`: numbers by protocol, without their causes; see quantity."""
    by_protocol = Counter[str]()
    for key, n in counts.items():
        by_protocol[key.split()[0]] += n
    numbers = ", ".join(f"{n} {protocol}" for protocol, n in by_protocol.items())
    return f"{numbers} {quantity(by_protocol.total(), words).partition(' ')[2]}"


def times(n: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def with_numbers(counts: Iterable[tuple[str, int]]) -> str:
    """`TTL (16), source MAC (16)`."""
    return ", ".join(f"{name} ({n})" for name, n in counts)


def differences(values: Iterable[int]) -> str:
    """`01b1, 4e20`: 16-bit differences."""
    return ", ".join(f"{value:04x}" for value in values)
