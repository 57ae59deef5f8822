"""The options of a search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pktmend.commands.diagnose.options import DURATION
from pktmend.errors import ConfigError


@dataclass(frozen=True)
class SearchOptions:
    """What to look for, and how long to wait for the first drop.

    target: an address, address:port, or the name of a pod, container or namespace; empty for any.
    """

    target: str = ""
    duration: float = DURATION
    json: bool = False
    explain: bool = False

    def validate(self) -> None:
        """Raise ConfigError for what cannot work."""
        if not 0 < self.duration < math.inf:
            raise ConfigError(f"--duration {self.duration:g}", "seconds above 0")
