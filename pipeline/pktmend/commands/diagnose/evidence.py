"""Evidence: everything that one tap, live or a file, has to say.

Rules of this file:
1. The healthy majority costs C: statuses are counted and conversations are followed by the engine.
2. Python looks at packets that are bad or malformed, at a few of those that are pending, at DHCP and at ICMP errors,
   and of each kind at so many and no more.
3. Nothing is concluded here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

from pktmend import _core
from pktmend.commands.diagnose.companions import Companions
from pktmend.commands.diagnose.contradictions import Contradiction, contradiction_of, malformed
from pktmend.commands.diagnose.conversations import Direction, directions_of
from pktmend.commands.diagnose.samples import Sample, addresses_of, samples_of
from pktmend.console.unread import take_unread
from pktmend.enums import CheckFlag, PacketFlag, Proto, Status
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Stage
from pktmend.runtime.stages import Verify, classify, count

PER_CAUSE: Final = 512  # bad packets that are looked at, of each cause
WHOLE: Final = 64  # of them so many are kept whole
HEAD: Final = 128  # of the others, bytes
LONGEST: Final = 9234  # bytes of a frame that is kept whole: the largest jumbo frame
PENDING: Final = 16
CONTRADICTIONS: Final = 16
MESSAGES: Final = 1000  # of DHCP, and as many ICMP errors
ICMP_LOOKS: Final = 20_000
GOOD: Final = 256  # good checks of the senders of bad ones
GOOD_LOOKS: Final = 4096
ICMP_ERRORS: Final = {1: (3, 4, 5, 11, 12), 58: (1, 2, 3, 4)}
BOOTP_REPLY: Final = 2
DHCP_COOKIE: Final = b"\x63\x82\x53\x63"


@dataclass(frozen=True, slots=True)
class Dhcp:
    """A DHCP message.

    n: of the packet.     client: its hardware address.     kind: 1 DISCOVER, 2 OFFER, 3 REQUEST, ...; 0 unknown.
    """

    n: int
    is_reply: bool
    client: bytes
    kind: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error: where it went, and what it quotes; sample is its own sum, quoted that of the IP header in it."""

    n: int
    target: str
    quoted_source: str
    quoted_target: str
    sample: Sample
    quoted: Sample | None

    @property
    def is_whole(self) -> bool:
        """What it quotes is an IP packet, and its IPv4 header has not been damaged."""
        k = self.quoted
        if k is None or k.expected is None or k.proto != Proto.IP:
            return True
        return k.delta == 0 or self.quoted_source == self.target


@dataclass
class Tap:
    """What one tap saw.

    name:    of the interface or file.           is_live: the kernel says what it knows of each checksum.
    at_wire: the user says that it was taken beyond the sender.
    good:    a few right checks of the senders of bad ones (SCTP: of any), of packets seen at about the same time.
    seeded:  numbers of bad packets that carry a partial checksum beside the bad one.
    companions: what goes beside bad packets and is right.
    stray:   of packets whose metadata names no checksum field; stray_pending: how many of those have a partial sum.
    finished: of packets whose sums are all right though a file flags them as partial.
    unread:  packets that were not looked into, by reason (Unread) and the number that is not known.
    is_cut:  the file ended within a packet, or was broken there: what came after is unknown.
    """

    name: str
    is_live: bool
    at_wire: bool = False
    bad: dict[int, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    pending: list[Sample] = field(default_factory=list)
    good: list[Sample] = field(default_factory=list)
    good_looks: int = 0
    seeded: set[int] = field(default_factory=set)
    companions: Companions = field(default_factory=Companions)
    is_cut: bool = False
    stray: list[Sample] = field(default_factory=list)
    stray_pending: int = 0
    finished: list[Sample] = field(default_factory=list)
    dhcp: list[Dhcp] = field(default_factory=list)
    icmp_errors: list[IcmpError] = field(default_factory=list)
    icmp_seen: int = 0
    unread: Counter[tuple[int, int]] = field(default_factory=Counter)
    contradictions: list[Contradiction] = field(default_factory=list)
    has_metadata: bool = False
    conversations: _core.Conversations = field(default_factory=_core.Conversations)
    directions: list[Direction] = field(default_factory=list)
    counted: Counters | None = None

    def stages(self) -> list[Stage]:
        """Return what a pipeline needs to fill this."""
        return [Verify(at_wire=self.at_wire), classify, count, self.conversations.stage(), self.collect]

    def close(self, counted: Counters) -> None:
        """Take over the totals; the pipeline has ended."""
        self.counted, self.directions = counted, directions_of(self.conversations)

    @property
    def counters(self) -> Counters:
        """The totals."""
        if self.counted is None:
            raise RuntimeError("the tap is still open")
        return self.counted

    @property
    def checks(self) -> dict[str, dict[str, int]]:
        """{protocol: {status or cause: checks}}."""
        return self.counters.checks

    def total(self, *outcomes: str) -> int:
        """How many checks have one of these statuses or causes."""
        return sum(found.get(outcome, 0) for found in self.checks.values() for outcome in outcomes)

    def samples(self) -> list[Sample]:
        """All bad checks that were looked at, in the order of their packets."""
        return sorted((s for found in self.bad.values() for s in found), key=lambda s: (s.n, s.offset))

    def collect(self, batch: _core.Batch) -> None:
        """Reads: status, cause, flags, unread, checks, frames.  Writes: nothing."""
        if len(batch) and not self.has_metadata:
            self.has_metadata = bool(batch.flags[0] & PacketFlag.METADATA)
        if self.is_live:
            self._collect_stray(batch)
        elif self.has_metadata and len(self.finished) < PENDING:
            self._collect_finished(batch)
        take_unread(self.unread, batch)
        self._collect_bad(batch)
        self.companions.collect(batch)
        if len(self.pending) < PENDING:
            self._collect_pending(batch)
        if len(self.contradictions) < CONTRADICTIONS:
            self._collect_malformed(batch)
        if len(self.dhcp) < MESSAGES:
            for i in batch.where(protocol=17, port=68):
                self._collect_dhcp(batch, i)
        for protocol in ICMP_ERRORS:
            if self.icmp_seen < ICMP_LOOKS and len(self.icmp_errors) < MESSAGES:
                found = batch.where(protocol=protocol)
                self.icmp_seen += len(found)
                for i in found:
                    self._collect_icmp(batch, i, protocol)

    def _collect_stray(self, batch: _core.Batch) -> None:
        for i in batch.where(flags=PacketFlag.STRAY_METADATA):
            checks = [k for k in batch.checks_of(i) if k.proto != Proto.IP] or batch.checks_of(i)
            self.stray_pending += any(k.status == Status.PENDING for k in checks)
            if len(self.stray) < PENDING and checks:
                self.stray.append(with_expected(samples_of(batch, i, checks[-1:], LONGEST)[0]))

    def _collect_finished(self, batch: _core.Batch) -> None:
        for i in batch.where(flags=PacketFlag.NOT_READY, status=Status.GOOD)[: PENDING - len(self.finished)]:
            checks = [k for k in batch.checks_of(i) if k.status == Status.GOOD and k.proto != Proto.IP]
            self.finished += samples_of(batch, i, checks[-1:], LONGEST)

    def _collect_bad(self, batch: _core.Batch) -> None:
        found = batch.where(status=Status.BAD)
        if not found:
            return
        causes = bytes(batch.cause)
        for i in found:
            kept = self.bad[causes[i]]
            if len(kept) < PER_CAUSE:
                checks = [k for k in batch.checks_of(i) if k.status == Status.BAD]
                found_bad = samples_of(batch, i, checks, LONGEST if len(kept) < WHOLE else HEAD)
                kept.extend(found_bad)
                for s in found_bad:
                    self.companions.watch(s.source, s.target)
                if any(k.status == Status.PENDING for k in batch.checks_of(i)):
                    self.seeded.add(batch.number[i])
                    self._take_pending(batch, i)

        self._collect_good(batch)

    def _collect_good(self, batch: _core.Batch) -> None:
        if len(self.good) >= GOOD or self.good_looks >= GOOD_LOOKS:
            return
        senders = {(s.source, s.proto) for found in self.bad.values() for s in found if s.proto != Proto.IP}
        protocols = {proto for _, proto in senders}
        for i in batch.where(status=Status.GOOD)[: GOOD_LOOKS - self.good_looks]:
            self.good_looks += 1
            checks = [k for k in batch.checks_of(i) if k.status == Status.GOOD and k.proto in protocols]
            if checks and len(self.good) < GOOD:
                found = samples_of(batch, i, checks, LONGEST)
                self.good.extend(s for s in found if (s.source, s.proto) in senders or s.proto == Proto.SCTP)

    def _collect_pending(self, batch: _core.Batch) -> None:
        for i in batch.where(status=Status.PENDING)[: PENDING - len(self.pending)]:
            self._take_pending(batch, i)

    def _take_pending(self, batch: _core.Batch, i: int) -> None:
        if len(self.pending) < PENDING:
            checks = [k for k in batch.checks_of(i) if k.status == Status.PENDING]
            self.pending.extend(with_expected(s) for s in samples_of(batch, i, checks, 1 << 17))

    def _collect_malformed(self, batch: _core.Batch) -> None:
        for i in malformed(batch):
            found = contradiction_of(batch, i)
            if found is not None and len(self.contradictions) < CONTRADICTIONS:
                self.contradictions.append(found)

    def _collect_dhcp(self, batch: _core.Batch, i: int) -> None:
        checks = [k for k in batch.checks_of(i) if k.start == batch.l4[i]]
        message = batch.head(i)[batch.l4[i] + 8 :]
        if not checks or len(message) < 240:
            return
        sample = with_expected(samples_of(batch, i, checks, LONGEST)[0])
        self.dhcp.append(Dhcp(batch.number[i], message[0] == BOOTP_REPLY, message[28:34], _dhcp_type(message), sample))

    def _collect_icmp(self, batch: _core.Batch, i: int, protocol: int) -> None:
        data, l4 = batch.head(i), batch.l4[i]
        if l4 >= len(data) or data[l4] not in ICMP_ERRORS[protocol]:
            return
        checks = batch.checks_of(i)
        own = [k for k in checks if k.start == l4]
        inner = [k for k in checks if k.flags & CheckFlag.QUOTED and k.start == l4 + 8]
        version = 4 if protocol == 1 else 6
        source, target = addresses_of(data, l4 + 8, version)
        if not own or not source or data[l4 + 8] >> 4 != version:
            return
        sample = samples_of(batch, i, own, LONGEST)[0]
        quoted = samples_of(batch, i, inner, LONGEST)[0] if inner else None
        self.icmp_errors.append(IcmpError(batch.number[i], sample.target, source, target, sample, quoted))


def with_expected(s: Sample) -> Sample:
    """Return the sample with what its field should hold; the engine leaves that out for pending checks."""
    if s.expected is not None or len(s.frame) < s.wirelen:
        return s
    for k in _core.inspect(s.frame, link=s.link)[2]:
        if k.offset == s.offset and k.flags & CheckFlag.HAS_EXPECTED:
            return replace(s, expected=k.expected)
    return s


def _dhcp_type(message: bytes) -> int:
    """Return option 53 (RFC 2132 section 9.6), 0 where there is none."""
    at = 240
    if message[236:240] != DHCP_COOKIE:
        return 0
    while at + 1 < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        if message[at] == 53 and at + 2 < len(message):
            return message[at + 2]
        at += 2 + message[at + 1]
    return 0
