"""A snapshot of the bridge as Prometheus metrics; the rules are those of pktmend.serving.families.

Names are those of `bridge --json` behind `pktmend_bridge_`; each direction has the labels `from` and `to`, and with
--workloads whose each of them is: a bridge may join two pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as PrometheusCollector

from pktmend.commands.bridge.served import BridgeSnapshot
from pktmend.console.printable import printable
from pktmend.enums import Cause, Drop, Status
from pktmend.runtime.counters import Counters
from pktmend.serving.families import about, check_families, owner_labels, owner_values

PLAIN: list[tuple[str, str, Callable[[Counters], int]]] = [
    ("arrived", "Frames that came to the interface, all in all.", lambda d: d.arrived),
    ("kernel_seen", "Frames that the kernel meant for the ring, drops included.", lambda d: d.kernel_seen),
    ("kernel_drops", "Frames that the kernel dropped because the ring was full.", lambda d: d.kernel_drops),
    ("read", "Frames read from the ring.", lambda d: d.read),
    ("sent", "Frames read that left; a super-frame that left as many segments counts once.", lambda d: d.sent),
    ("sent_frames", "Frames that left, each segment counted.", lambda d: d.sent_frames),
    ("truncated", "Frames that were cut when they were read, and so not sent on.", lambda d: d.truncated),
    ("finished", "Checksums completed on a --finish egress.", lambda d: d.finished),
    ("split", "Super-frames segmented on a --finish egress.", lambda d: d.split),
    ("malformed", "Packets whose headers contradict each other, passed untouched.", lambda d: d.malformed),
    ("stray_csum_metadata", "Packets whose mark named no checksum field.", lambda d: d.stray_csum_metadata),
    ("unsupported_gso", "Super-frames that packet sockets do not support.", lambda d: d.unsupported_gso),
    ("rebuilds", "Times that the ring had to be set up again.", lambda d: d.rebuilds),
    ("link_events", "Times that the interface went down or changed.", lambda d: d.link_events),
    (
        "cut_through_lost",
        "Frames that found no room on their way from the kernel's part to the ring.",
        lambda d: d.cut_through.lost if d.cut_through else 0,
    ),
]
USUAL_ERRORS = ("EAGAIN", "EMSGSIZE", "ENETDOWN", "ENOBUFS", "ENXIO")
DROPS = [str(drop) for drop in list(Drop)[1:] if drop is not Drop.NO_SINK]
REPAIRED = [str(Status.PENDING), *(str(cause) for cause in list(Cause)[1:])]
WORDS: list[tuple[str, str, str, tuple[str, ...], Callable[[Counters], Mapping[str, int]]]] = [
    ("repaired", "Checksums completed, by cause.", "cause", tuple(REPAIRED), lambda d: d.repaired),
    ("dropped", "Frames dropped here, by reason.", "reason", tuple(DROPS), lambda d: d.dropped),
    ("tx_error", "Frames that the egress refused, by errno.", "errno", USUAL_ERRORS, lambda d: d.tx_error),
]


def labels_of(snapshot: BridgeSnapshot) -> list[str]:
    """Return the names of the labels of a direction."""
    return ["from", "to", *owner_labels(snapshot.survey, "from_"), *owner_labels(snapshot.survey, "to_")]


def named(snapshot: BridgeSnapshot, d: Counters) -> list[str]:
    """Return their values."""
    ends = d.from_, d.to or ""
    return [*map(printable, ends), *(word for end in ends for word in owner_values(snapshot.survey, end))]


class Collector(PrometheusCollector):
    """Yields the metrics of the snapshot that *latest* returns."""

    def __init__(self, latest: Callable[[], BridgeSnapshot]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: registering must not ask for a snapshot."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all of it."""
        snapshot = self._latest()
        labels = labels_of(snapshot)
        yield from about(is_up=snapshot.workers.are_well)
        yield from _state(snapshot)
        for name, text, value in PLAIN:
            family = CounterMetricFamily(f"pktmend_bridge_{name}", text, labels=labels)
            for d in snapshot.directions:
                family.add_metric(named(snapshot, d), value(d))
            yield family
        held = GaugeMetricFamily(
            "pktmend_bridge_held", "Frames read that have not ended in a counter yet, or never did.", labels=labels
        )
        for d in snapshot.directions:
            held.add_metric(named(snapshot, d), d.held)
        yield held
        for name, text, label, words, counts in WORDS:
            family = CounterMetricFamily(f"pktmend_bridge_{name}", text, labels=[*labels, label])
            for d in snapshot.directions:
                for word, n in {**dict.fromkeys(words, 0), **counts(d)}.items():
                    family.add_metric([*named(snapshot, d), word], n)
            yield family
        rows = [(named(snapshot, d), d.all_checks) for d in snapshot.directions]
        yield from check_families("pktmend_bridge_", labels, rows)
        yield from _cut_through(snapshot)


def _state(snapshot: BridgeSnapshot) -> Iterator[Metric]:
    workers = GaugeMetricFamily(
        "pktmend_bridge_workers", "Threads that carry frames, by what they do.", labels=["state"]
    )
    for state in ("running", "ended", "hanging"):
        workers.add_metric([state], getattr(snapshot.workers, state))
    yield workers
    kept = GaugeMetricFamily(
        "pktmend_bridge_attachment_in_force",
        "Is what is kept on a port there, and nobody else asked before it?",
        labels=["interface", *owner_labels(snapshot.survey), "purpose"],
    )
    for name, attachment in snapshot.attachments:
        whose = owner_values(snapshot.survey, name)
        kept.add_metric([printable(name), *whose, attachment.purpose], int(attachment.in_force))
    yield kept
    if snapshot.loop is not None:
        yield GaugeMetricFamily(
            "pktmend_bridge_loop", "Does another path join both sides now?", value=int(snapshot.loop["state"] != "none")
        )
        yield CounterMetricFamily("pktmend_bridge_loops_found", "Loops found so far.", value=snapshot.loop["found"])


def _cut_through(snapshot: BridgeSnapshot) -> Iterator[Metric]:
    """Yield what the kernel carried by itself, where it does."""
    labels = labels_of(snapshot)
    up = GaugeMetricFamily(
        "pktmend_bridge_cut_through_up", "Does the kernel still carry what is healthy?", labels=labels
    )
    frames = CounterMetricFamily("pktmend_bridge_cut_through_frames", "Frames that the kernel carried.", labels=labels)
    size = CounterMetricFamily("pktmend_bridge_cut_through_bytes", "Bytes of these frames.", labels=labels)
    held = CounterMetricFamily(
        "pktmend_bridge_cut_through_held",
        "Healthy frames that took the ring behind another of their flow.",
        labels=labels,
    )
    checks = CounterMetricFamily(
        "pktmend_bridge_cut_through_checks", "Checksums of these frames.", labels=[*labels, "protocol", "status"]
    )
    for d in snapshot.directions:
        if (c := d.cut_through) is None:
            continue
        up.add_metric(named(snapshot, d), int(snapshot.carries.get(d.from_, False)))
        frames.add_metric(named(snapshot, d), c.frames)
        size.add_metric(named(snapshot, d), c.octets)
        held.add_metric(named(snapshot, d), c.held)
        for protocol, found in c.checks.items():
            for status, n in found.items():
                checks.add_metric([*named(snapshot, d), protocol, status], n)
    yield from (up, frames, size, held, checks)
