"""The options of `pktmend bridge`: a field for each, named as on the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pktmend.enums import OnError
from pktmend.errors import ConfigError
from pktmend.host import privileges
from pktmend.host.interfaces import require_interface


@dataclass(frozen=True, kw_only=True)
class BridgeOptions:
    """What `pktmend bridge --help` says of each; the fields are the options' names.

    finish:    interfaces whose next hop loses partial-checksum metadata.
    stage:     users' stages, as stage_loader.load takes them.       on_error: None ends at the first failure.
    tunnel:    KIND=PORT, taken before the bridge is made.
    listen:    HOST:PORT of metrics and page.
    workloads: label its metrics with the pods and containers at both ends.
    duration:  seconds, None for ever.     rx_usecs, busy_poll: microseconds.
    """

    a: str
    b: str
    unidir: bool = False
    repair: Literal["leaked", "all", "none"] = "leaked"
    corrupt: Literal["pass", "drop"] = "pass"
    finish: tuple[str, ...] = ()
    ring: Literal["v2", "v3"] = "v2"
    workers: int = 1
    busy_poll: int = 0
    rx_usecs: int = 75
    no_coalesce: bool = False
    tunnel: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    on_error: Literal["pass", "drop"] | None = None
    cut_through: Literal["auto", "off"] = "auto"
    isolate: bool = False
    loop: Literal["warn", "stop", "off"] = "warn"
    force: bool = False
    user: str = ""
    no_seccomp: bool = False
    verbose: bool = False
    listen: str | None = None
    workloads: bool = False
    duration: float | None = None
    json: bool = False

    def validate(self) -> None:
        """Raise ConfigError or OSFailure for what cannot work."""
        if self.a == self.b:
            raise ConfigError(
                f"-i and -I are both {self.a!r}", "a bridge joins two different interfaces", options=("a", "b")
            )
        for name in self.finish:
            if name not in (self.a, self.b):
                raise ConfigError(
                    f"--finish {name!r} is not one of the bridge's interfaces",
                    f"{self.a}, {self.b}",
                    options=("finish",),
                )
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise ConfigError(f"--duration {self.duration}", "seconds above 0", options=("duration",))
        if self.listen is not None:
            from pktmend.serving.server import parse_address

            parse_address(self.listen)
        elif self.workloads:
            raise ConfigError("--workloads labels what --listen serves", "--listen [HOST:]PORT", options=("workloads",))
        if self.user:
            privileges.find_user(self.user)
        for name in (self.a, self.b):
            require_interface(name)

    @property
    def directions(self) -> list[tuple[str, str]]:
        """(from, to) of each direction."""
        return [(self.a, self.b)] if self.unidir else [(self.a, self.b), (self.b, self.a)]

    @property
    def ring_version(self) -> int:
        """2 or 3."""
        return int(self.ring[1:])

    @property
    def policy(self) -> OnError:
        """What becomes of a batch on which a user's stage fails."""
        return OnError[(self.on_error or "end").upper()]
