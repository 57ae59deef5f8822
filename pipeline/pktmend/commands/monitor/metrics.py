"""A snapshot as Prometheus metrics.

Rules of this file:
1. Names follow prometheus.io/docs/practices/naming: base units, `_total` on what only rises.
2. Labels are bounded: interfaces of this namespace, and the words of pktmend.enums.  Never an address, never a port.
3. A series is there from the start, at 0, so that rate() and increase() see the first event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as PrometheusCollector

from pktmend import _core
from pktmend._version import VERSION
from pktmend.commands.monitor.snapshot import FileCounts, Snapshot
from pktmend.enums import Cause, Proto, Status
from pktmend.runtime.counters import Counters

PLAIN: list[tuple[str, str, Callable[[Counters], int]]] = [
    ("pktmend_bytes", "Bytes of the packets read, as they were on the wire.", lambda d: d.octets),
    ("pktmend_kernel_packets", "Packets that the kernel meant for us, drops included.", lambda d: d.kernel_seen),
    ("pktmend_kernel_drops", "Packets that the kernel dropped because the ring was full.", lambda d: d.kernel_drops),
    ("pktmend_super_frames", "Packets above the MTU, as GSO and GRO stacks hand them over.", lambda d: d.super_frames),
    ("pktmend_truncated_packets", "Packets of which only the beginning could be read.", lambda d: d.truncated),
    ("pktmend_malformed_packets", "Packets whose headers contradict each other.", lambda d: d.malformed),
    (
        "pktmend_unread_packets",
        "Packets that were not looked into, wholly or in part.",
        lambda d: sum(d.unread.values()),
    ),
    ("pktmend_vouched_bad_checks", "Bad checks that the kernel had vouched for.", lambda d: d.claimed_valid),
]
STATUSES = [str(status) for status in Status]
CAUSES = [str(cause) for cause in list(Cause)[1:]]


class Collector(PrometheusCollector):
    """Yields the metrics of the snapshot that *latest* returns."""

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest
        self._kernel = next((name for name, _, active in _core.kernels() if active), "")

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: registering must not ask for a snapshot."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all of it."""
        snapshot = self._latest()
        info = GaugeMetricFamily("pktmend_build_info", "What is running here; always 1.", labels=["version", "simd"])
        info.add_metric([VERSION, self._kernel], 1)
        yield info
        yield GaugeMetricFamily("pktmend_up", "Do all workers run?", value=int(snapshot.is_running))
        yield from _plain(snapshot)
        yield from _checks(snapshot)
        errors = CounterMetricFamily(
            "pktmend_namespace_checksum_errors",
            "Checksum errors that the kernel itself counted in this network namespace, named as nstat names them.",
            labels=["counter"],
        )
        for name, n in snapshot.kernel.items():
            errors.add_metric([name], n)
        yield errors
        if snapshot.file is not None:
            yield from _file(snapshot.file)


def _plain(snapshot: Snapshot) -> Iterator[Metric]:
    for name, text, value in PLAIN:
        family = CounterMetricFamily(name, text, labels=["interface"])
        for d in snapshot.directions:
            family.add_metric([d.from_], value(d))
        yield family


def _checks(snapshot: Snapshot) -> Iterator[Metric]:
    packets = CounterMetricFamily(
        "pktmend_packets", "Packets read, by the worst status of their own checks.", labels=["interface", "status"]
    )
    checks = CounterMetricFamily("pktmend_checks", "Checksums judged.", labels=["interface", "protocol", "status"])
    causes = CounterMetricFamily("pktmend_bad_checks", "Bad checksums, by cause.", labels=["interface", "cause"])
    for d in snapshot.directions:
        for status in STATUSES:
            packets.add_metric([d.from_, status], d.status.get(status, 0))
        by_cause = dict.fromkeys(CAUSES, 0)
        for proto in map(str, Proto):
            found = d.checks.get(proto, {})
            for status in STATUSES[1:-1]:
                checks.add_metric([d.from_, proto, status], found.get(status, 0))
            bad = {name: n for name, n in found.items() if name not in STATUSES[:-1]}
            checks.add_metric([d.from_, proto, STATUSES[-1]], sum(bad.values()))
            for cause, n in bad.items():
                by_cause[cause] = by_cause.get(cause, 0) + n
        for cause, n in by_cause.items():
            causes.add_metric([d.from_, cause], n)
    yield from (packets, checks, causes)


def _file(file: FileCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily("pktmend_writer_up", "Are packets written to the file?", value=int(file.is_writing))
    yield CounterMetricFamily("pktmend_written_packets", "Packets written to the file.", value=file.written)
    yield CounterMetricFamily("pktmend_written_bytes", "Bytes written to the file.", value=file.octets)
    lost = CounterMetricFamily(
        "pktmend_unwritten_packets", "Packets meant for the file and not written.", labels=["reason"]
    )
    for reason, n in {"buffer full": 0, **file.not_written}.items():
        lost.add_metric([reason], n)
    yield lost
