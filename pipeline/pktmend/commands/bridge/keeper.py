"""Have the ports of a bridge kept as they should be while it runs, and given back whatever ends it.

    with PortKeeper() as keeper:
        keeper.isolate("pa", "pb")
        keeper.hold("pa", program)
        keeper.seal()
        ...
        keeper.poll(notify)

A process of its own does it (keeper_process).  What it attaches by tcx is held here as well, and stays in force while
the bridge lives though that process is killed; a filter of clsact stays by itself, and what is left over if both are
killed is found by the next bridge on the interface (clean_up).
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pktmend.commands.bridge import keeper_messages
from pktmend.commands.bridge.kept_port import LOCK_PATIENCE
from pktmend.commands.bridge.kept_programs import AttachmentState
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host import tc_filter
from pktmend.host.clsact import Filter
from pktmend.host.interfaces import index_of
from pktmend.packetio.interface_lock import InterfaceLock

PATIENCE: Final = 3.0  # seconds for the keeper to undo everything
START: Final = (
    "import sys; sys.path[:] = sys.argv[1].split(':'); from pktmend.commands.bridge.keeper_process import main; main()"
)


class PortKeeper:
    """The bridge's side: begun when made, asked, sealed, and ended by close().

    What is asked raises PrivilegeError without CAP_NET_ADMIN, OSFailure if the kernel or somebody else is in the way.

    landlock: the version of Landlock that holds the process, 0 without and before it is sealed.
    indexes: of the interfaces that the ports are now, 0 for none, by the name with which each was asked for.
    states: of the programs of each port, by the name with which it was asked for; the first is asked first.
    """

    def __init__(self) -> None:
        self.states: dict[str, list[AttachmentState]] = {}
        self.indexes: dict[str, int] = {}
        self.landlock = 0
        self._links: dict[str, list[int]] = {}
        self._granted: dict[str, int] = {}
        self._is_lost = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        package = str(Path(__file__).resolve().parents[3])  # an editable install is on no path of sys.path
        path = ":".join([package, *(each for each in sys.path if each)])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, path, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process that keeps them."""
        return self._process.pid

    @property
    def is_lost(self) -> bool:
        """Is it gone?  Nobody follows the ports then."""
        return self._is_lost

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to poll() for."""
        return self._control.fileno()

    def isolate(self, *names: str) -> None:
        """Keep the host's stack away from interfaces."""
        for name in names:
            self._ask({"isolate": name}, "isolating", "--isolate")

    def hold(self, name: str, program: int, spare: int = -1) -> None:
        """Keep a SCHED_CLS program first on the ingress of *name*, through whatever happens to that.

        It is asked before an isolation: TC_ACT_UNSPEC leaves a frame to that, anything else is what becomes of it.
        program, spare: descriptors, which may be closed afterwards; *spare* is the same program, loaded once more:
        without it there are some microseconds without the program whenever it is put back.
        """
        descriptors = [each for each in (program, spare) if each >= 0]
        self._ask({"hold": name}, "attaching a program to", "cut-through", descriptors)

    def set_features(self, name: str, wanted: Mapping[str, bool]) -> dict[str, bool]:
        """Set offload features (as `ethtool -k` names them) until the end; return those that were changed.

        Those that are fixed or unknown there stay as they are.
        """
        request = {"features": name, "wanted": dict(wanted)}
        changed: dict[str, bool] = self._ask(request, "setting offloads of", "changing offloads")
        return changed

    def grant_gro(self, name: str) -> bool:
        """Let switch_gro() work once it is sealed; False where GRO is on already or cannot be switched: it stays so."""
        number = self._ask({"gro": name}, "looking at the offloads of", "changing offloads")["granted"]
        if number is not None:
            self._granted[name] = number
        return number is not None

    def switch_gro(self, name: str, *, on: bool) -> None:
        """Have a granted port join segments or not; it takes effect within a second or so, or is put off for ever."""
        with suppress(OSError):  # it does not listen, or is gone
            self._control.send(bytes((self._granted[name], on)), socket.MSG_DONTWAIT)

    def seal(self) -> None:
        """Let it drop its privileges; nothing can be asked any more, but switch_gro()."""
        self.landlock = int(self._ask({"seal": True}, "the port keeper", "")["landlock"])

    def poll(self, notify: Callable[[str], None]) -> None:
        """Take note of what the keeper has to tell; *notify* of it, and, once, if it is gone."""
        with suppress(BlockingIOError):
            while message := self._receive(notify, socket.MSG_DONTWAIT):
                if untold := message.get("untold"):
                    notify(f"{untold} lines about the ports were lost: too many at once")
        if not self._is_lost and self._process.poll() is not None:
            self._is_lost = True
            for text in self._words_of_loss():
                notify(text)

    def close(self) -> None:
        """End it and wait until the ports are given back.  Idempotent."""
        self._control.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on by itself
            self._process.wait(PATIENCE)
        while self._links:
            _close(self._links.popitem()[1])

    def __enter__(self) -> PortKeeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, message: dict[str, Any], doing: str, needs: str, descriptors: list[int] | None = None) -> Any:
        name = next(iter(message.values()))
        words = f"{doing} {name!r}" if isinstance(name, str) else doing
        try:
            keeper_messages.send(self._control, message, descriptors or [])
            while (answer := self._receive(print)) and not answer.keys() & {"done", "error"}:
                pass
        except BrokenPipeError:
            answer = {}
        if "done" in answer:
            return answer["done"]
        number, hint = int(answer.get("error", 0)), str(answer.get("hint", ""))
        text = str(answer.get("text", "the process that does it has not started"))
        text = text if hint or text.startswith("interface ") else f"{words}: {text}"
        if number in (errno.EPERM, errno.EACCES):
            raise PrivilegeError(text, f"{needs} needs CAP_NET_ADMIN", number)
        if number in (errno.ENOENT, errno.EOPNOTSUPP):
            hint = hint or (
                "tc's clsact and bpf classifier are needed: CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF; and no filter"
                " block that is shared with other interfaces"
            )
        raise OSFailure(text, hint, number)

    def _receive(self, notify: Callable[[str], None], flags: int = 0) -> dict[str, Any]:
        """Return the next message; what it says of a port is taken note of."""
        message, descriptors = keeper_messages.receive(self._control, flags)
        name = message.get("port")
        if name is None:
            return message
        self.indexes[name] = message["index"]
        self.states[name] = [AttachmentState(**each) for each in message["states"]]
        old, self._links[name] = self._links.get(name, []), descriptors
        _close(old)
        for text in message["told"]:
            notify(text)
        return message

    def _words_of_loss(self) -> list[str]:
        """What a person should know, and type, once the keeper is gone."""
        found = []
        for name, states in self.states.items():
            what = " and ".join(each.purpose for each in states)
            left = _find(name)
            if left is not None:
                command = tc_filter.command_to_take_out(name, left)
                found.append(f"{name}: the process that keeps the {what} is gone; it stays so until: {command}")
            elif self._links.get(name):
                found.append(
                    f"{name}: the process that keeps the {what} is gone; it lasts until the bridge ends, but nobody"
                    " puts it back if it is taken away"
                )
        return found


def clean_up(name: str, notify: Callable[[str], None]) -> None:
    """Undo what a bridge that was killed has left on *name*, or say how."""
    index = index_of(name)
    found = tc_filter.find(index)
    if not found:
        return
    try:
        with InterfaceLock("isolation", index, name, patience=LOCK_PATIENCE):
            tc_filter.take_out(index)
    except PermissionError:
        notify(
            f"{name}: still isolated from the host by a bridge that was killed; undo it by:"
            f" {tc_filter.command_to_take_out(name, found)}"
        )
    except OSFailure:
        return  # another bridge isolates it now
    else:
        notify(f"{name}: a bridge that was killed had left it isolated from the host; undone")


def _close(descriptors: list[int]) -> None:
    for each in descriptors:
        os.close(each)


def _find(name: str) -> Filter | None:
    try:
        return tc_filter.find(index_of(name))
    except OSError:
        return None
