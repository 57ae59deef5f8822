"""Whose the interfaces of a namespace are: that of whoever has the namespace, or of the other end's."""

from __future__ import annotations

from pktmend.host.namespaces import own_namespace
from pktmend.host.rtnetlink import read_links, read_nsid
from pktmend.host.workloads import Workload, named_listing


def owners_of_interfaces() -> dict[str, Workload]:
    """Return {interface of the calling thread's namespace: whose it is}; those that are nobody's are left out.

    In a pod that is the pod; on a node it is the pod at the other end of a veth.  What cannot be read is left out.
    """
    here = own_namespace().inode
    listing = named_listing()
    mine = next((n.workloads for n in listing.found if n.inode == here), ())
    links = read_links()
    if mine:
        return {link.name: mine[0] for link in links}
    wanted = {link.link_nsid for link in links if link.link_nsid >= 0}
    owners: dict[int, Workload] = {}
    for namespace in listing.found:
        if not namespace.workloads:
            continue
        try:
            number = read_nsid(namespace.path)
        except OSError:  # gone, or not ours to open
            continue
        if number in wanted:
            owners[number] = namespace.workloads[0]
    return {link.name: owners[link.link_nsid] for link in links if link.link_nsid in owners}
