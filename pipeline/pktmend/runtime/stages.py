"""The stages that come with the engine; native_stages has those of your own in C.

A stage is anything that can be called with a batch.  It reads columns, writes columns, returns nothing.
`verify`, `classify`, `count`, `repair` and `drop_corrupt` are ready made, in C; in a pipeline they run without the GIL.
`Verify(...)`, `Repair(...)` and `Classify()` make others with options: a name with a capital is a class, one without
is a stage or a function.

BUILTIN says what each reads, writes and costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pktmend import _core
from pktmend.enums import Cause, RepairPolicy
from pktmend.errors import ConfigError

_EXPECTED, _AT_WIRE = 1, 2


class Verify(_core.NativeStage):
    """Find every checksum of each packet and say of each: good, absent, unchecked, pending or bad.

    expected: also compute what a pending checksum will be (costs a pass over the payload).
    at_wire:  the packets were taken beyond the sender: a partial checksum has leaked, even without metadata.

    Reads: frames, flags.  Writes: status, checks, l3, l4, version, protocol.
    """

    __slots__ = ()

    def __new__(cls, *, expected: bool = False, at_wire: bool = False) -> Self:
        return _core.verify_stage((_EXPECTED if expected else 0) | (_AT_WIRE if at_wire else 0), cls)


class Classify(_core.NativeStage):
    """Say why a bad checksum is bad.  In a pipeline each worker remembers witnesses of address translation.

    Called outside of a pipeline, an instance remembers them from batch to batch, for one thread; the ready-made
    `classify`, which all share, knows the batch at hand.

    Reads: checks, frames.  Writes: cause; status of outer checks.
    """

    __slots__ = ()

    def __new__(cls) -> Self:
        return _core.classify_stage(cls, remembers=True)


class Repair(_core.NativeStage):
    """Complete checksums in place, and the status with them.

    policy: a RepairPolicy or its word.  leaked: what is provably partial and lost its metadata.  unfinished: also what
            is pending, for files.  all: whatever can be computed, corruption included.  none: nothing.
    excepted: causes that are left as they are; Cause.NONE stands for what is pending.
    Raises: ConfigError for another word.

    Reads: checks, verdict.  Writes: checksum fields, status.
    """

    __slots__ = ()

    def __new__(cls, policy: RepairPolicy | str = RepairPolicy.LEAKED, *, excepted: Iterable[Cause] = ()) -> Self:
        if isinstance(policy, str):
            try:
                policy = RepairPolicy[policy.upper()]
            except KeyError:
                raise ConfigError(f"repair policy {policy!r}", f"one of {', '.join(map(str, RepairPolicy))}") from None
        return _core.repair_stage(_core.repair_option(int(policy), excepted), cls)


verify = Verify()
classify = _core.classify_stage(_core.NativeStage)
count = _core.count_stage()
repair = Repair()
drop_corrupt = _core.drop_corrupt_stage()

# stage: (reads, writes, what its cost grows with)
BUILTIN: dict[_core.NativeStage, tuple[str, str, str]] = {
    verify: ("frames, flags", "status, checks, l3, l4, version, protocol", "every byte that a sum covers"),
    classify: ("checks, frames", "cause; status of outer checks", "packets, and bad checks"),
    count: ("status, checks, flags", "the worker's counters", "checks"),
    drop_corrupt: ("status", "verdict", "packets"),
    repair: ("checks, verdict", "checksum fields, status", "packets, and fields that are written"),
}
