"""What a change of offloads costs: TCP through a throw-away veth pair, with the features as they were and as they are.

Rules of this file:
1. The interface itself carries nothing: the pair has its features, in namespaces that are gone afterwards.
2. Before and after are measured in turn, round by round; a figure is the median.
3. It is the price on a link like this one, on this machine, now: a network card or a slow receiver has another.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pktmend.commands.offload.words import DECISIVE, parse_changes
from pktmend.errors import OSFailure
from pktmend.host.ethtool import Feature, read_features, request_features
from pktmend.testbed.netns import Host, Testbed

ROUNDS: Final = 3
WARM_UP: Final = 0.15  # seconds
SECONDS: Final = 0.4
CHUNK: Final = 1 << 18  # bytes
ADDRESSES: Final = ("192.0.2.1", "192.0.2.2")  # TEST-NET-1: the namespaces lead nowhere else
PORT: Final = 5001
TIMEOUT: Final = 10.0


@dataclass(frozen=True)
class Price:
    """Bits a second of a TCP stream before and after; tso: does it go with the change?"""

    before_bps: float
    after_bps: float
    tso: bool
    direction: str

    @property
    def line(self) -> str:
        """The price for people."""
        what = "TSO goes with it: on" if self.tso else "On"
        figures = f"{self.after_bps / 1e9:.1f} instead of {self.before_bps / 1e9:.1f} Gbit/s"
        return f"{what} such a link {figures} (TCP {self.direction} it, a throw-away veth pair here)"

    def as_json(self) -> dict[str, Any]:
        """Return the object that --json prints."""
        return {
            "before_bps": round(self.before_bps),
            "after_bps": round(self.after_bps),
            "tso_goes": self.tso,
            "direction": self.direction,
        }


def measure(features: Mapping[str, Feature], words: Sequence[str]) -> Price:
    """Return what the change *words* costs on a veth that has *features* requested, as far as a veth can have them.

    Takes some four seconds.  Raises: PrivilegeError without root.
    """
    with Testbed() as testbed:
        near, far = testbed.host("price"), testbed.host("peer")
        testbed.veth(near, "eth0", far, "eth0")
        for host, address in zip((near, far), ADDRESSES, strict=True):
            host.address("eth0", f"{address}/24")
        before = near.call(lambda: _like(features))
        wanted = parse_changes(words, near.call(lambda: read_features("eth0")))
        receives = bool(wanted) and all(name.startswith("rx-") for name in wanted)
        sender, receiver = (far, near) if receives else (near, far)
        target = ADDRESSES[0] if receives else ADDRESSES[1]
        figures: dict[bool, list[float]] = {False: [], True: []}
        has_tso = {}
        for _ in range(ROUNDS):
            for is_after in (False, True):
                near.call(lambda now=before | (wanted if is_after else {}): request_features("eth0", now))  # type: ignore[misc]
                now = near.call(lambda: read_features("eth0"))
                has_tso[is_after] = any(now[name].active for name in DECISIVE["tso"])
                figures[is_after].append(_stream(sender, receiver, target))
    return Price(
        statistics.median(figures[False]),
        statistics.median(figures[True]),
        has_tso[False] and not has_tso[True],
        "into" if receives else "out of",
    )


def _like(features: Mapping[str, Feature]) -> dict[str, bool]:
    """Return what is to be requested of eth0, so that it is as an interface with *features*."""
    here = read_features("eth0")
    return {
        name: features[name].requested
        for name, feature in here.items()
        if name in features and not feature.is_fixed and not features[name].is_fixed
    }


def _stream(sender: Host, receiver: Host, address: str) -> float:
    """Return the bits a second that arrive, once it is under way."""
    with receiver.call(lambda: socket.create_server((address, PORT))) as server:
        server.settimeout(TIMEOUT)
        out = sender.call(lambda: socket.create_connection((address, PORT), TIMEOUT))
        taken, _ = server.accept()
    over = threading.Event()

    def send() -> None:
        data = memoryview(bytes(CHUNK))
        with suppress(OSError):  # the receiver has had enough
            while not over.is_set():
                out.send(data)

    thread = threading.Thread(target=send, daemon=True)
    with out, taken:
        taken.settimeout(TIMEOUT)
        thread.start()
        try:
            _take(taken, WARM_UP)
            octets, seconds = _take(taken, SECONDS)
        finally:
            over.set()
            for each in (taken, out):
                with suppress(OSError):  # the other end has ended it
                    each.shutdown(socket.SHUT_RDWR)
            thread.join(TIMEOUT)
    if not octets:
        raise OSFailure("nothing arrived in the throw-away pair: no price")
    return octets * 8 / seconds


def _take(s: socket.socket, seconds: float) -> tuple[int, float]:
    """Receive so long; return bytes and the time it took."""
    room = bytearray(CHUNK)
    began = time.monotonic()
    octets = 0
    while (passed := time.monotonic() - began) < seconds:
        octets += s.recv_into(room)
    return octets, passed
