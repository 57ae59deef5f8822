"""The options of a diagnosis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pktmend.errors import ConfigError

DURATION = 10.0


@dataclass(frozen=True)
class Options:
    """What to examine, and for how long; a and b are interfaces or files, b empty for a single tap.

    packets:  of each tap, 0 for no limit.
    duration: seconds of a live tap; None: 10, or no limit if packets are given.
    report:   HTML file that is written too; "" none.
    """

    a: str
    b: str
    is_live: bool
    packets: int = 0
    duration: float | None = None
    json: bool = False
    at_wire: bool = False
    expression: str = ""
    promiscuous: bool = True
    explain: bool = False
    report: str = ""

    def validate(self) -> None:
        """Raise ConfigError for what cannot work."""
        if self.duration is not None and (not self.is_live or not 0 < self.duration < math.inf):
            raise ConfigError(f"--duration {self.duration:g}", "seconds above 0, of a live tap")
        if self.a == self.b and self.a != "-":
            raise ConfigError(f"both taps are {self.a!r}", "one before the hop and one behind it")

    @property
    def seconds(self) -> float:
        """How long to watch; 0 for no limit."""
        return self.duration if self.duration is not None else 0 if self.packets else DURATION
