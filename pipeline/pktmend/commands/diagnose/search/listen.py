"""Tap many interfaces at once, each in its namespace, and record what passes them for a moment.

Rules of this file:
1. What one tap records is bounded in packets and bytes, and the filter picks the hosts of the flow where it is known.
2. A tap that cannot be opened is named; the others go on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktmend.advice.place import full_place
from pktmend.commands.diagnose import taps
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.match import Track
from pktmend.commands.diagnose.taps import Hooks
from pktmend.console.report import bad_of
from pktmend.errors import ConfigError, FormatError, PktmendError
from pktmend.host.namespaces import call
from pktmend.packetio import bpf_filter
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_writer import Writer
from pktmend.packetio.ring import Ring
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, stop_all
from pktmend.runtime.stages import Verify, classify, count
from pktmend.runtime.tunnels import tunnel_ports_beside_registered

if TYPE_CHECKING:
    from pktmend.host.drop_events import Flow
    from pktmend.host.model import Interface

PACKETS: Final = 3000  # of each tap
OCTETS: Final = 32 << 20
BLOCK: Final = 1 << 19
BLOCKS: Final = 8
REGISTERED: Final = (4789, 8472, 4790, 6081, 4341, 2152, 3544, 6080, 4754, 6635, 1701)  # of tunnels over UDP
AT_ONCE: Final = 8  # opened and closed in parallel: the kernel waits a grace period for each


def prepare() -> None:
    """Load what taps take, while nobody waits for them."""
    with suppress(ConfigError):  # no libpcap: everything is recorded
        bpf_filter.load()


@dataclass(frozen=True)
class Heard:
    """What one interface saw: its recording, the packets in it, and what the ring counted."""

    interface: Interface
    path: str
    track: Track
    counted: Counters

    def tap(self) -> Tap:
        """Read the recording as evidence."""
        tap, _ = taps.read(self.path, Hooks(), packets=0, expression="", at_wire=True, name=self.interface.name)
        return tap


class Listening:
    """Taps on all of *interfaces* that can be opened.  A context manager; they record from its begin.

    failed:  what could not be tapped, and why.      is_full: one of them records no more, as bad() noticed.
    """

    def __init__(self, interfaces: Sequence[Interface], flow: Flow | None, *, is_dhcp: bool = False) -> None:
        self.failed: list[str] = []
        self.is_full = False
        self._exit = ExitStack()
        self._folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="pktmend-")))
        self._pool = self._exit.enter_context(ThreadPoolExecutor(AT_ONCE))
        expression = expression_of(flow, is_dhcp=is_dhcp)
        rings: list[Ring | None] = []
        try:
            rings += map(partial(self._open, expression=expression), interfaces[:1])  # compiles the filter, once
            rings += self._pool.map(partial(self._open, expression=expression), interfaces[1:])
            self._taps = [
                (interface, self._record(ring, number))
                for number, (interface, ring) in enumerate(zip(interfaces, rings, strict=True))
                if ring is not None
            ]
        except BaseException:
            self._exit.close()
            raise
        finally:
            self._rings = [ring for ring in rings if ring is not None]

    @property
    def is_any(self) -> bool:
        """Could any interface be tapped?"""
        return bool(self._taps)

    def _open(self, interface: Interface, expression: str) -> Ring | None:
        def inside() -> Ring:
            options = {"promiscuous": False, "block_size": BLOCK, "blocks": BLOCKS}
            try:
                return Ring(interface.name, packet_filter=expression, **options)  # type: ignore[arg-type]
            except ConfigError:  # no libpcap: everything is recorded
                return Ring(interface.name, **options)  # type: ignore[arg-type]

        try:
            return call(interface.namespace, inside)
        except (PktmendError, OSError) as error:
            self.failed.append(f"packets of {full_place(interface)}: {error}")
            return None

    def _record(self, ring: Ring, number: int) -> tuple[Pipeline, str]:
        path = str(self._folder / f"{number}.pcapng")
        writer = Writer(path)
        self._exit.callback(writer.close)
        pipeline = Pipeline(ring, [Verify(at_wire=True), classify, count], writer, limit=PACKETS)
        pipeline.start()
        return pipeline, path

    def bad(self, namespace: int) -> int:
        """Return how many bad checks the interfaces of that namespace have seen; 0: all interfaces."""
        found = 0
        for interface, (pipeline, _) in self._taps:
            counters = pipeline.counters()
            if counters.octets > OCTETS:
                pipeline.stop()
            self.is_full = self.is_full or counters.packets >= PACKETS or counters.octets > OCTETS
            if namespace in (0, interface.namespace.inode):
                found += bad_of(counters.checks)
        return found

    def heard(self) -> list[Heard]:
        """Stop recording, and return what each interface saw."""
        pipelines = [pipeline for _, (pipeline, _) in self._taps]
        with suppress(PktmendError, OSError):  # an interface that has gone: what it saw counts
            stop_all(pipelines)
        found = []
        for interface, (pipeline, path) in self._taps:
            track = Track()
            with suppress(FormatError), Capture(path) as capture:
                Pipeline(capture, [Verify(at_wire=True), classify, track]).run()
                found.append(Heard(interface, path, track, pipeline.counters()))
        return found

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        pipelines = [pipeline for _, (pipeline, _) in self._taps]
        with suppress(PktmendError, OSError):
            stop_all(pipelines)
        list(self._pool.map(Ring.close, self._rings))
        self._exit.close()


def expression_of(flow: Flow | None, *, is_dhcp: bool) -> str:
    """Return the filter for what belongs to a flow: its hosts, what a NAT leaves of it, tunnels that it may be in."""
    if is_dhcp:
        return "udp port 67 or udp port 68"
    if flow is None:
        return ""
    words = [f"host {flow.source}", f"host {flow.target}"]
    if flow.source_port:
        words += [f"tcp port {flow.source_port}"]
    return " or ".join([*words, *_tunnelled()])


def _tunnelled() -> Iterable[str]:
    """What may hold the flow within: tunnels by their ports, this machine's own too, and by their protocols."""
    yield from (f"udp port {port}" for port in (*REGISTERED, *sorted(tunnel_ports_beside_registered() - {*REGISTERED})))
    yield from (f"{version} proto {protocol}" for version in ("ip", "ip6") for protocol in (4, 41, 47))
