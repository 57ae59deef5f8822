"""A capture sent out of an interface: what its file marks as partial arrives as such, and the kernel completes it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import frames as f
from pktmend import Capture, Emit, PacketFlag, Pipeline, Ring, classify, verify
from pktmend.testbed.netns import Host
from tapes import PARTIAL, pcapng

PACKETS = [f.ether / f.ip4 / f.tcp / f.PAYLOAD, f.ether / f.ip6 / f.udp / f.PAYLOAD]


@pytest.mark.parametrize("coalesce", [False, True])
@pytest.mark.parametrize("finish", [False, True])
def test_mark_of_a_file_leaves_with_its_packet(
    tmp_path: Path, ends: tuple[Host, Host], coalesce: bool, finish: bool
) -> None:
    path = pcapng(tmp_path / "x.pcapng", [(1.0, f.leaked(packet), PARTIAL | 2) for packet in PACKETS])
    wanted = [f.raw(packet) if finish else f.leaked(packet) for packet in PACKETS]
    got: dict[bytes, tuple[bool, tuple[int, ...]]] = {}
    with (
        ends[1].call(lambda: Ring("eth0", outgoing=False)) as ring,
        Capture(path) as source,
        ends[0].call(lambda: Emit("eth0", finish=finish, coalesce=coalesce)) as sink,
    ):
        ends[0].call(lambda: Pipeline(source, [verify, classify], sink)).run()
        for batch in ring.batches(timeout=20):
            for i in range(len(batch)):
                header = batch.vnet(i)
                assert header is not None
                place = struct.unpack("=6xHH", header)  # csum_start, csum_offset
                got[bytes(batch.frame(i))] = bool(batch.flags[i] & PacketFlag.NOT_READY), place
                del header
            if all(frame in got for frame in wanted):
                break
    places = [(0, 0), (0, 0)] if finish else [(34, 16), (54, 6)]
    assert [got.get(frame) for frame in wanted] == [(not finish, place) for place in places]
