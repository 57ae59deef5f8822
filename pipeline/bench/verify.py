"""`pktmend bench verify`: parse and judge a whole batch in cache, beside the bare sum of the same octets.

A mix is a number, the octets of every frame, or IMIX: 64, 576 and 1500 octets in the proportion 7:4:1, shuffled.
Frames are TCP over IPv4 with right checksums.  The bare sum is that of every IP packet, in one call of the SIMD kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from statistics import median
from typing import Any

from pipeline import _core
from pipeline._core import Batch, batch_of
from pipeline._peers import ffi, lib
from pipeline.bench.environment import environment, environment_line
from pipeline.errors import ConfigError, PipelineError
from pipeline.names import Proto, Status
from pipeline.report import print_json

MIXES = ("64", "576", "1500", "9000", "IMIX")
ETHERNET, HEADERS = 14, 14 + 20 + 20
CACHE = 256 << 10  # octets of frames in a batch, at most
PACKETS = 256
TRIALS = 3


def complement(*parts: bytes) -> int:
    """Return the Internet checksum of even-sized *parts* by arithmetic of large numbers: 65536 is 1 mod 65535."""
    return 0xFFFF - int.from_bytes(b"".join(parts), "big") % 0xFFFF


def tcp_frame(size: int, number: int, random: Random) -> bytes:
    """Return an Ethernet frame of *size* octets with a random payload and right checksums."""
    total = size - ETHERNET
    addresses = bytes([10, 7, 0, 1, 10, 7, number >> 8 & 255, number & 255])
    ip = struct.pack("!BBHHHBB", 0x45, 0, total, number & 0xFFFF, 0x4000, 64, 6)
    ip += struct.pack("!H", complement(ip, addresses)) + addresses
    payload = random.randbytes(size - HEADERS)
    head = struct.pack("!HHIIBBH", 40000, 80, number, 0, 0x50, 0x10, 1000)
    pseudo = addresses + struct.pack("!HH", 6, total - 20)
    tcp = head + struct.pack("!HH", complement(pseudo, head, payload + bytes(size % 2)), 0)
    return bytes.fromhex("0200000000020200000000010800") + ip + tcp + payload


def frames_of(mix: str) -> list[bytes]:
    """Return the frames of a mix, as many as fit in cache."""
    random = Random(mix)
    if mix == "IMIX":
        sizes = ([64] * 7 + [576] * 4 + [1500]) * (PACKETS // 12)
        random.shuffle(sizes)
    else:
        if not mix.isdecimal() or not HEADERS <= int(mix) <= 65535:
            raise ConfigError(f"mix {mix!r}", f"octets of a frame from {HEADERS} to 65535, or IMIX")
        sizes = [int(mix)] * max(1, min(PACKETS, CACHE // int(mix)))
    return [tcp_frame(size, number, random) for number, size in enumerate(sizes)]


def check_answers(batch: Batch) -> None:
    """Every packet must be good, and both of its checksums have been looked at."""
    for i in range(len(batch)):
        found = [(k.proto, k.status) for k in batch.checks_of(i)]
        if batch.status[i] != Status.GOOD or found != [(Proto.IP, Status.GOOD), (Proto.TCP, Status.GOOD)]:
            raise PipelineError(f"packet {i} was judged {Status(batch.status[i])}", "its time means nothing")


def measure(mix: str, rounds: int) -> dict[str, Any]:
    """Return a line of results."""
    frames = frames_of(mix)
    batch = batch_of(frames)
    stage, kernel = _core.verify_stage(), _core.kernel_address()
    stage(batch)
    check_answers(batch)
    views = [ffi.from_buffer("uint8_t[]", batch.frame(i)) for i in range(len(batch))]
    slices = ffi.new("uintptr_t[]", [int(ffi.cast("uintptr_t", view)) + ETHERNET for view in views])
    lengths = ffi.new("uint32_t[]", [len(frame) - ETHERNET for frame in frames])
    octets = sum(map(len, frames))
    turns = 1 + 2_000_000 // (octets + 300 * len(frames))
    verify: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        verify.append(min(_core.time_stage(stage, batch, turns) for _ in range(TRIALS)) / turns)
        bare.append(lib.peer_time_slices(kernel, slices, lengths, len(frames), turns, TRIALS))
    check_answers(batch)
    return {
        "bench": "verify",
        "impl": "auto",
        "mix": mix,
        "packets": len(frames),
        "octets": octets,
        "ns_per_packet": round(median(verify) / len(frames), 3),
        "sum_ns_per_packet": round(median(bare) / len(frames), 3),
    }


def run_verify(*, json: bool = False, mixes: Sequence[str] = MIXES, rounds: int = 301) -> None:
    """Measure and print.

    json:   NDJSON, the environment first; else a table for people.
    rounds: more make figures steadier.
    Raises: PipelineError if a packet is judged wrongly, ConfigError for a mix that is none.
    """
    results = [measure(mix, rounds) for mix in mixes]
    if json:
        print_json({"environment": environment()})
        for line in results:
            print_json(line)
        return
    print(f"{environment_line()}\nparse and judge, ns a packet, beside the bare sum of the same octets\n")
    print(f"{'mix':>6}{'verify':>10}{'bare sum':>10}{'ratio':>8}{'Mpps':>8}{'Gbit/s':>9}")
    for line in results:
        ns, bare = line["ns_per_packet"], line["sum_ns_per_packet"]
        rate = line["octets"] * 8 / line["packets"] / ns
        print(f"{line['mix']:>6}{ns:10.1f}{bare:10.1f}{ns / bare:8.2f}{1000 / ns:8.1f}{rate:9.1f}")
