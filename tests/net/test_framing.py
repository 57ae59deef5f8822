"""Super-frames of a virtual machine within PPPoE and 802.3, which have a length outside IP.

The kernel splits neither, so that the bridge does without being asked.  The segments that must arrive are scapy's;
tshark finds no fault with those that do.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, LLC, SNAP, TCP, UDP, Dot3, Ether, IPv6, Raw, in4_chksum, in6_chksum, wrpcap
from scapy.layers.ppp import PPP, PPPoE

import frames as f
from line import NO_PI, TAP, VNET_HDR, Line, everything, open_tap, open_tap_device, seen
from pktmend.testbed.netns import end
from running import RunningBridge
from tools import need

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
PAYLOAD, SIZE = bytes(range(250)) * 4, 300


def ip4(index: int) -> Any:
    return IP(src="10.7.0.1", dst="10.7.0.2", id=7 + index, flags="DF")


def ip6(index: int) -> Any:
    return IPv6(src="fd07::1", dst="fd07::2")


def pppoe(ip: Any) -> Any:
    return Ether(**MACS) / PPPoE(sessionid=3) / PPP() / ip


def snap(ip: Any, code: int) -> Any:
    return Dot3(**MACS) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=code) / ip


FRAMINGS: dict[str, Callable[[int], Any]] = {
    "PPPoE, IPv4": lambda index: pppoe(ip4(index)),
    "PPPoE, IPv6": lambda index: pppoe(ip6(index)),
    "802.3, IPv4": lambda index: snap(ip4(index), 0x0800),
    "802.3, IPv6": lambda index: snap(ip6(index), 0x86DD),
    "PPPoE in 802.3": lambda index: snap(PPPoE(sessionid=3) / PPP() / ip4(index), 0x8864),
}


def tcp(done: int, *, is_last: bool) -> Any:
    return TCP(sport=40000, dport=80, seq=1000 + done, ack=2000, flags="PA" if is_last else "A")


def super_frame(head: Any, transport: Any) -> bytes:
    """Return the frame behind its virtio-net header, the field of its transport holding the seed."""
    packet = head / transport / Raw(PAYLOAD)
    is_tcp, ip = TCP in packet, packet[IPv6] if IPv6 in packet else packet[IP]
    datagram = (20 if is_tcp else 8) + len(PAYLOAD)
    frame, number, field = bytes(packet), 6 if is_tcp else 17, 16 if is_tcp else 6
    start = len(frame) - datagram
    seed = ~(in6_chksum if IPv6 in packet else in4_chksum)(number, ip, bytes(datagram)) & 0xFFFF
    gso = 5 if not is_tcp else 4 if IPv6 in packet else 1
    vnet = struct.pack("=BBHHHH", f.NEEDS_CSUM, gso, start + datagram - len(PAYLOAD), SIZE, start, field)
    return vnet + f.put16(frame, start + field, seed)


def faults(frames: list[bytes], path: Path) -> str:
    """What tshark's experts say of lengths and sums."""
    need("tshark")
    wrpcap(str(path), [Raw(frame) for frame in frames], linktype=1)
    checks = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    done = subprocess.run(
        ["tshark", "-r", str(path), *checks, "-Y", "_ws.malformed || _ws.expert.severity >= warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def from_machine(line: Line, *options: str) -> Iterator[tuple[int, RunningBridge]]:
    """Bridge a TAP device, as a virtual machine has it, to b: its descriptor and the bridge."""
    fd = open_tap_device(line.node, "tap0", TAP | NO_PI | VNET_HDR)
    bridge = RunningBridge(line.node, "-i", "tap0", "-I", "pb", *options)
    try:
        assert "bridging" in bridge.first_line, bridge.first_line
        yield fd, bridge
    finally:
        end(bridge.process)
        os.close(fd)


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["", "finish"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_segments_have_lengths_of_their_own(
    line: Line, framing: str, protocol: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    head, starts = FRAMINGS[framing], range(0, len(PAYLOAD), SIZE)
    last = starts[-1]

    def transport(done: int, of: int) -> Any:
        return tcp(done, is_last=of == last) if protocol == "tcp" else UDP(sport=40000, dport=5000)

    want = [bytes(head(i) / transport(done, done) / Raw(PAYLOAD[done : done + SIZE])) for i, done in enumerate(starts)]
    with from_machine(line, *options) as (machine, bridge), open_tap(line.b, "eth0") as back:
        os.write(machine, super_frame(head(0), transport(0, last)))
        got = [seen(back, lambda frame: frame[:12] == want[0][:12]) for _ in want]
        there, _ = bridge.stop()
    assert got == want
    assert there["split"] == 1 and there["dropped"] == {}
    assert faults(got, tmp_path / "segments.pcap") == ""


def test_a_length_that_contradicts_is_dropped_as_unsplittable(line: Line) -> None:
    frame = super_frame(pppoe(ip4(0)), tcp(0, is_last=True))
    after = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    with from_machine(line) as (machine, bridge), open_tap(line.b, "eth0") as back:
        os.write(machine, f.put16(frame, 10 + 18, f.get16(frame, 10 + 18) - 1))
        os.write(machine, bytes(10) + after)
        assert seen(back, lambda got: got[:12] == after[:12]) == after
        there, _ = bridge.stop()
    assert there["dropped"] == {"unsplittable": 1}


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["", "finish"])
@pytest.mark.parametrize("damage", ["none", "transport", "IPv4 header"])
@pytest.mark.parametrize("version", [4, 6])
def test_splitting_signs_no_damage(line: Line, version: int, damage: str, options: tuple[str, ...]) -> None:
    """A super-frame whose sum is complete, with no mark: the kernel would make right segments of a wrong one."""
    head, tail = (f.ip4, 22) if version == 4 else (f.ip6, 0)
    frame = f.raw(f.ether / head / tcp(0, is_last=True) / Raw(PAYLOAD))
    if damage == "transport":
        frame = f.put16(frame, 200, 0x4711)
    elif damage == "IPv4 header":  # what the transport's sum does not cover
        if version == 6:
            pytest.skip("IPv6 has no such sum")
        frame = f.put16(frame, tail, 0x3F06)
    with from_machine(line, *options) as (machine, bridge), open_tap(line.b, "eth0", vnet=True) as back:
        os.write(machine, struct.pack("=BBHHHH", 0, 1 if version == 4 else 4, 54, SIZE, 0, 0) + frame)
        there, _ = bridge.stop()
        arrived = [got for got in everything(back) if got[10:22] == frame[:12]]
    assert there["split"] == (damage != "none" or options != ()) and there["dropped"] == {}
    l4 = 34 if version == 4 else 54
    assert b"".join(got[10 + l4 + 20 :] for got in arrived) == frame[l4 + 20 :]
    assert len(arrived) == 4 or damage == "none"  # then the kernel may do as it likes
    for got in arrived:
        segment, is_marked = got[10:], got[0] & f.NEEDS_CSUM
        addresses = segment[26:34] if version == 4 else segment[22:54]
        total = f.total(addresses + struct.pack("!HH", 6, len(segment) - l4) + segment[l4:])
        assert is_marked or (total == 0xFFFF) == (damage != "transport")
        assert version == 6 or (f.total(segment[14:34]) == 0xFFFF) == (damage != "IPv4 header")
        assert not is_marked or damage == "none"
