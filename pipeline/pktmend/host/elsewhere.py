"""Where an interface is that is not here."""

from __future__ import annotations

from functools import partial

from pktmend.errors import PktmendError
from pktmend.host.interfaces import is_interface
from pktmend.host.namespaces import Namespace, call, own_namespace
from pktmend.host.workloads import named_listing


def namespaces_with(interface: str) -> list[Namespace]:
    """Return the other namespaces that have an interface of that name, with whose they are: the shell's own first,
    those of pods and containers next.  What cannot be entered is left out.
    """
    here = own_namespace().inode
    found = []
    for namespace in named_listing().found:
        if namespace.inode == here:
            continue
        try:
            if call(namespace, partial(is_interface, interface)):
                found.append(namespace)
        except (OSError, PktmendError, RuntimeError):  # gone, not ours to enter, or no thread to do it with
            continue
    return sorted(found, key=lambda n: (not n.is_own, not n.workloads))
