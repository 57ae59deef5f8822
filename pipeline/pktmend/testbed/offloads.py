"""Offloads of a testbed's interfaces: recorded, and put back to what was recorded, whatever has changed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from pktmend.host.ethtool import read_features, request_features
from pktmend.host.interfaces import interfaces
from pktmend.testbed.netns import Testbed

Requested = dict[str, dict[str, bool]]  # what was asked for, by interface and feature


def requested_offloads() -> Requested:
    """Return what is asked for at every interface of the calling thread's namespace, in effect or not."""
    return {name: {word: each.requested for word, each in read_features(name).items()} for name in interfaces()}


def restore_offloads(wanted: Mapping[str, Mapping[str, bool]]) -> None:
    """Ask again for what requested_offloads() returned, where that has changed."""
    for interface, now in requested_offloads().items():
        before = wanted.get(interface, {})
        changed = {word: before[word] for word, value in now.items() if before.get(word, value) != value}
        if changed:
            request_features(interface, changed)


@contextmanager
def offloads_restored(testbed: Testbed) -> Iterator[None]:
    """At the end put the offloads of all interfaces of all hosts back to what they are at the beginning."""
    before = [(host, host.call(requested_offloads)) for host in testbed.hosts]
    try:
        yield
    finally:
        for host, wanted in before:
            host.call(partial(restore_offloads, wanted))
