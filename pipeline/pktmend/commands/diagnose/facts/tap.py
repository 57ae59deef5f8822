"""What one tap holds as a whole, and what rose on this machine meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pktmend.advice.place import space
from pktmend.commands.diagnose.decision import Observation
from pktmend.console.plural import quantity

if TYPE_CHECKING:
    from pktmend.host.namespaces import Namespace


class NoPacket(Observation):
    """Nothing was seen on this tap."""

    tap: str

    @property
    def text(self) -> str:
        return f"no packet was seen on {self.tap}"


class Totals(Observation):
    """All checks by their outcome."""

    packets: int
    outcomes: Mapping[str, int]

    @property
    def text(self) -> str:
        seen = ", ".join(f"{quantity(n, 'checksum')} {word}" for word, n in self.outcomes.items())
        return f"{quantity(self.packets, 'packet')}; " + (seen or "none carries a checksum that is known here")


class SeenAt(Observation):
    """At which of two taps."""

    tap: str

    @property
    def text(self) -> str:
        return f"seen at {self.tap}"


class Rising(Observation):
    """Error counters of a namespace that rose while it was watched."""

    counters: Mapping[str, int]
    namespace: Namespace

    @property
    def text(self) -> str:
        words = ", ".join(f"{name} +{n}" for name, n in self.counters.items())
        return f"the kernel counted {words} meanwhile ({space(self.namespace)})"
