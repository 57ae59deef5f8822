"""Run the fuzz targets: `python tests/fuzz/campaign.py FOLDER [TARGET...]`; PKTMEND_FUZZ_SECONDS: of the longest.

Each run takes the same way, so that a change is judged by what it changes; PKTMEND_FUZZ_SEED=0 takes another each time.

Each target begins with the public captures, where they are, and leaves FOLDER/TARGET.txt: its exit code in the first
line, and behind it what it said.  Each keeps one CPU busy, so two run at a time, the longest first.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # the unit tests' frames, where this runs by itself

import frames as f  # noqa: E402
from carriers import CARRIERS  # noqa: E402
from links import LINKS  # noqa: E402
from pktmend import Batch, Capture, Frames, Pipeline, verify  # noqa: E402
from pktmend.enums import Proto  # noqa: E402
from tunnel_carriers import TUNNELS  # noqa: E402

CAPTURES = Path(os.environ.get("PKTMEND_CAPTURES", HERE.parents[2] / "shared" / "captures"))
SECONDS = int(os.environ.get("PKTMEND_FUZZ_SECONDS", "30"))
SEED = os.environ.get("PKTMEND_FUZZ_SEED", "1")
HEADS = {  # of an input that is a whole file
    "fuzz_annotate": b"\x03\x01\x00\x07\x02\x05",
    "fuzz_capture": b"\xff\xff",
    "fuzz_copy": b"\x04\xff\x17\x05\xc8\x09",
}
PARTS = {"fuzz_frame": 1, "fuzz_capture": 1, "fuzz_split": 2}  # by what SECONDS are divided; 3 for the others
TARGETS = sorted(sorted(p.stem for p in HERE.glob("fuzz_*.c")), key=lambda target: PARTS.get(target, 3))


class Campaign:
    """A run of this file as a child, with low priority: it is begun early and asked late."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        self._folder = folder
        self._log = (folder / "campaign.txt").open("w+")
        command = ["nice", sys.executable, "-P", str(Path(__file__)), str(folder), *targets]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    def result(self, target: str) -> tuple[int, str]:
        """Wait for a target; return its exit code and what it said."""
        said = self._folder / f"{target}.txt"
        while not said.exists():
            time.sleep(0.1)
            if self._process.poll() is not None and not said.exists():
                return self._process.returncode or 1, (self._folder / "campaign.txt").read_text()
        code, _, text = said.read_text(errors="replace").partition("\n")
        return int(code), text

    def close(self) -> None:
        """End it; the targets end with it."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        self._log.close()


def main(folder: Path, targets: Sequence[str]) -> None:
    """Build and run *targets*."""
    subprocess.run(["make", "-s", "-j2", "-C", str(HERE), f"OUT={folder}"], check=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda target: fuzz(folder, target), targets))


def fuzz(folder: Path, target: str) -> None:
    """Run a target on its corpus, and leave what it says."""
    corpus = folder / f"corpus-{target}"
    corpus.mkdir()
    seed(target, corpus)
    seconds = max(1, SECONDS // PARTS.get(target, 3))
    done = subprocess.run(
        [
            *("setpriv", "--pdeathsig", "KILL", str(folder / target)),
            *(f"-seed={SEED}", f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", str(corpus)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    partial = folder / f"{target}.part"
    partial.write_text(f"{done.returncode}\n{done.stdout}")
    partial.rename(folder / f"{target}.txt")


def seed(target: str, corpus: Path) -> None:
    """Begin with the public captures where they are: as files, and frame by frame, behind each target's parameters."""
    save = {
        "fuzz_frame": save_frames,
        "fuzz_emit": save_marked,
        "fuzz_split": save_super_frames,
        "fuzz_coalesce": save_streams,
        "fuzz_judge": save_batches,
    }.get(target)
    if save:
        for number, batch in enumerate(made()):
            save(corpus, -1 - number, batch)
    for number, path in enumerate(sorted(CAPTURES.rglob("*.pcap*")) if CAPTURES.exists() else []):
        if target in HEADS and path.stat().st_size < 8000:
            (corpus / f"file{number}").write_bytes(HEADS[target] + path.read_bytes())
        elif save:
            with Capture(path) as source:
                Pipeline(source, [verify, lambda batch, n=number: save(corpus, n, batch)], limit=4).run()


def made() -> Iterator[Batch]:
    """Yield the frames that the unit tests make, of links and tunnels that no capture has, by link."""
    frames: dict[int, list[bytes]] = {}
    for name, (link, _, build) in (CARRIERS | LINKS).items():
        if "jumbogram" not in name:  # of 64 KiB
            frames.setdefault(link, []).append(f.raw(build(b"0123456789abcdef")))
    frames[1] += [f.raw(build(b"0123456789abcdef")) for _, build in TUNNELS.values()]
    for link, some in frames.items():
        batch = Frames(some, link=link).batch()
        verify(batch)
        yield batch


def ethernet_frames(batch: Batch) -> Iterator[int]:
    return (i for i in range(len(batch)) if batch.link[i] == 1 and batch.caplen[i] < 4000)


def link_numbers() -> dict[int, int]:
    """Return where fuzz_frame.c lists each link type."""
    found = re.search(r"links\[\] = \{([^}]*)\}", (HERE / "fuzz_frame.c").read_text())
    assert found
    links = [int(word) for word in found[1].split(",")]
    return {link: links.index(link) for link in links}


def save_frames(corpus: Path, number: int, batch: Batch) -> None:
    """Write each frame, of any link, behind five bytes of parameters and an empty virtio-net header."""
    numbers = link_numbers()
    for i in range(len(batch)):
        if batch.link[i] in numbers and batch.caplen[i] < 4000:
            link = bytes((numbers[batch.link[i]],))
            (corpus / f"frame{number}-{i}").write_bytes(link + bytes(14) + bytes(batch.frame(i)))


def save_marked(corpus: Path, number: int, batch: Batch) -> None:
    """Write each frame once for each of its sums, marked as partial; fuzz_emit.c makes some what they should be."""
    for i in ethernet_frames(batch):
        for k in batch.checks_of(i):
            vnet = struct.pack("=BBHHHH", 1, 0, 0, 0, k.start, k.offset - k.start)
            for how in (0, 1, 3):  # as it is; with right sums, or the outermost one partial
                (corpus / f"marked{number}-{i}-{k.offset}-{how}").write_bytes(
                    bytes((how, number & 3)) + vnet + bytes(batch.frame(i))
                )


def save_super_frames(corpus: Path, number: int, batch: Batch) -> None:
    """Write each frame as a super-frame whose partial checksum is one of its own, a tunnel's inner one too.

    And each that is in no tunnel in one of a kind that nobody knows, as the bits of fuzz_split.c have it.
    """
    for i in ethernet_frames(batch):
        for k in batch.checks_of(i):
            if k.proto in (Proto.TCP, Proto.UDP) and batch.l3[i] < 256:
                for gso in (5,) if k.proto == Proto.UDP else (1, 4):  # VIRTIO_NET_HDR_GSO_UDP_L4, TCPV4 and TCPV6
                    vnet = struct.pack("=BBHHHH", 1, gso, 0, 64, k.start, k.offset - k.start)
                    wraps = (0,) if k.start != batch.l4[i] else (0, 2 | (number + i) % 64 << 2)
                    for wrap in wraps:
                        (corpus / f"super{number}-{i}-{k.offset}-{gso}-{wrap}").write_bytes(
                            bytes((wrap, batch.l3[i], 0, 0, 0)) + vnet + bytes(batch.frame(i))
                        )


def save_streams(corpus: Path, number: int, batch: Batch) -> None:
    """Write each frame with three that follow it, made right, as fuzz_coalesce.c reads them."""
    for i in ethernet_frames(batch):
        if batch.caplen[i] <= 2048:
            frame = struct.pack("<BH", 8, batch.caplen[i]) + bytes(batch.frame(i))
            (corpus / f"stream{number}-{i}").write_bytes(bytes((16, 0)) + frame + bytes((10, 0, 0)) * 3)


def save_batches(corpus: Path, number: int, batch: Batch) -> None:
    """Write each frame twice, the second with another address and port, as fuzz_judge.c reads them."""
    for i in ethernet_frames(batch):
        if batch.caplen[i] <= 1600:
            frame = struct.pack("<BBH", 0, 1, batch.caplen[i]) + bytes(batch.frame(i))
            (corpus / f"batch{number}-{i}").write_bytes(bytes((1, 0)) + frame + bytes((5, 1, 29, 3, 34, 3)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [target for target in TARGETS if target in sys.argv[2:] or len(sys.argv) == 2])
