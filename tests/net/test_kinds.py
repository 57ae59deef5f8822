"""Frames of every kind pass unchanged: put on the wire at a, read at b by tcpdump, compared byte by byte."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dpkt
import pytest
from scapy.all import IP, TCP, UDP, VXLAN, Ether, Raw

import frames as f
from kinds import ALL, ME, carried, control_plane, tiny
from line import ADDRESSES, Line, open_tap, transfer
from pktmend import Emit, Pipeline, Ring, count, verify
from pktmend.testbed.netns import Host
from tools import PATIENCE, need


class Trace:
    """What tcpdump has seen."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, wanted: Callable[[bytes], bool]) -> None:
        self._process, self._path, self._wanted = process, path, wanted

    def frames(self, count: int) -> list[bytes]:
        """End it once it has seen *count* frames of this test; all of them, whole, in order."""
        deadline = time.monotonic() + PATIENCE
        while len(self._seen()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.1)  # more than that would be seen by now
        self._process.terminate()
        self._process.wait(PATIENCE)
        return self._seen()

    def _seen(self) -> list[bytes]:
        with self._path.open("rb") as file:
            try:
                return [frame for _, frame in dpkt.pcap.Reader(file) if self._wanted(frame)]
            except (struct.error, dpkt.Error, ValueError):
                return []  # its last packet is half written


@contextmanager
def watch(host: Host, interface: str = "eth0", source: str = ME) -> Iterator[Trace]:
    """Run tcpdump, which puts a VLAN tag back where it was, on frames that come in from *source*."""
    need("tcpdump")
    mac = bytes.fromhex(source.replace(":", ""))
    path = host.testbed.folder() / "trace.pcap"
    process = host.spawn(
        "tcpdump",
        "-Z",
        "root",
        "-i",
        interface,
        "-Q",
        "in",
        "-U",
        "--immediate-mode",
        "-B",
        "32768",
        "-s",
        "262144",
        "-w",
        str(path),
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None and b"listening" in process.stderr.readline()
    yield Trace(process, path, lambda frame: frame[6:12] == mac)


OPTIONS = {
    "plain": (),
    "v3": ("--ring", "v3"),
    "three workers": ("--workers", "3"),
    "one by one": ("--no-coalesce",),
    "finish": ("--finish", "pb"),
    "isolated": ("--isolate",),
    "ring only": ("--cut-through", "off"),
    "ring only, three workers": ("--cut-through", "off", "--workers", "3"),
}


@pytest.mark.parametrize("options", OPTIONS)
def test_every_kind_passes_byte_by_byte(line: Line, options: str) -> None:
    line.silence()
    kinds = {**control_plane(), **tiny(), **carried()}
    with line.bridged("--unidir", *OPTIONS[options]) as bridge, watch(line.b) as trace, open_tap(line.a, "eth0") as out:
        for frame in kinds.values():
            out.send(frame)
            time.sleep(0.0005)
        got = trace.frames(len(kinds))
        (d,) = bridge.stop()
    names = {frame: name for name, frame in kinds.items()}
    changed = [frame[:80].hex() for frame in got if frame not in names]
    assert [name for name, frame in kinds.items() if frame not in got] == [] and changed == []
    if options == "ring only":  # of several flows, and so on several ways, else
        assert [names[frame] for frame in got] == [names[frame] for frame in kinds.values()]
    assert d["read"] == d["sent"] and d["arrived"] == len(kinds) == len(got) and d["kernel_drops"] == 0
    assert d["repaired"] == {} and d["finished"] == 0


@pytest.mark.parametrize(
    ("mtu", "options"),
    [
        (9000, "plain"),
        (65535, "plain"),
        (65535, "v3"),
        (65535, "finish"),
        (65535, "ring only"),
    ],
)
def test_jumbo_frames_pass_byte_by_byte(make_line: Callable[[int], Line], mtu: int, options: str) -> None:
    line = make_line(mtu)
    line.silence()
    ether, wanted = Ether(src=ME, dst=ALL), []
    for size in sorted({1500, 2035, 2036, 4096, 8999, 9000, 32767, 65000, mtu}):
        if size <= mtu:
            wanted.append(bytes(ether / f.ip4 / f.udp / Raw(os.urandom(size - 28)))[: 14 + size])
            wanted.append(bytes(ether / f.ip6 / f.tcp / Raw(os.urandom(size - 72)))[: 14 + size])
            wanted.append(bytes(Ether(src=ME, dst=ALL, type=0x88B5) / Raw(os.urandom(size))))
    with line.bridged("--unidir", *OPTIONS[options]) as bridge, watch(line.b) as trace, open_tap(line.a, "eth0") as out:
        for frame in wanted:
            out.send(frame)
            time.sleep(0.002)
        got = trace.frames(len(wanted))
        (d,) = bridge.stop()
    assert sorted(len(frame) for frame in got) == sorted(len(frame) for frame in wanted)
    assert got == wanted if options == "ring only" else sorted(got) == sorted(wanted)
    assert d["arrived"] == len(wanted) and d["sent"] == d["read"] and d["truncated"] == 0


def test_frames_that_the_ring_cut_are_never_sent_on(make_line: Callable[[int], Line]) -> None:
    """Frames above the slot travel through the socket's queue; where that has no room they arrive cut."""
    line = make_line(9000)
    line.silence()
    sent = [
        bytes(Ether(src=ME, dst=ALL) / f.ip4 / f.udp / Raw(bytes([i]) * (8000 if i % 2 else 100))) for i in range(100)
    ]
    with (
        line.node.call(lambda: Ring("pa", ring="v2", outgoing=False)) as ring,
        line.node.call(lambda: Emit("pb", coalesce=False)) as emit,
        watch(line.b) as trace,
        open_tap(line.a, "eth0") as out,
    ):
        with socket.socket(fileno=os.dup(ring.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        pipeline = line.node.call(lambda: Pipeline(ring, [verify, count], emit))
        for frame in sent:
            out.send(frame)
        pipeline.start()
        pipeline.stop()
        pipeline.wait()
        d = pipeline.counters()
        got = trace.frames(d.sent)
    assert set(got) <= set(sent) and set(sent[::2]) <= set(got)  # whole, and every small one
    assert d.truncated == 100 - len(got) > 10 and d.sent == len(got) and d.read == 100


# --- super-frames ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [(), ("--finish", "pb", "--finish", "pa"), ("--cut-through", "off")],
    ids=["plain", "finish", "ring only"],
)
def test_frames_that_the_kernel_has_joined_on_the_way_in(line: Line, options: tuple[str, ...]) -> None:
    """GRO on the bridge's own interfaces: a's MTU-sized segments are read as super-frames."""
    for host in (line.a, line.b):
        host.offload("eth0", tso=False, gso=False)
    for name in ("pa", "pb"):
        line.node.offload(name, gro=True)
    with line.bridged(*options, "--no-coalesce") as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 20 << 20, version=version)
            transfer(line.b, line.a, 20 << 20, version=version)
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for d in (there, back):
        assert d["super_frames"] + d.get("cut_through", {"super_frames": 0})["super_frames"] > 100


def test_super_frames_beyond_64_kibibytes(line: Line) -> None:
    """BIG TCP: hosts and bridge ports allow 190,000 frame."""
    limits = {f"{what}{version}_max_size": 190_000 for what in ("gso", "gro") for version in ("", "_ipv4")}
    for host, name in ((line.a, "eth0"), (line.b, "eth0"), (line.node, "pa"), (line.node, "pb")):
        try:
            host.link(name, **limits)
        except Exception as error:
            pytest.skip(f"no BIG TCP here: {error}")
    need("tcpdump")
    big = line.node.spawn(
        "tcpdump",
        "-Z",
        "root",
        "-i",
        "pa",
        "-Q",
        "in",
        "-c",
        "1",
        "-n",
        "greater 70000",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert big.stderr is not None
    big.stderr.readline()
    with line.bridged() as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 60 << 20, version=version)
        there, _ = bridge.stop()
    line.assert_no_checksum_error()
    big.terminate()
    if not big.communicate(timeout=PATIENCE)[0]:
        pytest.skip("this kernel makes no frames beyond 64 KiB on veth")
    assert there["truncated"] == 0 and there["dropped"] == {} and there["tx_error"] == {}, there


# --- a tunnel carried through ---------------------------------------------------------------------


def tunnelled() -> tuple[bytes, bytes, int, int]:
    """VXLAN around TCP: the frame that is right; the same as its sender leaves it; csum_start and csum_offset inside.

    The sender writes the outer sum as if the inner one were complete (LCO); scapy says what is right.
    """
    inner = (
        Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02")
        / IP(src="10.9.0.1", dst="10.9.0.2")
        / TCP(sport=1000, dport=2000, flags="A")
        / Raw(bytes(range(200)))
    )
    right = bytes(Ether(src=ME, dst=ALL) / f.ip4 / UDP(sport=9, dport=4789) / VXLAN(vni=5) / inner)
    start = len(right) - 220
    return right, f.put16(right, start + 16, f.seed(inner)), start, 16


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_leaked_inner_packet_is_repaired_inside_out(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    right, left, _, _ = tunnelled()
    with line.bridged("--unidir", *options) as bridge, watch(line.b) as trace, open_tap(line.a, "eth0") as out:
        out.send(left)
        assert trace.frames(1) == [right]
        (d,) = bridge.stop()
    assert d["repaired"] == {"leaked": 1}


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_pending_inner_packet_is_kept_or_finished(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    right, left, start, offset = tunnelled()
    with (
        line.bridged("--unidir", *options) as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
        open_tap(line.b, "eth0", vnet=True) as back,
    ):
        out.send(struct.pack("=BBHHHH", f.NEEDS_CSUM, 0, start + 20, 0, start, offset) + left)
        got = back.recv(1 << 16)
        (d,) = bridge.stop()
    if options:
        assert got == bytes(10) + right and d["finished"] == 1
    else:
        assert got[10:] == left and got[0] == f.NEEDS_CSUM and struct.unpack("=HH", got[6:10]) == (start, offset)
    assert d["repaired"] == {} and ADDRESSES["a"][0] == "10.7.0.1"
