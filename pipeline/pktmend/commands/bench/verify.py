"""`pktmend bench verify`: parse and judge a whole batch in cache, beside the bare sum of the same bytes.

A mix is a number, the bytes of every frame, or IMIX: 64, 576 and 1500 bytes in the proportion 7:4:1, shuffled.
Frames are TCP over IPv4 with right checksums.  The bare sum is that of every IP packet, in one call of the SIMD kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from pktmend import _core
from pktmend._core import Batch
from pktmend.commands.bench import frames
from pktmend.commands.bench._peers import ffi, lib
from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.enums import Proto, Status
from pktmend.errors import ConfigError, PktmendError
from pktmend.packetio.in_python import Frames
from pktmend.runtime.stages import verify

MIXES = ("64", "576", "1500", "9000", "IMIX")
ETHERNET, HEADERS = 14, 14 + 20 + 20
CACHE = 256 << 10  # bytes of frames in a batch, at most
PACKETS = 256
TRIALS = 3


def frames_of(mix: str) -> list[bytes]:
    """Return the frames of a mix, as many as fit in cache."""
    if mix == "IMIX":
        sizes = ([64] * 7 + [576] * 4 + [1500]) * (PACKETS // 12)
        Random(mix).shuffle(sizes)
    else:
        if not mix.isdecimal() or not HEADERS <= int(mix) <= 65535:
            raise ConfigError(f"mix {mix!r}", f"bytes of a frame from {HEADERS} to 65535, or IMIX")
        sizes = [int(mix)] * max(1, min(PACKETS, CACHE // int(mix)))
    return frames.frames_of(sizes, [frames.TCP], mix)


def check_answers(batch: Batch) -> None:
    """Every packet must be good, and both of its checksums have been looked at."""
    for i in range(len(batch)):
        found = [(k.proto, k.status) for k in batch.checks_of(i)]
        if batch.status[i] != Status.GOOD or found != [(Proto.IP, Status.GOOD), (Proto.TCP, Status.GOOD)]:
            raise PktmendError(f"packet {i} was judged {Status(batch.status[i])}", "its time means nothing")


@dataclass(frozen=True)
class VerifyBench:
    """More rounds make figures steadier.  frames_of: makes the frames of a mix, right ones.

    Raises PktmendError for a wrong judgement, ConfigError for a wrong mix.
    """

    mixes: Sequence[str] = MIXES
    rounds: int = 301
    frames_of: Callable[[str], list[bytes]] = frames_of
    name: str = "verify"
    programs: tuple[str, ...] = ()

    def measure(self) -> Iterator[Line]:
        """Yield a line for each mix: ns a packet, and those of the bare sum."""
        for mix in self.mixes:
            yield self._line(mix)

    def _line(self, mix: str) -> Line:
        made = self.frames_of(mix)
        batch = Frames(made).batch()
        stage, kernel = verify, _core.kernel_address()
        stage(batch)
        check_answers(batch)
        views = [ffi.from_buffer("uint8_t[]", batch.frame(i)) for i in range(len(batch))]
        slices = ffi.new("uintptr_t[]", [int(ffi.cast("uintptr_t", view)) + ETHERNET for view in views])
        lengths = ffi.new("uint32_t[]", [len(frame) - ETHERNET for frame in made])
        size, count = sum(map(len, made)), len(made)
        turns = 1 + 2_000_000 // (size + 300 * count)
        judged: list[float] = []
        sums: list[float] = []
        for _ in range(self.rounds):
            judged.append(min(_core.time_stage(stage, batch, turns) for _ in range(TRIALS)) / turns / count)
            sums.append(lib.peer_time_slices(kernel, slices, lengths, count, turns, TRIALS) / count)
        check_answers(batch)
        return {
            "bench": "verify",
            "impl": "auto",
            "mix": mix,
            "packets": count,
            "octets": size,
            **spread(judged, "ns_per_packet"),
            "sum_ns_per_packet": round(median(sums), 3),
        }

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a row for each mix."""
        rows = []
        for line in lines:
            ns, sums = line["ns_per_packet"], line["sum_ns_per_packet"]
            rate = line["octets"] * 8 / line["packets"] / ns
            rows.append(
                (
                    line["mix"],
                    f"{ns:.1f}",
                    f"{line['low']:.1f} - {line['high']:.1f}",
                    f"{sums:.1f}",
                    f"{ns / sums:.2f}",
                    f"{1000 / ns:.1f}",
                    f"{rate:.1f}",
                )
            )
        header = ("mix", "verify", "spread", "bare sum", "ratio", "Mpps", "Gbit/s")
        return [Table("parse and judge in cache, ns a packet, beside the bare sum of the same bytes", header, rows)]
