"""The engine beside Python peers: sum, verify, repair, read, write.  Answers are checked, times are not judged."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.all import IP, TCP, Ether, PcapReader, Raw
from scapy.all import checksum as scapy_checksum

from pktmend import Capture, Frames, Null, Pipeline, Repair, Status, Writer, checksum, classify, count, verify
from pktmend.commands.bench.read import write_captures
from pktmend.packetio.capture_file import PCAP

SIZES = [64, 576, 1500, 9000]
FRAMES = 2000


def frames(size: int, many: int = 256) -> list[bytes]:
    """Return TCP frames of *size* bytes with scapy's checksums; one is made, the others differ in payload order."""
    noise = random.Random(size).randbytes(size - 54)
    made = bytes(
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / IP(src="10.7.0.1", dst="10.7.0.2")
        / TCP(sport=1, dport=2)
        / Raw(noise)
    )
    words = struct.unpack(f"<{(size - 54) // 2}H", noise)  # a permutation of words keeps the sum
    shuffle = random.Random(1)
    return [made[:54] + struct.pack(f"<{len(words)}H", *shuffle.sample(words, len(words))) for _ in range(many)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("impl", ["pktmend", "dpkt", "scapy"])
def test_sum(benchmark: Any, impl: str, size: int) -> None:
    data = random.Random(size).randbytes(size)
    call = {"pktmend": checksum, "dpkt": dpkt.in_cksum, "scapy": scapy_checksum}[impl]
    benchmark.group = f"sum {size}"
    got = benchmark(call, data)
    if impl == "dpkt":
        got = struct.unpack("<H", struct.pack(">H", got))[0] if got != scapy_checksum(data) else got
    assert got == scapy_checksum(data)


@pytest.mark.parametrize("size", SIZES)
def test_verify_a_batch(benchmark: Any, size: int) -> None:
    batch = Frames(frames(size), flags=1).batch()
    benchmark.extra_info["packets"] = len(batch)
    benchmark(verify, batch)
    assert set(batch.status) == {Status.GOOD}


def test_verify_one_packet_scapy(benchmark: Any) -> None:
    frame = frames(1500, 1)[0]

    def judge() -> bool:
        packet = Ether(frame)
        stored = packet[TCP].chksum
        del packet[TCP].chksum
        return bool(Ether(bytes(packet))[TCP].chksum == stored)

    assert benchmark(judge)


@pytest.mark.parametrize("size", SIZES)
def test_repair_a_batch(benchmark: Any, size: int) -> None:
    good = frames(size, 64)
    wrong = [frame[:50] + b"\x12\x34" + frame[52:] for frame in good]
    repair = Repair("all")

    def setup() -> tuple[tuple[Any], dict[str, Any]]:
        return (Frames(wrong, flags=1).batch(),), {}

    def run(batch: Any) -> Any:
        verify(batch)
        classify(batch)
        repair(batch)
        return batch

    batch = benchmark.pedantic(run, setup=setup, rounds=50)
    assert [bytes(batch.frame(i)) for i in range(len(batch))] == good


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_captures(tmp_path_factory.mktemp("bench"), FRAMES)["pcap"]


@pytest.mark.parametrize("impl", ["pktmend", "dpkt", "scapy"])
def test_read_a_file(benchmark: Any, capture: Path, impl: str) -> None:
    def ours() -> int:
        with Capture(capture) as source:
            pipeline = Pipeline(source, [verify, classify, count], Null())
            pipeline.run()
            return pipeline.counters().packets

    def with_dpkt() -> int:
        with capture.open("rb") as file:
            return sum(1 for _, frame in dpkt.pcap.Reader(file) if dpkt.ethernet.Ethernet(frame))

    def with_scapy() -> int:
        with PcapReader(str(capture)) as reader:
            return sum(1 for _ in reader)

    benchmark.group = f"read {FRAMES} frames"
    call = {"pktmend": ours, "dpkt": with_dpkt, "scapy": with_scapy}[impl]
    assert benchmark.pedantic(call, rounds=3) == FRAMES


@pytest.mark.parametrize("impl", ["pktmend", "dpkt"])
def test_write_a_file(benchmark: Any, capture: Path, tmp_path: Path, impl: str) -> None:
    target = tmp_path / "out.pcap"

    def ours() -> None:
        with Capture(capture) as source:
            sink = Writer(target, file_format=PCAP)
            Pipeline(source, [], sink).run()
            sink.close()

    def with_dpkt() -> None:
        with capture.open("rb") as file, target.open("wb") as out:
            writer = dpkt.pcap.Writer(out)
            for time, frame in dpkt.pcap.Reader(file):
                writer.writepkt(frame, time)

    benchmark.group = f"write {FRAMES} frames"
    benchmark.pedantic({"pktmend": ours, "dpkt": with_dpkt}[impl], rounds=3)
    with PcapReader(str(target)) as written, PcapReader(str(capture)) as source:
        assert all(bytes(a) == bytes(b) for a, b in zip(written, source, strict=True))
