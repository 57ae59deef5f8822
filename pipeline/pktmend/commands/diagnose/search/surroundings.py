"""Which interfaces lie between the namespace that dropped a packet and the one that sent it.

Steps from one interface to the next: the other end of a veth pair; master and port; a process that holds sockets or
TAPs of both; what an interface runs over; and, as a namespace may forward, any two interfaces of one.

Rules of this file:
1. Where the sender is on this machine, only what is on a shortest way to it is tapped; else what is near.
2. There is a limit; what is left out for it is named.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pktmend.advice.userspace_hops import find_userspace_hops

if TYPE_CHECKING:
    from pktmend.host.drop_events import Flow
    from pktmend.host.model import Interface, Machine

MOST: Final = 32  # interfaces that are tapped at once
Node = Hashable
Graph = Mapping[Node, set[Node]]


@dataclass(frozen=True)
class Surroundings:
    """Interfaces to tap, with how many steps each is away from the receiver; left_out: how many were too many."""

    interfaces: tuple[Interface, ...]
    steps: Mapping[tuple[int, int], int]
    left_out: int = 0


def surroundings(machine: Machine, receiver: int, flow: Flow | None) -> Surroundings:
    """Return what to tap around the namespace *receiver* (its inode), the nearest first."""
    there = {i.key: i for i in machine.interfaces() if i.is_up}
    graph = _graph(machine, there)
    from_receiver = _steps(graph, [key for key in there if key[0] == receiver])
    reached = {key: n for key, n in from_receiver.items() if key in there}
    home = _sender(machine, flow, receiver)
    if home:
        from_sender = _steps(graph, [key for key in there if key[0] == home])
        lengths = {key: n + from_sender[key] for key, n in reached.items() if key in from_sender}
        shortest = min(lengths.values(), default=0)
        reached = {key: reached[key] for key, n in lengths.items() if n <= shortest + 1}
    if not _is_loopback(flow):
        reached = {key: n for key, n in reached.items() if there[key].name != "lo"}
    order = sorted(reached, key=lambda key: (reached[key], key))
    return Surroundings(tuple(there[key] for key in order[:MOST]), reached, max(0, len(order) - MOST))


def _is_loopback(flow: Flow | None) -> bool:
    return flow is not None and (flow.target.startswith("127.") or flow.target in ("::1", flow.source))


def _sender(machine: Machine, flow: Flow | None, receiver: int) -> int:
    """Return the namespace that has the source address; 0 if none has, or several have."""
    if flow is None:
        return 0
    homes = {
        i.namespace.inode
        for i in machine.interfaces()
        if i.name != "lo" and any(text.partition("/")[0] == flow.source for text in i.addresses)
    } - {receiver}
    return homes.pop() if len(homes) == 1 else 0


def _graph(machine: Machine, there: Mapping[tuple[int, int], Interface]) -> Graph:
    graph: dict[Node, set[Node]] = defaultdict(set)

    def join(nodes: Iterable[Node]) -> None:
        for a, b in pairwise(nodes):
            graph[a].add(b)
            graph[b].add(a)

    by_name = {(i.namespace.inode, i.name): i.key for i in there.values()}
    for key, i in there.items():
        peer = machine.peer_of(i)
        if peer is not None and peer.key in there:
            join((key, peer.key))
        for name in filter(None, (i.master, i.lower)):
            if (i.namespace.inode, name) in by_name:
                join((key, by_name[i.namespace.inode, name]))
        join((key, ("namespace", i.namespace.inode)))
        for pid in i.tun.pids if i.tun else ():
            join((key, ("process", pid)))
    for hop in find_userspace_hops(there.values()):
        for port in hop.ports:
            join((port.key, ("process", hop.pid)))
    return graph


def _steps(graph: Graph, start: Iterable[Node]) -> dict[Node, int]:
    """Return how many steps each node is away from the nearest of *start*."""
    found: dict[Node, int] = dict.fromkeys(start, 0)
    queue = deque(found)
    while queue:
        node = queue.popleft()
        for other in graph.get(node, ()):
            if other not in found:
                found[other] = found[node] + 1
                queue.append(other)
    return found
