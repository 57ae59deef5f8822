"""What doctor says: findings on the set-up of this host."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

from pktmend.advice.finding import Finding
from pktmend.host.model import Interface
from pktmend.host.namespaces import Namespace
from pktmend.host.workloads import words_of

FEW: Final = 10  # so many bad packets are the Internet's, not the set-up's


class Severity(enum.IntEnum):
    """How bad; problems come first and set the exit code."""

    PROBLEM = 0
    WARNING = 1
    INFO = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class HostFinding(Finding):
    """One thing found in the set-up.

    interfaces, namespaces: what it is about; both empty if it is about the whole machine.
    reference:  where this is written down.
    """

    severity: Severity
    interfaces: tuple[Interface, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    reference: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the object that --json prints."""
        return {
            "name": self.name,
            "severity": str(self.severity),
            "title": self.title,
            "why": self.meaning,
            "evidence": list(self.evidence),
            "remedy": [remedy.as_json() for remedy in self.remedies],
            "interfaces": [
                {"name": i.name, "namespace": i.namespace.word, **words_of(i.namespace)} for i in self.interfaces
            ],
            "namespaces": [n.word for n in self.namespaces],
            "reference": self.reference,
        }
