"""Where the kernel's part sends frames: the order within a flow, the ways out, what can be changed while it runs."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from scapy.all import ICMP, IP, TCP, UDP, fragment

import frames as f
from kernel_frames import MUST, marked, over4, partial, payload, tcp, udp
from kernel_judging import Wire, wire_bench
from line import everything, open_tap
from pktmend.packetio.kernel_judge import KernelJudge, Way
from pktmend.testbed.netns import Testbed
from tools import until

SO_ATTACH_BPF = 50


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Testbed() as testbed, wire_bench(testbed) as bench:
        yield bench


def test_flow_stays_with_the_ring_until_its_suspect_is_sent(wire: Wire) -> None:
    """Another flow is not held up; of these addresses only what is not TCP beyond doubt would be."""
    judge = wire.judge
    judge.set_clear(judge.issued)
    flow = [f.raw(over4 / TCP(sport=1000, dport=80, seq=n) / payload(50)) for n in range(4)]
    other = f.raw(over4 / TCP(sport=1001, dport=80) / payload(50))
    before = judge.counts()

    def put(frame: bytes) -> bool:
        """Was it carried?"""
        was = judge.counts()
        assert wire.put(frame, None)
        until(lambda: judge.counts().arrived == was.arrived + 1)
        return judge.counts().frames > was.frames

    assert put(flow[0]) and put(other)
    assert not put(flow[1][:-1] + b"\xff")
    number = judge.issued
    assert not put(flow[2]) and put(other)
    judge.set_clear(number)  # the one behind it is not sent yet
    assert not put(flow[3])
    judge.set_clear(judge.issued)
    assert put(flow[0])
    after = judge.counts()
    assert after.held - before.held == 2 and after.issued - before.issued == 3
    assert after.arrived - before.arrived == 7


def test_flow_of_datagrams_is_held_alone(wire: Wire) -> None:
    """A datagram without a sum holds its own flow, not TCP between the same hosts."""
    judge = wire.judge
    judge.set_clear(judge.issued)
    for frame, is_carried in (
        (f.put16(f.raw(udp), 40, 0), False),
        (f.raw(udp), False),
        (f.raw(tcp), True),
        (f.raw(over4 / UDP(sport=40001, dport=5000) / payload(9)), True),
        (f.raw(f.ether / fragment(f.ip4 / f.udp / payload(3000), 1000)[0]), False),
        (f.raw(tcp), False),
    ):
        was = judge.counts()
        assert wire.put(frame, None)
        until(lambda was=was: judge.counts().arrived == was.arrived + 1)
        assert (judge.counts().frames > was.frames) == is_carried, frame.hex()


@pytest.mark.parametrize(
    "suspect",
    [
        f.raw(f.ether / f.ip4 / UDP(sport=40000, dport=5000, len=100) / payload(100)),
        f.raw(f.ether / fragment(f.ip4 / f.udp / payload(3000), 1000)[0]),
        f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", options=[b"\1"]) / f.tcp),
        f.raw(over4 / ICMP(type=3) / f.ip4 / f.tcp),
    ],
    ids=["UDP of another length", "fragment", "options", "ICMP error"],
)
def test_suspect_without_ports_holds_all_of_its_addresses(wire: Wire, suspect: bytes) -> None:
    judge = wire.judge
    judge.set_clear(judge.issued)
    stranger = f.raw(f.ether / IP(src="10.7.0.77", dst="10.7.0.2") / f.tcp / payload(40))
    for frame, is_carried in (
        (f.raw(tcp), True),
        (suspect, False),
        (f.raw(tcp), False),
        (f.raw(udp), False),
        (f.raw(over4 / ICMP() / payload(8)), False),
        (stranger, True),
    ):
        was = judge.counts()
        assert wire.put(frame, None)
        until(lambda was=was: judge.counts().arrived == was.arrived + 1)
        assert (judge.counts().frames > was.frames) == is_carried, frame.hex()
    judge.set_clear(judge.issued)
    assert wire.opinion(f.raw(tcp)).is_healthy


def test_frames_leave_as_they_came(wire: Wire) -> None:
    """Healthy ones by the target, others by the internal port's ingress; with their metadata, and nothing else."""
    sent = [MUST["super-frame of TCP"][0], MUST["TCP of 64, good"][0], MUST["UDP of 64, pending"][0]]
    suspects = [(f.leaked(tcp), None), marked(udp, field=0x1234)]
    with (
        open_tap(wire.far, "out-end", vnet=True) as out,
        open_tap(wire.host, "up", vnet=True) as up,
        open_tap(wire.far, "up-end") as refused,
    ):
        for frame, vnet in sent + suspects:
            wire.opinion(frame, vnet)
        assert [got[10:] for got in everything(out)] == [frame for frame, _ in sent]
        arrived = everything(up)
        assert [got[10:] for got in arrived] == [frame for frame, _ in suspects]
        assert [got[0] & 1 for got in arrived] == [0, 1]
        assert everything(refused) == []


@pytest.mark.parametrize(
    ("change", "is_carried"),
    [({"enabled": False}, False), ({"mtu": 153}, False), ({"mtu": 154}, True), ({"tunnel_ports": [5000]}, False)],
    ids=["disabled", "too long", "just not", "a port that carries a tunnel"],
)
def test_configuration_takes_effect_at_once(wire: Wire, change: dict[str, Any], is_carried: bool) -> None:
    frame = f.raw(over4 / UDP(sport=5000, dport=1) / payload(126))
    assert len(frame) == 14 + 154
    try:
        wire.judge.configure(**change)
        assert wire.opinion(frame).is_healthy == is_carried
    finally:
        wire.judge.configure(enabled=True, mtu=0, tunnel_ports=())
    assert wire.opinion(frame).is_healthy


def test_super_frame_is_not_too_long_for_the_target(wire: Wire) -> None:
    frame, vnet = MUST["super-frame of TCP"][0]
    try:
        wire.judge.configure(mtu=1500)
        assert wire.opinion(frame, vnet).is_healthy
    finally:
        wire.judge.configure(mtu=0)


def test_without_an_internal_port_frames_are_left_alone(wire: Wire) -> None:
    up = wire.host.index("up")
    before = wire.judge.counts()
    try:
        wire.judge.configure(internal=0)
        with open_tap(wire.host, "in") as tap:
            wire.put(f.raw(tcp), None)
            assert everything(tap) == [f.raw(tcp)]
    finally:
        wire.judge.configure(internal=up)
    assert wire.judge.counts() == before


@pytest.mark.parametrize("what", ["healthy", "suspects"])
@pytest.mark.parametrize("way", list(Way))
def test_ways(wire: Wire, what: str, way: Way) -> None:
    """OUT: by the interface, so that its other end sees the frame; PEER: the same, past both; IN: back into ours."""
    frame, near, end = (f.raw(tcp), "out", "out-end") if what == "healthy" else (f.leaked(tcp), "up", "up-end")
    try:
        wire.judge.configure(healthy=way) if what == "healthy" else wire.judge.configure(suspects=way)
        with open_tap(wire.host, near) as ours, open_tap(wire.far, end) as theirs:
            assert wire.opinion(frame).is_healthy == (what == "healthy")
            assert everything(theirs) == ([] if way is Way.IN else [frame])
            assert everything(ours) == ([frame] if way is Way.IN else [])
    finally:
        wire.judge.configure(healthy=Way.OUT, suspects=Way.IN)


def test_socket_filter_hands_up_what_is_not_pending_tcp(wire: Wire) -> None:
    tagged = partial(f.tagged(tcp))
    healthy = [MUST["super-frame of TCP"][0], MUST["TCP over IPv6 of 64, pending"][0], tagged]
    others = [MUST[name][0] for name in ("TCP of 64, good", "UDP of 64, pending", "ARP")]
    others += [(f.leaked(tcp), None), marked(tcp, field=1), (bytes(14), None)]
    whole = [frame for frame, _ in others]
    without_tag = [f.raw(frame) for frame, _ in healthy]
    without_tag[2] = without_tag[2][:12] + without_tag[2][16:]  # the kernel has it in its metadata
    with KernelJudge() as watch, open_tap(wire.host, "in", vnet=True) as tap:
        tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, struct.pack("=i", watch.look))
        watch.configure(enabled=True)
        for snap in (60, 0):
            watch.configure(snap=snap)
            before = watch.counts()
            for frame, vnet in healthy + others:
                assert wire.put(frame, vnet)
            assert [got[10:] for got in everything(tap)] == (
                [each[:snap] for each in without_tag] if snap else []
            ) + whole
            counted = watch.counts()
            assert counted.frames - before.frames == len(healthy) and counted.issued - before.issued == len(others)
            assert counted.bytes - before.bytes == sum(len(frame) for frame, _ in healthy)
            assert watch.issued == 0  # numbers are for frames that have to stay in order
        watch.configure(enabled=False)
        before = watch.counts()
        assert wire.put(*healthy[1])
        assert [got[10:] for got in everything(tap)] == [without_tag[1]]
        assert watch.counts() == before


def test_counters_add_up_over_cpus_and_bytes(wire: Wire) -> None:
    before = wire.judge.counts()
    for name in ("TCP of 1400, good", "a tag", "super-frame of TCP over IPv6"):
        assert wire.opinion(*MUST[name][0]) is not None
    after = wire.judge.counts()
    assert after.bytes - before.bytes == sum(
        len(MUST[name][0][0]) for name in ("TCP of 1400, good", "a tag", "super-frame of TCP over IPv6")
    )
    assert after.super_frames - before.super_frames == 1
    assert after.arrived == after.frames + after.issued
