"""Coalescing on the real thing: a receiver gets what was sent, and an egress that cannot take it gets frames."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from scapy.all import IP, TCP, UDP, Raw

import frames as f
from line import Line, datagrams, everything, open_tap, transfer

MEGABYTE = 1 << 20
RING_ONLY = ("--cut-through", "off")


@pytest.mark.parametrize("ring", ["v2", "v3"])
@pytest.mark.parametrize("version", [4, 6])
def test_mtu_sized_tcp_leaves_as_super_frames(line: Line, ring: str, version: int) -> None:
    for host in (line.a, line.b):
        host.offload("eth0", tso=False, gso=False)
    with line.bridged(*RING_ONLY, "--ring", ring) as bridge:
        transfer(line.a, line.b, 50 * MEGABYTE, version=version)
        transfer(line.b, line.a, 50 * MEGABYTE, version=version)
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for direction in (there, back):
        assert direction["sent"] == direction["read"]
        assert direction["sent_frames"] < direction["sent"] / 2, direction


def test_no_coalesce_sends_frame_by_frame(line: Line) -> None:
    for host in (line.a, line.b):
        host.offload("eth0", tso=False, gso=False)
    with line.bridged(*RING_ONLY, "--no-coalesce") as bridge:
        transfer(line.a, line.b, 5 * MEGABYTE)
        there, _ = bridge.stop()
    assert there["sent_frames"] == there["sent"]


@pytest.mark.parametrize("feature", ["tso", "tx"])
def test_egress_without_segmentation_offload_gets_frames(line: Line, feature: str) -> None:
    line.node.offload("pb", **{feature: False})
    line.a.offload("eth0", tso=False, gso=False)
    with line.bridged(*RING_ONLY) as bridge:
        transfer(line.a, line.b, 5 * MEGABYTE)
        there, _ = bridge.stop()
    line.assert_no_checksum_error()
    assert there["sent_frames"] == there["sent"]


def burst(line: Line, packets: list[bytes], vnet: bytes = b"") -> list[bytes]:
    """Send *packets* while the bridge sleeps, so that they are one batch; what b's network sees, in order.

    vnet: the virtio-net header of each.
    """
    with (
        line.bridged(*RING_ONLY) as bridge,
        open_tap(line.a, "eth0", vnet=bool(vnet)) as out,
        open_tap(line.b, "eth0") as back,
    ):
        bridge.pause()
        for packet in packets:
            out.send(vnet + packet)
        bridge.process.send_signal(signal.SIGCONT)
        bridge.stop()
        return [frame for frame in everything(back) if frame[:12] == packets[0][:12]]


def test_what_must_not_be_joined_is_not(line: Line) -> None:
    def segment(number: int, **ip: int) -> bytes:
        return f.raw(
            f.ether
            / IP(src="10.7.0.1", dst="10.7.0.2", id=number, flags="DF", **ip)
            / TCP(sport=1, dport=2, seq=1000 + 100 * number, flags="A")
            / Raw(bytes([number]) * 100)
        )

    plain = [segment(n) for n in range(4)]
    (joined,) = burst(line, plain)
    assert joined[54:] == b"".join(x[54:] for x in plain)
    corrupt = [*plain[:2], f.put16(plain[2], 70, 0x4711), plain[3]]
    got = burst(line, corrupt)
    assert corrupt[2] in got and len(got) == 3  # 0+1 joined, the corrupt one byte for byte, 3
    assert len(burst(line, [plain[0], segment(1, ttl=9), plain[2]])) == 3
    assert len(burst(line, [plain[0], plain[2], plain[1]])) == 3  # out of order stays out of order


def numbered(count: int) -> list[Any]:
    return [
        f.ether / IP(src="10.7.0.1", dst="10.7.0.2", id=n) / UDP(sport=67, dport=68) / Raw(bytes([n]) * 300)
        for n in range(count)
    ]


def test_pending_datagrams_are_joined_where_the_egress_takes_it(line: Line) -> None:
    packets = numbered(100)
    got = burst(line, [f.leaked(p) for p in packets], vnet=f.vnet(packets[0]))
    assert len(got) == 2  # 64 and 36
    assert b"".join(x[42:] for x in got) == b"".join(f.raw(p)[42:] for p in packets)


def test_finished_datagrams_stay_finished(line: Line) -> None:
    """Whoever reads them past the kernel, as DHCP clients do, checks their sums itself."""
    packets = [f.raw(p) for p in numbered(8)]
    assert burst(line, packets) == packets


def test_joined_datagrams_reach_the_application_one_by_one(line: Line) -> None:
    with line.bridged(*RING_ONLY) as bridge:
        for version in (4, 6):
            datagrams(line.a, line.b, [100] * 300, version=version)
        bridge.stop()
    line.assert_no_checksum_error()
