"""A policy upon what comes later: links and namespaces are looked at when something is heard of them.

Rules of this file:
1. Nothing is looked at again and again: every look has a reason.  What events cannot show (host.namespace_news) is
   looked for every half minute; every second where the kernel does not tell of processes.
2. What is not there any more is forgotten, here and in the memory: links may come and go for ever.
3. A look takes no longer than BUDGET before signals are seen to again.
4. One thread goes from namespace to namespace: where all CPUs are busy, one for each waits three times for its turn.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Final

from pktmend.commands.offload.enforce import Efforts, enforce, require_here
from pktmend.commands.offload.links import Workloads, workloads_of
from pktmend.commands.offload.memory import Memory, State
from pktmend.commands.offload.policy import say
from pktmend.commands.offload.rules import Policy, read_policy
from pktmend.commands.offload.spaces import Spaces
from pktmend.console.main_loop import main_loop
from pktmend.console.plural import quantity
from pktmend.console.signals import Flag, Signals
from pktmend.console.streams import unwaiting
from pktmend.console.systemd import Service
from pktmend.errors import OSFailure, PktmendError, PrivilegeError
from pktmend.host.ethtool import feature_names
from pktmend.host.namespace_news import NOT_HERE, NamespaceNews, News
from pktmend.host.namespaces import OWN, call, enter

TICK: Final = 0.5  # seconds: a signal is noticed within
BUDGET: Final = 0.5
GATHER: Final = 0.02  # what comes together is looked at together
NAMED_LATER: Final = (0.5, 1.5, 5.0, 15.0)  # when a container's name may be known that was not at once
LOOK_AROUND: Final = 30.0
LOOK_BLINDLY: Final = 1.0
MOST_MOVING: Final = 4096
HOME: Final = "/proc/self/ns/net"  # where the process is, wherever one of its threads has gone


def run_watch(policy: Policy, *, json: bool) -> None:
    """Enforce *policy* until a signal comes."""
    signals = Signals(has_files=True)
    with Service() as service, unwaiting() as output, NamespaceNews() as news:
        output.start()
        signal.set_wakeup_fd(news.signalled, warn_on_full_buffer=False)
        watcher = Watcher(policy, news, json=json)
        watcher.begin(signals.stop)
        notify(f"watching {watcher.summary}")
        service.ready(watcher.summary)
        main_loop(
            signals,
            tick=TICK,
            wait=watcher.wait,
            service=service,
            on_report=lambda: notify(watcher.summary),
            on_reopen=watcher.reload,
            on_second=output.report,
            on_tick=lambda: watcher.step(service),
        )
        service.stopping()
        signal.set_wakeup_fd(-1)


def notify(event: str) -> None:
    """Say an event on stderr."""
    print(f"pktmend: {event}", file=sys.stderr, flush=True)


class Watcher:
    """What is known of the machine, and what has to be looked at."""

    def __init__(self, policy: Policy, news: NamespaceNews, *, json: bool) -> None:
        self._policy = policy
        self._news = news
        self._json = json
        self._memory = Memory()
        self._efforts = Efforts()
        self._spaces = Spaces()
        self._due: dict[int, set[int] | None] = {}  # namespace: its links to look at, None for all
        self._later: list[tuple[float, int]] = []
        self._moving: dict[tuple[int, int], str] = {}  # (number of a namespace, of a link there): key that it had
        self._gone: set[str] = set()  # keys
        self._closed: set[int] = set()
        self._around = 0.0
        self._changes = 0

    @property
    def summary(self) -> str:
        """One line for `systemctl status`."""
        rules, spaces = quantity(len(self._policy.rules), "rule"), quantity(len(self._spaces), "namespace")
        return f"{rules}, {spaces}, {quantity(self._changes, 'change')}"

    def begin(self, stop: Flag) -> None:
        """Look at all there is, until *stop* is raised."""
        if not self._news.hears_processes:
            notify(
                f"this kernel tells nothing of new processes here: looking for namespaces every {LOOK_BLINDLY:.0f} s"
            )
        with self._memory.opened() as state:
            state.released.clear()
        self._look_around()
        while self._due and not stop.is_set():
            self._work()

    def reload(self) -> None:
        """Read the policy again; a mistake in it is said, and the one in force stays."""
        try:
            self._policy = read_policy(self._policy.path, feature_names())
        except PktmendError as error:
            notify(f"{error}; the rules in force stay")
            return
        self._efforts.times.clear()
        self._efforts.told.clear()
        with self._memory.opened() as state:
            state.released.clear()
        notify(f"{self._policy.path} read again: {quantity(len(self._policy.rules), 'rule')}")
        self._due = dict.fromkeys(self._spaces.inodes())

    def wait(self, seconds: float) -> bool:
        """Let time pass until something is heard or due."""
        if not self._due and self._news.wait(seconds):
            time.sleep(GATHER)
        return False

    def step(self, service: Service) -> None:
        """Take in what was heard, and look at what is due."""
        self._take_in(self._news.read())
        now = time.monotonic()
        for at, inode in [each for each in self._later if each[0] <= now]:
            self._later.remove((at, inode))
            self._require(inode)
        pause = LOOK_AROUND if self._news.hears_processes else LOOK_BLINDLY
        if now - self._around >= pause or self._spaces.wants_scan(now):
            self._look_around()
        if self._due or self._gone:
            self._work()
        if service.is_status_due():
            service.status(self.summary)

    def _take_in(self, news: News) -> None:
        for number in news.vanished:
            self._forget_space(number)
        for (space, index), target in news.gone.items():
            self._forget_link(space, index, target)
        for number, index in news.links:
            inode = self._spaces.inode_of(number)
            if inode is None:
                self._spaces.miss(number)
            elif (indexes := self._due.setdefault(inode, set())) is not None:
                indexes.add(index)
        for number in news.appeared:
            if self._spaces.inode_of(number) is None:
                self._spaces.miss(number)
        fresh = self._spaces.hear(news.pids, mounts=news.mounts)
        if news.lost:
            notify("so much happened at once that events were lost: looking at everything")
            self._around = 0.0
            self._due = dict.fromkeys(self._spaces.inodes())
        for inode in fresh:
            self._welcome(inode)

    def _look_around(self) -> None:
        self._around = time.monotonic()
        for inode in self._spaces.scan():
            self._welcome(inode)
        if self._policy.asks_for("container", "pod"):
            self._due |= dict.fromkeys(self._spaces.inodes())
        for number in self._spaces.unreachable():
            notify(
                f"no name, mount or process leads to namespace {number} of `ip netns list-id`: its links are left out"
            )

    def _welcome(self, inode: int) -> None:
        """A namespace is new."""
        self._require(inode)
        number = self._spaces.number_of(inode)
        for where in [each for each in self._moving if each[0] == number]:
            self._efforts.moved[inode, where[1]] = self._moving.pop(where)
        if self._policy.asks_for("container", "pod"):
            now = time.monotonic()
            self._later += [(now + seconds, inode) for seconds in NAMED_LATER]

    def _require(self, inode: int) -> None:
        self._due[inode] = None

    def _forget_space(self, number: int) -> None:
        inode = self._spaces.forget(number)
        if inode is None:
            return
        self._due.pop(inode, None)
        self._closed.discard(inode)
        for where in [each for each in self._efforts.known if each[0] == inode]:
            self._gone.add(self._efforts.forget(*where))
        for place in [each for each in self._efforts.moved if each[0] == inode]:
            self._gone.add(self._efforts.moved.pop(place))

    def _forget_link(self, space: int, index: int, target: tuple[int, int] | None) -> None:
        """A link was deleted, or has moved to a namespace that the one it leaves knows by that number."""
        inode = self._spaces.inode_of(space)
        if inode is None or not (key := self._efforts.known.get((inode, index), "")):
            return
        if target is None or space != NOT_HERE:  # another namespace's numbers are not ours
            self._gone.add(self._efforts.forget(inode, index))
            return
        del self._efforts.known[inode, index]
        there = self._spaces.inode_of(target[0])
        if there is not None:
            self._efforts.moved[there, target[1]] = key
            indexes = self._due.setdefault(there, set())
            if indexes is not None:
                indexes.add(target[1])
        elif len(self._moving) < MOST_MOVING:
            self._moving[target] = key

    def _work(self) -> None:
        """Look at what is due, as long as the budget lasts."""
        until = time.monotonic() + BUDGET
        workloads = workloads_of(self._policy, self._spaces.namespaces(self._due))
        with self._memory.opened() as state:
            for key in self._gone:
                state.forget(key)
            self._gone.clear()

            def look() -> None:
                while self._due and time.monotonic() < until:
                    inode, indexes = next(iter(self._due.items()))
                    self._look(inode, indexes, workloads.get(inode, ()), state)
                    self._due.pop(inode, None)  # behind the look: one that ends by a shortage is made again

            call(HOME, look)

    def _look(self, inode: int, indexes: set[int] | None, workloads: Workloads, state: State) -> None:
        """Look at one namespace; the calling thread is in it afterwards."""
        namespace = self._spaces.namespace_of(inode)
        if namespace is None:
            return
        try:
            enter(HOME if namespace.path == OWN else namespace.path)
            require_here(namespace)
            tally = enforce(self._policy, namespace, workloads, state, self._efforts, indexes)
        except PrivilegeError as error:
            if inode not in self._closed:
                self._closed.add(inode)
                notify(f"{namespace.label} is left out: {error}")
            return
        except OSFailure:  # the process that led there has ended: is there another way?
            self._spaces.lose_way(inode)
            return
        for finding in tally.findings:
            self._changes += bool(finding.changed)
            say(finding, json=self._json)
