"""What a rule works on: a tap's evidence, the machine around it, and the bad packets that nobody has explained yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from pktmend.commands.diagnose.causes import CAUSES
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import Remedy
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.remedies import bridge_command
from pktmend.commands.diagnose.samples import Sample
from pktmend.console.plural import quantity
from pktmend.enums import Cause
from pktmend.host.model import Interface

SURE: Final = 2  # packets by which chance is ruled out: one in 65,536 each
REPEATS: Final = 3  # packets of a flow with the same difference


class Case:
    """One diagnosis under way."""

    def __init__(self, tap: Tap, around: HostContext | None) -> None:
        self.tap = tap
        self.around = around
        self.rest = tap.samples()
        self._kept = Counter((str(s.proto), str(s.cause)) for s in self.rest)

    def claim(self, wanted: Callable[[Sample], bool]) -> list[Sample]:
        """Take the unexplained samples that *wanted* accepts."""
        mine = [s for s in self.rest if wanted(s)]
        if mine:
            self.rest = [s for s in self.rest if not wanted(s)]
        return mine

    def claim_causes(self, *causes: Cause) -> list[Sample]:
        """Take the samples of these causes."""
        return self.claim(lambda s: s.cause in causes)

    def total(self, samples: Iterable[Sample]) -> dict[str, int]:
        """Return {"tcp leaked": 41, ...}: of what the samples show, the number in the whole capture.

        Exact where all samples of a cause were claimed together, else the samples' own number.
        """
        mine = Counter((str(s.proto), str(s.cause)) for s in samples)
        return {
            f"{proto} {cause}": self.tap.checks.get(proto, {}).get(cause, n) if n == self._kept[proto, cause] else n
            for (proto, cause), n in mine.items()
        }

    def owner(self, address: str, mac: str = "") -> Interface | None:
        """The interface of this machine that has *address*; None offline."""
        return self.around.owner(address, mac) if self.around else None

    def bridge(self, name: str, samples: list[Sample], *, is_behind: bool = True) -> str | None:
        """Return the bridge command against root cause *name*, None if there is none.

        is_behind: these samples were seen behind the hop; else the loss lies further on.
        """
        template = CAUSES[name].bridge
        if not template or not samples:
            return None
        incoming = is_behind and not all(s.is_outgoing for s in samples)
        return bridge_command(template, self.around, self.receiver(samples[0]), incoming=incoming)

    def bridges(
        self, name: str, samples: list[Sample], senders: Iterable[Interface], *, is_behind: bool = True
    ) -> str | None:
        """The same against a hop, with a line more for each sender here whose super-frames the hop would drop."""
        first = self.bridge(name, samples, is_behind=is_behind)
        if first is None:
            return None
        more = [
            bridge_command(CAUSES[name].bridge, self.around, sender, incoming=False)
            for sender in senders
            if self.around and sender.makes_super_frames and self.around.machine.peer_of(sender)
        ]
        return "\n".join(dict.fromkeys([first, *more]))

    def receiver(self, s: Sample) -> Interface | None:
        """The interface of this machine that a packet is for: by its outermost address, else by its MAC address."""
        owner = self.owner(s.outer[1] or s.target)
        if owner is None and self.around is not None and s.target_mac:
            alike = [i for i in self.around.machine.interfaces() if i.mac == s.target_mac]
            owner = alike[0] if len(alike) == 1 else None
        return owner

    def rising(self) -> list[str]:
        """Counters that rose meanwhile."""
        return self.around.rising() if self.around else []

    def two_taps(self) -> Remedy:
        """How to find the hop that spoils them."""
        name = self.tap.name if self.tap.is_live else "BEFORE"
        return Remedy(
            f"pktmend diagnose -i {name} -I AFTER",
            "tap before and after each hop on the way: the one behind which they turn wrong",
        )


def surely(samples: list[Sample]) -> str:
    """`likely` for few packets, where chance is not ruled out, else `certain`."""
    return "certain" if len(samples) >= SURE else "likely"


def counted(counts: dict[str, int], words: str) -> str:
    """`41 tcp, 3 udp checksums are`, `1 tcp checksum is`: a finding's numbers without their causes; see quantity."""
    by_proto = Counter[str]()
    for key, n in counts.items():
        by_proto[key.split()[0]] += n
    numbers = ", ".join(f"{n} {proto}" for proto, n in by_proto.items())
    return f"{numbers} {quantity(by_proto.total(), words).partition(' ')[2]}"
