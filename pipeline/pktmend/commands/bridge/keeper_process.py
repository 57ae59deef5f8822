"""The port keeper: a process that keeps the ports of a bridge as they were asked for, and gives them back at the end.

Rules of this file:
1. It has CAP_NET_ADMIN, which the bridge drops, and outlives a bridge that crashes: the bridge's end of a socket
   closes, then it undoes everything.  Signals do not end it, but SIGKILL.
2. It takes requests until it is sealed.  Afterwards it heeds one alone, GRO on or off on the bridge's own ports, and
   not more often than it looks: whoever takes the bridge over gets nothing else from it.
3. Interfaces and tc tell of changes, tcx does not: it looks at every port when something is told, and in any case once
   in INTERVAL seconds.  In between it rests for FLOOR seconds, and longer where looking takes long: nobody can keep it
   busy with changes.
4. It never waits for the bridge to listen: what finds no room is counted and told later.

Not here: what becomes of one port (kept_port), and the messages (keeper_messages).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

from pktmend._kernel import lib
from pktmend.commands.bridge import keeper_messages
from pktmend.commands.bridge.kept_port import KeptPort
from pktmend.commands.bridge.kept_programs import AttachmentState
from pktmend.commands.bridge.sandbox import harden_keeper
from pktmend.commands.bridge.tc_ingress import Drop, load
from pktmend.console.printable import printable
from pktmend.errors import ConfigError, OSFailure
from pktmend.host import landlock
from pktmend.host.link_events import names_told
from pktmend.host.tcx import attach

GRO: Final = "rx-gro"
RTMGRP_LINK: Final = 1
RTMGRP_TC: Final = 8
INTERVAL: Final = 0.4  # seconds
FLOOR: Final = 0.05
REST_FACTOR: Final = 9  # of the time that looking takes: a tenth of a CPU at most
LONGEST_REST: Final = 0.8  # it has to notice within a second
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """Run the process: argv holds the module path and the socket's descriptor."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # it ends with the bridge, not with the terminal or the service
    keeper = Keeper(socket.socket(fileno=int(sys.argv[2])))
    try:
        is_sealed = keeper.take_requests()
    except BaseException:
        keeper.release()
        raise
    if is_sealed:
        keeper.keep()  # if that fails, all stays in force: the bridge holds it as well, or the next one finds it
    keeper.release()


class Keeper:
    """All ports of one bridge, by the name with which they were asked for."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._events.bind((0, RTMGRP_LINK | RTMGRP_TC))
        self._ports: dict[str, KeptPort] = {}
        self._shown: dict[str, tuple[int, list[AttachmentState], int]] = {}
        self._drop: Drop | None = None
        self._programs: list[int] = []
        self._untold = 0
        self._faults: dict[str, str] = {}
        self._granted: list[KeptPort] = []
        self._wishes: dict[int, bool] = {}

    def take_requests(self) -> bool:
        """Do what is asked until the keeper is sealed; False if the bridge is gone before."""
        while True:
            message, descriptors = keeper_messages.receive(self._control)
            self._programs += descriptors
            if not message:
                return False
            try:
                done = self._do(message, descriptors)
            except OSError as error:
                text = error.detail if isinstance(error, OSFailure) else (error.strerror or str(error))
                hint = error.hint if isinstance(error, OSFailure) else ""
                answer = {"error": error.errno or 0, "text": text, "hint": hint}
                keeper_messages.send(self._control, answer)
            else:
                keeper_messages.send(self._control, {"done": done})
                for name, port in self._ports.items():
                    self._show(name, port, [])
                if "seal" in message:
                    return True

    def _do(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if name := message.get("isolate"):
            self._drop = self._drop or Drop()
            self._port(name).keep("isolation", self._drop.attach)
        elif name := message.get("hold"):
            program, spare = (*descriptors, -1)[:2]
            filler = self._filler()
            self._port(name).keep(
                "cut-through", lambda i: attach(i, "ingress", program, spare=spare, filler=filler, place=1)
            )
        elif name := message.get("features"):
            return self._port(name).set_features(message["wanted"])
        elif name := message.get("gro"):
            return {"granted": self._grant(self._port(name))}
        elif "seal" in message:
            harden_keeper()
            return {"landlock": landlock.covers(threading.get_native_id())}
        else:
            raise ConfigError(f"the keeper does not know {message}")
        return {}

    def _grant(self, port: KeptPort) -> int | None:
        if not port.may_switch(GRO):
            return None
        self._granted.append(port)
        return len(self._granted) - 1

    def _filler(self) -> int:
        """Return a program that does nothing, -1 if none can be loaded."""
        with suppress(OSError):
            self._programs.append(load(lib.TC_ACT_UNSPEC))
            return self._programs[-1]
        return -1

    def _port(self, name: str) -> KeptPort:
        if name not in self._ports:
            self._ports[name] = KeptPort(name)
        return self._ports[name]

    def keep(self) -> None:
        """Look after the ports until the bridge is gone."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._events, select.POLLIN)
        rest = FLOOR
        while not self._is_bridge_gone(rest):
            for descriptor, _ in poll.poll(0 if self._wishes else max(0.0, INTERVAL - rest) * 1000):
                if descriptor == self._events.fileno():
                    self._hear()
            begun = time.monotonic()
            self._grant_wishes()
            for name, port in self._ports.items():
                self._show(name, port, self._check(name, port))
            rest = min(max(FLOOR, (time.monotonic() - begun) * REST_FACTOR), LONGEST_REST)

    def _hear(self) -> None:
        """Read all events; a port that has a new name and is gone already is known by that name."""
        while True:
            try:
                data = self._events.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue  # ENOBUFS: some were lost; what is there now is read anyway
            for index, name in names_told(data):
                for port in self._ports.values():
                    port.hear(index, name)

    def _check(self, name: str, port: KeptPort) -> list[str]:
        """Return what there is to tell; what fails again and again is told once."""
        told: list[str] = []
        fault = ""
        try:
            port.check(told.append)
        except OSError as error:
            fault = f"{port.name}: following the interface: {error.strerror or error}"
        if fault and fault != self._faults.get(name):
            told.append(fault)
        self._faults[name] = fault
        return told

    def _is_bridge_gone(self, seconds: float) -> bool:
        """Wait a little for its end of the socket to close; of what it sends, the last wish of each port is kept."""
        ready, _, _ = select.select([self._control], [], [], seconds)
        try:
            while ready and (said := self._control.recv(2, socket.MSG_DONTWAIT)):
                if len(said) == 2 and said[0] < len(self._granted):
                    self._wishes[said[0]] = bool(said[1])
        except BlockingIOError:
            time.sleep(FLOOR)  # however much it sends
            return False
        except ConnectionResetError:  # it has not read all that it was told
            return True
        return bool(ready)

    def _grant_wishes(self) -> None:
        while self._wishes:
            number, on = self._wishes.popitem()
            with suppress(OSError):  # gone; the next one under its name gets what is wished for
                self._granted[number].set_features({GRO: on})

    def _show(self, name: str, port: KeptPort, told: list[str]) -> None:
        """Tell the bridge what is new of a port."""
        now = port.index, port.programs.states, port.programs.placed
        if not told and now == self._shown.get(name):
            return
        states = [each.as_json() for each in port.programs.states]
        message = {"port": name, "index": port.index, "told": told, "states": states}
        try:
            if self._untold:
                keeper_messages.send(self._control, {"untold": self._untold}, flags=socket.MSG_DONTWAIT)
                self._untold = 0
            keeper_messages.send(self._control, message, port.programs.links, socket.MSG_DONTWAIT)
        except OSError:  # no room, or it is gone: the next look sees that
            self._untold += len(told)
        else:
            self._shown[name] = now

    def release(self) -> None:
        """Give all ports back, and say what could not be."""
        failed = []
        for port in self._ports.values():
            try:
                port.release()
            except OSError as error:
                text = error.detail if isinstance(error, OSFailure) else error.strerror
                failed.append(f"pktmend: {printable(port.name)}: cannot be given back: {text}")
        for each in self._programs:
            os.close(each)
        with suppress(OSError):
            print("".join(f"{text}\n" for text in failed), file=sys.stderr, end="", flush=True)
