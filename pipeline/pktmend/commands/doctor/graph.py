"""The drawing of this machine's paths: interfaces, what they are linked to, and the userspace hops between them.

Rules of this file:
1. Red is where the mark of partial checksums is lost, or what else a finding calls a problem.
2. Left out are the loopbacks, and interfaces that nothing is linked to and nothing was found about: the title says how
   many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pktmend.advice.place import space
from pktmend.advice.userspace_hops import UserspaceHop
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.console.plural import quantity
from pktmend.host.model import Interface
from pktmend.host.workloads import Workload, label_of, workloads
from pktmend.report.drawing import Drawing, Link, State, Station

OF_HOPS: Final = ("userspace-hop", "userspace-hop-unseen", "userspace-hop-finished")
STATES: Final = {Severity.PROBLEM: State.LOST, Severity.WARNING: State.UNSURE}


def drawing_of(view: View, path: Sequence[Interface], findings: Sequence[HostFinding]) -> Drawing:
    """Draw the interfaces of *path*; namespaces are called by their pods and containers where these are known."""
    owners = workloads()
    keys = {i.key: f"{i.namespace.inode}/{i.index}" for i in path if i.name != "lo"}
    links = [link for i in path if i.key in keys for link in _links(view, i, keys)]
    hops = [hop for hop in view.hops if any(port.key in keys for port in hop.ports)]
    stations, hop_links = [], []
    for number, hop in enumerate(hops):
        state = _state_of_hop(hop, findings)
        stations.append(_hop(hop, f"hop{number}", state))
        label = "mark lost here" if state is State.LOST else ""
        hop_links += [Link(keys[p.key], f"hop{number}", label, state) for p in hop.ports if p.key in keys]
    links += hop_links
    states = _states(findings)
    linked = {key for link in links for key in (link.a, link.b)}
    shown = [i for i in path if i.key in keys and (keys[i.key] in linked or i.key in states)]
    left = len(keys) - len(shown)
    title = f"{quantity(len(shown), 'interface')}" + (f", {left} more that nothing is linked to" if left else "")
    return Drawing(
        title, (*(_interface(i, keys[i.key], states, owners) for i in shown), *stations), tuple(links), is_path=False
    )


def _states(findings: Sequence[HostFinding]) -> dict[tuple[int, int], State]:
    """Return what is said of interfaces, the worst of each; what hops do is drawn at the hop."""
    states: dict[tuple[int, int], State] = {}
    for finding in sorted(findings, key=lambda f: f.severity):
        if finding.name in OF_HOPS or finding.severity not in STATES:
            continue
        for i in finding.interfaces:
            states.setdefault(i.key, STATES[finding.severity])
    return states


def _state_of_hop(hop: UserspaceHop, findings: Sequence[HostFinding]) -> State:
    if hop.keeps_metadata:
        return State.FINE
    ports = {port.key for port in hop.ports}
    found = [
        f.severity
        for f in findings
        if f.name in OF_HOPS and ports <= {i.key for i in f.interfaces} and f.severity in STATES
    ]
    return STATES[min(found)] if found else State.PLAIN


def _hop(hop: UserspaceHop, key: str, state: State) -> Station:
    keeps = {True: "keeps the mark of partial checksums", False: "loses the mark of partial checksums"}
    words = keeps.get(bool(hop.keeps_metadata), "") if hop.keeps_metadata is not None else "keeps the mark? not known"
    return Station(key, hop.title, (words,), "userspace", state)


def _interface(
    i: Interface, key: str, states: dict[tuple[int, int], State], owners: dict[int, tuple[Workload, ...]]
) -> Station:
    where = label_of(owners.get(i.namespace.inode, ())) or space(i.namespace)
    lines = [f"{i.kind}{'' if i.is_up else ', down'}, mtu {i.mtu}"]
    if i.features is not None:
        on = [word for word, has in (("tx", i.leaves_checksums), ("tso", i.makes_super_frames)) if has]
        lines.append(f"leaves checksums partial ({', '.join(on)} on)" if i.leaves_checksums else "completes checksums")
    if i.own_addresses():
        lines.append(i.own_addresses()[0])
    return Station(key, i.name, tuple(lines), where, states.get(i.key, State.PLAIN))


def _links(view: View, i: Interface, keys: dict[tuple[int, int], str]) -> list[Link]:
    """Return the links of which *i* is the first end, so that each is there once."""
    links = []
    peer = view.machine.peer_of(i)
    if peer is not None and peer.key in keys and i.key < peer.key:
        links.append(Link(keys[i.key], keys[peer.key], i.kind))
    for name, label in ((i.master, "port"), (i.lower, "over")):
        other = view.machine.find(name, i.namespace) if name else None
        if other is not None and other.key in keys and other.key != i.key:
            links.append(Link(keys[i.key], keys[other.key], label))
    return links
