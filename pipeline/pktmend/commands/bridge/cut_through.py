"""May the kernel carry what is healthy, past the rings?  What speaks against it, in one line; and its two directions.

passage  one direction
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType

from pktmend.commands.bridge.admission import Admission
from pktmend.commands.bridge.joining import Joining
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.commands.bridge.passage import TX_CHECKSUM, Passage
from pktmend.errors import PktmendError
from pktmend.host.ethtool import features_of
from pktmend.packetio import kernel_judge
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Stage


class CutThrough:
    """The kernel's part of a bridge; a context manager.

    changed: offload features of the bridge's interfaces that are set otherwise while it runs.
    joined:  interfaces whose GRO is switched on while segments arrive one by one.
    Raises PktmendError, OSError: it cannot be had here, and nothing is left of it.
    """

    def __init__(self, options: BridgeOptions, admission: Admission) -> None:
        self.changed: dict[str, dict[str, bool]] = {}
        keeper = admission.keeper()
        with ExitStack() as stack:
            self._passages = {
                source: stack.enter_context(Passage(source, target, keeper, finishes=target in options.finish))
                for source, target in options.directions
            }
            for source, passage in self._passages.items():
                keeper.hold(source, passage.judge.cut)
            for name, wanted in wanted_features(options).items():
                if changed := keeper.set_features(name, wanted):
                    self.changed[name] = changed
            self.joined = [] if options.no_coalesce else [s for s in self._passages if keeper.grant_gro(s)]
            for source in self.joined:
                self._passages[source].joining = Joining(source, keeper)
            self._open = stack.pop_all()

    def passage(self, source: str) -> Passage:
        """Return the direction that begins at that interface."""
        return self._passages[source]

    def carries(self) -> dict[str, bool]:
        """Return for each source: does the kernel still carry what is healthy?"""
        return {source: not passage.has_retreated for source, passage in self._passages.items()}

    def begin(self, links: Mapping[str, LinkMonitor]) -> None:
        """Let it work, once all rings are there.  links: a monitor for each interface, by the name it had at first."""
        for passage in self._passages.values():
            passage.begin(links[passage.source], links[passage.target])

    def follow(
        self,
        links: Mapping[str, LinkMonitor],
        beats: Mapping[str, Sequence[int]],
        notify: Callable[[str], None],
        *,
        is_blocked: bool = False,
    ) -> None:
        """Tell it what became of the interfaces.

        beats:      of each source's workers.
        is_blocked: nothing is to be carried, because a loop is; the workers drop what they get instead.
        """
        for passage in self._passages.values():
            passage.is_blocked = is_blocked
            passage.follow(links[passage.source], links[passage.target], beats[passage.source], notify)

    def is_settled(self, links: Mapping[str, LinkMonitor]) -> bool:
        """Has what became of the interfaces taken effect in both directions?"""
        return all(passage.is_settled(links[passage.source]) for passage in self._passages.values())

    def multicasts(self) -> int:
        """Return how many frames for many have been carried, both ways."""
        return sum(passage.judge.counts().multicasts for passage in self._passages.values())

    def quiesce(self) -> None:
        """Leave alone what arrives from now on: what was sent up is in the rings then."""
        for passage in self._passages.values():
            passage.quiesce()

    def count(self, source: str, ring: Counters, *, is_last: bool) -> Counters:
        """Return a direction's counters with those of the kernel's part."""
        return self._passages[source].count(ring, is_last=is_last)

    def __enter__(self) -> CutThrough:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def wanted_features(options: BridgeOptions) -> dict[str, dict[str, bool]]:
    """Return which offload features the bridge wants of its own interfaces, as `ethtool -k` names them.

    What leaves by a --finish port is completed and segmented by the kernel.
    """
    wanted: dict[str, dict[str, bool]] = {}
    for _, target in options.directions:
        if target in options.finish:
            sums = [name for name in features_of(target) if name.startswith(TX_CHECKSUM)]
            wanted.setdefault(target, {}).update(dict.fromkeys(sums, False))
    return wanted


def objection(options: BridgeOptions, admission: Admission, stages: Sequence[Stage]) -> str:
    """Say why this bridge had better not, or cannot, let the kernel carry anything; "" if nothing is known."""
    if any(not getattr(stage, "suspects_only", False) for stage in stages):
        return "a stage of yours sees every frame (suspects_only = True in it says that it need not)"
    if admission.is_forced:
        return "another bridge has an interface too"
    if admission.host_use and not options.isolate:
        return f"{admission.host_use}, and would be cut off (--isolate cuts it off)"
    return kernel_judge.obstacle()


def begin_cut_through(
    options: BridgeOptions, admission: Admission, stages: Sequence[Stage]
) -> tuple[CutThrough | None, str]:
    """Return the kernel's part of this bridge, or None and what a person should know of it."""
    if options.cut_through == "off":
        return None, ""
    why = objection(options, admission, stages)
    if not why:
        try:
            return CutThrough(options, admission), ""
        except PktmendError as error:
            why = f"{error.detail}: {error.hint}" if error.hint else error.detail
        except OSError as error:
            why = f"its programs cannot be attached: {error.strerror}"
    return None, f"no cut-through, all frames take the ring: {why}"
