"""What Windows leaves in a frame that its card will split: the pseudo-header sum with a length of 0.

The seed is scapy's pseudo-header sum; the length is taken out by hand.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, UDP, VXLAN, in4_chksum

import frames as f
import tapes as t
from diagnosing import SERVER, A, decide, decided, only
from judging import LIVE, PENDING, judge, judged, verdicts
from pktmend import Cause, Repair, Status
from pktmend.commands.diagnose.facts.arithmetic import LargeSend
from tools import run_pktmend


def without_length(packet: Any) -> bytes:
    """Return the frame with the sum of addresses and protocol number in the field."""
    length = len(f.raw(packet)) - f.transport_start(f.raw(packet))
    value = (f.seed(packet) - length) % 0xFFFF  # one's complement: 0xffff is zero
    return f.put16(f.raw(packet), f.field_offset(packet), value or 0xFFFF)


KINDS = {
    f"{transport.name} over {ip.name}, {size} bytes": (f.ether / ip / transport, size)
    for transport in (f.tcp, f.udp)
    for ip in (f.ip4, f.ip6)
    for size in (300, 1460, 30001)
}


@pytest.mark.parametrize("kind", KINDS)
def test_large_send_is_partial(kind: str, tmp_path: Path) -> None:
    headers, size = KINDS[kind]
    packet = headers / random.Random(size).randbytes(size)
    frame, name = without_length(packet), headers.lastlayer().name.lower()
    right = f.get16(f.raw(packet), f.field_offset(packet))
    file = judge(frame, flags=0)[-1]
    assert verdicts([file]) == [f"{name} pending no-metadata"] and file.expected == right
    for checks in (judge(frame, flags=0, at_wire=True), judge(frame, flags=LIVE)):
        assert verdicts(checks)[-1] == f"{name} bad leaked" and checks[-1].expected == right
    path = t.pcap(tmp_path / "x.pcap", [(0, frame)])
    assert run_pktmend("fix", "-r", str(path), "-w", str(tmp_path / "y.pcap")).returncode == 0
    assert (tmp_path / "y.pcap").read_bytes()[40:] == f.raw(packet)


@pytest.mark.parametrize("flags", [0, LIVE])
def test_large_send_around_a_partial_sum_is_completed_with_it(flags: int) -> None:
    """In one go: what the inner field's completion changes is not what the outer one holds."""
    inner = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    packet = f.ether / f.ip4 / UDP(sport=50000, dport=4789) / VXLAN(vni=5) / inner
    right, field, inner_field = f.raw(packet), 14 + 20 + 6, 14 + 20 + 8 + 8 + f.field_offset(inner)
    frame = f.put16(right, inner_field, f.seed(inner))
    pseudo = in4_chksum(socket.IPPROTO_UDP, packet[IP], bytes(len(right) - 34)) ^ 0xFFFF  # of nothing but zeros
    length = len(right) - 34
    batch = judged(f.put16(frame, field, (pseudo - length) % 0xFFFF), flags=flags)
    Repair("unfinished")(batch)
    assert bytes(batch.frame(0)) == right


def test_large_send_is_not_the_kernels_seed() -> None:
    """Linux adds what the seed lacks to each segment's own length: without the length it would come out wrong."""
    packet = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    k = judge(without_length(packet), flags=PENDING, vnet=f.vnet(packet))[-1]
    assert (k.status, k.cause) == (Status.BAD, Cause.BAD_SEED)


def test_large_send_of_another_length_is_bad() -> None:
    packet = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    frame = without_length(packet)
    almost = f.put16(frame, 50, (f.get16(frame, 50) + 1) % 0xFFFF)
    assert judge(almost, flags=0)[-1].status == Status.BAD


def test_large_send_at_the_sender_is_named(tmp_path: Path) -> None:
    sent, packets, at = 1000, [], 0.0
    for n in range(4):
        data = random.Random(n).randbytes(4380)
        packets.append((at, without_length(t.tcp(A, SERVER, 40000, 25, sent, 5001, "A", data))))
        sent += len(data)
        packets.append((at + 0.02, f.raw(t.tcp(SERVER, A, 25, 40000, 5001, sent, "A"))))
        at += 0.03
    [found] = [each for each in decide(t.pcap(tmp_path / "x", packets)) if each.cause == "offload-pending"]
    assert decided([found]) == [("offload-pending", "certain")]
    assert only(found, LargeSend) == [LargeSend(4)]
