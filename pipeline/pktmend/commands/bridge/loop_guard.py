"""Notice that the bridge is part of a loop, prove it, tell, and end it if that is wanted.

A bridge forwards for ever what another path leads back to it: nothing in an Ethernet frame counts its hops.

Rules of this file:
1. Nothing is sent without a suspicion: frames that come in once more, or many that no worker sees.  A transparent
   bridge that spoke by itself would be seen by every switch beside it.
2. Nothing is told, and nothing blocked, without a proof: a probe that left by one port and came in at the other.
   Repeats alone are retransmissions, floods and reflectors as well.
3. Of bridges that would all block, the one with the highest id does: if all did, no path would be left.
4. While it blocks it goes on probing: another bridge that still forwards brings the probes back.

What the workers see of it: ext/observe/bridge_loop.h.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

from pktmend._core import BridgeLoop, NativeStage
from pktmend.console.plural import quantity

RATE: Final = 5000  # multicasts a second that the kernel carries: one that goes round two bridges comes to more
REPEATS: Final = 16  # within a second, of the few frames that are looked at: no retransmission comes to as many
SOON, LATER, KNOWN = 0.2, 0.5, 0.5  # seconds between probes: of a new suspicion, of an old one, of a loop
HOLD: Final = 5.0  # seconds without a probe that came back, until a loop counts as gone
GRACE: Final = 1.5  # seconds for a bridge with a higher id to block
FRESH: Final = 2.0  # seconds for which another bridge's word counts
DISTRUST: Final = 60.0  # seconds for which no other bridge's word counts, after one that was good for nothing
COPIES: Final = 16  # of one probe, back where it left: a reflector makes one
AGAIN: Final = 60.0  # seconds between two notices of the same


class Port(Protocol):
    """What sends a probe: Emit."""

    @property
    def name(self) -> str: ...
    @property
    def hardware_address(self) -> bytes: ...
    def send(self, frame: bytes) -> bool: ...


class Suspicion:
    """How often to probe, by what was seen."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, int, int]] = deque()  # of the last second: time, repeats, carried
        self._last = self._soon_until = -1e9

    def interval(self, repeats: int, carried: int, now: float) -> float | None:
        """Return the seconds between two probes, None for no suspicion."""
        while len(self._past) > 1 and self._past[0][0] < now - 1:
            self._past.popleft()
        since, before, count = self._past[0] if self._past else (now - 1, repeats, carried)
        latest = self._past[-1] if self._past else (since, before, count)
        self._past.append((now, repeats, carried))
        is_busy = carried - latest[2] > RATE * max(now - latest[0], 0.01)
        if repeats - before < REPEATS and not is_busy:
            return None
        if now - self._last > 2:
            self._soon_until = now + 1
        self._last = now
        return SOON if now < self._soon_until else LATER


class LoopGuard:
    """Watch one bridge.

    ports:     by number, what sends out of it; None for one that is only read (--unidir).
    mode:      "warn" tells; "stop" blocks as well.
    state:     "none", "found", "blocked": what is so now.
    """

    def __init__(self, mode: Literal["warn", "stop"], clock: Callable[[], float] = time.monotonic) -> None:
        self.mode = mode
        self.state: Literal["none", "found", "blocked"] = "none"
        self.found = self.blocked = self.probes = self.returned = 0
        self.ports: Sequence[Port | None] = (None, None)
        self._id = int.from_bytes(os.urandom(8), "big")
        self._engine = BridgeLoop(self._id)
        self._clock = clock
        self._suspicion = Suspicion()
        self._signs = self._engine.read()
        self._sent = self._proof = self._distrust_until = -1e9
        self._told = {"found": -1e9, "beyond 0": -1e9, "beyond 1": -1e9}
        self._other = (0, -1e9)  # highest id of another bridge that would block, and when it said so
        self._waits_since: float | None = None  # for another bridge to block
        self._copies = [0, 0]  # by port, of the last probe
        self._copy_at = [-1e9, -1e9]

    def stage(self, port: int) -> NativeStage:
        """Return the stage of one worker that reads *port* (0 or 1), for behind verify."""
        return self._engine.stage(port)

    @property
    def is_blocking(self) -> bool:
        """Is every frame to be dropped?"""
        return self.state == "blocked"

    def poll(self, notify: Callable[[str], None], carried: int = 0) -> None:
        """Look at what was seen since the last call, send probes, *notify* of what has changed.

        carried: multicasts so far that no worker has seen, because the kernel forwards them; many are a suspicion.
        """
        now = self._clock()
        last, self._signs = self._signs, self._engine.read()
        if self._signs.other_stops >= self._other[0] or now - self._other[1] > FRESH:
            self._other = (self._signs.other_stops, now)
        proved = sum(self._signs.proved) - sum(last.proved)
        self.returned += proved
        if proved:
            self._proof = now
            self._proved(now, notify)
        elif self.state != "none" and now - self._proof > HOLD:
            self._gone(notify)
        if self.state == "blocked":
            self._yield_to_other(now, notify)
        for port in (0, 1):
            self._count_copies(port, self._signs.back[port] - last.back[port], now, notify)
        interval = self._suspicion.interval(self._signs.repeats, carried, now)
        interval = interval if self.state == "none" else KNOWN
        if interval is not None and now - self._sent > interval - 0.05:  # a tick is not exact
            self._probe(now)

    def _proved(self, now: float, notify: Callable[[str], None]) -> None:
        is_new = self.state == "none"
        if is_new:
            self.state = "found"
            self.found += 1
        if self.mode == "stop" and self.state == "found" and self._may_block(now, notify):
            self.state = "blocked"
            self.blocked += 1
            self._engine.block(True)
            notify(
                f"{self._loop()}: blocked; frames are dropped (loop) until no probe has come back for {HOLD:.0f} s."
                " Take one of the paths away"
            )
        elif self.mode == "warn" and (is_new or now - self._told["found"] > AGAIN):
            self._told["found"] = now
            notify(
                f"{self._loop()}: frames go round for ever."
                " Take one of the paths away, or let one bridge block (--loop stop, or STP)"
            )

    def _may_block(self, now: float, notify: Callable[[str], None]) -> bool:
        """Should we, or will a bridge with a higher id?"""
        if self._waits_since is not None:
            if now - self._waits_since <= GRACE:
                return False
            self._waits_since, self._distrust_until = None, now + DISTRUST
        elif self._other[0] > self._id and now > self._distrust_until:
            self._waits_since = now
            notify(f"{self._loop()}: another pktmend in it blocks first")
            return False
        return True

    def _loop(self) -> str:
        a, b = (port.name if port else "" for port in self.ports)
        vlan = f" in VLAN {self._signs.tag >> 32 & 0xFFF}" if self._signs.tag else ""
        names = f"{a} and {b}" if a and b else a or b
        return f"loop: another path joins both sides of this bridge ({names}){vlan}"

    def _gone(self, notify: Callable[[str], None]) -> None:
        again = "; forwarding again" if self.state == "blocked" else ""
        what = "the other pktmend blocks it" if self._waits_since is not None else "gone"
        self._release()
        notify(f"loop: {what}, no probe has come back for {HOLD:.0f} s{again}")

    def _release(self) -> None:
        self.state = "none"
        self._waits_since = None
        self._engine.block(False)

    def _yield_to_other(self, now: float, notify: Callable[[str], None]) -> None:
        """Two block, which leaves no path: the one with the lower id forwards again."""
        if self._signs.other_blocks > self._id and now > self._distrust_until:
            self._distrust_until = now + DISTRUST
            self._release()
            notify("loop: another pktmend blocks it; forwarding again")

    def _count_copies(self, port: int, count: int, now: float, notify: Callable[[str], None]) -> None:
        if not count:
            return
        self._copies[port] += count
        self._copy_at[port] = now
        sender, key = self.ports[port], f"beyond {port}"
        if self._copies[port] >= COPIES and sender and now - self._told[key] > AGAIN:
            self._told[key] = now
            notify(
                f"loop: beyond {sender.name}, not through this bridge: what leaves there comes back again and again;"
                " it can only be ended there"
            )

    def _probe(self, now: float) -> None:
        """Send a probe by each port, untagged and in each VLAN that was seen."""
        for port, sender in enumerate(self.ports):
            circulates = self._copies[port] >= COPIES and now - self._copy_at[port] < 1  # one is enough
            if sender is None or circulates:
                continue
            probe = self._engine.make_probe(
                port,
                int.from_bytes(os.urandom(8), "big") or 1,
                sender.hardware_address,
                stops=self.mode == "stop",
                blocks=self.is_blocking,
            )
            tagged = [probe[:12] + _tag(tags) + probe[12:] for tags in self._signs.tags]
            sent = sum(sender.send(frame) for frame in [probe, *tagged])
            self._copies[port] = 0
            self.probes += sent
            if sent:
                self._sent = now

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        names = ("state", "found", "blocked", "probes", "returned")
        return {name: getattr(self, name) for name in names}

    def line(self) -> str:
        """One line of the summary; "" if there was nothing."""
        if not self.found:
            return ""
        blocked = f", blocked {quantity(self.blocked, 'time')}" if self.blocked else ""
        return f"loop found {quantity(self.found, 'time')}{blocked}; {self.returned} of {self.probes} probes came back"


def _tag(tags: int) -> bytes:
    """Return the bytes of LoopSigns.tags."""
    return (tags >> 32).to_bytes(4, "big") + ((tags & 0xFFFFFFFF).to_bytes(4, "big") if tags & 0xFFFFFFFF else b"")
