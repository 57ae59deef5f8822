"""`pktmend bench no-drop`: the highest rate at which no frame is lost, for each size of frame (RFC 2544 section 26.1).

For each trial frames are sent at one rate, and counted where they arrive; a binary search over the rate ends when its
bounds are closer than the resolution, and the rate that it found has to hold once more.  What a trial lost is counted
by the receiving interface; where, by the bridge's own ledger.

| RFC 2544 | here |
|---|---|
| trials of 60 s, 7 s between them | as long as asked for, 1 s by default; then until the counters stand still |
| the medium's rate is the highest | what the sender can offer, measured by a first trial |
| sizes with FCS | so they are named; four bytes less are sent, because a veth carries none |
"""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.forwarders import FORWARDERS, KERNEL, Forwarder, Running, installed, start_ours
from pktmend.commands.bench.line import BenchLine, settle
from pktmend.commands.bench.rate_search import Found, Trial, search
from pktmend.commands.bench.sender import GenerateOptions, Sender
from pktmend.errors import ConfigError, PktmendError
from pktmend.testbed.netns import Host

SIZES = (64, 128, 256, 512, 1024, 1280, 1518)  # RFC 2544 section 9.1
FCS = 4
HEADERS = 42  # Ethernet, IPv4, UDP
USUAL = (KERNEL, "pktmend", "pktmend --no-coalesce")
QUIET = 0.2  # seconds without a new frame, until a trial is over
PATIENCE = 5.0


class MeasuredLine:
    """A forwarder on a line of its own, for trials of one size after the other; a context manager."""

    def __init__(self, forwarder: Forwarder, seconds: float) -> None:
        self._forwarder, self._seconds = forwarder, seconds
        self._line = BenchLine(direct=forwarder.is_direct)
        self._running: Running | None = None
        self._snapshots: list[dict[str, int]] = []

    def __enter__(self) -> MeasuredLine:
        line = self._line.__enter__()
        try:
            for host in (line.a, line.b, line.node):
                host.call(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))
            if self._forwarder.options is None:
                self._running = self._forwarder.start(line.node)
            else:
                self._running = start_ours(line.node, *self._forwarder.options, "--json", stdout=subprocess.PIPE)
                threading.Thread(target=self._listen, daemon=True).start()
            line.round_trip_us()
            settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._running is not None:
                self._running.stop()
        finally:
            self._line.__exit__(None, None, None)

    def _listen(self) -> None:
        assert self._running is not None and self._running.programs[0].stdout is not None
        try:
            for line in self._running.programs[0].stdout:
                d = json.loads(line)["snapshot"]["directions"][0]
                self._snapshots.append(
                    {
                        "ring": d["kernel_drops"],
                        "sending": sum(d["tx_error"].values()),
                        "dropped": sum(d["dropped"].values()) + d["truncated"],
                    }
                )
        except ValueError:  # it was closed
            return

    def trial(self, size: int, rate: float) -> Trial:
        """Send frames of *size* bytes, FCS included, at *rate*."""
        before, ledger = _arrived(self._line.b, size), self._ledger()
        options = GenerateOptions(
            mix=str(size - FCS), flows=16, rate=rate, target_mac=_mac_of(self._line.b), duration=self._seconds
        )

        def send() -> tuple[int, float]:
            with Sender("eth0", options) as sender:
                began = time.monotonic()
                sent = sender.send(2**32, round(self._seconds * 1000))
                return sent, time.monotonic() - began

        sent, took = self._line.a.call(send)
        arrived = self._settled(size)
        assert self._running is not None
        if why := self._running.obituary():
            raise PktmendError(why)
        after = self._ledger()
        lost = sent - (arrived - before)
        where = {place: after[place] - ledger[place] for place in after} if lost and after else {}
        if where:
            where["elsewhere"] = lost - sum(where.values())
        return Trial(sent / took, sent, arrived - before, {place: n for place, n in where.items() if n})

    def _settled(self, size: int) -> int:
        """Return what has arrived once no more does."""
        deadline = time.monotonic() + PATIENCE
        arrived = -1
        while arrived != (now := _arrived(self._line.b, size)) and time.monotonic() < deadline:
            arrived = now
            time.sleep(QUIET)
        return now

    def _ledger(self) -> dict[str, int]:
        """Return what the bridge says of now: its next snapshot but one was surely made after this call."""
        if self._forwarder.options is None:
            return {}
        enough, deadline = len(self._snapshots) + 2, time.monotonic() + PATIENCE
        while len(self._snapshots) < enough:
            if time.monotonic() > deadline:
                raise PktmendError("the bridge does not answer")
            time.sleep(0.02)
        return self._snapshots[-1]


def _mac_of(host: Host) -> bytes:
    return bytes.fromhex(host.hardware_address("eth0").replace(":", ""))


def _arrived(host: Host, size: int) -> int:
    """Return how many test frames the interface has received: n that were coalesced have n payloads and one header."""

    def read() -> tuple[int, int]:
        for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, fields = line.partition(":")
            if name.strip() == "eth0":
                return int(fields.split()[0]), int(fields.split()[1])
        raise PktmendError("the receiving interface is gone")

    octets, packets = host.call(read)
    return (octets - packets * HEADERS) // (size - FCS - HEADERS)


@dataclass(frozen=True)
class NoDropBench:
    """seconds: of a trial; resolution, tolerate: shares; only: forwarders whose name holds one of these words."""

    rounds: int = 3
    seconds: float = 1.0
    sizes: Sequence[int] = SIZES
    only: Sequence[str] = ()
    resolution: float = 0.02
    tolerate: float = 0.0
    name: str = "no-drop"
    programs: tuple[str, ...] = ("tcpbridge", "dpdk-testpmd", "netsniff-ng")

    def measure(self) -> Iterator[Line]:
        """Yield a line for each size and forwarder."""
        chosen = [
            f for f in FORWARDERS if (any(word in f.name for word in self.only) if self.only else f.name in USUAL)
        ]
        if not chosen:
            names = ", ".join(f.name for f in FORWARDERS)
            raise ConfigError(f"no forwarder's name holds {' or '.join(self.only)}", f"there are: {names}")
        found: dict[tuple[str, int], list[Found]] = {}
        fails: dict[str, str] = {}
        for _ in range(self.rounds):
            for forwarder in chosen:
                if forwarder.name not in fails:
                    self._round(forwarder, found, fails)
        for size in self.sizes:
            for forwarder in chosen:
                yield self._line(forwarder, size, found, fails)

    def _round(self, forwarder: Forwarder, found: dict[tuple[str, int], list[Found]], fails: dict[str, str]) -> None:
        if not installed(forwarder):
            fails[forwarder.name] = "not installed"
            return
        try:
            with MeasuredLine(forwarder, self.seconds) as line:
                for size in self.sizes:
                    one = search(
                        lambda rate, size=size: line.trial(size, rate),  # type: ignore[misc]
                        resolution=self.resolution,
                        tolerate=self.tolerate,
                    )
                    found.setdefault((forwarder.name, size), []).append(one)
        except (PktmendError, OSError) as error:
            if isinstance(error, PermissionError):
                raise
            fails[forwarder.name] = str(error).splitlines()[0]

    def _line(
        self, forwarder: Forwarder, size: int, found: dict[tuple[str, int], list[Found]], fails: dict[str, str]
    ) -> Line:
        line: Line = {
            "bench": self.name,
            "forwarder": forwarder.name,
            "bytes": size,
            "fails": fails.get(forwarder.name),
        }
        if line["fails"]:
            return line
        rounds = found[forwarder.name, size]
        rates = [each.rate / 1e6 for each in rounds]
        beside = found.get((KERNEL, size))
        kernel = statistics.median(each.rate for each in beside) / 1e6 if beside else 0
        lost: dict[str, int] = {}
        for each in rounds:
            for place, n in (each.above.where if each.above else {}).items():
                lost[place] = lost.get(place, 0) + n
        return {
            **line,
            **spread(rates, "rate", 4),
            "gbit_s": round(statistics.median(rates) * 1e6 * size * 8 / 1e9, 3),
            "ratio": round(statistics.median(rates) / kernel, 3) if kernel else None,
            "trials": sum(each.trials for each in rounds),
            "seconds": self.seconds,
            "resolution": self.resolution,
            "tolerate": self.tolerate,
            "sender_limited": all(each.is_sender for each in rounds),
            "lost_above": lost,
        }

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return one table."""
        rows: list[tuple[str, ...]] = []
        for line in lines:
            name = f"{line['bytes']} {line['forwarder']}"
            if line["fails"]:
                rows.append((name, f"fails: {line['fails']}"))
                continue
            rows.append(
                (
                    name,
                    f"{'>= ' if line['sender_limited'] else ''}{line['rate']:.3f}",
                    f"{line['low']:.3f} - {line['high']:.3f}",
                    f"{line['gbit_s']:.2f}",
                    "-" if line["ratio"] is None else f"{line['ratio']:.2f}",
                    ", ".join(f"{place} {n}" for place, n in line["lost_above"].items()) or "-",
                )
            )
        loss = f"lose up to {self.tolerate:.3%} of their frames" if self.tolerate else "lose no frame"
        return [
            Table(
                f"highest rate at which trials of {self.seconds:g} s {loss}",
                ("bytes, forwarder", "Mpps", "spread", "Gbit/s", "of kernel", "lost just above it, in"),
                rows,
                "RFC 2544 section 26.1; sizes and Gbit/s with FCS; >=: as fast as the sender could, and nothing lost",
            )
        ]
