"""What a hop did between two taps."""

from __future__ import annotations

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import with_numbers
from pktmend.console.plural import quantity

Counts = tuple[tuple[str, int], ...]


class Hop(Sentence):
    """Facts without numbers."""

    SUM_ALONE = "headers and contents are the same on both sides; the checksum alone was written over"
    UPDATED_AS_IF_COMPLETE = (
        "the field was updated for what was rewritten as if it were a complete checksum: what it lacked it lacks still"
    )
    COMPLETED_AGAIN = "they were complete and right before the hop, which completed them again"


class ChangedChecks(Observation):
    """Packets whose checks were right before the hop; (protocol, before, behind) of each kind."""

    packets: int
    kinds: tuple[tuple[str, str, str], ...]

    @property
    def text(self) -> str:
        kinds = ", ".join(f"{proto} checksums {a} before it are {b} behind it" for proto, a, b in self.kinds)
        return f"{quantity(self.packets, 'packet was')} changed by the hop: {kinds}"


class ChangedField(Observation):
    """One packet's numbers at both taps, and its field before, behind, and as it should be."""

    before: int
    behind: int
    fields: tuple[str, str, str]

    @property
    def text(self) -> str:
        was, now, right = self.fields
        return (
            f"packet {self.before} before it is packet {self.behind} behind it: the field was {was} and is {now}, "
            f"right would be {right}"
        )


class ChangedBits(Observation):
    """How many bits of how many changed, in how many packets; the first (offset, bits)."""

    bits: int
    total: int
    packets: int
    first: tuple[tuple[int, int], ...]

    @property
    def text(self) -> str:
        where = ", ".join(
            f"byte {abs(i)} {'of' if i >= 0 else 'before'} the transport, bits {x:02x}" for i, x in self.first
        )
        return (
            f"{quantity(self.bits, 'bit')} of {self.total} in {quantity(self.packets, 'damaged packet')} changed: "
            f"{where}"
        )


class ChangedContents(Observation):
    """One packet whose contents differ: how many bytes, from where to where."""

    packet: int
    n: int
    first: int
    last: int

    @property
    def text(self) -> str:
        return (
            f"their contents differ, in packet {self.packet} {quantity(self.n, 'byte')} from {self.first} to "
            f"{self.last} of the transport"
        )


class Rewrote(Observation):
    """Header fields that the hop rewrote in these packets."""

    fields: Counts

    @property
    def text(self) -> str:
        fields = with_numbers(self.fields) or "no header that is compared"
        return f"in these packets the hop rewrote {fields}; the contents are the same"


class SeenAtBoth(Observation):
    """Packets that were found at both taps; one in *sampled* was looked for; (before, behind, how many)."""

    packets: int
    sampled: int
    kinds: tuple[tuple[str, str, int], ...]

    @property
    def text(self) -> str:
        sampled = f" (one in {self.sampled} was looked for)" if self.sampled > 1 else ""
        kinds = "".join(f", {n} {a} then {b}" for a, b, n in self.kinds)
        return f"{quantity(self.packets, 'packet was')} seen at both taps{sampled}{kinds}"


class RewroteInGeneral(Observation):
    """Header fields that the hop rewrote in all that were compared."""

    compared: int
    fields: Counts

    @property
    def text(self) -> str:
        return f"of {self.compared} that were compared the hop rewrote {with_numbers(self.fields)}"


class OtherLengths(Observation):
    """Packets that left with another length."""

    n: int

    @property
    def text(self) -> str:
        return f"{self.n} of them left with another length: super-frames that were split or coalesced"


class Missing(Observation):
    """Packets of one tap that the other did not show."""

    n: int
    tap: str
    other: str
    first: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'packet')} of {self.tap} did not show at {self.other}, the first is packet {self.first}"
        )


class KernelDropped(Observation):
    """Taps whose packets the kernel dropped."""

    taps: Counts

    @property
    def text(self) -> str:
        taps = " and ".join(f"{name} ({n})" for name, n in self.taps)
        return f"what did not arrive cannot be told: the kernel dropped packets of {taps}"


class ClocksDiffer(Observation):
    """By how much, in ns."""

    ns: int

    @property
    def text(self) -> str:
        return (
            f"the clocks of the captures differ by {self.ns / 1e9:.3f} s: all packets are taken as "
            "going from the first to the second"
        )
