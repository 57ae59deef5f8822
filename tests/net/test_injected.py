"""Single frames put on the wire at a, seen on the wire at b: what is repaired, what is passed byte for byte."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from scapy.all import IP, UDP, Dot1Q, Raw, fragment
from scapy.contrib.gtp import GTP_U_Header

import frames as f
from line import Line, open_tap, seen
from pktmend._kernel import lib
from running import RunningBridge
from tools import PATIENCE

CARRIERS = [
    f.ether / f.ip4 / f.tcp / f.PAYLOAD,
    f.ether / f.ip6 / f.tcp / f.PAYLOAD,
    f.ether / f.ip4 / f.udp / f.PAYLOAD,
    f.ether / f.ip6 / f.udp / f.PAYLOAD,
]
NAMES = [p.summary()[8:30] for p in CARRIERS]


def through(line: Line, frame: bytes) -> bytes:
    """Send *frame* out of a's eth0 without metadata, as a hop that loses it would; return what b's eth0 sees."""
    with open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
        out.send(frame)
        return seen(back, lambda got: got[:12] == frame[:12] and got[-50:] == frame[-50:])


@pytest.mark.parametrize("packet", CARRIERS, ids=NAMES)
def test_leaked_arrives_repaired(line: Line, packet: Any) -> None:
    with line.bridged() as bridge:
        assert through(line, f.leaked(packet)) == f.raw(packet)
        there, _ = bridge.stop()
    assert there["repaired"] == {"leaked": 1}


@pytest.mark.parametrize("part", [0, 1, 2])
def test_leaked_tunnel_datagram_around_a_fragment_arrives_repaired(line: Line, part: int) -> None:
    """The inner sum cannot be judged; the outer one is whole."""
    inside = fragment(IP(src="10.9.0.1", dst="10.9.0.2", id=5) / UDP() / Raw(bytes(range(256)) * 8), fragsize=800)[part]
    packet = f.ether / f.ip4 / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1) / inside
    with line.bridged() as bridge:
        assert through(line, f.leaked(packet)) == f.raw(packet)
        there, _ = bridge.stop()
    assert there["repaired"] == {"leaked": 1}


def test_repaired_datagram_reaches_the_application(line: Line) -> None:
    """The receiver's own stack is the judge: without the bridge's repair it drops this frame and counts an error."""
    mac = line.b.call(lambda: _mac("eth0"))
    packet = f.Ether(src="02:00:00:00:00:01", dst=mac) / f.ip4 / UDP(sport=1, dport=5000) / f.PAYLOAD

    def bind() -> socket.socket:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("10.7.0.2", 5000))
        s.settimeout(1)
        return s

    with line.b.call(bind) as application:
        with line.bridged("--repair", "none") as bridge, open_tap(line.a, "eth0") as out:
            out.send(f.leaked(packet))
            with pytest.raises(TimeoutError):
                application.recv(2000)
            bridge.stop()
        assert line.b.checksum_errors() == {"UdpInCsumErrors": 1}
        with line.bridged() as bridge, open_tap(line.a, "eth0") as out:
            application.settimeout(PATIENCE)
            out.send(f.leaked(packet))
            assert application.recv(2000) == bytes(range(101))
            bridge.stop()
    assert line.b.checksum_errors() == {"UdpInCsumErrors": 1}


@pytest.mark.parametrize("finish", [(), ("--finish", "pb")], ids=["", "finish"])
def test_damage_marked_as_partial_does_not_reach_the_application(line: Line, finish: tuple[str, ...]) -> None:
    """With NEEDS_CSUM the receiver's kernel would not look at it: the frame arrives unchanged, without that mark."""
    mac = line.b.call(lambda: _mac("eth0"))
    packet = f.Ether(src="02:00:00:00:00:01", dst=mac) / f.ip4 / UDP(sport=1, dport=5000) / f.PAYLOAD
    damaged = f.put16(f.raw(packet), f.field_offset(packet), 0x4711)

    def bind() -> socket.socket:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("10.7.0.2", 5000))
        s.settimeout(1)
        return s

    with (
        line.b.call(bind) as application,
        line.bridged(*finish) as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
        open_tap(line.b, "eth0") as back,
    ):
        out.send(f.vnet(packet) + damaged)
        assert seen(back, lambda got: got[:12] == damaged[:12]) == damaged
        with pytest.raises(TimeoutError):
            application.recv(2000)
        there, _ = bridge.stop()
    assert there["checks"]["udp"] == {"bad-seed": 1}
    assert line.b.checksum_errors() == {"UdpInCsumErrors": 1}


@pytest.mark.parametrize("finish", [(), ("--finish", "pb")], ids=["", "finish"])
def test_super_frame_with_a_wrong_seed_is_dropped_by_the_receiver(line: Line, finish: tuple[str, ...]) -> None:
    mac = line.b.call(lambda: _mac("eth0"))
    packet = f.Ether(src="02:00:00:00:00:01", dst=mac) / f.ip4 / f.tcp / Raw(bytes(range(250)) * 12)
    damaged = f.put16(f.raw(packet), f.field_offset(packet), f.seed(packet) ^ 0x0100)
    with line.bridged(*finish) as bridge, open_tap(line.a, "eth0", vnet=True) as out:
        out.send(f.vnet(packet, gso_type=1, gso_size=1000) + damaged)
        there, _ = bridge.stop()
    assert there["checks"]["tcp"] == {"bad-seed": 1} and there["split"] == 1
    assert there["sent_frames"] - there["sent"] == 2  # one became three
    assert line.b.checksum_errors() == {"TcpInCsumErrors": 3}


def _mac(interface: str) -> str:
    from pathlib import Path

    # /sys belongs to the namespace it was mounted in; the address of a socket does not
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind((interface, 0))
        return ":".join(f"{byte:02x}" for byte in s.getsockname()[4]) or Path(interface).name


@pytest.mark.parametrize("packet", CARRIERS, ids=NAMES)
def test_corrupt_is_passed_byte_for_byte(line: Line, packet: Any) -> None:
    damaged = f.put16(f.raw(packet), 70, 0x4711)
    with line.bridged() as bridge:
        assert through(line, damaged) == damaged
        there, _ = bridge.stop()
    assert there["repaired"] == {}
    assert there["checks"]["tcp" if f.TCP in packet else "udp"] == {"corrupt": 1}


def test_corrupt_is_dropped_by_choice(line: Line) -> None:
    damaged, good = f.put16(f.raw(CARRIERS[0]), 70, 0x4711), f.raw(CARRIERS[1])
    with line.bridged("--corrupt", "drop") as bridge, open_tap(line.a, "eth0") as out:
        with open_tap(line.b, "eth0") as back:
            out.send(damaged)
            out.send(f.leaked(CARRIERS[2]))
            out.send(good)
            got = [seen(back, lambda got: got[:12] == good[:12] and len(got) > 90) for _ in range(2)]
            assert sorted(got) == sorted([f.raw(CARRIERS[2]), good])
        there, _ = bridge.stop()
    assert there["dropped"] == {"corrupt": 1}


def test_repair_all_signs_even_corruption_because_it_was_told_to(line: Line) -> None:
    packet = f.ether / f.ip4 / f.udp / f.PAYLOAD
    wrong = f.put16(f.raw(packet), f.field_offset(packet), 0x1234)
    with line.bridged("--repair", "all") as bridge:
        assert through(line, wrong) == f.raw(packet)
        bridge.stop()


def test_repair_none_changes_no_byte(line: Line) -> None:
    with line.bridged("--repair", "none") as bridge:
        for packet in CARRIERS:
            assert through(line, f.leaked(packet)) == f.leaked(packet)
        bridge.stop()


def test_udp_zero_stays_zero_and_computed_zero_is_ffff(line: Line) -> None:
    absent = f.put16(f.raw(CARRIERS[2]), f.field_offset(CARRIERS[2]), 0)
    base = f.ether / f.ip4 / f.udp / Raw(bytes(range(60)))
    word = f.get16(f.raw(base / Raw(bytes(2))), f.field_offset(base))
    packet = base / Raw(word.to_bytes(2, "big"))
    assert f.get16(f.raw(packet), f.field_offset(packet)) == 0xFFFF  # scapy's word for it
    wrong = f.put16(f.raw(packet), f.field_offset(packet), 0x4711)
    with line.bridged("--repair", "all") as bridge:
        assert through(line, absent) == absent
        assert through(line, wrong) == f.raw(packet)
        bridge.stop()


@pytest.mark.parametrize("ring", ["v2", "v3"])
@pytest.mark.parametrize("packet", CARRIERS, ids=NAMES)
def test_vlan_tag_is_kept_and_the_pending_sum_stays_pending(line: Line, packet: Any, ring: str) -> None:
    """The kernel strips the tag into the ring; csum_start moves by 4 when it is put back."""
    packet = f.tagged(packet)
    with line.bridged("--ring", ring) as bridge:
        with open_tap(line.a, "eth0", vnet=True) as out, open_tap(line.b, "eth0", vnet=True) as back:
            out.send(f.vnet(packet) + f.leaked(packet))
            got, tag = _with_tag(back, 10 + len(f.raw(packet)) - 4)
        bridge.stop()
    assert tag == 5
    assert got[0] & f.NEEDS_CSUM
    untagged = f.leaked(packet)[:12] + f.leaked(packet)[16:]
    assert got[10:] == untagged
    start, offset = (int.from_bytes(got[i : i + 2], "little") for i in (6, 8))
    assert start + offset == f.field_offset(packet) - 4


def _with_tag(tap: socket.socket, length: int) -> tuple[bytes, int]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        data, ancillary, _, _ = tap.recvmsg(1 << 17, 256)
        if len(data) == length:
            for level, kind, content in ancillary:
                if (level, kind) == (lib.SOL_PACKET, lib.PACKET_AUXDATA):  # tp_vlan_tci is at byte 16
                    return data, int.from_bytes(content[16:18], "little") & 0xFFF
    raise AssertionError("the frame did not arrive")


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_vlan_tag_is_kept_when_finished(line: Line, mode: str) -> None:
    packet = f.tagged(CARRIERS[0])
    with line.bridged("--finish", "pb", "--cut-through", mode) as bridge:
        with open_tap(line.a, "eth0", vnet=True) as out, open_tap(line.b, "eth0") as back:
            out.send(f.vnet(packet) + f.leaked(packet))
            got, tag = _with_tag(back, len(f.raw(packet)) - 4)
        there, _ = bridge.stop()
    assert tag == 5
    if mode == "auto":
        assert there["cut_through"]["checks"]["tcp"]["pending"] == 1  # it is the kernel that has finished it
    else:
        assert there["finished"] == 1
    assert got == f.raw(CARRIERS[0])


def test_malformed_and_short_frames_pass_untouched_and_are_counted(line: Line) -> None:
    beyond = f.put16(f.raw(CARRIERS[2]), 38, 9000)
    with line.bridged("--repair", "all") as bridge:
        assert through(line, beyond) == beyond
        bare = bytes(12) + b"\x08\x00" + b"\x45" + bytes(60)
        with open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
            out.send(bare)
            assert seen(back, lambda got: got[:12] == bytes(12)) == bare
        there, _ = bridge.stop()
    assert there["malformed"] >= 1 and there["repaired"] == {}


def test_unidir_carries_one_way_only(line: Line) -> None:
    with line.bridged("--unidir") as bridge:
        assert through(line, f.raw(CARRIERS[0])) == f.raw(CARRIERS[0])
        with open_tap(line.b, "eth0") as out, open_tap(line.a, "eth0") as back:
            out.send(f.raw(CARRIERS[0]))
            with pytest.raises(AssertionError):
                seen(back, lambda got: got == f.raw(CARRIERS[0]), seconds=0.5)
        assert len(bridge.stop()) == 1


def test_vlan_tagged_frame_without_metadata_is_repaired(line: Line) -> None:
    packet = f.ether / Dot1Q(vlan=7, prio=3) / f.ip4 / f.tcp / f.PAYLOAD
    with line.bridged() as bridge:
        with open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
            out.send(f.leaked(packet))
            got, tag = _with_tag(back, len(f.raw(packet)) - 4)
        bridge.stop()
    assert tag == 7
    assert got == f.raw(packet)[:12] + f.raw(packet)[16:]


def test_bridge_class_is_what_the_tests_think(line: Line) -> None:
    with line.bridged() as bridge:
        assert isinstance(bridge, RunningBridge)
        directions = bridge.stop()
    assert [(d["from"], d["to"]) for d in directions] == [("pa", "pb"), ("pb", "pa")]
