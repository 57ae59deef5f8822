"""The options of `pktmend monitor`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pktmend.errors import ConfigError
from pktmend.host.output_file import PRIVATE


@dataclass(frozen=True)
class WriteOptions:
    """Where packets are written, as tcpdump's -w, -C, -G and -W have it.

    path:      of the file; with seconds it may hold strftime's %-letters; "-" is standard output.
    only_bad:  bad packets only.           snaplen: bytes of each packet at most, 0 all.
    megabytes: a new file beyond so many million bytes, named path1, path2, ...; 0 never.
    seconds:   a new file after so many seconds; 0 never.
    files:     with megabytes: begin again with the first after so many; with seconds: stop after so many; 0 no limit.
    mode:      of the files that are made.
    """

    path: str
    only_bad: bool = False
    snaplen: int = 0
    megabytes: int = 0
    seconds: int = 0
    files: int = 0
    mode: int = PRIVATE


@dataclass(frozen=True)
class MonitorOptions:
    """All of it.

    interfaces: names, or patterns such as `veth*`, which include interfaces that appear later.
    direction:  in, out or inout.          buffer_kib: of each ring; 0 chooses.
    packets:    stop after so many; 0 never (one interface and one worker only).
    duration:   stop after so many seconds. workers: rings of each interface, sharing its flows.
    expression: in tcpdump's language.     bad_limit: bad packets shown one by one per second, interface and cause.
    listen:     HOST:PORT of metrics and page.
    plain:      a line a second, also on a terminal.       picture: an SVG file of the last view.
    seccomp:    filter system calls once it runs.          verbose: print what every thread may still do.
    mode:       of the picture.
    headers_only: auto, or off: read all packets whole.
    workloads:  label metrics with pods and containers, and count the checksum errors of every network namespace.
    interval:   seconds between two lines or snapshots; with json these hold only what changed.  0: a second, all of it.
    """

    interfaces: tuple[str, ...]
    direction: str = "inout"
    promiscuous: bool = True
    buffer_kib: int = 0
    packets: int = 0
    duration: float | None = None
    workers: int = 1
    expression: str = ""
    json: bool = False
    plain: bool = False
    bad_limit: int = 5
    write: WriteOptions | None = None
    listen: str | None = None
    picture: str = ""
    seccomp: bool = True
    verbose: bool = False
    mode: int = PRIVATE
    headers_only: Literal["auto", "off"] = "auto"
    interval: float = 0
    workloads: bool = False

    def validate(self) -> None:
        """Raise ConfigError for what cannot work."""
        if len(set(self.interfaces)) != len(self.interfaces):
            names = ", ".join(self.interfaces)
            raise ConfigError(f"an interface is named twice: {names}", options=("interfaces",))
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise ConfigError(f"--duration {self.duration}", "seconds above 0", options=("duration",))
        if self.interval and not 1 <= self.interval < math.inf:
            raise ConfigError(f"--interval {self.interval:g}", "1 second or more", options=("interval",))
        if self.packets and (len(self.interfaces) > 1 or self.workers > 1 or self.has_patterns):
            raise ConfigError("-c counts the packets of one interface with one worker", options=("packets",))
        if self.listen is not None:
            from pktmend.serving.server import parse_address

            parse_address(self.listen)
        elif self.workloads:
            raise ConfigError("--workloads labels what --listen serves", "--listen [HOST:]PORT", options=("workloads",))
        if self.write is None:
            return
        if self.write.path == "-" and self.json:
            raise ConfigError(
                "-w - and --json both want standard output",
                "write to a file or a named pipe",
                options=("write", "json"),
            )
        if self.write.files and not (self.write.megabytes or self.write.seconds):
            raise ConfigError("-W counts files", "with -C or -G", options=("file_count",))
        if self.write.path == "-" and (self.write.megabytes or self.write.seconds):
            raise ConfigError("-C and -G need files", "-w FILE", options=("file_megabytes", "file_seconds"))

    @property
    def has_patterns(self) -> bool:
        """Is an interface given as a pattern?"""
        return any(is_pattern(name) for name in self.interfaces)

    @property
    def may_change(self) -> bool:
        """Are rings made and closed as interfaces come and go?  Those of a fanout group cannot be bound again."""
        return self.has_patterns or self.workers > 1


def is_pattern(name: str) -> bool:
    """Is it a pattern rather than an interface's name?"""
    return any(letter in name for letter in "*?[")
