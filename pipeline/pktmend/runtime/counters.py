"""Frozen snapshots of what a worker counted: every frame ends in exactly one counter.

arrived = cut_through.frames + kernel_seen + cut_through.lost; without cut-through all that arrives is kernel_seen;
kernel_seen = read + kernel_drops once the ring is drained (before that, the rest waits in the ring);
read = sent + dropped + truncated + tx_error + held, always.
"""

import errno
from collections.abc import Sequence
from typing import Any, NamedTuple

from pktmend.enums import Cause, Drop, Proto, Status, Unread

OUTCOMES: tuple[str, ...] = (*map(str, Status), *map(str, list(Cause)[1:]))  # bad checks are counted by cause

LEFT: tuple[str, ...] = ("policy", "only", "unable")  # by the engine's number: why repair left a check as it is


def _outcomes(counts: list[int]) -> dict[str, int]:
    """Name the nonzero outcomes of one protocol's checks.  A bad check that was not classified is plain `bad`."""
    return {OUTCOMES[i]: n for i, n in enumerate(counts) if n}


def _add(values: Sequence[Any]) -> Any:
    """Add numbers, or dictionaries and tuples of them place by place; names are all the same."""
    first = values[0]
    if isinstance(first, int):
        return sum(values)
    if isinstance(first, StageCount):
        return first.plus(values[1:])
    if isinstance(first, tuple):
        return tuple(_add(each) for each in zip(*values, strict=True))
    if isinstance(first, dict):
        keys = dict.fromkeys(key for each in values for key in each)
        return {key: _add([each[key] for each in values if key in each]) for key in keys}
    return first


class StageCount(NamedTuple):
    """What a user's stage did.

    name:     of the stage.
    calls:    batches that it was called with.
    errors:   calls that failed.
    ns:       nanoseconds that all calls took together.
    fault:    the first failure in words, or None.
    counters: what the stage's own counters() says, if it has that.
    """

    name: str
    calls: int
    errors: int
    ns: int
    fault: str | None
    counters: dict[str, int]

    def plus(self, others: Sequence["StageCount"]) -> "StageCount":
        """Add the same stage of other workers."""
        each = (self, *others)
        return StageCount(
            self.name,
            sum(s.calls for s in each),
            sum(s.errors for s in each),
            sum(s.ns for s in each),
            next((s.fault for s in each if s.fault), None),
            _add([s.counters for s in each]),
        )


class CutThroughCount(NamedTuple):
    """What the kernel carried by itself, past the ring, because nothing had to be done.

    frames:       that it carried.       octets: bytes of them.     super_frames: of them, above a segment's size.
    no_checksum:  of them, without any checksum: ARP.
    held:         frames that it would have carried, had not one before them in their flow been with the ring.
    lost:         frames that found no room on their way to the ring.
    checks:       of what it carried, by protocol, then by status.
    """

    frames: int
    octets: int
    super_frames: int
    no_checksum: int
    held: int
    lost: int
    checks: dict[str, dict[str, int]]


class Counters(NamedTuple):
    """What one worker counted; all 64-bit totals since its start.

    From the ledger, in frames:
    from_, to:     names of source and sink: an interface, a path, "" or None.
    kernel_seen:   what the kernel put or wanted to put into the ring; 0 for a file.
    kernel_drops:  of these, what found no room in it.
    read:          what was read from the source.
    sent:          of these, what left as it was read; a super-frame that left as 45 segments counts once.
    sent_frames:   frames that left, each segment counted.
    dropped:       what was dropped here, by reason (Drop).
    truncated:     what was cut when it was captured, and so not sent on.
    tx_error:      what the sink refused, by the errno's name.
    held:          what was read and has not ended in any of these yet, or never did because a stage failed.
    rebuilds:      times that the ring had to be set up again.
    link_events:   times that the interface went down or changed.
    unsupported_gso: of kernel_drops, super-frames of a type that a packet socket cannot hand over (UFO, SCTP).

    From the stage `count`, in packets; zero without it:
    packets:       what was counted.       octets: bytes of them on the wire.
    malformed:     with headers that contradict each other.       super_frames: above the MTU, to be segmented.
    repaired:      checksums completed by `repair`, by cause, or `pending`.
    finished:      completed on a finishing egress.       split: super-frames segmented there.
    claimed_valid: bad although the kernel or device had called them valid.
    stray_csum_metadata: with metadata that names no checksum field; it is corrected or dropped on the way out.
    status:        packets by Status.
    checks:        checksums by protocol (Proto), then by Status, bad ones by Cause.
    unread:        packets of which something was not looked into, by reason (Unread).

    stages:        what each stage of yours did, in their order.

    Of a bridge whose healthy frames the kernel carries; of a direction, not of a worker:
    arrived:       what came to the interface, all in all.
    cut_through:   None without.

    left:          checks that a repair left bad or pending, by reason (LEFT), then by cause; of `fix` alone.
    """

    from_: str
    to: str | None
    kernel_seen: int
    kernel_drops: int
    read: int
    sent: int
    sent_frames: int
    dropped: dict[str, int]
    truncated: int
    tx_error: dict[str, int]
    held: int
    rebuilds: int
    link_events: int
    packets: int
    octets: int
    malformed: int
    super_frames: int
    repaired: dict[str, int]
    finished: int
    split: int
    claimed_valid: int
    status: dict[str, int]
    checks: dict[str, dict[str, int]]
    unread: dict[str, int]
    stages: tuple[StageCount, ...]
    stray_csum_metadata: int
    unsupported_gso: int
    arrived: int
    cut_through: CutThroughCount | None
    left: dict[str, dict[str, int]]

    @classmethod
    def of(cls, ledger: dict[str, Any], tally: dict[str, Any], from_: str, to: str | None) -> "Counters":
        """Name the engine's numbers."""
        return cls(
            from_=from_,
            to=to,
            kernel_seen=ledger["kernel_seen"],
            kernel_drops=ledger["kernel_drops"],
            read=ledger["read"],
            sent=ledger["sent"],
            sent_frames=ledger["sent_frames"],
            dropped={str(Drop(i)): n for i, n in enumerate(ledger["dropped"]) if n},
            truncated=ledger["truncated"],
            tx_error={errno.errorcode.get(i, str(i)): n for i, n in ledger["tx_error"].items()},
            held=ledger["held"],
            rebuilds=ledger["rebuilds"],
            link_events=ledger["link_events"],
            packets=tally["packets"],
            octets=tally["octets"],
            malformed=tally["malformed"],
            super_frames=tally["super_frames"],
            repaired={str(Cause(i)) if i else str(Status.PENDING): n for i, n in enumerate(tally["repaired"]) if n},
            finished=tally["finished"],
            split=tally["split"],
            claimed_valid=tally["claimed_valid"],
            status={str(Status(i)): n for i, n in enumerate(tally["status"]) if n},
            checks={str(Proto(p)): named for p, row in enumerate(tally["checks"]) if (named := _outcomes(row))},
            unread={str(Unread(i)): n for i, n in enumerate(tally["unread"]) if n},
            stages=tuple(StageCount(**each) for each in ledger["stages"]),
            stray_csum_metadata=tally["stray_csum_metadata"],
            unsupported_gso=ledger["unsupported_gso"],
            arrived=ledger["kernel_seen"],
            cut_through=None,
            left={
                why: {str(Cause(i)) if i else str(Status.PENDING): n for i, n in enumerate(counts) if n}
                for why, counts in zip(LEFT, tally.get("left", ()), strict=False)
                if any(counts)
            },
        )

    @property
    def all_checks(self) -> dict[str, dict[str, int]]:
        """The checks of what went through the ring, and of what the kernel carried."""
        return _add([self.checks, self.cut_through.checks]) if self.cut_through else self.checks

    @classmethod
    def sum(cls, parts: Sequence["Counters"]) -> "Counters":
        """Add up the workers of one direction."""
        if len(parts) == 1:
            return parts[0]
        return cls(**{name: _add([getattr(part, name) for part in parts]) for name in cls._fields})

    def as_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values, the object that `--json` prints."""
        fields = self._asdict() | {"checks": self.all_checks, "stages": [stage._asdict() for stage in self.stages]}
        if self.cut_through is None:
            del fields["cut_through"]
        else:
            fields["cut_through"] = self.cut_through._asdict()
        if not self.left:
            del fields["left"]
        return {"from": fields.pop("from_"), **fields}
