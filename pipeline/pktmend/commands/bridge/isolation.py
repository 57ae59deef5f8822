"""Keep the host stack away from interfaces while a bridge runs, and give them back whatever ends it.

A process of its own holds the isolation: it has CAP_NET_ADMIN, which the bridge drops, and it outlives a bridge that
crashes.  It takes no orders: it waits for the bridge's end of a socket to close, and follows the interfaces
(a new one of the same name is isolated again) by listening to the kernel.

What is left over if both are killed is found by the next bridge on the interface (clean_up).
"""

from __future__ import annotations

import errno
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pktmend.commands.bridge import tc_ingress
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host import privileges
from pktmend.host.rtnetlink import read_links
from pktmend.packetio.interface_lock import InterfaceLock

RTMGRP_LINK: Final = 1
PATIENCE: Final = 3.0  # seconds for the isolation of a bridge that ended just now to go
START: Final = (
    "import sys; sys.path[:] = sys.argv[1].split(':'); from pktmend.commands.bridge.isolation import main; main()"
)


class Isolation:
    """The bridge's side: begun when made, ended by close().

    Raises PrivilegeError without CAP_NET_ADMIN, OSFailure if the kernel or another isolation is in the way.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self._control, theirs = socket.socketpair()
        package = str(Path(__file__).resolve().parents[3])  # an editable install is on no path of sys.path
        path = ":".join([package, *(each for each in sys.path if each)])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, path, str(theirs.fileno()), *names],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        answer = self._control.recv(4096).decode()
        if answer != "ready":
            self.close()
            number, _, text = answer.partition(" ")
            _raise(int(number or 0), text or "the process that isolates interfaces did not start")

    @property
    def pid(self) -> int:
        """The process that holds it."""
        return self._process.pid

    def is_held(self) -> bool:
        """Is that process still there?"""
        return self._process.poll() is None

    def commands_to_end(self) -> list[str]:
        """What a person types if that process is gone."""
        return [tc_ingress.command_to_take_out(name, handle) for name in self.names if (handle := _find(name))]

    def close(self) -> None:
        """End it and wait until the interfaces are given back.  Idempotent."""
        self._control.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on by itself
            self._process.wait(PATIENCE)

    def __enter__(self) -> Isolation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _raise(number: int, text: str) -> None:
    if number in (errno.EPERM, errno.EACCES):
        raise PrivilegeError(text, "--isolate needs CAP_NET_ADMIN", number)
    hint = "tc's clsact and bpf classifier are needed: CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF"
    raise OSFailure(text, hint if number in (errno.ENOENT, errno.EOPNOTSUPP) else "", number)


def clean_up(name: str, notify: Callable[[str], None]) -> None:
    """Undo what a bridge that was killed has left on *name*, or say how."""
    index = socket.if_nametoindex(name)
    handle = tc_ingress.find(index)
    if not handle:
        return
    try:
        with InterfaceLock("isolation", index, name, patience=PATIENCE):
            tc_ingress.take_out(index)
    except PermissionError:
        notify(
            f"{name}: still isolated from the host by a bridge that was killed; undo it by:"
            f" {tc_ingress.command_to_take_out(name, handle)}"
        )
    except OSFailure:
        return  # another bridge isolates it now
    else:
        notify(f"{name}: a bridge that was killed had left it isolated from the host; undone")


def _find(name: str) -> int:
    try:
        return tc_ingress.find(socket.if_nametoindex(name))
    except OSError:
        return 0


class _Port:
    """One isolated interface, wherever its name goes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.index = socket.if_nametoindex(name)
        self._lock = InterfaceLock("isolation", self.index, name, patience=PATIENCE)
        tc_ingress.put(self.index)

    def follow(self, links: dict[int, str]) -> None:
        """Follow a new name; isolate a new interface of that name, or the same one come back from elsewhere."""
        if self.index in links:
            self.name = links[self.index]
        else:
            index = next((number for number, name in links.items() if name == self.name), 0)
            if not index or not self._lock.move(index):
                return
            self.index = index
        tc_ingress.put(self.index)

    def release(self) -> None:
        """Give it back, if it is still here."""
        try:
            tc_ingress.take_out(self.index)
        except OSError as error:
            print(f"pktmend: {self.name}: cannot be given back to the host: {error.strerror}", file=sys.stderr)


def main() -> None:
    """Run the process: argv holds the module path, the socket's descriptor and the interfaces."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # it ends with the bridge, not with the terminal or the service
    control = socket.socket(fileno=int(sys.argv[2]))
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    events.bind((0, RTMGRP_LINK))
    ports: list[_Port] = []
    try:
        for name in sys.argv[3:]:
            try:
                ports.append(_Port(name))
            except OSError as error:
                text = str(error) if isinstance(error, OSFailure) else f"isolating {name!r}: {error.strerror}"
                control.send(f"{error.errno or 0} {text}".encode("utf-8", "backslashreplace"))
                return
        privileges.harden(keep=[privileges.CAP_NET_ADMIN], groups=["packets"])
        control.send(b"ready")
        _hold(control, events, ports)
    finally:
        for port in ports:
            port.release()


def _hold(control: socket.socket, events: socket.socket, ports: list[_Port]) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(events, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if control.fileno() in ready and not control.recv(1):
            return
        if events.fileno() in ready:
            _empty(events)
            try:
                links = {link.index: link.name for link in read_links()}
                for port in ports:
                    port.follow(links)
            except OSError as error:  # it went away meanwhile: the next event says so; anything else is reported
                if error.errno != errno.ENODEV:
                    print(f"pktmend: following the isolated interfaces: {error.strerror}", file=sys.stderr)


def _empty(events: socket.socket) -> None:
    while True:
        try:
            events.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            continue  # ENOBUFS: some were lost; what is there now is read anyway
