"""Before the first frame is read: the bridge, and the process that keeps its ports, give up what they can."""

from __future__ import annotations

from pktmend.commands.bridge.options import BridgeOptions
from pktmend.host import privileges


def harden(options: BridgeOptions) -> str:
    """Drop capabilities, files and system calls; return why calls are not filtered, if they ought to be.

    With stages of users capabilities are all that is dropped: their code may need anything.
    """
    is_walled = not (options.no_seccomp or options.stage)
    if is_walled:
        privileges.close_inherited()
    groups = ["packets", "serve"] if options.listen else ["packets"]
    return privileges.harden(user=options.user, seccomp=is_walled, groups=groups, writes=())


def harden_keeper() -> str:
    """The same for the port keeper: it changes filters and offloads, attaches what is loaded, and sends no frame."""
    return privileges.harden(keep=[privileges.CAP_NET_ADMIN], groups=["attach"], writes=())
