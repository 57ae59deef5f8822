"""From a drop and what the taps saw of it to decisions: those that two taps around the hop would give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pktmend.advice.place import full_place, space
from pktmend.commands.diagnose import rules, two_taps
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact, Rejected
from pktmend.commands.diagnose.examine import Examination
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.partial import LossyHop, SenderLeaves
from pktmend.commands.diagnose.facts.search import (
    Dropped,
    LostBetween,
    NotSeenAgain,
    OfferLeaked,
    Passed,
    Search,
    WrongFromTheFirst,
)
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.match import OUTGOING
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.remedies import End, for_leak
from pktmend.commands.diagnose.samples import Sample, end_text
from pktmend.commands.diagnose.search.listen import Heard
from pktmend.commands.diagnose.search.path import Path, bad_rows, find_path
from pktmend.commands.diagnose.taps import Hooks
from pktmend.host.drop_events import Flow

if TYPE_CHECKING:
    from pktmend.commands.diagnose.search.watch import Incident
    from pktmend.host.model import Interface, Machine


@dataclass(frozen=True)
class Answer:
    """What became of one incident.

    examination: the taps of the hop and the decisions, the most important first.
    path:        of the packets; None if none was seen again.
    flow:        of one that was dropped; None if not known.      tapped: how many interfaces were.
    machine:     as it was then.
    """

    incident: Incident
    examination: Examination
    path: Path | None
    flow: Flow | None
    tapped: int
    machine: Machine


def answer(
    incident: Incident, heard: Sequence[Heard], steps: Mapping[tuple[int, int], int], before: Machine, after: Machine
) -> Answer:
    """Find the hop and let the rules decide; steps: how far each interface is from the receiver."""
    path = find_path(heard, incident.inode, steps)
    flow = incident.drop.flow if incident.drop else None
    if path is None:
        return Answer(incident, _unseen(incident, heard, flow, before, after), None, flow, len(heard), after)
    rejected: list[Rejected] = []
    if path.hop is not None and not incident.is_offer:
        found = _between(path, before, after, rejected)
    else:
        found = _at(path.steps[-1 if incident.is_offer else path.first_bad].heard, before, after, rejected)
    if not any(decision.cause.is_problem for decision in found.decisions):  # the hop shows nothing: ask the receiver
        found = _at(path.steps[-1].heard, before, after, rejected)
    flow = flow or _flow_of(found.decisions)
    first, *others = found.decisions
    facts = (*_facts(path), *first.facts)
    return Answer(
        incident, replace(found, decisions=(replace(first, facts=facts), *others)), path, flow, len(heard), after
    )


def with_drop(found: Answer, dropped: int, counters: Mapping[str, int]) -> Answer:
    """Put the drop itself first; dropped, counters: of the namespace, until now."""
    incident, drop = found.incident, found.incident.drop
    where = space(incident.namespace) if incident.namespace else "a namespace that could not be told"
    fact: Fact = OfferLeaked(where)
    if not incident.is_offer:
        fact = Dropped(
            dropped,
            where,
            counters,
            drop.reason if drop else "",
            drop.location if drop else "",
            flow_text(found.flow) if found.flow else "",
        )
    first, *others = found.examination.decisions
    decisions = (replace(first, facts=(fact, *first.facts)), *others)
    return replace(found, examination=replace(found.examination, decisions=decisions))


def flow_text(flow: Flow) -> str:
    """`10.0.0.1:1234 > 10.0.0.2:80`."""
    return f"{end_text(flow.source, flow.source_port)} > {end_text(flow.target, flow.target_port)}"


def _facts(path: Path) -> list[Fact]:
    facts: list[Fact] = []
    if len(path.steps) > 1:
        facts.append(Passed(tuple((full_place(step.heard.interface), step.outcome) for step in path.steps)))
    if path.hop is not None:
        before, behind = (full_place(path.steps[n].heard.interface) for n in path.hop)
        facts.append(LostBetween(before, behind))
    else:
        facts.append(WrongFromTheFirst(full_place(path.steps[0].heard.interface)))
    return facts


def _between(path: Path, before: Machine, after: Machine, rejected: list[Rejected]) -> Examination:
    """Compare what was recorded at both sides of the hop."""
    assert path.hop is not None
    a, b = (path.steps[n].heard for n in path.hop)
    sides = two_taps.Recording(a.path, a.interface.name, True), two_taps.Recording(b.path, b.interface.name, True)
    host = HostContext(before, after, a.interface.name, a.interface.namespace, behind=b.interface)
    options = Options(a=a.path, b=b.path, is_live=True)
    seen, decisions, fault = two_taps.compare_recordings(
        options, Hooks(), sides, rejected, host, (a.counted, b.counted)
    )
    return Examination(seen, tuple(decisions), tuple(rejected), fault)


def _at(heard: Heard, before: Machine, after: Machine, rejected: list[Rejected]) -> Examination:
    """Let the rules decide on one tap."""
    host = HostContext(before, after, heard.interface.name, heard.interface.namespace)
    tap = heard.tap()
    decisions = rules.decide(tap, host, rejected)
    return Examination((tap,), tuple(decisions), tuple(rejected))


def _flow_of(decisions: Sequence[Decision]) -> Flow | None:
    sample: Sample | None = next((s for decision in decisions for s in decision.samples if s.source), None)
    return Flow(sample.source, sample.ports[0], sample.target, sample.ports[1]) if sample else None


def _unseen(
    incident: Incident, heard: Sequence[Heard], flow: Flow | None, before: Machine, after: Machine
) -> Examination:
    """No tap saw one again: say what lies between the ends, as a possibility, or that it is not known."""
    facts: tuple[Fact, ...] = (NotSeenAgain(len(heard)),)
    decision = Decision(cause=RootCause.NOT_UNDERSTOOD, confidence=Confidence.CERTAIN, facts=facts)
    inside = [i for i in after.interfaces() if incident.namespace and i.namespace.inode == incident.namespace.inode]
    if flow is not None and inside:
        host = HostContext(before, after, inside[0].name, inside[0].namespace)
        sender, target = host.owner(flow.source), host.owner(flow.target)
        ends = [i for i in (sender, target) if i is not None]
        hops = host.hops(ends)
        if hops and sender is not None and sender.leaves_checksums:
            decision = Decision(
                cause=RootCause.METADATA_LOST,
                confidence=Confidence.POSSIBLE,
                facts=(*facts, Search.BY_TOPOLOGY, *hops, SenderLeaves(sender)),
                remedies=for_leak([End(flow.source, sender), End(flow.target, target, leaks=False)], hops),
                limits=(Limit.TAP_BEFORE_TOO,),
            )
    return Examination((), (decision,), ())


def hop_of(found: Answer) -> LossyHop | None:
    """Return what the decisions blame, the surest first, else who wrote the packets into the TAP behind the hop."""
    facts = (fact for decision in found.examination.decisions[:1] for fact in decision.facts)
    return next((fact for fact in facts if isinstance(fact, LossyHop)), None) or _writer(found)


def _writer(found: Answer) -> LossyHop | None:
    """What arrives from a TAP was written by a program that has it open; None unless there is one and one alone."""
    if found.path is None or found.path.hop is None:
        return None
    behind = found.path.steps[found.path.hop[1]].heard
    if any(behind.track.outcomes[row] & OUTGOING for row in bad_rows(behind)):
        return None
    now = next((each for each in found.machine.interfaces() if each.key == behind.interface.key), None)
    is_one = now is not None and now.tun is not None and len(now.tun.pids) == 1
    return next(iter(HostContext.writer(now)), None) if is_one else None


def interface_of(machine: Machine, address: str, near: Iterable[int] = ()) -> Interface | None:
    """Return the interface that has an address; None if that is not certain.

    near: inodes of namespaces: of several that have it, that in the first of these is meant.
    """
    having = [i for i in machine.interfaces() if any(text.partition("/")[0] == address for text in i.addresses)]
    for inode in near if len(having) > 1 else ():
        here = [i for i in having if i.namespace.inode == inode]
        if here:
            return here[0] if len(here) == 1 else None
    return having[0] if len(having) == 1 else None
