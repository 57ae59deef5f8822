"""What a bridge and its port keeper say to each other: one JSON object a message, over a SOCK_SEQPACKET pair.

From the bridge, one at a time, each answered by {"done": {...}} or by {"error": errno, "text": ..., "hint": ...}:

    {"isolate": NAME}                     keep the host's stack away from it
    {"hold": NAME}                        keep a program first on its ingress; descriptors: the program, and the same
                                          loaded once more, which lets it be put back without a moment without
    {"features": NAME, "wanted": {...}}   set offload features, and put them back at the end; answered by those that
                                          were changed
    {"gro": NAME}                         let the bridge switch its rx-gro later; {"granted": N}: as which port, or null
                                          where it is on already, fixed or unknown, and stays as it is
    {"seal": true}                        drop privileges; from here on nothing is asked of the keeper any more but, in
                                          two bytes and without an answer: N of a port granted, and 1 or 0 for its GRO

From the keeper, whenever something has happened to a port:

    {"port": NAME, "index": N, "told": [...], "states": [...]}
                                          NAME as it was asked for; index: of the interface that it is now, 0 for none;
                                          told: lines for a person; states: an AttachmentState for each program, the
                                          first first; descriptors: the tcx links that there are now, for the bridge to
                                          hold as well, so that they outlive a keeper that is killed
    {"untold": N}                         lines that found no room

The bridge's end of the pair closes when it ends, whatever ends it: the keeper undoes everything, and ends.
"""

from __future__ import annotations

import json
import socket
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

LONGEST: Final = 1 << 16
MOST_DESCRIPTORS: Final = 4


def send(to: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = (), flags: int = 0) -> None:
    """Send one message; OSError as of send(2)."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
    to.sendmsg([json.dumps(message).encode()], rights, flags)


def receive(of: socket.socket, flags: int = 0) -> tuple[dict[str, Any], list[int]]:
    """Return the next message and its descriptors, which are the caller's; an empty message: the other end is gone.

    BlockingIOError with MSG_DONTWAIT if there is none.
    """
    descriptors = array("i")
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * descriptors.itemsize)
    try:
        data, rights, _, _ = of.recvmsg(LONGEST, room, flags | socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return {}, []
    for _, _, content in rights:
        descriptors.frombytes(content[: len(content) // descriptors.itemsize * descriptors.itemsize])
    return (json.loads(data) if data else {}), descriptors.tolist()
