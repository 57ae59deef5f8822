"""Metrics that bridge and monitor both have, and how statuses and causes become series.

Rules of this file:
1. Names follow prometheus.io/docs/practices/naming: base units, `_total` on what only rises.
2. Labels are bounded: interfaces of this namespace, whose they are, and the words of pktmend.enums.  Never an address,
   never a port.
3. A series is there from the start, at 0, so that rate() and increase() see the first event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pktmend import _core
from pktmend._version import VERSION
from pktmend.console.printable import printable
from pktmend.enums import Cause, Proto, Status
from pktmend.serving.survey import Labels, Survey

STATUSES = [str(status) for status in Status]
CAUSES = [str(cause) for cause in list(Cause)[1:]]
Checks = Mapping[str, Mapping[str, int]]  # by protocol, then by status, bad ones by cause


def about(*, is_up: bool) -> Iterator[Metric]:
    """Yield what is running here, and whether it does."""
    info = GaugeMetricFamily("pktmend_build_info", "What is running here; always 1.", labels=["version", "simd"])
    info.add_metric([VERSION, next((name for name, _, active in _core.kernels() if active), "")], 1)
    yield info
    yield GaugeMetricFamily("pktmend_up", "Do all workers run?", value=int(is_up))


def owner_labels(survey: Survey | None, prefix: str = "") -> list[str]:
    """Return the names of the labels that say whose an interface is; none if nobody looks."""
    return [] if survey is None else [f"{prefix}{name}" for name in Labels._fields]


def owner_values(survey: Survey | None, interface: str) -> list[str]:
    """Return the values of owner_labels()."""
    return [] if survey is None else [*map(printable, survey.of(interface))]


def check_families(
    prefix: str, labels: Sequence[str], rows: Sequence[tuple[Sequence[str], Checks]]
) -> Iterator[Metric]:
    """Yield `{prefix}checks` by protocol and status, and `{prefix}bad_checks` by cause.

    rows: the values of *labels*, and the checks that they have.
    """
    checks = CounterMetricFamily(f"{prefix}checks", "Checksums judged.", labels=[*labels, "protocol", "status"])
    causes = CounterMetricFamily(f"{prefix}bad_checks", "Bad checksums, by cause.", labels=[*labels, "cause"])
    for values, found in rows:
        by_cause = dict.fromkeys(CAUSES, 0)
        for proto in map(str, Proto):
            of = found.get(proto, {})
            for status in STATUSES[1:-1]:
                checks.add_metric([*values, proto, status], of.get(status, 0))
            bad = {name: n for name, n in of.items() if name not in STATUSES[:-1]}
            checks.add_metric([*values, proto, STATUSES[-1]], sum(bad.values()))
            for cause, n in bad.items():
                by_cause[cause] = by_cause.get(cause, 0) + n
        for cause, n in by_cause.items():
            causes.add_metric([*values, cause], n)
    yield from (checks, causes)
