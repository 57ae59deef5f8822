"""Capture into the FIFO that Wireshark reads, each packet whose checksums are not right with a comment.

Rules of this file:
1. Sockets are made in the interface's namespace, on a thread that ends; nothing else of this process is ever in it.
2. It ends at a signal (Wireshark stops it by SIGTERM) and when nobody reads the FIFO any more: both are its normal end.
"""

from __future__ import annotations

import errno
from functools import partial

from pktmend.commands.extcap.listing import find
from pktmend.console.fifo import awaited_reader
from pktmend.console.main_loop import main_loop
from pktmend.console.signals import Signals
from pktmend.errors import OSFailure
from pktmend.host.namespaces import call
from pktmend.host.offload_settings import interface_comment
from pktmend.packetio.capture_writer import Writer
from pktmend.packetio.ring import Ring
from pktmend.runtime.pipeline import Pipeline
from pktmend.runtime.stages import Verify, classify

SECTION = "pktmend extcap: packets whose checksums are not right have a comment that says why"


def capture(
    word: str, fifo: str, *, expression: str = "", bad_only: bool = False, snaplen: int = 0, promiscuous: bool = True
) -> None:
    """Capture what interface *word* of the list sees into *fifo* until a signal, or until nobody reads it.

    expression: in tcpdump's language.    snaplen: bytes of each packet that are written, 0 all.
    Raises: OSFailure if the interface is gone, PrivilegeError without CAP_NET_RAW or CAP_SYS_ADMIN, ConfigError.
    """
    signals = Signals()
    namespace, name = find(word)
    ring = call(namespace, partial(Ring, name, packet_filter=expression, promiscuous=promiscuous))
    comment = call(namespace, partial(interface_comment, name))
    with ring:
        try:
            with awaited_reader(fifo, signals.stop.is_set):
                sink = Writer(fifo, only_bad=bad_only, snaplen=snaplen, comment=SECTION)
            with sink:
                sink.describe(name, ring.link, comment)
                sink.flush()  # Wireshark shows that it captures once it knows the interface
                pipeline = Pipeline(ring, [Verify(), classify], sink)
                pipeline.start()
                main_loop(signals, wait=pipeline.wait)
                pipeline.stop()
                pipeline.wait()
        except OSFailure as error:
            if error.errno != errno.EPIPE:
                raise


def check_filter(word: str, expression: str) -> None:
    """Raise ConfigError if *expression* selects nothing that libpcap understands."""
    from pktmend.packetio import bpf_filter

    namespace, name = find(word)
    call(namespace, partial(bpf_filter.for_interface, expression, name))
