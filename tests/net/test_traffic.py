"""Real traffic through the bridge: TCP, UDP, ICMP, IPv4 and IPv6, every offload setting; the kernel is the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from line import ADDRESSES, Line, datagrams, transfer

MEGABYTE = 1 << 20
UDP_SIZES = [0, 1, 2, 3, 100, 1471, 1472, 1473, 2000, 8973, 30001, 60000]


MODES = {"cut-through": (), "v2": ("--cut-through", "off"), "v3": ("--cut-through", "off", "--ring", "v3")}


def seen(d: dict[str, Any], what: str) -> Any:
    """A counter of the kernel's part, where that carries, else of the ring."""
    return d["cut_through"][what] if "cut_through" in d else d[what]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", [4, 6])
def test_100_megabytes_each_way_between_default_veths(line: Line, mode: str, version: int) -> None:
    with line.bridged(*MODES[mode]) as bridge:
        transfer(line.a, line.b, 100 * MEGABYTE, version=version)
        transfer(line.b, line.a, 100 * MEGABYTE, version=version)
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for direction in (there, back):
        assert not direction["dropped"] and not direction["tx_error"] and not direction["truncated"]
        assert set(seen(direction, "checks")["tcp"]) <= {"pending", "good"}
        assert seen(direction, "super_frames") > 100


@pytest.mark.parametrize("ring", ["v2", "v3"])
def test_udp_and_ping_of_every_size(line: Line, ring: str) -> None:
    with line.bridged("--ring", ring) as bridge:
        for version in (4, 6):
            datagrams(line.a, line.b, UDP_SIZES, version=version)
            datagrams(line.b, line.a, UDP_SIZES, version=version)
            for size in (0, 1, 8, 56, 1472, 1473, 8000, 30000, 60000):
                line.a.run("ping", "-c1", "-W9", "-s", str(size), ADDRESSES["b"][0 if version == 4 else 1])
        bridge.stop()
    line.assert_no_checksum_error()


@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("ring", ["v2", "v3"])
@pytest.mark.parametrize("end", ["a", "b", "both"])
@pytest.mark.parametrize("feature", ["tx", "tso", "gso", "gro"])
def test_with_an_offload_switched_off(
    make_line: Callable[[int], Line], feature: str, end: str, ring: str, mtu: int
) -> None:
    line = make_line(mtu)
    for host in (line.a, line.b):
        if end in (host.name, "both"):
            host.offload("eth0", **{feature: False})
    with line.bridged("--ring", ring) as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 4 * MEGABYTE, version=version)
            transfer(line.b, line.a, 4 * MEGABYTE, version=version)
            datagrams(line.a, line.b, [1, 1400, 8900], version=version)
        bridge.stop()
    line.assert_no_checksum_error()


@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("mode", MODES)
def test_finished_towards_both_sides(make_line: Callable[[int], Line], mode: str, mtu: int) -> None:
    """With --finish on both sides no partial checksum and nothing above the MTU leaves; the kernel accepts all."""
    line = make_line(mtu)
    with line.bridged(*MODES[mode], "--finish", "pa", "--finish", "pb") as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 20 * MEGABYTE, version=version)
            transfer(line.b, line.a, 20 * MEGABYTE, version=version)
            datagrams(line.a, line.b, UDP_SIZES, version=version)
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    if mode != "cut-through":  # where the kernel finishes
        assert there["finished"] and back["finished"] and there["split"] and there["sent_frames"] > there["sent"]
