"""Capture files, read and written: formats, byte orders, what the kernel knew, hostile lengths.

Files are made by hand from the format's drafts, or by scapy; what we write is read back by tshark and scapy.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
import pktmend
from pktmend import (
    Capture,
    Copy,
    FormatError,
    Frames,
    PacketFlag,
    Pipeline,
    Status,
    Writer,
    _core,
    classify,
    count,
    verify,
)
from pktmend.packetio.capture_file import PCAP, PCAPNG
from tapes import File, read
from tools import PATIENCE, ROOT, frames_in, need, run_pktmend

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
LEAKED = f.leaked(f.ether / f.ip6 / f.udp / f.PAYLOAD)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_classic_in_each_byte_order_and_resolution(tmp_path: Path, order: str, magic: int, unit: int) -> None:
    path = tmp_path / "x.pcap"
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1 | 0x30000000)  # reserved bits: seen in the wild
    path.write_bytes(head + struct.pack(order + "IIII", 1700000000, 5, len(GOOD), len(GOOD)) + GOOD)
    assert read(path) == [(1, 1700000000 * 10**9 + 5 * unit, 0, GOOD)]


def test_modified_header_is_24_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    head = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIII", 1, 2, len(GOOD), len(GOOD)) + bytes(8) + GOOD
    path.write_bytes(head + record * 2)
    assert [frame for _, _, _, frame in read(path)] == [GOOD, GOOD]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_sections_interfaces_and_resolutions(tmp_path: Path, order: str) -> None:
    one, two = File(order), File("<" if order == ">" else ">")
    micro = 1_700_000_000_000_005
    one.section().interface().interface(1, 0, one.option(9, bytes([9])), one.option(14, one.pack("q", 100)))
    one.packet(GOOD, time=micro).packet(LEAKED, interface=1, time=7_000_000_001)
    one.block(0xABCD, b"unknown").block(5, one.pack("III", 1, 0, 0) + one.option(5, one.pack("Q", 42)))
    two.section().interface(1, 60, two.option(9, bytes([0x80 | 10])))  # units of 1/1024 s
    two.packet(GOOD, time=1024 * 3 + 512).block(3, two.pack("I", len(GOOD)) + GOOD[:60])
    path = tmp_path / "x.pcapng"
    path.write_bytes(one.data + two.data)
    got = read(path)
    assert [(n, t) for n, t, _, _ in got] == [(1, micro * 1000), (2, 107 * 10**9 + 1), (3, 3_500_000_000), (4, 0)]
    assert [frame for _, _, _, frame in got] == [GOOD, LEAKED, GOOD, GOOD[:60]]
    assert got[3][2] & PacketFlag.TRUNCATED


def test_drop_count_of_the_statistics_block(tmp_path: Path) -> None:
    file = File().section().interface()
    file.packet(GOOD).block(5, file.pack("III", 0, 0, 0) + file.option(5, file.pack("Q", 42)))
    path = tmp_path / "x.pcapng"
    path.write_bytes(file.data)
    with Capture(path) as source:
        Pipeline(source, []).run()
        assert source.interfaces == [(1, 42)]


def test_epb_flags_say_what_the_kernel_knew(tmp_path: Path) -> None:
    file = File().section().interface()
    file.packet(LEAKED)  # before any flag was seen: the file cannot tell
    file.packet(LEAKED, file.option(2, file.pack("I", 1 << 9 | 2)))
    file.packet(LEAKED, file.option(2, file.pack("I", 1)))  # flags are known in this section, and say nothing here
    file.packet(GOOD, file.option(2, file.pack("I", 1 << 10)))
    path = tmp_path / "x.pcapng"
    path.write_bytes(file.data)
    done = run_pktmend("check", "-r", str(path), "--json", "--all")
    checks = [json.loads(line)["checks"][-1] for line in done.stdout.splitlines()[:-1]]
    assert [c["status"] for c in checks] == ["pending", "pending", "bad", "good"]
    assert [c.get("reason") for c in checks] == ["no-metadata", None, None, None]
    assert checks[2]["cause"] == "leaked"
    assert done.returncode == 1


@pytest.mark.parametrize("flags", [0x200, 0x400, 0xA00, 0])
def test_what_the_source_knew_survives_a_round_trip(tmp_path: Path, flags: int) -> None:
    file = File().section(File().option(4, b"pktmend")).interface()
    for _ in range(3):
        file.packet(LEAKED, file.option(2, file.pack("I", flags | 1)), time=1_700_000_000_000_001)
    (tmp_path / "a.pcapng").write_bytes(file.data)
    with Capture(tmp_path / "a.pcapng") as source:
        sink = Writer(tmp_path / "b.pcapng")
        Pipeline(source, [verify], sink).run()
        sink.close(received=10, dropped=7)
    assert read(tmp_path / "b.pcapng") == read(tmp_path / "a.pcapng")
    with Capture(tmp_path / "b.pcapng") as source:
        Pipeline(source, []).run()
        assert source.interfaces == [(1, 7)]
    assert frames_in(tmp_path / "b.pcapng") == [LEAKED] * 3


@pytest.mark.parametrize("file_format", [PCAP, PCAPNG])
def test_what_we_write_others_read(tmp_path: Path, file_format: str) -> None:
    need("tshark")
    wrpcap(str(tmp_path / "a.pcap"), [GOOD, LEAKED, GOOD[:61]], linktype=1)
    out = tmp_path / "b"
    with Capture(tmp_path / "a.pcap") as source:
        sink = Writer(out, file_format=file_format)
        Pipeline(source, [verify], sink).run()
        sink.close()
    assert frames_in(out) == [GOOD, LEAKED, GOOD[:61]]
    lengths = subprocess.run(
        ["tshark", "-r", str(out), "-T", "fields", "-e", "frame.len"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert lengths == [str(len(x)) for x in (GOOD, LEAKED, GOOD[:61])]


def test_stripped_vlan_tag_is_put_back_when_written(tmp_path: Path) -> None:
    tagged = f.raw(f.tagged(f.ether / f.ip4 / f.tcp / f.PAYLOAD))
    batch = Frames([tagged[:12] + tagged[16:]], flags=int(PacketFlag.VLAN), tpid=0x8100, tci=5).batch()
    path = tmp_path / "x.pcapng"
    with path.open("wb") as file:
        sink = _core.WriterSink(file.fileno(), PCAPNG)
        sink.write(batch)
        sink.finish()
    assert [frame for _, _, _, frame in read(path)] == [tagged]


@pytest.mark.parametrize("snaplen", range(10, 20))
@pytest.mark.parametrize("file_format", [PCAP, PCAPNG])
def test_snaplen_cuts_what_was_on_the_wire(tmp_path: Path, file_format: str, snaplen: int) -> None:
    tagged = f.raw(f.tagged(f.ether / f.ip4 / f.tcp / f.PAYLOAD))
    batch = Frames([tagged[:12] + tagged[16:]], flags=int(PacketFlag.VLAN), tpid=0x8100, tci=5).batch()
    path = tmp_path / "x.pcap"
    with path.open("wb") as file:
        sink = _core.WriterSink(file.fileno(), file_format, snaplen=snaplen)
        sink.write(batch)
        sink.finish()
    assert frames_in(path) == [tagged[:snaplen]]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD, LEAKED] * 5000, linktype=1)
    plain = (tmp_path / "a.pcap").read_bytes()
    path = tmp_path / f"a.pcap.{suffix}"
    path.write_bytes(gzip.compress(plain) if suffix == "gz" else pytest.importorskip("zstandard").compress(plain))
    assert len(read(path)) == 10000
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    done = run_pktmend("check", "-r", str(path))
    assert done.returncode == 5 and done.stderr.count(b"\n") == 1


def test_slow_pipe_is_read_as_it_comes() -> None:
    """Packets of a live pipe are judged before the pipe ends."""
    receive, send = os.pipe()
    frames: list[int] = []
    arrived = threading.Event()

    def collect(batch: pktmend.Batch) -> None:
        frames.append(len(batch))
        arrived.set()

    source = _core.CaptureSource(receive)
    loop = _core.Loop(source, [collect], _core.NullSink())
    thread = threading.Thread(target=loop.run)
    thread.start()
    os.write(send, struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    record = struct.pack("<IIII", 1, 2, len(GOOD), len(GOOD)) + GOOD
    os.write(send, record[:50])
    os.write(send, record[50:])
    assert arrived.wait(PATIENCE)
    os.close(send)
    thread.join(PATIENCE)
    assert not thread.is_alive() and sum(frames) == 1
    source.close()
    os.close(receive)


def test_filter_expression_selects_packets_and_keeps_their_numbers(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD, LEAKED, GOOD, LEAKED], linktype=1)
    done = run_pktmend("check", "-r", str(tmp_path / "a.pcap"), "--json", "--all", "udp", "and", "ip6")
    *packets, summary = map(json.loads, done.stdout.splitlines())
    assert [p["n"] for p in packets] == [2, 4] and summary["summary"]["packets"] == 2
    done = run_pktmend("check", "-r", str(tmp_path / "a.pcap"), "udp", "andd")
    assert done.returncode == 2 and b"andd" in done.stderr


HOSTILE = {
    "caplen beyond 256 MiB": (
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 1, 2, 0xFFFFFFFF, 60),
        32,
    ),
    "block length 8": (File().section().data + struct.pack("<III", 6, 8, 8), 32),
    "block length not a multiple of 4": (File().section().data + struct.pack("<III", 6, 13, 13) + b"x", 32),
    "block length beyond the file": (File().section().interface().data + struct.pack("<III", 6, 1 << 20, 0), 48),
    "two lengths differ": (File().section().data + struct.pack("<IIII", 9, 16, 0, 20), 40),
    "interface not described": (File().section().packet(GOOD).data, 36),
    "packet longer than its block": (
        File().section().interface().block(6, struct.pack("<IIIII", 0, 0, 0, 999, 9)).data,
        68,
    ),
    "option beyond its block": (File().section(struct.pack("<HH", 4, 400)).data, 24),
    "no byte order mark": (b"\x0a\x0d\x0d\x0a" + struct.pack("<II", 28, 0x11111111) + bytes(16), 8),
    "section of 20 bytes": (b"\x0a\x0d\x0d\x0a" + struct.pack("<IIII", 20, 0x1A2B3C4D, 1, 20), 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lengths_are_named_with_their_byte(tmp_path: Path, name: str) -> None:
    content, offset = HOSTILE[name]
    path = tmp_path / "x"
    path.write_bytes(content)
    with Capture(path) as source, pytest.raises(FormatError) as caught:
        Pipeline(source, [verify, classify, count]).run()
    assert caught.value.offset == offset, caught.value
    done = run_pktmend("check", "-r", str(path))
    assert done.returncode == 5 and f"byte {offset}".encode() in done.stderr


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        path = tmp_path / "big.pcap"
        record = struct.pack("<IIII", 1, 2, 1500, 1500) + GOOD + bytes(1500 - len(GOOD))
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for _ in range(frames // 1000):
                file.write(record * 1000)
        program = (
            "import resource, sys; from pktmend.commands.check import run_check; run_check(path=sys.argv[1],"
            " interface=None, packets=0, json=True, every=False, at_wire=False);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    small, large = peak(20_000), peak(200_000)  # 30 MB, 300 MB
    assert large < small + 16_384, (small, large)


def test_copy_of_a_pcapng_with_status_column(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 3, linktype=1)
    with Capture(tmp_path / "a.pcap") as source:
        sink = Copy(tmp_path / "b.pcap", source)
        pipeline_ = Pipeline(source, [verify, count], sink)
        pipeline_.run()
        sink.close()
    assert pipeline_.counters().status == {str(Status.GOOD): 3}
    assert (tmp_path / "a.pcap").read_bytes() == (tmp_path / "b.pcap").read_bytes()


def test_a_finished_copy_that_is_dropped_leaves_the_next_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes((ROOT / "examples" / "leaked.pcap").read_bytes())
    with Capture(path) as capture:
        first = Copy(tmp_path / "first", capture)
        first.close()
        with Copy(tmp_path / "second", capture):
            del first
            with pytest.raises(pktmend.ConfigError, match="another copy"):
                Copy(tmp_path / "third", capture)
