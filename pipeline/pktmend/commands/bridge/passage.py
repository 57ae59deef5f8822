"""One direction of cut-through: what the kernel's part is told, where suspects come up, and how all is counted.

    source --tc ingress, KernelJudge.cut: healthy--> target
                                          suspect--> internal port --rings--> workers --> target

Rules of this file:
1. A frame is read at one place only: from the internal port while the kernel's part is in force, else from the port.
2. Where the kernel's part cannot work any longer, the rings go back to the port (retreat), for good, and one line says
   so: the bridge goes on as without it.
3. After set-up nothing here takes a privilege.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Final, NamedTuple

from pktmend import _core
from pktmend.commands.bridge.joining import Joining
from pktmend.commands.bridge.keeper import PortKeeper
from pktmend.host.ethtool import features_of
from pktmend.host.tcx import Attachment, attach
from pktmend.packetio.internal_port import InternalPort, InternalRing, PortAnchor
from pktmend.packetio.kernel_judge import KernelJudge, Way
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.runtime.counters import Counters, CutThroughCount

TX_CHECKSUM: Final = "tx-checksum-"  # how features begin that let partial checksums leave
PATIENCE: Final = 1.0  # seconds without the kernel's part in force, after which the rings go back to the port
SETTLE: Final = 0.2  # seconds that frames on their way to the rings are given at the end


class _Quiet(NamedTuple):
    """Since when as many frames are numbered and through (seen), and the workers' beats then."""

    since: float
    seen: tuple[int, int]
    beats: tuple[int, ...]


class Passage:
    """The kernel's part of one direction, and the internal port; a context manager.

    is_blocked: nothing is to be carried: set by the owner.
    joining:  of what arrives, where the owner has been granted it.
    judge:    its programs, which are attached harmlessly at first: they leave every frame alone until begin().
    finishes: the target's checksums are completed on the way out: by the kernel, as long as its tx offload is off.
    Raises OSFailure, OSError: it cannot be had here.
    """

    def __init__(self, source: str, target: str, keeper: PortKeeper, *, finishes: bool) -> None:
        self.source, self.target = source, target
        self._keeper = keeper
        self._out_of_force_since = 0.0
        self._finishes = finishes
        self.is_blocked = False
        self.joining: Joining | None = None
        self._is_retreat = self._is_over = False
        self._told: tuple[bool, int, int] | None = None
        self._lost = self._missing = 0
        self._quiet = _Quiet(0.0, (0, 0), ())
        self.rings: list[InternalRing] = []
        with ExitStack() as stack:
            self.judge = stack.enter_context(KernelJudge())
            self._internal = stack.enter_context(InternalPort())
            stack.callback(_let_go, attach(self._internal.index, "ingress", self.judge.refuse))
            self.clearing = _core.Clearing(*self.judge.numbers)
            stack.callback(self.clearing.close)
            self._anchor = stack.enter_context(PortAnchor(source, self.rings))
            self._open = stack.pop_all()

    @property
    def anchor(self) -> PortAnchor:
        """What holds the port instead of a ring."""
        return self._anchor

    @property
    def has_retreated(self) -> bool:
        """Could it not go on, so that the ring reads everything?"""
        return self._is_retreat

    def make_ring(self, **options: Any) -> InternalRing:
        """Return a ring that reads what comes up; the caller closes it."""
        ring = InternalRing(self._internal, self.source, **options)
        self.rings.append(ring)
        return ring

    def begin(self, source: LinkMonitor, target: LinkMonitor) -> None:
        """Let the kernel's part work, once all rings are there."""
        self._index = source.index
        self._adapt(target)
        self.judge.configure(internal=self._internal.index, suspects=Way.IN)

    def follow(
        self, source: LinkMonitor, target: LinkMonitor, beats: Sequence[int], notify: Callable[[str], None]
    ) -> None:
        """Tell the kernel's part what became of the interfaces.

        beats: of the workers, numbers that rise while they work or wait.
        """
        self._write_off(beats, time.monotonic())
        self.clearing.set_lost(self._lost)
        if self._is_retreat or self._is_over:
            return
        if not self._internal.is_there():
            self._retreat(f"its internal port {self._internal.name} is gone", notify)
        elif why := self._out_of_force(source, time.monotonic()):
            self._retreat(why, notify)
        else:
            self._adapt(target)
            if self.joining is not None:
                self.joining.look(time.monotonic(), self.judge.counts())

    def is_settled(self, source: LinkMonitor) -> bool:
        """Does what arrives now come to the kernel's part, as far as it ever will?"""
        if self._is_retreat or self._is_over or self._keeper.is_lost or not source.can_carry:
            return True
        states = self._keeper.states.get(self.source, [])
        return self._keeper.indexes.get(self.source) == source.index and any(
            each.purpose == "cut-through" and each.in_force for each in states
        )

    def _write_off(self, beats: Sequence[int], now: float) -> None:
        """Count what found no room on its way up, and what is missing at rings that have been idle for long."""
        dropped = self._internal.dropped()
        self._lost = dropped + self._missing
        if (seen := (self.clearing.issued, self.clearing.done)) != self._quiet.seen or self.clearing.is_through():
            self._quiet = _Quiet(now, seen, tuple(beats))
        elif now - self._quiet.since > PATIENCE and all(map(operator.ne, beats, self._quiet.beats)):
            self._missing = max(0, seen[0] - seen[1] - dropped)
            self._lost = dropped + self._missing

    def _out_of_force(self, source: LinkMonitor, now: float) -> str:
        """Say why frames do not come to the kernel's part, once that has lasted too long."""
        if self._keeper.is_lost and source.can_carry and source.index != self._index:
            return "the interface is another one now, and nobody attaches it there"
        states = self._keeper.states.get(self.source, [])
        if not source.can_carry or any(each.purpose == "cut-through" and each.in_force for each in states):
            self._out_of_force_since = 0.0
            if not self._keeper.is_lost:
                self._index = source.index
            return ""
        self._out_of_force_since = self._out_of_force_since or now
        return "its program is not in force there" if now - self._out_of_force_since > PATIENCE else ""

    def _adapt(self, target: LinkMonitor) -> None:
        is_enabled = target.can_carry and not self.is_blocked and self._may_carry(target)
        if (wanted := (is_enabled, target.index, target.mtu)) != self._told:
            self.judge.configure(enabled=is_enabled, target=target.index, mtu=target.mtu)
            self._told = wanted

    def _may_carry(self, target: LinkMonitor) -> bool:
        """A port that has to finish and leaves that to its device would let partial checksums out."""
        if not self._finishes:
            return True
        return not any(on for name, on in features_of(target.name).items() if name.startswith(TX_CHECKSUM))

    def _retreat(self, why: str, notify: Callable[[str], None]) -> None:
        self.judge.configure(internal=0)
        self._is_retreat = True
        for ring in self.rings:
            ring.read_port()
        self.clearing.set_lost(max(0, self.clearing.issued - self.clearing.done))
        notify(f"{self.source}: no cut-through any longer: {why}; the ring reads it")

    def quiesce(self) -> None:
        """Leave alone what arrives from now on, and wait until the rings have what was sent up before."""
        self._is_over = True
        if self._is_retreat:
            return
        self.judge.configure(internal=0)
        deadline = time.monotonic() + SETTLE
        while time.monotonic() < deadline:
            self.clearing.set_lost(self._internal.dropped())
            if self.clearing.is_through():
                return
            time.sleep(0.002)

    def count(self, ring: Counters, *, is_last: bool) -> Counters:
        """Return the counters of the direction's rings with those of the kernel's part."""
        c = self.judge.counts()
        lost = max(0, c.issued - ring.kernel_seen) if is_last and not self._is_retreat else self._lost
        return ring._replace(
            arrived=c.frames + ring.kernel_seen + lost if self._is_retreat else c.arrived,
            cut_through=CutThroughCount(
                frames=c.frames,
                octets=c.bytes,
                super_frames=c.super_frames,
                no_checksum=c.no_checksum,
                held=c.held,
                lost=lost,
                checks={str(p): {str(s): n for s, n in of.items()} for p, of in c.checks.items()},
            ),
        )

    def __enter__(self) -> Passage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def _let_go(refuse: Attachment) -> None:
    """Forget what is attached to a port of our own: it goes with that, and to take it out may need a privilege."""
    with suppress(OSError):
        refuse.close()
