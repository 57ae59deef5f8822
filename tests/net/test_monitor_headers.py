"""`monitor --headers-only`: the kernel hands over headers where they are enough, and no number is another for it.

Two monitors watch one interface, one with and one without; what was sent is known beside.
"""

from __future__ import annotations

import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, UDP, Raw

import frames as f
from carriers import CARRIERS, ETHERNET
from kernel_frames import GSO_UDP, MUST, MUST_NOT, NOT_EVERYWHERE, partial
from kernel_judging import need_kernel_judge
from line import NO_PI, TAP, VNET_HDR, open_tap, open_tap_device, transfer
from pktmend import Proto, Status
from pktmend.packetio.kernel_judge import KernelJudge
from pktmend.packetio.ring import Ring
from pktmend.testbed.netns import Host, Testbed
from tools import need, until
from watching import Monitor, Pair, corrupt, good, leaked

VNET_LEN, LEFT = 10, 128
Frame = tuple[bytes, bytes | None]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    need_kernel_judge()
    with Testbed() as testbed:
        pair = Pair(testbed)
        for host in (pair.a, pair.node):
            quiet = "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done"
            host.run("sh", "-c", quiet)
        yield pair


class Tap:
    """A TAP device "t" of a host's: any frame, with any virtio-net header."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.run("sh", "-c", "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done")
        self._fd = open_tap_device(host, "t", TAP | NO_PI | VNET_HDR)

    def close(self) -> None:
        os.close(self._fd)

    def put(self, frames: list[Frame]) -> list[Frame]:
        """Return those that the kernel took."""
        taken = []
        for frame, vnet in frames:
            try:
                os.write(self._fd, (vnet or bytes(VNET_LEN)) + frame)
            except OSError:
                continue
            taken.append((frame, vnet))
        return taken


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    need_kernel_judge()
    with Testbed() as testbed:
        tap = Tap(testbed.host("t"))
        testbed.on_exit(tap.close)
        yield tap


class Both:
    """A monitor with it and one without, of the same interface."""

    def __init__(self, host: Host, *argv: str, only_with: tuple[str, ...] = (), only_without: tuple[str, ...] = ()):
        self.with_it = Monitor(host, *argv, *only_with, "--verbose")
        self.without = Monitor(host, *argv, *only_without, "--verbose", "--headers-only", "off")

    def end(self, *, alike: tuple[str, ...] = ()) -> dict[str, Any]:
        """End both; they have counted the same, and shown the same; return the last snapshot.

        alike: causes of which one may be named instead of another.
        """
        lasts = [monitor.end() for monitor in (self.with_it, self.without)]
        assert any("headers are read" in text for text in self.with_it.told("interface"))
        assert any("--headers-only off" in text for text in self.without.told("interface"))
        for last in lasts:
            assert all(d["kernel_drops"] == d["unsupported_gso"] for d in last["directions"])
            for changing in ("time", "kernel", "file"):
                last.pop(changing, None)
            last["bad"] = last["bad"]["packets"]
            last["flows"] = sorted(tuple((k, v) for k, v in flow.items() if k != "last") for flow in last["flows"])
        for last in lasts if alike else ():
            last["flows"] = []
            for each in (by_cause for d in last["directions"] for by_cause in d["checks"].values()):
                each["alike"] = sum(each.pop(cause, 0) for cause in alike)
        for with_it, without in zip(*(last["directions"] for last in lasts), strict=True):
            assert differing(with_it, without) == {}
        assert lasts[0] == lasts[1]
        return lasts[0]


def differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Return what is not the same in both, beside each other."""
    found: dict[str, Any] = {}
    for key in a.keys() | b.keys():
        x, y = a.get(key), b.get(key)
        if x != y:
            found[key] = differing(x, y) if isinstance(x, dict) and isinstance(y, dict) else (x, y)
    return found


def readable(frames: list[Frame]) -> list[Frame]:
    """Return those that a packet socket can hand over: no super-frame to be fragmented."""
    return [(frame, vnet) for frame, vnet in frames if vnet is None or vnet[1] != GSO_UDP]


def carried() -> list[Frame]:
    """Return carriers as they are, with metadata that names any place, and with bytes damaged."""
    rng, out = random.Random(4), []
    for link, _, make in CARRIERS.values():
        if link != ETHERNET:
            continue
        for size in (64, 200, 1300):
            frame = bytes(make((bytes(range(256)) * 6)[:size]))
            out.append((frame, None))
            for at in rng.sample(range(12, min(len(frame), 200)), 10):
                damaged = frame[:at] + bytes([frame[at] ^ 1 << rng.randrange(8)]) + frame[at + 1 :]
                place = rng.choice(((34, 16), (34, 6), (54, 16), (54, 6), (at, 6)))
                out.append((damaged, struct.pack("=BBHHHH", 1, 0, 0, 0, *place)))
    return out


def test_each_kind_of_frame_is_counted_as_without(tap: Tap) -> None:
    both = Both(tap.host, "-i", "t")
    frames = [frame for frame, _ in MUST.values()] + [*MUST_NOT.values()] + carried()
    taken = tap.put(frames)
    assert len(taken) > len(frames) // 2
    # whether a packet has a witness depends on which of those around it were read with it
    (d,) = both.end(alike=("bit-flip", "nat-delta", "nat-on-zero", "corrupt"))["directions"]
    handed = readable(taken)
    assert d["packets"] == len(handed) and d["octets"] == sum(wire_length(frame) for frame, _ in handed)
    assert d["unsupported_gso"] == len(taken) - len(handed)


def test_known_ones_are_counted_as_they_are(tap: Tap) -> None:
    """By protocol and status as scapy made them, super-frames and all."""
    both = Both(tap.host, "-i", "t")
    known = {name: case for name, case in MUST.items() if name not in NOT_EVERYWHERE}
    frames = [frame for frame, _ in known.values()] * 20
    assert tap.put(frames) == frames
    (d,) = both.end()["directions"]
    checks: dict[str, Counter[str]] = {}
    for _, found in known.values():
        for (proto, status), number in found.items():
            checks.setdefault(str(proto), Counter())[str(status)] += 20 * number
    assert d["checks"] == {proto: dict(by_status) for proto, by_status in checks.items()}
    assert d["super_frames"] == 20 * sum(1 for (_, vnet), _ in known.values() if vnet and vnet[1])
    assert d["octets"] == sum(wire_length(frame) for frame, _ in frames) and d["truncated"] == 0


@pytest.mark.parametrize(
    "argv", [("-i", "pa"), ("-i", "p*"), ("-i", "pa", "--workers", "3"), ("-i", "pa", "-Q", "in"), ("-i", "lo")]
)
def test_traffic_of_hosts_is_counted_as_without(pair: Pair, argv: tuple[str, ...]) -> None:
    """TCP both ways, its super-frames sent and received, among packets that were leaked and damaged on their way."""
    both = Both(pair.node, *argv, only_with=("-w", "/dev/null", "--bad-only"))
    if argv[-1] == "lo":
        pair.node.run("ip", "link", "set", "dev", "lo", "mtu", "1500")  # or it needs no super-frames
        transfer(pair.node, pair.node, 20_000_000, address="127.0.0.1")
        (d,) = both.end()["directions"]
        assert set(d["status"]) <= {"pending", "good"} and d["super_frames"] > 0
        return
    transfer(pair.a, pair.node, 10_000_000, address="10.7.0.2")
    pair.send([leaked(40000 + i % 5) for i in range(200)] + [corrupt()] * 30 + [good(1400)] * 500)
    transfer(pair.node, pair.a, 10_000_000, address="10.7.0.1")
    last = both.end()
    (d,) = last["directions"]
    assert d["checks"]["udp"] == {"good": 500, "leaked": 200} and d["checks"]["tcp"]["corrupt"] == 30
    assert d["checks"]["tcp"]["pending"] > 100 and d["truncated"] == 0
    assert d["octets"] > 10_000_000 and d["super_frames"] > 0
    assert len(last["flows"]) == 6 and last["bad"] == 230


def test_segment_that_was_cut_is_a_witness(tap: Tap) -> None:
    """Of a translation that forgot the checksum: of the first all that is asked for is in its header."""
    both = Both(tap.host, "-i", "t")
    tap.put([(corrupt(), None)])  # witnesses are looked for from now on
    for monitor in (both.with_it, both.without):
        monitor.await_read(1)
    segment = f.ether / f.ip4 / f.tcp / Raw(bytes(range(250)) * 4)
    translated = IP(src="192.0.2.77", dst="10.7.0.2", id=7) / f.tcp / Raw(bytes(range(250)) * 4)
    forgotten = f.put16(f.raw(f.ether / translated), 50, f.get16(f.raw(segment), 50))
    assert len(tap.put([partial(segment), (forgotten, None)])) == 2
    (d,) = both.end()["directions"]
    assert d["checks"]["tcp"] == {"corrupt": 1, "pending": 1, "nat-delta": 1}


@contextmanager
def judged_ring(host: Host, name: str) -> Iterator[Ring]:
    with KernelJudge() as judge, host.call(lambda: Ring(name)) as ring:
        judge.configure(snap=LEFT, enabled=True)
        ring.attach_judge(judge.look)
        yield ring


def test_only_tcp_that_is_pending_and_right_is_cut(tap: Tap) -> None:
    """What is missing is payload; everything else is there to the last byte."""
    pending = {name: frame for name, (frame, found) in MUST.items() if found.get((Proto.TCP, Status.PENDING))}
    with judged_ring(tap.host, "t") as ring:
        whole = [frame for name, (frame, _) in MUST.items() if name not in pending] + readable([*MUST_NOT.values()])
        for given, is_cut in ((list(pending.values()), True), (whole, False)):
            frames = tap.put(given)
            got: list[tuple[int, int]] = []
            for batch in ring.batches(timeout=2):
                got += zip(batch.caplen.tolist(), batch.wirelen.tolist(), strict=True)
                del batch
                if len(got) >= len(frames):
                    break
            assert [wire for _, wire in got] == [wire_length(frame) for frame, _ in frames]
            assert [cap for cap, _ in got] == [min(LEFT, wire) if is_cut else wire for _, wire in got]


def wire_length(frame: bytes) -> int:
    """A tag goes into the metadata."""
    return len(frame) - 4 if frame[12:14] in (b"\x81\0", b"\x88\xa8") else len(frame)


@pytest.mark.parametrize("snaplen", [20, 60, 128, 131, 500])
def test_file_is_the_same_to_the_byte(tap: Tap, tmp_path: Path, snaplen: int) -> None:
    with_it, without = tmp_path / "with", tmp_path / "without"
    both = Both(
        tap.host,
        *("-i", "t", "-s", str(snaplen)),
        only_with=("-w", str(with_it)),
        only_without=("-w", str(without)),
    )
    taken = tap.put([frame for frame, _ in MUST.values()] + [*MUST_NOT.values()])
    assert both.end()["directions"][0]["packets"] == len(readable(taken))
    need("tshark")
    found = [packet_blocks(path) for path in (with_it, without)]
    assert len(found[0]) == len(readable(taken)) and found[0] == found[1]


def packet_blocks(path: Path) -> list[bytes]:
    """Return the enhanced packet blocks of a pcapng file: lengths, bytes, options; each socket has its own clock."""
    data, at, out = path.read_bytes(), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        if kind == 6:
            out.append(data[at + 20 : at + length])
        at += length
    return out


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("-w", "/dev/null"), "-w writes them"),
        (("udp",), "a filter expression"),
        (("-Q", "out"), "-Q out"),
        (("--headers-only", "off"), "--headers-only off"),
    ],
)
def test_whole_packets_are_read_where_they_are_wanted(pair: Pair, argv: tuple[str, ...], why: str) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--verbose", *argv)
    monitor.wait_for("interface", f"packets are read whole: {why}")
    monitor.end()


def test_file_without_s_holds_whole_packets(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    monitor = Monitor(pair.node, "-i", "pa", "-w", str(path))

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(bytes(1400), ("10.7.0.1", 5000))

    pair.node.call(send)
    monitor.end()
    lengths = [struct.unpack_from("=II", block) for block in packet_blocks(path)]
    assert (1442, 1442) in lengths and all(cap == wire for cap, wire in lengths)


def test_without_the_capabilities_packets_are_read_whole(pair: Pair) -> None:
    need("setpriv")
    few = ("setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all,+net_raw")
    from running import RunningBridge

    monitor = RunningBridge(pair.node, "-i", "pa", "--verbose", program=("monitor",), prefix=few)
    pair.send([leaked()] * 3)
    until(lambda: bool(monitor.snapshots) and monitor.directions[0]["packets"] == 3, "three packets")
    (d,) = monitor.stop()
    told = [line["event"]["text"] for line in monitor.lines if "event" in line]
    assert any("read whole: needs root, or CAP_BPF" in text for text in told), told
    assert d["checks"]["udp"] == {"leaked": 3}


def test_tap_of_frames_with_a_tag(pair: Pair) -> None:
    """A tag that lies in the metadata is counted on neither side."""
    both = Both(pair.node, "-i", "pa")
    with open_tap(pair.a, "eth0") as out:
        for size in (0, 500, 1400):
            out.send(f.raw(f.tagged(f.ether / f.ip4 / UDP(sport=1, dport=2) / bytes(size))))
    (d,) = both.end()["directions"]
    assert d["packets"] == 3 and d["checks"]["udp"] == {"good": 3}
