"""`pktmend bench read`: capture files from end to end, whole processes, page cache warm.

| program              | does                                                                                  |
|----------------------|---------------------------------------------------------------------------------------|
| pktmend check        | every checksum of every packet, with causes                                           |
| pktmend fix          | the same, and a repaired copy                                                         |
| tcprewrite --fixcsum | computes every checksum anew, and writes a copy                                       |
| tcpdump -vv          | prints every packet with a verdict on its checksums, into nothing                     |
| tshark               | dissects every packet with checksum validation on                                     |
| dpkt                 | Python: parses every packet and sums IP, TCP and UDP                                  |

Slow ones are given a part of the file; figures are frames a second of what they were given.  Each answer is checked:
all checksums are right, each sees all frames, and copies have the size of the original.
"""

from __future__ import annotations

import re
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pktmend.commands.bench.environment import version_of
from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.frames import IMIX, TCP, UDP, frames_of
from pktmend.errors import PktmendError
from pktmend.host.own_command import PYTHON, own_command

DISTINCT = 250 * len(IMIX)  # frames that are made; the file repeats them
PCAP, PCAPNG = "pcap", "pcapng"
PKTMEND = tuple(own_command())
DPKT = """
import sys, dpkt
seen = bad = 0
for _, frame in dpkt.pcap.Reader(open(sys.argv[1], "rb")):
    ip = dpkt.ethernet.Ethernet(frame).data
    seen += 1
    head = bytes(ip)[:20]
    segment = bytes(ip)[20:]
    pseudo = ip.src + ip.dst + bytes([0, ip.p]) + len(segment).to_bytes(2, "big")
    bad += dpkt.in_cksum(head) != 0 or dpkt.in_cksum(pseudo + segment) != 0
print(seen, bad)
"""


def write_captures(folder: Path, frames: int) -> dict[str, Path]:
    """Write IMIX frames with right checksums, half TCP and half UDP, as pcap and pcapng; return the files by format."""
    sizes = list(IMIX) * min(DISTINCT // len(IMIX), frames // len(IMIX) + 1)
    Random(1).shuffle(sizes)
    made = frames_of(sizes, [TCP, UDP], "captures")
    files = {kind: folder / f"imix.{kind}" for kind in (PCAP, PCAPNG)}
    with files[PCAP].open("wb", buffering=1 << 20) as old, files[PCAPNG].open("wb", buffering=1 << 20) as new:
        old.write(struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        new.write(struct.pack("=IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        new.write(struct.pack("=IIHHII", 1, 20, 1, 0, 262144, 20))
        for number in range(frames):
            frame = made[number % len(made)]
            size = len(frame)
            old.write(struct.pack("=IIII", number // 100000, number % 100000 * 10, size, size) + frame)
            padded = size + (-size % 4)
            micros = number * 10
            new.write(struct.pack("=IIIIIII", 6, 32 + padded, 0, micros >> 32, micros & 0xFFFFFFFF, size, size))
            new.write(frame + bytes(padded - size) + struct.pack("=I", 32 + padded))
    return files


def first_frames(path: Path, frames: int, target: Path) -> Path:
    """Write the first *frames* of a pcap file."""
    data = path.read_bytes()
    at = 24
    for _ in range(frames):
        at += 16 + struct.unpack_from("=I", data, at + 8)[0]
    target.write_bytes(data[:at])
    return target


def _ours(said: str, frames: int) -> str:
    wanted = f"{frames} packets, 0 truncated, 0 malformed; by status: good {frames}\n"
    return "" if said.startswith(wanted) else said[:200]


def _copied(said: str, frames: int) -> str:
    return ""


def _tcpdump(said: str, frames: int) -> str:
    verdicts, bad = len(re.findall(r"cksum 0x[0-9a-f]{4} \(correct\)|udp sum ok", said)), said.count("bad")
    return "" if verdicts == frames and not bad else f"{verdicts} right and {bad} wrong checksums"


def _tshark(said: str, frames: int) -> str:
    states = said.split()
    right = len(states) == frames and set(states) == {"1"}
    return "" if right else f"{len(states)} verdicts, {sorted(set(states))[:3]}"


def _dpkt(said: str, frames: int) -> str:
    return "" if said.split() == [str(frames), "0"] else said


@dataclass(frozen=True)
class Program:
    """Something that goes through a file.

    argv:    IN and OUT stand for the files.     share: of the frames that it is given.
    answer:  what is wrong with what it printed of so many frames, "" for nothing; OUT must be as long as IN.
    """

    name: str
    argv: tuple[str, ...]
    answer: Callable[[str, int], str]
    needs: str = ""
    share: float = 1
    formats: tuple[str, ...] = (PCAP,)

    @property
    def copies(self) -> bool:
        """It writes a file instead of an answer."""
        return "OUT" in self.argv

    def seconds(self, path: Path, frames: int, out: Path) -> float:
        """Return the time that it takes; PktmendError if it fails or its answer about *frames* right ones is wrong."""
        argv = [{"IN": str(path), "OUT": str(out)}.get(word, word) for word in self.argv]
        began = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        took = time.monotonic() - began
        if done.returncode:
            raise PktmendError(f"{self.name}: exit {done.returncode}: {done.stderr.strip()[-200:]}")
        wrong = self.answer(done.stdout, frames)
        if self.copies and out.stat().st_size != path.stat().st_size:
            wrong = f"the copy has {out.stat().st_size} bytes, not {path.stat().st_size}"
        if wrong:
            raise PktmendError(f"{self.name} on {frames} right frames: {wrong}", "its time means nothing")
        return took


PROGRAMS = (
    Program("pktmend check", (*PKTMEND, "check", "-r", "IN"), _ours, formats=(PCAP, PCAPNG)),
    Program(
        "pktmend fix", (*PKTMEND, "fix", "--repair", "all", "-r", "IN", "-w", "OUT"), _copied, formats=(PCAP, PCAPNG)
    ),
    Program("tcprewrite --fixcsum", ("tcprewrite", "--fixcsum", "-i", "IN", "-o", "OUT"), _copied, "tcprewrite"),
    Program("tcpdump -vv", ("tcpdump", "-nvvr", "IN"), _tcpdump, "tcpdump", 0.125, (PCAP, PCAPNG)),
    Program(
        "tshark",
        (
            "tshark",
            "-n",
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "udp.check_checksum:TRUE",
            "-T",
            "fields",
            "-e",
            "tcp.checksum.status",
            "-e",
            "udp.checksum.status",
            "-r",
            "IN",
        ),
        _tshark,
        "tshark",
        0.125,
    ),
    Program("dpkt", (*PYTHON, "-c", DPKT, "IN"), _dpkt, "dpkt", 0.05),
)


@dataclass(frozen=True)
class ReadBench:
    """frames: of the file."""

    rounds: int = 5
    frames: int = 400_000
    name: str = "read"
    programs: tuple[str, ...] = ("tcpdump", "tshark", "tcprewrite", "dpkt")

    def measure(self) -> Iterator[Line]:
        """Yield a line for each program and format: frames a second."""
        with tempfile.TemporaryDirectory(prefix="pktmend-bench-") as name:
            folder = Path(name)
            files = write_captures(folder, self.frames)
            installed = [p for p in PROGRAMS if not p.needs or version_of(p.needs)]
            for program in PROGRAMS:
                if program not in installed:
                    yield {"bench": "read", "impl": program.name, "file": PCAP, "fails": "not installed"}
            for kind in (PCAP, PCAPNG):
                takers = [p for p in installed if kind in p.formats]
                yield from self._format(kind, files, takers, folder)

    def _format(self, kind: str, files: dict[str, Path], takers: Sequence[Program], folder: Path) -> Iterator[Line]:
        inputs = {p.name: _part(files, kind, p, self.frames, folder) for p in takers}
        times: dict[str, list[float]] = {p.name: [] for p in takers}
        for number in range(self.rounds):
            for program in takers:
                if number and number > 2 and program.share < 1:
                    continue  # slow ones: three rounds are enough
                path, frames = inputs[program.name]
                times[program.name].append(program.seconds(path, frames, folder / f"out.{kind}"))
        for program in takers:
            path, frames = inputs[program.name]
            rates = [frames / took for took in times[program.name]]
            yield {
                "bench": "read",
                "impl": program.name,
                "file": kind,
                **spread(rates, "frames_per_s", 0),
                "seconds": round(statistics.median(times[program.name]), 3),
                "frames": frames,
                "octets": path.stat().st_size,
            }

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a row for each program."""
        base = {line["file"]: line["frames_per_s"] for line in lines if line["impl"] == "pktmend check"}
        rows: list[tuple[str, ...]] = []
        for line in lines:
            if line.get("fails"):
                rows.append((line["impl"], line["fails"]))
                continue
            million = (f"{line[key] / 1e6:.3f}" for key in ("frames_per_s", "low", "high"))
            median, low, high = million
            rows.append(
                (
                    line["impl"],
                    line["file"],
                    median,
                    f"{low} - {high}",
                    f"{base[line['file']] / line['frames_per_s']:.1f}",
                    f"{line['seconds']:.2f}",
                    str(line["frames"]),
                    f"{line['octets'] / 1e6:.0f}",
                )
            )
        header = ("program", "file", "M frames/s", "spread", "check is x faster", "s", "frames", "MB")
        return [
            Table(
                "IMIX captures from end to end, whole processes",
                header,
                rows,
                "seconds hold the start of the program; pktmend's is 0.1 s of Python",
            )
        ]


def _part(files: dict[str, Path], kind: str, program: Program, frames: int, folder: Path) -> tuple[Path, int]:
    """Return the file that *program* is given, and how many frames it has."""
    few = max(1, int(frames * program.share))
    if few == frames:
        return files[kind], frames
    path = folder / f"{few}.{PCAP}"
    if not path.exists():
        first_frames(files[PCAP], few, path)
    if kind == PCAPNG:
        target = folder / f"{few}.{PCAPNG}"
        subprocess.run([*PKTMEND, "fix", "-r", str(path), "-w", str(target)], check=True, capture_output=True)
        path = target
    return path, few
