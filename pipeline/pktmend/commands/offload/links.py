"""Links as rules see them: what each is called, and by whom.  Runs in the calling thread's namespace.

Only what the policy asks for is read: a driver, the other end and containers cost something.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from pktmend.commands.offload.rules import Policy, Rule
from pktmend.host.ethtool import driver_of
from pktmend.host.namespaces import Namespace, list_namespaces
from pktmend.host.rtnetlink import PAIRS, Link, name_in, read_link, read_links

if TYPE_CHECKING:
    from pktmend.host.workloads import Workload

OWN: Final = "this"  # what `netns` calls the namespace that the policy runs in
SHORT_ID: Final = 12  # digits of a container's id, as its tools print it
Workloads = Sequence["Workload"]


def links_with_rules(
    policy: Policy, namespace: Namespace, workloads: Workloads, indexes: Collection[int] | None = None
) -> Iterator[tuple[Link, list[Rule]]]:
    """Yield the links of the calling thread's namespace that some rule fits, with these rules.

    indexes: look at these alone.  Loopback is left out: its sums are never made.
    """
    some = [read_link(index) for index in indexes or ()]
    links = read_links() if indexes is None else [link for link in some if link is not None]
    around = _names_around(namespace, workloads)
    for link in links:
        if link.kind == "loopback":
            continue
        names = around | {"interface": (link.name,), "driver": _drivers(policy, link), "peer": _peers(policy, link)}
        rules = [rule for rule in policy.rules if rule.fits(names)]
        if rules:
            yield link, rules


def _names_around(namespace: Namespace, workloads: Workloads) -> dict[str, tuple[str, ...]]:
    """What a namespace and its containers are called; a namespace without any name is called ""."""
    others = [namespace.name, namespace.mount, PurePath(namespace.mount).name]
    spaces = [OWN] if namespace.is_own else others
    ids = [w.id for w in workloads]
    containers = [*(w.container for w in workloads), *ids, *(each[:SHORT_ID] for each in ids)]
    pods = [name for w in workloads if w.pod for name in (w.pod, f"{w.pod_namespace}/{w.pod}")]
    return {
        "netns": tuple(filter(None, spaces)) or ("",),
        "container": tuple(filter(None, containers)),
        "pod": tuple(pods),
    }


def _drivers(policy: Policy, link: Link) -> tuple[str, ...]:
    """The driver, and the kind as `ip -d link` has it: mostly the same for what is virtual."""
    return tuple(filter(None, {driver_of(link.name), link.kind})) if policy.asks_for("driver") else ()


def _peers(policy: Policy, link: Link) -> tuple[str, ...]:
    """The other end of a veth, wherever it is; nothing else has one."""
    if link.kind not in PAIRS or not policy.asks_for("peer"):
        return ()
    if link.link_nsid >= 0:
        name = name_in(link.link_nsid, link.link)
    else:
        other = read_link(link.link)
        name = other.name if other else ""
    return (name,) if name else ()


def workloads_of(policy: Policy, namespaces: Iterable[Namespace]) -> dict[int, Workloads]:
    """Return {namespace: the containers that are in it now}, if a rule asks for them."""
    if not policy.asks_for("container", "pod"):
        return {}
    from pktmend.host.workloads import workloads

    wanted, listing = {each.inode for each in namespaces}, list_namespaces()
    return dict(workloads(replace(listing, found=tuple(each for each in listing.found if each.inode in wanted))))
