"""`diagnose()` as a function: what the command says, as objects.  It prints nothing and installs no signal handler."""

from __future__ import annotations

import os
from pathlib import Path

from pktmend.commands.diagnose.examine import examine
from pktmend.commands.diagnose.finding import Diagnosis, in_words
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.taps import Hooks
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.interfaces import interfaces
from pktmend.runtime.tunnels import learn_tunnel_ports

Target = str | os.PathLike[str]


def diagnose(
    target: Target,
    behind: Target | None = None,
    *,
    at_wire: bool = False,
    packets: int = 0,
    duration: float | None = None,
    expression: str = "",
) -> tuple[Diagnosis, ...]:
    """Name the root cause of wrong checksums in a capture, or on an interface; return what was found, gravest first.

    target:     a capture file, or the name of an interface, which is watched; a path object is always a file.
    behind:     the same behind a suspected hop: packets of both are matched.
    at_wire:    this capture (of two: the second) was taken beyond the sender.
    packets:    so many of each at most; 0 for no limit.
    duration:   seconds to watch an interface; None: 10, or no limit if *packets* is given.
    expression: selects packets in tcpdump's language (libpcap).
    Raises:     OSFailure if there is no such file or interface, FormatError if it is no capture, PrivilegeError where
                an interface may not be read.  A file that is cut off counts as far as it goes; limits say so.
    """
    is_live = _is_interface(target)
    if behind is not None and _is_interface(behind) is not is_live:
        raise ConfigError("the second tap is of another kind than the first", "two files, or two interfaces")
    if is_live:
        learn_tunnel_ports(is_live=True)
    options = Options(
        a=os.fspath(target),
        b=os.fspath(behind) if behind is not None else "",
        is_live=is_live,
        packets=packets,
        duration=duration,
        at_wire=at_wire,
        expression=expression,
    )
    return tuple(in_words(decision) for decision in examine(options, Hooks()).decisions)


def _is_interface(target: Target) -> bool:
    if not isinstance(target, str) or target == "-" or Path(target).exists():
        return False
    if target in interfaces():
        return True
    raise OSFailure(f"there is neither a file nor an interface {target!r}", "`ip link` lists the interfaces")
