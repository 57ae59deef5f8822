"""The command: watch, examine the first drop, print."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from pktmend.advice.blind_spots import blind_spot_text
from pktmend.commands.diagnose.finding import in_words
from pktmend.commands.diagnose.search.answer import Answer, answer, with_drop
from pktmend.commands.diagnose.search.listen import Listening, prepare
from pktmend.commands.diagnose.search.options import SearchOptions
from pktmend.commands.diagnose.search.show import Verdict, Watched, drop_lines, nothing_lines
from pktmend.commands.diagnose.search.surroundings import Surroundings, surroundings
from pktmend.commands.diagnose.search.target import Target, parse_target
from pktmend.commands.diagnose.search.watch import INTERVAL, Incident, Watch, is_meant
from pktmend.commands.diagnose.summary import print_all
from pktmend.console.plural import quantity
from pktmend.console.report import print_json
from pktmend.console.signals import Signals
from pktmend.console.styled import show
from pktmend.errors import EXIT_PROBLEMS
from pktmend.host.drop_events import Flow
from pktmend.host.machine import read_machine
from pktmend.host.model import Machine

SETTLE: Final = 0.5  # seconds that taps go on after the first bad packet, so that a second one may come
SURE: Final = 2  # bad checks, by which chance is ruled out
PLENTY: Final = 24  # by which taps have seen enough at once
AT_LEAST: Final = 3.2  # seconds that taps wait for the packet to come again: a SYN does within one, or three
ELSEWHERE: Final = 1.2  # after so many, a drop elsewhere is more promising
STALE: Final = 20  # a reading of the machine is taken anew once it is so many times as old as it took


@dataclass
class Search:
    """A search under way; what could not be looked at is collected in unread."""

    watch: Watch
    target: Target
    before: Machine  # what was there when it began
    deadline: float
    is_stopped: Callable[[], bool]
    unread: list[str]
    cost: float

    def run(self) -> Answer | None:
        """Return what became of the first drop whose packets were seen, else of the last; None if there was none."""
        found: Answer | None = None
        incident = self.watch.wait(self.deadline, self.target, self.is_stopped)
        while incident is not None:
            this, incident = self._examine(incident)
            if this is not None and (this.path is not None or found is None):
                found = this
            is_over = self.is_stopped() or time.monotonic() >= self.deadline
            if is_over or (found is not None and (found.path is not None or not found.tapped)):
                break
            incident = incident or self.watch.wait(self.deadline, self.target, self.is_stopped)
        return found

    def _examine(self, incident: Incident) -> tuple[Answer | None, Incident | None]:
        """Tap what is around, and let the rules decide; return with it a drop elsewhere that ended the waiting.

        None: it turned out that this is not the drop that is looked for.
        """
        receiver = incident.inode
        flow = incident.drop.flow if incident.drop else None
        before = self._machine(receiver)
        where = incident.namespace.label if incident.namespace else "a namespace that could not be told"
        around = surroundings(before, receiver or self._home(before, incident), flow)
        if not self._may_be_meant(receiver, flow, around):
            return None, None
        say(f"a packet was dropped in {where}; tapping {quantity(len(around.interfaces), 'interface')}")
        if around.left_out:
            self.unread.append(f"packets of {around.left_out} more interfaces that may be on the way")
        began = time.monotonic()
        with ThreadPoolExecutor(1) as reader:
            after = reader.submit(read_machine)  # meanwhile: it takes a while where there is much
            while True:
                with Listening(around.interfaces, flow, is_dhcp=incident.is_offer) as taps:
                    self.unread += taps.failed
                    ended, other = self._listen(taps, incident, began)
                    if ended:
                        found = answer(incident, taps.heard(), around.steps, self.before, after.result())
                        return (found if self._is_meant(found, receiver) else None), other

    def _may_be_meant(self, receiver: int, flow: Flow | None, around: Surroundings) -> bool:
        """Can what is looked for be reached from where it was dropped?  Addresses may be equal in many namespaces."""
        if self.target.admits(receiver, flow) is not None or not self.target.namespace:
            return True
        return any(inode == self.target.namespace for inode, _ in around.steps)

    def _is_meant(self, found: Answer, receiver: int) -> bool:
        """Is this what is looked for, after all that is known now?"""
        is_meant = self.target.admits(receiver, found.flow)
        if is_meant is None and found.path is not None and self.target.namespace:
            return any(step.heard.interface.namespace.inode == self.target.namespace for step in found.path.steps)
        return is_meant is not False

    def _listen(self, taps: Listening, incident: Incident, began: float) -> tuple[bool, Incident | None]:
        """Wait until bad packets were seen, or long enough since *began*, or a drop elsewhere is more promising.

        Return False if the taps are full before that, and the drop elsewhere.
        """
        receiver = incident.inode
        seen = 0.0
        while taps.is_any and not self.is_stopped():
            time.sleep(INTERVAL)
            now = time.monotonic()
            others = [each for each in self.watch.look() if each.inode != receiver]
            bad = taps.bad(receiver)
            if bad:
                seen = seen or now
                if bad >= PLENTY or taps.is_full or now - seen >= SETTLE * (1 if bad >= SURE else 3):
                    break
            elif now - began >= max(AT_LEAST, self.deadline - began):
                break
            elif now - began >= ELSEWHERE and (meant := [each for each in others if is_meant(self.target, each)]):
                return True, meant[0]
            elif taps.is_full:
                return False, None
        return True, None

    def _machine(self, receiver: int) -> Machine:
        """Read the machine again if what is known is old, or the namespace *receiver* is younger."""
        began = time.monotonic()
        is_known = receiver in {0, *(each.namespace.inode for each in self.before.namespaces)}
        if is_known and began - self.watch.began < self.cost * STALE:
            return self.before
        machine = read_machine()
        self.cost = time.monotonic() - began
        return machine

    @staticmethod
    def _home(machine: Machine, incident: Incident) -> int:
        """Return the namespace that a packet was for, our own if that is not known."""
        flow = incident.drop.flow if incident.drop else None
        own = machine.namespaces[0].namespace.inode
        if flow is None:
            return own
        homes = (
            i.namespace.inode
            for i in machine.interfaces()
            if any(text.partition("/")[0] == flow.target for text in i.addresses)
        )
        return next(homes, own)


def say(text: str) -> None:
    """Tell of progress."""
    print(f"pktmend: {text}", file=sys.stderr, flush=True)


def run_search(options: SearchOptions) -> int:
    """Wait for a drop, find who spoilt the packet, print; return the exit code: 1 if a packet was dropped."""
    options.validate()
    signals = Signals()
    began = time.monotonic()
    machine = read_machine()
    cost = time.monotonic() - began
    target = parse_target(options.target, machine)
    unread = [blind_spot_text(each) for each in machine.unread]
    prepare()
    with Watch(machine) as watch:
        watched = Watched.of(watch, unread)
        say(f"watching {watched.what}, for {options.duration:g} s")
        for what in watched.unread:
            say(f"not looked at: {what}")
        deadline = time.monotonic() + options.duration
        search = Search(watch, target, machine, deadline, signals.stop.is_set, list(unread), cost)
        found = search.run()
        watch.look()
        told = Watched.of(watch, search.unread)
        for what in told.unread[len(watched.unread) :]:
            say(f"not looked at: {what}")
        if found is not None:
            inode = found.incident.inode
            counters = watch.counters.total().get(inode, {})
            found = with_drop(found, sum(counters.values()) or told.dropped, counters)
    return _print(options, found, told)


def _print(options: SearchOptions, found: Answer | None, told: Watched) -> int:
    if found is None:
        if options.json:
            empty: dict[str, Any] = {"packets": 0, "truncated": 0, "malformed": 0, "checks": {}, "unread": {}}
            print_json(
                {"summary": {**empty, "causes": [], "kernel_drops": 0, "search": told.as_json()}}, kind="summary"
            )
        else:
            show(nothing_lines(told, options.target))
        return 0
    verdict = Verdict(found)
    findings = [in_words(decision) for decision in found.examination.decisions]
    if not options.json:
        show([*verdict.lines(), ""])
    print_all(
        found.examination,
        findings,
        json=options.json,
        explain=options.explain,
        is_live=True,
        more={"search": {**told.as_json(), **verdict.as_json()}},
    )
    if not options.json:
        show(["", *drop_lines(told)])
    return EXIT_PROBLEMS
