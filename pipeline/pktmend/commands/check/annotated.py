"""`check -w`: the packets that are checked, with what was found as comments that Wireshark shows.

Rules of this file:
1. No packet is altered; what a pcapng file holds already, comments too, stays.
2. What is left out is what was not checked: by a filter, or beyond -c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pktmend.commands.check.found import Found
from pktmend.commands.check.output import ambiguity_lines, total_lines
from pktmend.console.fifo import awaited_reader
from pktmend.console.plural import quantity
from pktmend.console.printable import printable
from pktmend.console.report import check_lines
from pktmend.errors import ConfigError
from pktmend.host.offload_settings import interface_comment
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_file import PCAP, PCAPNG, format_of
from pktmend.packetio.capture_writer import Copy, Writer, require_another

if TYPE_CHECKING:
    from pktmend.packetio.ring import Ring

BEGUN: Final = "pktmend check: packets whose checksums are not right have a comment that says why"

Annotated = Copy | Writer


def require_pcapng(path: str) -> None:
    """Raise ConfigError for a name that asks for a format without comments."""
    if format_of(path) == PCAP:
        raise ConfigError(f"-w {path}: a classic pcap has no place for comments", "name it .pcapng")


@contextmanager
def annotated(
    path: str, source: Capture | Ring, is_stopped: Callable[[], bool], *, mode: int, is_whole: bool
) -> Iterator[Annotated]:
    """Yield the sink that writes *path*, "-" for standard output; it is closed at the end.

    mode:     of a file that is made.
    is_whole: every packet of *source* is checked.
    Raises: OSFailure, ConfigError; KeyboardInterrupt if stopped before it is known what *source* is.
    """
    if isinstance(source, Capture) and not source.recognise(is_stopped):  # before what is there is written over
        raise KeyboardInterrupt
    with awaited_reader(path, is_stopped):
        sink: Annotated
        if isinstance(source, Capture) and source.file_format == PCAPNG:
            sink = Copy(path, source, mode=mode, comment=BEGUN, only_taken=not is_whole)
        else:
            if isinstance(source, Capture):
                require_another(path, source)
            sink = Writer(path, mode=mode, comment=BEGUN)
    with sink:
        if isinstance(sink, Writer):
            _describe(sink, source)
        yield sink


def _describe(sink: Writer, source: Capture | Ring) -> None:
    if isinstance(source, Capture):
        sink.describe("", source.interfaces[0][0])
    else:
        sink.describe(source.name, source.link, interface_comment(source.name))


def summarise(sink: Annotated, found: Found, source: str) -> str:
    """Let the comment on the whole file say what was found; return what is to be told of packets without one."""
    lines = [*total_lines(found), *check_lines(found.checks), *ambiguity_lines(found, source)]
    sink.summarise(printable("\n".join([f"pktmend check of {_one_line(source)}", *lines])))
    missing = sink.uncommented if isinstance(sink, Copy) else 0
    if not missing:
        return ""
    return f"{quantity(missing, 'packet')} without a comment: simple packet blocks have no place for one"


def _one_line(text: str) -> str:
    return text.replace("\n", "\\x0a")
