"""`pktmend bench read`: capture files from end to end, whole processes, page cache warm.

| program              | does                                                                                  |
|----------------------|---------------------------------------------------------------------------------------|
| pktmend check        | every checksum of every packet, with causes                                           |
| pktmend fix          | the same, and a repaired copy                                                         |
| tcprewrite --fixcsum | computes every checksum anew, and writes a copy                                       |
| tcpdump -vv          | prints every packet with a verdict on its checksums, into nothing                     |
| tshark               | dissects every packet with checksum validation on                                     |
| dpkt                 | Python: parses every packet and sums IP, TCP and UDP                                  |

Slow ones are given a part of the file; figures are frames a second of what they were given.  One frame in a hundred is
damaged, and each answer is checked: each finds those and no others, and copies have the size of the original.  Beside
it the start alone, which is a check of ten frames, and one job and all on a file of 2 GB.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pktmend.commands.bench.captures import (
    LARGE_BYTES,
    PCAP,
    PCAPNG,
    damaged_of,
    first_frames,
    write_captures,
    write_large,
)
from pktmend.commands.bench.environment import version_of
from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.errors import PktmendError
from pktmend.host.own_command import PYTHON, own_command

LARGE = "pcap, 2 GB"
FEW = 10  # frames of what measures the start
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


def _ours(said: str, frames: int) -> str:
    bad = damaged_of(frames)
    wanted = (
        f"{frames} packets, 0 truncated, 0 malformed; by status: good {frames - bad}{f', bad {bad}' if bad else ''}\n"
    )
    return "" if wanted in said else said[-400:]


def _copied(said: str, frames: int) -> str:
    return ""


def _tcpdump(said: str, frames: int) -> str:
    right = len(re.findall(r"cksum 0x[0-9a-f]{4} \(correct\)|udp sum ok", said))
    wrong = len(re.findall(r"\(incorrect|bad udp cksum", said))
    found = f"{right} right and {wrong} wrong checksums"
    return "" if wrong == damaged_of(frames) and right == frames - wrong else found


def _tshark(said: str, frames: int) -> str:
    states = said.split()
    right, wrong = states.count("1"), states.count("0")
    found = f"{len(states)} verdicts, {right} right and {wrong} wrong"
    return "" if wrong == damaged_of(frames) and right == len(states) - wrong == frames - wrong else found


def _dpkt(said: str, frames: int) -> str:
    return "" if said.split() == [str(frames), str(damaged_of(frames))] else said


@dataclass(frozen=True)
class Program:
    """Something that goes through a file.

    argv:    IN and OUT stand for the files.     share: of the frames that it is given, or `count` of them.
    finds:   it ends with 1 where a checksum is bad.
    answer:  what is wrong with what it printed of so many frames, "" for nothing; OUT must be as long as IN.
    """

    name: str
    argv: tuple[str, ...]
    answer: Callable[[str, int], str]
    needs: str = ""
    share: float = 1
    count: int = 0
    finds: bool = False
    formats: tuple[str, ...] = (PCAP,)

    @property
    def copies(self) -> bool:
        """It writes a file instead of an answer."""
        return "OUT" in self.argv

    def seconds(self, path: Path, frames: int, out: Path) -> float:
        """Return the time that it takes; PktmendError if it fails or its answer about *frames* is wrong."""
        argv = [{"IN": str(path), "OUT": str(out)}.get(word, word) for word in self.argv]
        began = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        took = time.monotonic() - began
        if done.returncode != int(self.finds and damaged_of(frames) > 0):
            raise PktmendError(f"{self.name}: exit {done.returncode}: {done.stderr.strip()[-200:]}")
        wrong = self.answer(done.stdout, frames)
        if self.copies and out.stat().st_size != path.stat().st_size:
            wrong = f"the copy has {out.stat().st_size} bytes, not {path.stat().st_size}"
        if wrong:
            raise PktmendError(f"{self.name} on {frames} frames: {wrong}", "its time means nothing")
        return took


CHECK = (*PKTMEND, "check", "-r", "IN")
PROGRAMS = (
    Program("pktmend check", CHECK, _ours, finds=True, formats=(PCAP, PCAPNG)),
    Program(f"pktmend check, {FEW} frames", CHECK, _ours, count=FEW),
    Program(
        "pktmend fix", (*PKTMEND, "fix", "--repair", "all", "-r", "IN", "-w", "OUT"), _copied, formats=(PCAP, PCAPNG)
    ),
    Program("tcprewrite --fixcsum", ("tcprewrite", "--fixcsum", "-i", "IN", "-o", "OUT"), _copied, "tcprewrite"),
    Program("tcpdump -vv", ("tcpdump", "-nvvr", "IN"), _tcpdump, "tcpdump", 0.125, formats=(PCAP, PCAPNG)),
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
    """frames: of the file.     large: bytes of the file that several jobs read; 0: it is not made."""

    rounds: int = 5
    frames: int = 400_000
    large: int = LARGE_BYTES
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
            if self.large:
                yield from self._large(files[PCAP], folder)

    def _large(self, path: Path, folder: Path) -> Iterator[Line]:
        """Yield one job and as many as there are CPUs, in turn, on a file whose frames are those of *path* repeated."""
        times = write_large(path, folder / "large.pcap", self.large)
        frames, cpus = times * self.frames, len(os.sched_getaffinity(0))
        programs = [
            Program(
                f"pktmend check --jobs {jobs}", (*CHECK, "--jobs", str(jobs)), _times(times, self.frames), finds=True
            )
            for jobs in dict.fromkeys((1, cpus))
        ]
        found: dict[str, list[float]] = {p.name: [] for p in programs}
        for _ in range(self.rounds):
            for program in programs:
                found[program.name].append(program.seconds(folder / "large.pcap", frames, folder / "none"))
        for program in programs:
            yield _line(program.name, LARGE, found[program.name], frames, (folder / "large.pcap").stat().st_size)

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
            yield _line(program.name, kind, times[program.name], frames, path.stat().st_size)

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a row for each program."""
        base: dict[str, float] = {}
        for line in lines:  # ours are the first of each file
            base.setdefault(line["file"], line.get("frames_per_s", 0))
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
                f"seconds hold the start of the program; that of pktmend is what {FEW} frames take",
            )
        ]


def _line(name: str, kind: str, times: Sequence[float], frames: int, octets: int) -> Line:
    return {
        "bench": "read",
        "impl": name,
        "file": kind,
        **spread([frames / took for took in times], "frames_per_s", 0),
        "seconds": round(statistics.median(times), 3),
        "frames": frames,
        "octets": octets,
    }


def _times(times: int, frames: int) -> Callable[[str, int], str]:
    """Return what judges the answer about a file that is *frames* repeated."""

    def judge(said: str, _: int) -> str:
        bad = times * damaged_of(frames)
        return "" if f"by status: good {times * frames - bad}, bad {bad}\n" in said else said[-400:]

    return judge


def _part(files: dict[str, Path], kind: str, program: Program, frames: int, folder: Path) -> tuple[Path, int]:
    """Return the file that *program* is given, and how many frames it has."""
    few = program.count or max(1, int(frames * program.share))
    if few == frames:
        return files[kind], frames
    path = folder / f"{few}.{PCAP}"
    if not path.exists():
        first_frames(files[PCAP], few, path)
    if kind == PCAPNG:
        target = folder / f"{few}.{PCAPNG}"
        convert = [*PKTMEND, "fix", "-r", str(path), "-w", str(target)]
        done = subprocess.run(convert, capture_output=True, check=False)
        if done.returncode not in (0, 1):  # 1: damaged frames are left as they are
            raise PktmendError(f"cannot convert {path}: {done.stderr.decode(errors='replace').strip()}")
        path = target
    return path, few
