"""A snapshot of the monitor as Prometheus metrics; the rules are those of pktmend.serving.families."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as PrometheusCollector

from pktmend.commands.monitor.snapshot import FileCounts, Snapshot
from pktmend.console.printable import printable
from pktmend.runtime.counters import Counters
from pktmend.serving.families import STATUSES, about, check_families, owner_labels, owner_values
from pktmend.serving.survey import Labels, Survey

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
    (
        "pktmend_stray_csum_metadata_packets",
        "Packets whose partial-checksum metadata names no checksum field.",
        lambda d: d.stray_csum_metadata,
    ),
]


class Collector(PrometheusCollector):
    """Yields the metrics of the snapshot that *latest* returns."""

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: registering must not ask for a snapshot."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all of it."""
        snapshot = self._latest()
        yield from about(is_up=snapshot.is_well)
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
        if snapshot.survey is not None:
            yield from _workloads(snapshot.survey)
        if snapshot.file is not None:
            yield from _file(snapshot.file)


def _interface_labels(snapshot: Snapshot) -> list[str]:
    return ["interface", *owner_labels(snapshot.survey)]


def _values(snapshot: Snapshot, d: Counters) -> list[str]:
    """Return the values of _interface_labels()."""
    return [printable(d.from_), *owner_values(snapshot.survey, d.from_)]


def _workloads(survey: Survey) -> Iterator[Metric]:
    """Yield what the kernel has counted in each network namespace."""
    errors = CounterMetricFamily(
        "pktmend_workload_checksum_errors",
        "Checksum errors that the kernel counted in each network namespace, named as nstat names them.",
        labels=[*Labels._fields, "netns", "counter"],
    )
    for inode, counted in survey.errors.items():
        for name, n in counted.items():
            errors.add_metric([*map(printable, survey.labels[inode]), inode, name], n)
    yield errors
    yield GaugeMetricFamily(
        "pktmend_workload_namespaces_left_out", "Namespaces without series: there are too many.", value=survey.left_out
    )


def _plain(snapshot: Snapshot) -> Iterator[Metric]:
    for name, text, value in PLAIN:
        family = CounterMetricFamily(name, text, labels=_interface_labels(snapshot))
        for d in snapshot.directions:
            family.add_metric(_values(snapshot, d), value(d))
        yield family


def _checks(snapshot: Snapshot) -> Iterator[Metric]:
    labels = _interface_labels(snapshot)
    packets = CounterMetricFamily(
        "pktmend_packets", "Packets read, by the worst status of their own checks.", labels=[*labels, "status"]
    )
    for d in snapshot.directions:
        for status in STATUSES:
            packets.add_metric([*_values(snapshot, d), status], d.status.get(status, 0))
    yield packets
    yield from check_families("pktmend_", labels, [(_values(snapshot, d), d.checks) for d in snapshot.directions])


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
